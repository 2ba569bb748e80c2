// One WebRTC call at a time, signalled by dialog call commands and events.
//
// States: idle -> dialling -> ringing -> talking -> idle, and for a call that comes in idle -> incoming -> answering -> talking.
// The phone knows nothing of the page: it emits "change" and "ended", and takes an <audio> element to play into.

const END_OF_CANDIDATES = "";

export class Phone extends EventTarget {
  state = "idle";
  peer = "";
  callId = null;
  held = false;
  #link;
  #audio;
  #iceServers = [];
  #userId = null;
  #connection = null;
  #microphone = null;
  #offer = null;
  #remoteIsSet = false;
  #waitingCandidates = [];

  constructor(link, audio) {
    super();
    this.#link = link;
    this.#audio = audio;
  }

  /** Use these ICE servers from the next call on. */
  set iceServers(servers) { this.#iceServers = servers; }

  /** The dialog user that this phone belongs to. */
  set userId(id) { this.#userId = id; }

  get muted() { return this.#microphone?.getAudioTracks().some((track) => !track.enabled) ?? false; }

  set muted(on) {
    this.#microphone?.getAudioTracks().forEach((track) => { track.enabled = !on; });
    this.#change(this.state);
  }

  async call(to) {
    this.#begin(crypto.randomUUID(), to, "dialling");
    try {
      const connection = await this.#connect();
      await connection.setLocalDescription();
      this.#command("call-start", { user_id: this.#userId, to, sdp: connection.localDescription.sdp });
      this.#sendCandidates(connection);
    } catch (error) {
      this.#end(whatWentWrong(error));
    }
  }

  async answer() {
    if (this.state !== "incoming") return;
    this.#change("answering");
    try {
      const connection = await this.#connect();
      await this.#setRemote("offer", this.#offer);
      await connection.setLocalDescription();
      this.#command("call-accept", { sdp: connection.localDescription.sdp });
      this.#sendCandidates(connection);
    } catch (error) {
      this.#command("call-reject", { reason: "error" });
      this.#end(whatWentWrong(error));
    }
  }

  decline() { this.#command("call-reject", { reason: "busy" }); this.#end("declined"); }

  hangup() { this.#command("call-hangup"); this.#change("ending"); }

  hold() { this.held = !this.held; this.#command(this.held ? "call-hold" : "call-resume"); this.#change(this.state); }

  dtmf(digit) { this.#command("call-send-dtmf", { digits: digit }); }

  /** Take a call event of this phone's user. */
  async receive(name, event) {
    if (name === "call-incoming") return this.#incoming(event);
    if (event.call_id !== this.callId) return;
    try {
      await this.#reactions[name]?.(event);
    } catch (error) {
      this.hangup();
      this.#end(whatWentWrong(error));
    }
  }

  /** Sound level of both directions, 0 to 1, and the energy received since the start. */
  async levels() {
    const levels = { out: 0, in: 0, energy: 0, codec: null };
    if (!this.#connection) return levels;
    const report = await this.#connection.getStats();
    for (const entry of report.values()) {
      if (entry.type === "media-source" && entry.kind === "audio") levels.out = entry.audioLevel ?? 0;
      if (entry.type === "inbound-rtp" && entry.kind === "audio") {
        levels.in = entry.audioLevel ?? 0;
        levels.energy = entry.totalAudioEnergy ?? 0;
        levels.codec = report.get(entry.codecId)?.mimeType ?? null;
      }
    }
    return levels;
  }

  #reactions = {
    "call-trying": () => this.#change("dialling"),
    "call-progress": async (event) => { await this.#takeAnswer(event.sdp); this.#change("ringing"); },
    "call-remote-ringing": () => this.#change("ringing"),
    "call-answered": async (event) => {
      if (this.state === "incoming") return this.#end("answered elsewhere");
      await this.#takeAnswer(event.sdp);
      this.#change("talking");
    },
    "call-sdp": (event) => this.#takeDescription(event),
    "call-ice": (event) => this.#addCandidate(event),
    "call-ended": (event) => this.#end(event.detail ? `${event.reason}: ${event.detail}` : event.reason),
  };

  #incoming(event) {
    if (this.state !== "idle") {
      this.#link.send("command", { name: "call-reject", call_id: event.call_id, reason: "busy" });
      return;
    }
    this.#begin(event.call_id, event.from_name || event.from_number || event.from_uri, "incoming");
    this.#offer = event.sdp;
    this.#command("call-ringing");
  }

  async #connect() {
    const microphone = await navigator.mediaDevices.getUserMedia({ audio: true });
    const connection = new RTCPeerConnection({
      iceServers: this.#iceServers, bundlePolicy: "balanced", rtcpMuxPolicy: "require",
    });
    this.#microphone = microphone;
    this.#connection = connection;
    microphone.getAudioTracks().forEach((track) => connection.addTrack(track, microphone));
    connection.ontrack = ({ streams, track }) => { this.#audio.srcObject = streams[0] ?? new MediaStream([track]); };
    connection.onconnectionstatechange = () => {
      if (connection.connectionState === "failed") { this.hangup(); this.#end("the media connection failed"); }
    };
    return connection;
  }

  // Only after the description went out: a candidate of a call that nobody knows would be lost.
  #sendCandidates(connection) {
    const send = (candidate) => this.#command("call-add-ice", {
      candidate: candidate?.candidate ?? END_OF_CANDIDATES,
      sdp_mid: candidate?.sdpMid ?? null,
      sdp_mline_index: candidate?.sdpMLineIndex ?? null,
    });
    const inDescription = connection.localDescription.sdp;
    connection.onicecandidate = ({ candidate }) => send(candidate);
    if (connection.iceGatheringState === "complete" && !inDescription.includes("a=end-of-candidates")) send(null);
  }

  async #takeDescription({ sdp_type: type, sdp }) {
    await this.#setRemote(type, sdp);
    if (type !== "offer") return;
    await this.#connection.setLocalDescription();
    this.#command("call-set-sdp", { sdp_type: "answer", sdp: this.#connection.localDescription.sdp });
  }

  async #takeAnswer(sdp) { if (sdp && this.#connection?.signalingState === "have-local-offer") await this.#setRemote("answer", sdp); }

  async #setRemote(type, sdp) {
    await this.#connection.setRemoteDescription({ type, sdp });
    this.#remoteIsSet = true;
    for (const candidate of this.#waitingCandidates.splice(0)) await this.#connection.addIceCandidate(candidate);
  }

  async #addCandidate({ candidate, sdp_mid: sdpMid, sdp_mline_index: sdpMLineIndex }) {
    const init = { candidate, sdpMid: sdpMid ?? null, sdpMLineIndex: sdpMLineIndex ?? 0 };
    if (this.#remoteIsSet) await this.#connection.addIceCandidate(init);
    else this.#waitingCandidates.push(init);
  }

  #command(name, fields = {}) { this.#link.send("command", { name, call_id: this.callId, ...fields }); }

  #begin(callId, peer, state) {
    Object.assign(this, { callId, peer, held: false });
    this.#remoteIsSet = false;
    this.#waitingCandidates = [];
    this.#change(state);
  }

  #change(state) {
    this.state = state;
    this.dispatchEvent(new CustomEvent("change", { detail: state }));
  }

  #end(reason) {
    this.#connection?.close();
    this.#microphone?.getTracks().forEach((track) => track.stop());
    this.#audio.srcObject = null;
    Object.assign(this, { callId: null });
    this.#connection = this.#microphone = this.#offer = null;
    this.#change("idle");
    this.dispatchEvent(new CustomEvent("ended", { detail: reason }));
  }
}

function whatWentWrong(error) {
  const known = {
    NotAllowedError: "the browser may not use the microphone",
    NotFoundError: "there is no microphone",
  };
  return known[error.name] ?? error.message;
}
