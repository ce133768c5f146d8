// A label on its way: read from the form, sent, taken by the log, and seen in its row.

const PATIENCE = 10_000; // milliseconds until a label that has not arrived is called late
const LOOKS = [1_500, 4_000, PATIENCE]; // when to look for what the stream may have missed

const KEPT = 20_000; // browsers keep 64 KiB alive behind a page that was left, three bytes a character at most
const MOST_STREAMS = 2;
let streams = 0;

// What a form says, as the interface takes it. `verdict`: positive, negative or clear; `once`: makes sending twice safe.
// What is decided next in this form is another decision, with a `once` of its own.
export function read(form, verdict) {
  const said = Object.fromEntries(new FormData(form));
  const seen = said.seen_messages ? Number(said.seen_messages) : null;
  form.once.value = Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  return make([said.of, said.id], verdict, { ...said, seen_messages: seen });
}

export function make([assistant, conversation_id], verdict, { reason, correction, message_id, seen_messages, once }) {
  const label = { label: verdict, conversations: [{ assistant, conversation_id, seen_messages }], reason };
  if (verdict !== "clear" && correction) Object.assign(label, { correction, message_id });
  return { key: [assistant, conversation_id], verdict, label, once };
}

// Sends it; gives the event's id once the log has taken it. An error says why not; sending the same again is safe.
export async function send(sent) {
  const body = JSON.stringify(sent.label);
  let response;
  try {
    response = await fetch("/v1/labels", {
      method: "POST",
      headers: { "Content-Type": "application/json", "Idempotency-Key": sent.once },
      body,
      keepalive: body.length < KEPT, // goes out although the page is left
    });
  } catch {
    throw new Error("Afterword cannot be reached");
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.detail || answer.title || `The answer was ${response.status}`);
  return answer.labels[0].event_id;
}

// Whether the conversation's row has this label, within 10 s. The stream tells; looking finds what it may have missed.
export function arrival([of, id], event) {
  return new Promise((resolve) => {
    const end = (arrived) => {
      timers.forEach(clearTimeout);
      close();
      resolve(arrived);
    };
    const timers = LOOKS.map((after) => setTimeout(async () => {
      if (await look(of, id, event)) end(true);
      else if (after === PATIENCE) end(false);
    }, after));
    const close = listen(of, id, (change) => change.label_id === event && end(true));
  });
}

async function look(of, id, saving) {
  try {
    const page = await fetch(`/conversation?${new URLSearchParams({ of, id, saving })}`);
    const status = parse(await page.text()).getElementById("status");
    return page.ok && status?.dataset.saving === "";
  } catch {
    return false;
  }
}

// Hears of one conversation, first of its row as it stands. Only while a label is on its way, and of few at once:
// browsers allow six connections to a place over all tabs.
function listen(assistant, conversation_id, tell) {
  if (streams === MOST_STREAMS) return () => {};
  streams += 1;
  const source = new EventSource(`/v1/stream?${new URLSearchParams({ assistant, conversation_id })}`);
  source.addEventListener("changed", (event) => JSON.parse(event.data).conversations.forEach(tell));
  let open = true;
  return () => {
    source.close();
    if (open) streams -= 1;
    open = false;
  };
}

export function sentence(text) {
  return text.endsWith(".") ? text : `${text}.`;
}

export function parse(text) {
  return new DOMParser().parseFromString(text, "text/html");
}

// "e" opens reason and better answer and goes there; a click on their heading opens and closes them.
document.addEventListener("key", (event) => {
  const say = event.target.closest("#say");
  if (!say || !event.target.matches("summary")) return;
  event.preventDefault();
  say.open = true;
  say.querySelector("[name=reason]").focus();
});

// "better answer" beside a message: the correction is about it.
document.addEventListener("click", (event) => {
  const better = event.target.closest("a.better");
  const form = document.getElementById("label");
  if (event.target.id === "whole") {
    event.preventDefault();
    aim(form, "", "");
    form.correction.focus();
  } else if (better && form && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
    event.preventDefault();
    aim(form, better.dataset.about, better.parentElement.querySelector(".text")?.textContent.trim() ?? "");
    document.getElementById("say").open = true;
    form.correction.focus();
  }
});

function aim(form, message, text) {
  form.message_id.value = message;
  const about = document.getElementById("about");
  about.hidden = !message;
  about.querySelector("blockquote").textContent = text.length > 240 ? `${text.slice(0, 240)}…` : text;
  for (const chosen of document.querySelectorAll(".message.chosen")) chosen.classList.remove("chosen");
  if (message) document.querySelector(`a.better[data-about="${CSS.escape(message)}"]`)?.closest(".message").classList.add("chosen");
}

// Narrow screens: the form is docked at the bottom and starts small.
export function settle() {
  const say = document.getElementById("say");
  if (say && matchMedia("(max-width: 900px)").matches && !new URLSearchParams(location.search).get("about")) say.open = false;
}
