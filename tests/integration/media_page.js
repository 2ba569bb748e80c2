// The messenger's web client in small: one call, driven by a test through window.call.
"use strict";

window.call = {
  candidates: [],
  remoteCandidates: [],

  async open({ bundlePolicy = "balanced", video = false, micFirst = true, send = true } = {}) {
    this.pc = new RTCPeerConnection({ iceServers: [], bundlePolicy, rtcpMuxPolicy: "require" });
    this.pc.onicecandidate = ({ candidate }) => {
      if (candidate) this.candidates.push([candidate.candidate, candidate.sdpMid, candidate.sdpMLineIndex]);
      if (window.candidateFound) {
        window.candidateFound(candidate?.candidate ?? "", candidate?.sdpMid ?? null, candidate?.sdpMLineIndex ?? null);
      }
    };
    this.pc.ontrack = ({ track, streams }) => this.listen(track, streams);
    if (send) {
      this.mic = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false } });
    }
    this.wantsVideo = video;
  },

  addMic() {
    for (const track of this.mic.getAudioTracks()) this.pc.addTrack(track, this.mic);
  },

  async offer() {
    this.addMic();
    if (this.wantsVideo) this.pc.addTransceiver("video", { direction: "recvonly" });
    await this.pc.setLocalDescription();
    return this.pc.localDescription.sdp;
  },

  async reoffer(options) {
    await this.pc.setLocalDescription(await this.pc.createOffer(options));
    return this.pc.localDescription.sdp;
  },

  async accept(sdp) {
    await this.pc.setRemoteDescription({ type: "answer", sdp });
  },

  async answer(sdp) {
    await this.pc.setRemoteDescription({ type: "offer", sdp });
    this.addMic();
    await this.pc.setLocalDescription();
    return this.pc.localDescription.sdp;
  },

  async gathered() {
    while (this.pc.iceGatheringState !== "complete") {
      await new Promise((resolve) => this.pc.addEventListener("icegatheringstatechange", resolve, { once: true }));
    }
    return this.pc.localDescription.sdp;
  },

  listen(track, streams) {
    this.stream = streams[0];
    this.element = new Audio();
    this.element.srcObject = streams[0];
    this.element.play();
    this.context = new AudioContext();
    this.analyser = this.context.createAnalyser();
    this.analyser.fftSize = 8192;
    this.context.createMediaStreamSource(streams[0]).connect(this.analyser);
  },

  // The loudest frequency that is heard, in Hz, and its level in dB.
  loudest() {
    if (!this.analyser) return [0, -Infinity];
    const bins = new Float32Array(this.analyser.frequencyBinCount);
    this.analyser.getFloatFrequencyData(bins);
    let best = 1;
    for (let i = 1; i < bins.length; i++) if (bins[i] > bins[best]) best = i;
    return [(best * this.context.sampleRate) / this.analyser.fftSize, bins[best]];
  },

  // Statistics as soon as they pass a test, which is given as the source of a function.
  async statsWhen(source, milliseconds) {
    const passes = eval(source);
    const deadline = performance.now() + milliseconds;
    for (;;) {
      const stats = await this.stats();
      if (passes(stats)) return stats;
      if (performance.now() > deadline) throw new Error(`${source} never held: ${JSON.stringify(stats)}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  },

  async stats() {
    const all = [...(await this.pc.getStats()).values()];
    const find = (type) => all.find((report) => report.type === type && (report.kind ?? "audio") === "audio") ?? {};
    const inbound = find("inbound-rtp");
    const remote = find("remote-inbound-rtp");
    const codec = all.find((report) => report.id === inbound.codecId) ?? {};
    return {
      codec: codec.mimeType,
      energy: inbound.totalAudioEnergy,
      lost: inbound.packetsLost,
      received: inbound.packetsReceived,
      remoteLost: remote.packetsLost,
      roundTrip: remote.roundTripTime,
      roundTrips: remote.roundTripTimeMeasurements ?? 0,
    };
  },
};
