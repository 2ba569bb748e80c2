// Ringing and ringback, made by the page itself: no sound files.

const CADENCES = {
  ringback: { frequencies: [425], on: 1.0, off: 4.0, gain: 0.05 },
  ring: { frequencies: [440, 480], on: 1.5, off: 2.5, gain: 0.08 },
};

export class Tones {
  #context = null;
  #timer = null;
  #playing = null;

  play(name) {
    if (this.#playing === name) return;
    this.stop();
    this.#playing = name;
    const cadence = CADENCES[name];
    this.#context ??= new AudioContext();
    const burst = () => this.#burst(cadence);
    burst();
    this.#timer = setInterval(burst, (cadence.on + cadence.off) * 1000);
  }

  stop() {
    clearInterval(this.#timer);
    this.#playing = null;
    this.#context?.close();
    this.#context = null;
  }

  #burst({ frequencies, on, gain }) {
    const volume = new GainNode(this.#context, { gain });
    volume.connect(this.#context.destination);
    for (const frequency of frequencies) {
      const oscillator = new OscillatorNode(this.#context, { frequency });
      oscillator.connect(volume);
      oscillator.start();
      oscillator.stop(this.#context.currentTime + on);
    }
  }
}
