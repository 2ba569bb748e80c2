// The websocket to the console: JSON both ways, reconnects for ever with a growing pause.

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 5000;

export class Link extends EventTarget {
  #socket = null;
  #pause = FIRST_PAUSE_MS;

  open() {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}/ws`);
    socket.onopen = () => {
      this.#pause = FIRST_PAUSE_MS;
      this.#emit("state", "open");
    };
    socket.onmessage = ({ data }) => {
      const message = JSON.parse(data);
      this.#emit(message.kind, message);
    };
    socket.onclose = () => {
      this.#emit("state", "closed");
      setTimeout(() => this.open(), this.#pause);
      this.#pause = Math.min(LONGEST_PAUSE_MS, this.#pause * 2);
    };
    this.#socket = socket;
  }

  get isOpen() { return this.#socket?.readyState === WebSocket.OPEN; }

  /** Send one request; returns false where there is no connection to send it on. */
  send(action, fields = {}) {
    if (!this.isOpen) return false;
    this.#socket.send(JSON.stringify({ do: action, ...fields }));
    return true;
  }

  on(kind, listener) {
    this.addEventListener(kind, (event) => listener(event.detail));
  }

  #emit(kind, detail) {
    this.dispatchEvent(new CustomEvent(kind, { detail }));
  }
}
