// Conversation: labels without leaving the page, and says what became of them.

import "./keys.js";
import { arrival, parse, read, send, sentence, settle } from "./label.js";
import { days } from "./days.js";
import { localise } from "./times.js";

const status = document.getElementById("status");
let ticking;

function say(kind, ...parts) {
  clearInterval(ticking);
  status.className = `status ${kind}`;
  status.replaceChildren(...parts);
}

function button(words, act) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = words;
  made.addEventListener("click", act);
  return made;
}

// "Saved · 3 s ago": the time runs on for those who look, and is not read out again and again.
function saved() {
  const at = performance.now();
  const ago = document.createElement("span");
  ago.setAttribute("aria-hidden", "true");
  const tell = () => {
    const seconds = (performance.now() - at) / 1000;
    ago.textContent = ` · ${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s ago`;
    if (seconds > 60) say("good", "Saved");
  };
  say("good", "Saved", ago);
  tell();
  ticking = setInterval(tell, 1000);
}

let sending = Promise.resolve(); // one after the other: the label given last counts
let decisions = 0; // what is said is about the last one

async function label(sent) {
  decisions += 1;
  const mine = decisions;
  say("", "Saving…");
  const taken = sending.then(() => send(sent));
  sending = taken.catch(() => {});
  let event;
  try {
    event = await taken;
  } catch (error) {
    if (mine !== decisions) return;
    say("bad notice", `Not saved. ${sentence(error.message)} `, button("Try again", () => label(sent)));
    return;
  }
  await watch(sent.key, event, mine);
}

async function watch(key, event, mine) {
  const arrived = await arrival(key, event);
  if (mine !== decisions) return;
  if (arrived) {
    await refresh();
    saved();
  } else {
    say(
      "late notice warn",
      "Taken, but not in the conversation's row after 10 s. Nothing is lost: the label is stored in the log and arrives when "
        + "the worker has caught up. ",
      button("Look again", () => {
        say("", "Saving…");
        watch(key, event, mine);
      }),
    );
  }
}

// What the server shows now, in place of what stood here; what is being typed stays.
async function refresh() {
  const there = parse(await (await fetch(location.href)).text());
  for (const id of ["history", "labels", "undoing", "facts"]) {
    const mine = document.getElementById(id);
    const theirs = there.getElementById(id);
    if (mine && theirs) mine.replaceWith(document.adoptNode(theirs));
  }
  const form = document.getElementById("label");
  const other = there.getElementById("label");
  if (!form || !other) return;
  for (const verdict of form.querySelectorAll("button[name=verdict]")) {
    const now = other.querySelector(`button[value=${verdict.value}]`);
    if (now.hasAttribute("aria-pressed")) verdict.setAttribute("aria-pressed", now.getAttribute("aria-pressed"));
    verdict.disabled = now.disabled;
  }
  form.seen_messages.value = other.seen_messages.value;
  ready();
}

function ready() {
  localise(document);
  days(document.getElementById("dialogue"));
}

document.addEventListener("submit", (event) => {
  if (!event.target.matches("#label, #undo")) return; // its own id is hidden behind the field of that name
  event.preventDefault();
  label(read(event.target, event.submitter?.value || event.target.verdict?.value));
});

ready();
settle();
if (status.dataset.saving) {
  const form = document.getElementById("label");
  watch([form.dataset.assistant, form.dataset.conversation], status.dataset.saving, decisions);
}
