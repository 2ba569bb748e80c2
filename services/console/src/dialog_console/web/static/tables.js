// The tables of the page. Everything from outside goes in as text, never as markup.

const MOODS = {
  registered: "good", registering: "wait", unregistering: "wait", retrying: "wait", rejected: "bad",
  TALKING: "good", TRYING: "wait", RINGING: "wait", PROGRESS: "wait",
};
const MANY = 200;

const element = (name, text, fields = {}) => Object.assign(document.createElement(name), { textContent: text ?? "" }, fields);

function cell(text, note, mood) {
  const td = element("td", text);
  if (note) td.append(element("small", note));
  if (mood) td.dataset.mood = mood;
  return td;
}

function fill(body, rows, whenEmpty, columns) {
  if (rows.length === 0) {
    const row = element("tr", "", { className: "empty" });
    row.append(element("td", whenEmpty, { colSpan: columns }));
    rows = [row];
  }
  body.replaceChildren(...rows);
}

export function showRegistrations(body, statuses, now) {
  const rows = [...statuses].sort((a, b) => a.aor.localeCompare(b.aor)).slice(0, MANY).map((status) => {
    const row = element("tr");
    row.dataset.aor = status.aor;
    row.dataset.state = status.state;
    const code = status.last_code ? `${status.last_code} ${status.last_phrase ?? ""}` : "";
    row.append(
      cell(status.aor), cell(status.state, status.reason, MOODS[status.state]), cell(code),
      Object.assign(cell(inSeconds(status.expires_at ?? status.next_attempt_at, now)), { className: "time" }), cell(status.owner),
    );
    return row;
  });
  fill(body, rows, "Nobody yet. Create a user, or add a row to sip_user_mappings.", 5);
}

export function showCalls(body, calls) {
  const rows = [...calls].reverse().slice(0, MANY).map((call) => {
    const row = element("tr");
    row.dataset.call = call.call_id;
    row.append(
      cell(call.direction, call.call_id.slice(0, 8)), cell(String(call.user_id)), cell(call.peer),
      cell(call.state, call.reason, MOODS[call.state]), Object.assign(cell(clock(call.at)), { className: "time" }),
    );
    return row;
  });
  fill(body, rows, "No calls yet.", 5);
}

export function showInstances(list, instances) {
  list.replaceChildren(...[...instances].sort((a, b) => a.instance.localeCompare(b.instance)).map((instance) => {
    const item = element("li", `${instance.instance}${instance.load ? ` · ${instance.load}` : ""}`);
    item.dataset.alive = instance.alive;
    item.dataset.draining = instance.draining;
    item.title = `${instance.service}, ${instance.alive ? "alive" : "silent"}`;
    return item;
  }));
}

export function log(list, at, text) {
  const item = element("li");
  item.append(element("time", clock(at)), text);
  list.prepend(item);
  while (list.childElementCount > MANY) list.lastChild.remove();
}

const clock = (at) => (at ? new Date(at).toLocaleTimeString([], { hour12: false }) : "");

function inSeconds(at, now) {
  if (!at) return "";
  const seconds = Math.round((Date.parse(at) - now) / 1000);
  return seconds >= 0 ? `in ${seconds} s` : `${-seconds} s ago`;
}
