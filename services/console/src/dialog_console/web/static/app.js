// Joins the parts of the page: link (websocket), phone (WebRTC), tables, tones.

import { Link } from "./link.js";
import { Phone } from "./phone.js";
import { log, showCalls, showInstances, showRegistrations } from "./tables.js";
import { Tones } from "./tones.js";

const at = (id) => document.getElementById(id);
const link = new Link();
const phone = new Phone(link, at("remote-audio"));
const tones = new Tones();
const store = { users: new Map(), registrations: new Map(), calls: new Map(), instances: new Map() };
let ended = "";
let answeredAt = null;
let loggedInAs = null;

const WORDS = {
  idle: () => ended || "No call.", dialling: () => "calling…", ringing: () => "ringing…", incoming: () => "calls you",
  answering: () => "connecting…", ending: () => "ending…",
  talking: () => {
    if (phone.held) return "on hold";
    return phone.heldThere ? "the other side put you on hold" : `talking ${duration()}`;
  },
};
const STATUS = { registered: "registered", unregistered: "not registered, as its row says" };
const TONES = { ringing: "ringback", incoming: "ring" };
const BUTTONS = {
  answer: ["incoming"], decline: ["incoming"], hangup: ["dialling", "ringing", "answering", "talking"], hold: ["talking"],
  mute: ["talking"], keypad: ["talking"],
};

link.on("state", (state) => {
  at("link").dataset.state = state;
  at("link").textContent = state === "open" ? "live" : "no connection to the console, trying again…";
  loggedInAs = null;
  if (state === "open") login();
  show();
});
link.on("snapshot", (snapshot) => {
  phone.iceServers = snapshot.ice_servers;
  at("pbx-calls").hidden = !snapshot.pbx;
  replace("users", snapshot.users, "user_id");
  replace("registrations", snapshot.registrations, "aor");
  replace("calls", snapshot.calls, "call_id");
  replace("instances", snapshot.instances, "instance");
  if (snapshot.calls_known) phone.reconcile(snapshot.calls.filter((call) => call.state !== "FINISHED").map((call) => call.call_id));
  chooseUser();
  show();
});
link.on("user", ({ user, gone }) => { change("users", user.user_id, gone ? null : user); chooseUser(); show(); });
link.on("registration", ({ aor, status }) => { change("registrations", aor, status); show(); });
link.on("call", ({ call }) => { change("calls", call.call_id, call); show(); });
link.on("instances", ({ instances }) => { replace("instances", instances, "instance"); show(); });
link.on("event", ({ name, event, time }) => { log(at("log"), time, [name, event.call_id.slice(0, 8), event.reason ?? event.digit ?? (event.held === false ? "off" : "")].join(" ")); });
link.on("mine", ({ name, event }) => phone.receive(name, event));
link.on("problem", ({ text, call_id: callId }) => {
  log(at("log"), Date.now(), `! ${text}`);
  if (callId) phone.refused(callId, text); else notice(text);
});
addEventListener("pagehide", () => phone.leave());

at("user-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const id = Number.parseInt(at("new-id").value, 10);
  if (!Number.isInteger(id)) return at("new-id").focus();
  if (!link.send("create-user", { user_id: id, name: at("new-name").value })) return notice("no connection to the console");
  sessionStorage.setItem("me", id);
  at("user-form").reset();
  at("new-user").open = false;
  notice("");
});
at("me").addEventListener("change", () => { sessionStorage.setItem("me", at("me").value); login(); show(); });
at("dial").addEventListener("submit", (event) => { event.preventDefault(); phone.call(at("to").value.trim()); });
at("answer").addEventListener("click", () => phone.answer());
at("decline").addEventListener("click", () => phone.decline());
at("hangup").addEventListener("click", () => phone.hangup());
at("hold").addEventListener("click", () => phone.hold());
at("mute").addEventListener("click", () => { phone.muted = !phone.muted; });
at("call-me").addEventListener("click", () => { notice(""); link.send("call-me"); });
for (const digit of "123456789*0#") {
  const button = Object.assign(document.createElement("button"), { type: "button", textContent: digit });
  button.addEventListener("click", () => phone.dtmf(digit));
  at("keypad").append(button);
}
phone.addEventListener("change", ({ detail: state }) => {
  if (state === "talking") answeredAt ??= Date.now();
  if (state !== "idle") ended = "";
  if (TONES[state]) tones.play(TONES[state]); else tones.stop();
  show();
});
phone.addEventListener("ended", ({ detail: reason }) => { answeredAt = null; ended = `Call ended: ${reason}.`; show(); });

function me() { return Number.parseInt(sessionStorage.getItem("me"), 10) || null; }

function login() {
  if (me() === null || me() === loggedInAs) return;
  phone.userId = me();
  if (link.send("login", { user_id: me() })) loggedInAs = me();
}

function notice(text) { at("notice").textContent = text; }

function chooseUser() {
  const users = [...store.users.values()].sort((a, b) => a.user_id - b.user_id);
  const options = users.map((user) => new Option(user.name ? `${user.user_id} · ${user.name}` : user.user_id, user.user_id));
  at("me").replaceChildren(...(options.length ? options : [new Option("nobody yet", "")]));
  if (options.length === 0) { at("new-user").open = true; return; }
  if (!store.users.has(me())) sessionStorage.setItem("me", users[0].user_id);
  at("me").value = me();
  login();
}

function replace(table, rows, key) { store[table] = new Map(rows.map((row) => [row[key], row])); }

function change(table, key, value) { if (value) store[table].set(key, value); else store[table].delete(key); }

function duration() {
  const seconds = Math.floor((Date.now() - (answeredAt ?? Date.now())) / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

// Many events a second make one drawing a frame.
let drawing = null;
function show() { drawing ??= requestAnimationFrame(() => { drawing = null; draw(); }); }

function draw() {
  showRegistrations(document.querySelector("#registrations tbody"), store.registrations.values(), Date.now());
  showCalls(document.querySelector("#calls tbody"), store.calls.values());
  showInstances(at("instances"), store.instances.values());
  const registered = [...store.registrations.values()].filter((status) => status.state === "registered").length;
  at("registration-count").textContent = `${registered} of ${store.registrations.size} registered`;
  at("call-count").textContent = `${[...store.calls.values()].filter((call) => call.state !== "FINISHED").length} now`;
  drawPhone();
}

function drawPhone() {
  const aor = store.users.get(me())?.aor;
  const status = store.registrations.get(aor);
  at("my-status").dataset.state = status?.state ?? "none";
  at("my-status").textContent = myStatus(aor, status);
  at("screen").dataset.state = phone.state;
  at("peer").textContent = phone.state === "idle" ? "" : phone.peer;
  at("progress").textContent = WORDS[phone.state]();
  at("call").disabled = phone.state !== "idle" || !status || !link.isOpen;
  at("call-me").disabled = at("call").disabled || status.state !== "registered";
  document.title = phone.state === "incoming" ? `☎ ${phone.peer} calls` : "dialog-sip console";
  for (const [id, states] of Object.entries(BUTTONS)) at(id).hidden = !states.includes(phone.state);
  at("hold").setAttribute("aria-pressed", phone.held);
  at("mute").setAttribute("aria-pressed", phone.muted);
}

function myStatus(aor, status) {
  if (me() === null) return "Choose or create a user.";
  if (!aor) return `${me()}: no mapping yet`;
  if (!status) return `${aor}: waiting for a registrar`;
  return `${aor}: ${STATUS[status.state] ?? [status.state, status.reason].filter(Boolean).join(": ")}`;
}

setInterval(async () => {
  const levels = await phone.levels();
  at("level-out").value = levels.out;
  at("level-in").value = levels.in;
  if (phone.state === "talking") drawPhone();
}, 250);
setInterval(show, 1000);

globalThis.phone = phone; // For whoever wants to look on, from the browser's own tools.
link.open();
