// Review: the next conversation is fetched while this one is read, so that a key shows it at once; labels are sent
// meanwhile. Every step has an address of its own, which the server can show without this script.

import "./keys.js";
import { days } from "./days.js";
import { arrival, make, parse, read, send, sentence, settle } from "./label.js";
import { localise } from "./times.js";

const RENEW = 120_000; // a lease is five minutes long

const status = document.getElementById("status");
const done = []; // what was done here, the last at the end: { key, url, skipped, undo, sent }
let ahead; // the next step, on its way: { url, there }
let nextKey; // what it shows: taken for us already
let going = false;
let underway = 0; // labels that are not in their rows yet

const step = () => document.getElementById("step");
const keyHere = () => (step().dataset.of ? [step().dataset.of, step().dataset.id] : null);

// Steps

async function load(url) {
  const answer = await fetch(url, { headers: { "Afterword-Ahead": "1" } });
  const page = parse(await answer.text());
  if (!answer.ok || !page.getElementById("step")) throw new Error(String(answer.status));
  return { url: new URL(page.getElementById("step").dataset.here, location.href).href, page };
}

function prefetch() {
  nextKey = ahead = undefined;
  const next = document.querySelector('a[data-key="j"]');
  if (!next) return;
  const mine = { url: next.href, there: load(next.href) };
  ahead = mine;
  mine.there.then(({ page }) => {
    const { of, id } = page.getElementById("step").dataset;
    if (ahead === mine && of) nextKey = [of, id];
  }, () => {}); // an error is said when somebody goes there
}

// Goes to a step. `more`: what its address says beside what the server knew when it was fetched.
async function go(url, more = {}, push = true) {
  going = true;
  document.body.setAttribute("aria-busy", "true");
  try {
    let { url: address, page } = await (ahead?.url === url ? ahead.there : load(url));
    // What others held may be free by now: an end is told when it is reached.
    if (ahead?.url === url && "end" in page.getElementById("step").dataset) ({ url: address, page } = await load(url));
    nextKey = undefined;
    show(page);
    if (push) history.pushState(null, "", address);
    carry(more);
    window.scrollTo(0, 0);
    step().querySelector("h1").focus({ preventScroll: true });
    prefetch();
  } catch {
    location.assign(carried(url, more)); // the server says what is wrong
  } finally {
    going = false;
    document.body.removeAttribute("aria-busy");
  }
  if (underway === 0 && "end" in step().dataset) refresh(); // the last label may have arrived on the way here
}

function show(page) {
  for (const id of ["progress", "step"]) document.getElementById(id).replaceWith(document.adoptNode(page.getElementById(id)));
  document.title = page.title;
  ready();
}

// Puts what was done last into the address of this step, and into its links and forms.
function carry(more) {
  history.replaceState(null, "", carried(location.href, more));
  for (const link of document.querySelectorAll('#step a[href^="/review"]')) link.href = carried(link.href, more);
  for (const [name, value] of Object.entries(more)) {
    for (const field of document.querySelectorAll(`#step input[name="${name}"]`)) field.value = value;
  }
  const said = document.getElementById("skipped");
  if (said && "skipped" in more) {
    said.dataset.skipped = more.skipped;
    said.textContent = more.skipped ? ` · ${more.skipped.toLocaleString("en")} skipped` : "";
  }
  undoable();
}

function carried(address, more) {
  const url = new URL(address, location.href);
  for (const [name, value] of Object.entries(more)) {
    if (value === "") url.searchParams.delete(name);
    else url.searchParams.set(name, value);
  }
  return url.href;
}

function countSkipped() {
  return Number(document.getElementById("skipped")?.dataset.skipped || 0);
}

function ready() {
  localise(document);
  days(document.getElementById("dialogue"));
  settle();
}

// Deciding

function decide(form, verdict) {
  const next = document.querySelector('a[data-key="j"]');
  if (going || !next) return;
  const key = keyHere();
  const entry = { key, url: location.href, skipped: countSkipped(), before: JSON.parse(form.dataset.before), seen: form.seen_messages.value };
  done.push(entry);
  const last = { last_of: key[0], last_id: key[1], last_event: "" };
  if (verdict === "skip") {
    leave(key);
    say("", `Skipped ${key[1]}.`);
    go(next.href, { ...last, skipped: entry.skipped + 1 });
    return;
  }
  const given = read(form, verdict);
  entry.once = given.once;
  entry.sent = label(given);
  entry.sent.then((event) => {
    entry.event = event ?? "";
    if (done.at(-1) === entry) carry({ last_event: entry.event });
  });
  go(next.href, { ...last, skipped: entry.skipped });
}

const tails = new Map(); // conversation → the label sent last: labels of one conversation go out in order

// Sends a label and says what becomes of it; resolves to the event's id once it was taken, undefined when given up.
// `undone`: the label that it takes back; it has its turn at once, and is sent only if that one was taken.
function label(sent, words = sent.verdict === "clear" ? "no label" : sent.verdict, undone = Promise.resolve(true)) {
  const name = `${sent.key[1]}: ${words}`;
  const place = JSON.stringify(sent.key);
  say("", `Saving ${name}…`);
  underway += 1;
  const event = (tails.get(place) ?? Promise.resolve()).then(() => undone).then((taken) => (taken ? take(sent, name) : say("", "")));
  tails.set(place, event);
  event.then((taken) => (taken ? arrival(sent.key, taken) : undefined)).then((arrived) => {
    underway -= 1;
    if (arrived) {
      say("good", `Saved ${name}.`);
      if (tails.get(place) === event) tails.delete(place);
    } else if (arrived === false) {
      say("late", `Taken, but not in its row after 10 s: ${name}. Nothing is lost: it arrives when the worker has caught up.`);
    }
    if (place === JSON.stringify(keyHere()) || (underway === 0 && "end" in step().dataset)) refresh();
    else if (arrived) leave(sent.key);
  });
  return event;
}

async function take(sent, name) {
  for (;;) {
    try {
      return await send(sent);
    } catch (error) {
      if (!(await failed(name, error, sent))) return undefined;
    }
  }
}

// Says that a label was not taken, and waits for what is to be done: true to try again.
function failed(name, error, sent) {
  const [of, id] = sent.key;
  say("", "");
  return new Promise((resolve) => {
    const item = document.createElement("li");
    item.className = "notice bad";
    item.setAttribute("role", "alert");
    item.append(`Not saved: ${name}. ${sentence(error.message)} `);
    const decided = (again) => {
      item.remove();
      resolve(again);
    };
    for (const [words, again] of [["Try again", true], ["Give up", false]]) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = words;
      button.addEventListener("click", () => decided(again));
      item.append(button, " ");
    }
    const open = document.createElement("a");
    open.href = `/conversation?${new URLSearchParams({ of, id })}`;
    open.target = "_blank";
    open.textContent = "Open it in a new tab";
    item.append(open);
    document.getElementById("unsaved").append(item);
  });
}

function say(kind, words) {
  status.className = `status ${kind}`;
  status.textContent = words;
}

// Shows this step as it is now, unless something is being typed or chosen in it.
async function refresh() {
  try {
    const at = location.href;
    const { page } = await load(at);
    if (at !== location.href || going || written()) return;
    const had = document.activeElement?.matches("h1");
    show(page);
    undoable();
    if (had) step().querySelector("h1").focus({ preventScroll: true });
  } catch {
    // It stays as it was.
  }
}

function written() {
  const form = document.getElementById("label");
  return document.activeElement?.matches("input, textarea")
    || ["reason", "correction"].some((name) => form?.[name] && form[name].value !== form[name].defaultValue);
}

// Undoing

function undoable() {
  const button = document.querySelector("#undo button");
  if (button) button.disabled = !done.length && !document.querySelector("#undo [name=last_id]").value;
}

async function undo() {
  const entry = done.pop();
  const last = done.at(-1);
  const left = keyHere();
  if (left) leave(left);
  if (entry.sent) {
    const { label: verdict, ...before } = entry.before;
    const back = make(entry.key, verdict || "clear", { ...before, seen_messages: Number(entry.seen), once: `${entry.once}-undone` });
    label(back, "as it was before", entry.sent);
  } else {
    say("", `Back to ${entry.key[1]}.`);
  }
  await go(entry.url, { skipped: entry.skipped, last_of: last?.key[0] ?? "", last_id: last?.key[1] ?? "", last_event: last?.event ?? "" });
  const form = document.getElementById("label");
  if (!form || !entry.sent) return;
  form.dataset.before = JSON.stringify(entry.before); // its row may not have it yet
  for (const verdict of form.querySelectorAll("[aria-pressed]")) verdict.setAttribute("aria-pressed", String(verdict.value === entry.before.label));
}

// Leases

function post(address, keys) {
  const body = new URLSearchParams();
  for (const [of, id] of keys) {
    body.append("of", of);
    body.append("id", id);
  }
  return fetch(address, { method: "POST", body, keepalive: true }).catch(() => {});
}

function leave(key) {
  post("/review/release", [key]);
}

setInterval(async () => {
  const mine = keyHere();
  if (!mine || document.visibilityState !== "visible" || !document.querySelector("#label [name=verdict]:enabled")) return;
  const answer = await post("/review/renew", nextKey ? [mine, nextKey] : [mine]);
  if (answer?.status === 409) say("late", "Nothing was decided here for a while: somebody else may be reviewing this one now.");
}, RENEW);

// What is on the screen stays taken until its lease ends: this may be a reload.
window.addEventListener("pagehide", () => nextKey && leave(nextKey));

// What is pressed

document.addEventListener("submit", (event) => {
  if (event.target.matches("#label")) { // its own id is hidden behind the field of that name
    event.preventDefault();
    decide(event.target, event.submitter.value);
  } else if (event.target.matches("#undo") && done.length) {
    event.preventDefault();
    if (!going) undo();
  }
});

document.addEventListener("click", (event) => {
  const turn = event.target.closest('a[data-key="j"], a[data-key="k"]');
  if (!turn || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  if (going) return;
  const here = keyHere();
  if (here) leave(here);
  go(turn.href);
});

window.addEventListener("popstate", () => go(location.href, {}, false));
window.addEventListener("beforeunload", (event) => {
  if (document.querySelector("#unsaved li")) event.preventDefault(); // labels that were not taken
});

ready();
undoable();
prefetch();
