"use strict";
// The live grid of one cluster, drawn from its JSON every two seconds. Uses refresh.js.

const LEGEND = [...document.querySelectorAll("#legend .mark")]; // in the order of the state codes
const NAMES = LEGEND.map((one) => one.dataset.name);
const SIGNS = LEGEND.map((one) => one.dataset.sign);
const MOST_MARKS = 60; // more combinations than these are counted instead

const place = document.getElementById("grid");
let shown = "";
let opened = null; // [host, prober] whose details are open

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function age(moment, now) {
  const seconds = Math.max(0, Math.round((new Date(now) - new Date(moment)) / 1000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} d`;
}

function pauseText(pause) {
  const until = new Date(pause.until).toISOString().slice(0, 16).replace("T", " ");
  return `${SIGNS[5]} paused by ${pause.who} until ${until} UTC: ${pause.why}`;
}

function lines(cell) {
  const all = [...cell.states].map((state, index) => {
    const name = cell.combinations[index] ?? `combination ${index + 1}`;
    const reason = cell.reasons[index] ? `: ${cell.reasons[index]}` : "";
    return `${SIGNS[state]} ${name ? `${name} ` : ""}${NAMES[state]}${reason}`;
  });
  return all.length ? all : ["nothing to check on this host"];
}

function worstFirst(all) {
  const isGood = (line) => line.startsWith(SIGNS[0]);
  return [...all.filter((line) => !isGood(line)), ...all.filter(isGood)];
}

function mark(state, text = "") {
  return element("span", { className: `mark s${state}` }, element("b", { textContent: SIGNS[state] }), text);
}

function marks(cell) {
  const states = [...cell.states];
  if (states.length <= 1) return [mark(states[0] ?? 6)];
  if (states.length <= MOST_MARKS) return states.map((state) => mark(state));
  const counts = new Map();
  for (const state of states) counts.set(state, (counts.get(state) ?? 0) + 1);
  return [...counts].map(([state, count]) => mark(state, ` ${count}`));
}

function cellOf(host, prober, cell) {
  if (!cell) return element("td", { className: "none" });
  const all = lines(cell);
  const title = all.length > 20 ? [...worstFirst(all).slice(0, 20), `… and ${all.length - 20} more`] : [...all];
  if (cell.pause) title.unshift(pauseText(cell.pause));
  const button = element("button", { type: "button", title: title.join("\n"), className: "states" }, ...marks(cell));
  button.dataset.key = `${host}\n${prober}`;
  button.setAttribute("aria-label", `${prober} on ${host}: ${NAMES[cell.state]}`);
  button.addEventListener("click", () => {
    opened = opened && opened[0] === host && opened[1] === prober ? null : [host, prober];
    shown = "";
    draw(latest);
  });
  const when = element("span", { className: "age" });
  if (cell.last_run_at) when.dataset.moment = cell.last_run_at;
  return element("td", { className: `cell c${cell.state}` }, button, when);
}

function hostOf(host) {
  const head = element("th", { scope: "row" }, element("span", { className: "host", textContent: host.name }));
  if (host.address) head.append(element("span", { className: "quiet", textContent: ` ${host.address}` }));
  const words = { reporting: "", silent: "⚠ silent", expected: "⚠ never seen" };
  const notes = [
    words[host.presence],
    host.conflict ? "⚠ two agents speak for this host" : "",
    host.problem,
    host.canary_problem ? `⚠ do not believe these states: ${host.canary_problem}` : "",
    host.pause ? pauseText(host.pause) : "",
  ];
  for (const note of notes.filter(Boolean)) head.append(element("div", { className: "note", textContent: note }));
  if (host.reported_at) {
    const when = element("span", {});
    when.dataset.moment = host.reported_at;
    head.append(element("div", { className: "age" }, "reported ", when, " ago"));
  }
  return head;
}

function evidenceOf(cell, index) {
  const id = cell.uploads[index];
  if (!id) return [];
  const href = `/api/v1/clusters/${encodeURIComponent(place.dataset.cluster)}/uploads/${encodeURIComponent(id)}/content`;
  return [" · ", element("a", { href, textContent: "record of the run" })];
}

function detailsOf(grid) {
  const host = grid.hosts.find((one) => opened && one.name === opened[0]);
  const cell = host && host.cells[opened[1]];
  if (!cell) return null;
  const list = element("ul", {}, ...lines(cell).map((line, index) => element("li", {}, line, ...evidenceOf(cell, index))));
  const pause = cell.pause ?? host.pause;
  const notes = pause ? [element("p", { textContent: pauseText(pause) })] : [];
  return element("section", { className: "card" }, element("h2", { textContent: `${opened[1]} on ${opened[0]}` }), ...notes, list);
}

function tableOf(grid) {
  if (!grid.hosts.length) return element("p", { className: "card", textContent: "No hosts yet: the recipe has named none, and no agent has reported." });
  const heads = grid.probers.map((prober) => element("th", { scope: "col", textContent: prober }));
  const rows = grid.hosts.map((host) =>
    element("tr", { className: host.presence }, hostOf(host), ...grid.probers.map((prober) => cellOf(host.name, prober, host.cells[prober]))),
  );
  const head = element("thead", {}, element("tr", {}, element("th", { textContent: "Host" }), ...heads));
  return element("table", { className: "grid" }, head, element("tbody", {}, ...rows));
}

let latest = null;

function draw(grid) {
  latest = grid;
  const key = JSON.stringify({ ...grid, generated_at: "" });
  if (key !== shown) {
    shown = key;
    const focused = document.activeElement?.dataset?.key;
    const details = detailsOf(grid);
    place.replaceChildren(tableOf(grid), ...(details ? [details] : []));
    if (focused) place.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
  }
  for (const one of place.querySelectorAll("[data-moment]")) {
    one.textContent = age(one.dataset.moment, grid.generated_at);
  }
}

const address = `/api/v1/clusters/${encodeURIComponent(place.dataset.cluster)}/grid`;
repeat("grid", 2000, async () => draw(await (await fetched(address, "application/json")).json()))();
