// Learning: addresses without blank fields, rows chosen by key and by range, news of rows that changed.

import { typing } from "./frame.js";
import { zone } from "./times.js";

const all = (selector) => [...document.querySelectorAll(selector)];
const ticks = () => all("#rows input[name=of]");
let last = null;
const kept = {};

// A field left blank says nothing: the address is shorter without it.
document.addEventListener("formdata", (event) => {
  if (event.target.method !== "get") return;
  for (const [name, value] of [...event.formData]) {
    if (value === "") event.formData.delete(name);
  }
});

function count() {
  const chosen = ticks().filter((tick) => tick.checked).length;
  const every = document.getElementById("every");
  const selected = document.getElementById("selected");
  if (!every || !selected) return;
  every.hidden = false;
  every.checked = chosen > 0 && chosen === ticks().length;
  every.indeterminate = chosen > 0 && !every.checked;
  selected.textContent = chosen ? `With ${chosen} selected:` : "Select rows to label";
  for (const button of all("#bulk button")) button.disabled = chosen === 0;
}

document.addEventListener("click", (event) => {
  const tick = event.target;
  if (tick.id === "every") {
    for (const one of ticks()) one.checked = tick.checked;
  } else if (tick.name === "of") {
    const rows = ticks();
    const [from, to] = [rows.indexOf(last), rows.indexOf(tick)].sort((a, b) => a - b);
    if (event.shiftKey && from >= 0) {
      for (const one of rows.slice(from, to + 1)) one.checked = tick.checked;
    }
    last = tick;
  } else {
    return;
  }
  count();
});

document.addEventListener("keydown", (event) => {
  if (typing(event) || !["j", "k", "x"].includes(event.key)) return;
  const rows = all("#rows tbody tr");
  const at = rows.findIndex((row) => row.contains(document.activeElement));
  if (event.key === "x") {
    rows[at]?.querySelector("input[name=of]")?.click();
  } else {
    const next = rows[event.key === "j" ? Math.min(at + 1, rows.length - 1) : Math.max(at - 1, 0)];
    next?.querySelector("th a")?.focus();
  }
});

// A custom range is in days of the reader's zone, unless the address says whose.
document.addEventListener("toggle", (event) => {
  if (event.target.id !== "custom" || !event.target.open || new URLSearchParams(location.search).has("zone")) return;
  event.target.querySelector("input[name=zone]").value = zone;
  event.target.querySelector("span[data-zone]").textContent = zone;
}, true);

// Where the table was scrolled to sideways stays, when its rows are others.
document.addEventListener("htmx:before:swap", () => {
  kept.left = document.getElementById("rows")?.scrollLeft;
  kept.panel = document.querySelector(".aside")?.scrollTop;
  kept.open = all("details.values[open]").map((one) => one.id);
});
document.addEventListener("htmx:after:swap", () => {
  const rows = document.getElementById("rows");
  const panel = document.querySelector(".aside");
  for (const id of kept.open ?? []) document.getElementById(id)?.setAttribute("open", "");
  if (rows) rows.scrollLeft = kept.left ?? 0;
  if (panel) panel.scrollTop = kept.panel ?? 0;
  changed.clear();
  last = null;
  count();
});

const changed = new Set();

function rowOf(key) {
  return ticks().find((tick) => JSON.stringify(JSON.parse(tick.value).slice(0, 2)) === key)?.closest("tr");
}

// A label that was just given appears in its row; true when that is all that is new of it here.
function relabel(row, label) {
  const cell = row?.querySelector(".c-label");
  const shown = cell?.querySelector(".tag")?.dataset.label ?? "";
  if (!cell || shown === label) return false;
  const tag = document.createElement("span");
  tag.className = `tag ${label}`;
  tag.dataset.label = label;
  tag.textContent = label.charAt(0).toUpperCase() + label.slice(1);
  cell.replaceChildren(label ? tag : "–");
  return true;
}

function news(text) {
  const line = document.getElementById("news");
  if (!line) return;
  const link = document.createElement("a");
  link.href = location.href;
  link.textContent = "Show";
  line.replaceChildren(`${text} `, link);
}

function hear(event) {
  const { loaded, assistant } = document.getElementById("news")?.dataset ?? {};
  for (const one of JSON.parse(event.data).conversations) {
    const key = JSON.stringify([one.assistant, one.conversation_id]);
    const old = Date.parse(one.updated_at) <= Date.parse(loaded);
    const elsewhere = assistant && assistant !== one.assistant;
    if (!old && !elsewhere && !relabel(rowOf(key), one.label)) changed.add(key);
  }
  if (changed.size) news(`${changed.size.toLocaleString("en-US")} new or changed.`);
}

// Only a tab that is looked at listens: a browser has six connections for a host, and other tabs need them.
let stream;
function listen() {
  stream?.close();
  if (document.hidden) return;
  stream = new EventSource("/v1/stream");
  stream.addEventListener("changed", hear);
  stream.addEventListener("reload", () => news("Many are new or changed."));
}

document.addEventListener("visibilitychange", () => {
  listen();
  const minutes = Math.floor((Date.now() - Date.parse(document.getElementById("news")?.dataset.loaded)) / 60_000);
  if (!document.hidden && minutes > 0 && !changed.size) news(`Loaded ${minutes} min ago.`);
});

listen();
count();
