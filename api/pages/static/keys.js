// Letter keys. Each stands on a control that can be seen (data-key), and pressing the key is pressing the control. They
// can be turned off (WCAG 2.1.4), and none fires while something is typed or with a modifier held.

const STORED = "letter-keys";

function stored() {
  try {
    return localStorage.getItem(STORED) !== "off";
  } catch {
    return true; // no storage: as it comes
  }
}

let on = stored();

function typing(event) {
  return event.ctrlKey || event.metaKey || event.altKey || event.isComposing
    || event.target.closest?.("input:not([type=checkbox]), textarea, select, [contenteditable]");
}

function leave(field) {
  const folded = field.closest("details")?.querySelector("summary");
  if (folded) folded.focus();
  else field.blur();
}

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    if (event.target.matches?.("input, textarea")) leave(event.target);
    return;
  }
  if (!on || event.repeat || event.shiftKey || typing(event)) return;
  const key = CSS.escape(event.key.toLowerCase());
  const control = document.querySelector(`[data-key="${key}"]:not(:disabled)`);
  if (!control) return;
  event.preventDefault();
  if (control.dispatchEvent(new CustomEvent("key", { bubbles: true, cancelable: true }))) control.click();
});

const letters = document.getElementById("letters");
if (letters) {
  const box = letters.querySelector("input");
  letters.hidden = false;
  box.checked = on;
  box.addEventListener("change", () => {
    on = box.checked;
    try {
      localStorage.setItem(STORED, on ? "on" : "off");
    } catch {
      // No storage: for this page only.
    }
  });
}
