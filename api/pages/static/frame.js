// What every page does: menus that close, what is chosen and kept (theme, filters put away), "/" and "?", times in the reader's zone.

import { localise } from "./times.js";

const root = document.documentElement;

function mark() {
  for (const button of document.querySelectorAll("[data-theme-to]")) {
    button.setAttribute("aria-pressed", String(button.dataset.themeTo === (root.dataset.theme ?? "")));
  }
  for (const button of document.querySelectorAll("button[data-filters]")) {
    button.hidden = button.dataset.filters === (root.dataset.filters ?? "");
  }
}

// Put a choice where theme.js finds it on the next page.
function keep(name, value) {
  if (value) root.dataset[name] = value;
  else delete root.dataset[name];
  try {
    if (value) localStorage.setItem(name, value);
    else localStorage.removeItem(name);
  } catch {
    // No storage: for this page only.
  }
  mark();
}

function closeMenus(except) {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (menu !== except) menu.open = false;
  }
}

// Whether a key is meant for a field and not for the page.
export function typing(event) {
  return event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.("input:not([type=checkbox]), textarea, select, [contenteditable]");
}

function ready() {
  localise(document);
  // Beside the table the filters stand open by style alone; said here too, for what reads the page otherwise.
  const filters = document.getElementById("filters");
  if (filters && matchMedia("(min-width: 901px)").matches) filters.open = true;
  // In a narrow line of ranges, the one that is chosen is in sight.
  const chosen = document.querySelector(".spans [aria-current]");
  if (chosen) chosen.parentElement.scrollLeft = chosen.offsetLeft - chosen.parentElement.offsetLeft - 40;
  const theme = document.getElementById("theme");
  if (theme) theme.hidden = false;
  mark();
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button?.dataset.themeTo !== undefined) {
    keep("theme", button.dataset.themeTo);
    document.dispatchEvent(new Event("afterword:theme"));
  } else if (button?.dataset.filters !== undefined) {
    keep("filters", button.dataset.filters);
    document.querySelector("button.fold:not([hidden])")?.focus();
  }
  closeMenus(event.target.closest("details.menu"));
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    const menu = event.target.closest?.("details.menu[open]");
    closeMenus();
    menu?.querySelector("summary").focus();
  } else if (typing(event)) {
    return;
  } else if (event.key === "/") {
    const search = document.getElementById("q");
    if (search) {
      event.preventDefault();
      search.focus();
      search.select();
    }
  } else if (event.key === "?") {
    const keys = document.getElementById("keys");
    if (keys) {
      keys.open = !keys.open;
      keys.querySelector("summary").focus();
    }
  }
});

document.addEventListener("htmx:after:swap", ready);
ready();
