// One WebRTC call at a time, signalled by dialog call commands and events.
//
// States: idle -> dialling -> ringing -> talking -> idle, and for a call that comes in idle -> incoming -> answering -> talking.
// Every state but idle and talking has a deadline, and talking ends with its media, so that no lost event keeps a call.
// Whatever waits (the microphone's permission, a description) finds out afterwards whether its call is still the one.
// The phone knows nothing of the page: it emits "change" and "ended", and takes an <audio> element to play into.

const END_OF_CANDIDATES = "";
const SECONDS_IN = { dialling: 45, ringing: 300, incoming: 300, answering: 45, ending: 5 };
const GIVES_UP = {
  dialling: "nothing was heard of the call", ringing: "not answered", incoming: "not answered",
  answering: "nothing was heard of the call", ending: "hung up",
};

export class Phone extends EventTarget {
  state = "idle";
  peer = "";
  callId = null;
  held = false;
  heldThere = false;
  #link;
  #audio;
  #iceServers = [];
  #userId = null;
  #connection = null;
  #microphone = null;
  #offer = null;
  #remoteIsSet = false;
  #waitingCandidates = [];
  #deadline = null;
  #lastCallId = null;
  #isKnown = false; // Whether anybody but this phone knows of the call.

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
    if (this.state !== "idle") return;
    const id = crypto.randomUUID?.() ?? "none"; // None on a page that gets no microphone either.
    this.#begin(id, to, "dialling");
    await this.#negotiate(id, async (connection) => {
      await connection.setLocalDescription();
      return ["call-start", { user_id: this.#userId, to }];
    });
  }

  async answer() {
    if (this.state !== "incoming") return;
    const id = this.callId;
    this.#change("answering");
    const done = await this.#negotiate(id, async (connection) => {
      await this.#setRemote("offer", this.#offer);
      await connection.setLocalDescription();
      return ["call-accept", {}];
    });
    if (!done) this.#link.send("command", { name: "call-reject", call_id: id, reason: "error" });
  }

  decline() { this.#command("call-reject", { reason: "rejected" }); this.#end("declined"); }

  hangup() {
    if (this.state === "idle") return;
    if (!this.#isKnown) return this.#end("not made");
    this.#command("call-hangup");
    this.#change("ending");
  }

  hold() { this.held = !this.held; this.#command(this.held ? "call-hold" : "call-resume"); this.#change(this.state); }

  dtmf(digit) { this.#command("call-send-dtmf", { digits: digit }); }

  /** End the call because its start or its answer was refused. */
  refused(callId, reason) { if (callId === this.callId) this.#end(reason); }

  /** End a call that is over for everybody else: what told so was missed while there was no connection. */
  reconcile(liveCallIds) {
    if (["idle", "dialling", "ending"].includes(this.state) || liveCallIds.includes(this.callId)) return;
    this.#end("it ended while the console was away");
  }

  /** The page goes away: leave no call behind. One that rings may still be answered elsewhere. */
  leave() {
    if (this.#isKnown && !["idle", "incoming"].includes(this.state)) this.#command("call-hangup");
  }

  /** Take a call event of this phone's user. */
  async receive(name, event) {
    if (name === "call-incoming") return this.#incoming(event);
    if (event.call_id !== this.callId) return;
    try {
      await this.#reactions[name]?.(event);
    } catch (error) {
      if (event.call_id === this.callId) this.#fail(whatWentWrong(error));
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
    "call-progress": async (event) => { this.#change("ringing", "dialling"); await this.#takeAnswer(event.sdp); },
    "call-remote-ringing": () => this.#change("ringing", "dialling"),
    "call-answered": async (event) => {
      if (this.state === "incoming" || (this.state === "answering" && !this.#connection)) return this.#end("answered elsewhere");
      this.#change("talking", "dialling", "ringing", "answering");
      await this.#takeAnswer(event.sdp);
    },
    "call-held": (event) => { this.heldThere = event.held; this.#change(this.state); },
    "call-sdp": (event) => this.#takeDescription(event),
    "call-ice": (event) => this.#addCandidate(event),
    "call-ended": (event) => this.#end(event.detail ? `${event.reason}: ${event.detail}` : event.reason),
  };

  #incoming(event) {
    if (event.call_id === this.callId || event.call_id === this.#lastCallId) return; // Told again.
    if (this.state !== "idle") {
      this.#link.send("command", { name: "call-reject", call_id: event.call_id, reason: "busy" });
      return;
    }
    this.#begin(event.call_id, event.from_name || event.from_number || event.from_uri, "incoming");
    this.#offer = event.sdp;
    this.#command("call-ringing");
  }

  // Make a connection for the call `id`, let `describe` set its descriptions, and send the command that it returns with
  // ours. False where that failed.
  async #negotiate(id, describe) {
    try {
      const microphone = await openMicrophone();
      if (id !== this.callId || this.state === "ending") { stop(microphone); return true; }
      const connection = this.#connect(microphone);
      const [name, fields] = await describe(connection);
      if (id !== this.callId || this.state === "ending") return true;
      if (!this.#command(name, { ...fields, sdp: connection.localDescription.sdp })) throw new Error("no connection to the console");
      this.#isKnown = true;
      this.#sendCandidates(connection);
      return true;
    } catch (error) {
      if (id !== this.callId) return true;
      this.#end(whatWentWrong(error));
      return false;
    }
  }

  #connect(microphone) {
    const connection = new RTCPeerConnection({
      iceServers: this.#iceServers, bundlePolicy: "balanced", rtcpMuxPolicy: "require",
    });
    this.#microphone = microphone;
    this.#connection = connection;
    microphone.getAudioTracks().forEach((track) => connection.addTrack(track, microphone));
    connection.ontrack = ({ streams, track }) => { this.#audio.srcObject = streams[0] ?? new MediaStream([track]); };
    connection.onconnectionstatechange = () => {
      if (connection.connectionState === "failed") this.#fail("the media connection failed");
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

  #command(name, fields = {}) { return this.#link.send("command", { name, call_id: this.callId, ...fields }); }

  #begin(callId, peer, state) {
    Object.assign(this, { callId, peer, held: false, heldThere: false });
    this.#isKnown = state === "incoming";
    this.#remoteIsSet = false;
    this.#waitingCandidates = [];
    this.#change(state);
  }

  // Go to `state`, and where states are named, only from one of these: events come late and twice.
  #change(state, ...from) {
    if (from.length && !from.includes(this.state)) return;
    if (state !== this.state) {
      clearTimeout(this.#deadline);
      this.#deadline = state in SECONDS_IN ? setTimeout(() => this.#fail(GIVES_UP[state]), SECONDS_IN[state] * 1000) : null;
    }
    this.state = state;
    this.dispatchEvent(new CustomEvent("change", { detail: state }));
  }

  #fail(reason) {
    if (this.#isKnown && this.state !== "incoming") this.#command("call-hangup");
    this.#end(reason);
  }

  #end(reason) {
    this.#connection?.close();
    if (this.#microphone) stop(this.#microphone);
    this.#audio.srcObject = null;
    this.#lastCallId = this.callId;
    this.callId = null;
    this.#connection = this.#microphone = this.#offer = null;
    this.#change("idle");
    this.dispatchEvent(new CustomEvent("ended", { detail: reason }));
  }
}

function openMicrophone() {
  if (!navigator.mediaDevices) throw new Error("browsers give a microphone only to pages of https and of this machine: open http://127.0.0.1");
  return navigator.mediaDevices.getUserMedia({ audio: true });
}

function stop(stream) { stream.getTracks().forEach((track) => track.stop()); }

function whatWentWrong(error) {
  const known = {
    NotAllowedError: "the browser may not use the microphone: allow it in the settings of this page, beside its address",
    NotFoundError: "there is no microphone: connect one and call again",
    NotReadableError: "the microphone is in use by another program",
  };
  return known[error.name] ?? error.message;
}
