// The search over everything, as a dialog: opened from the bar or by key, moved through with the arrows. What the page itself
// offers is added here; the rest is the server's.

import { singleKeys } from "./keys.js";

/** How many actions of the page are offered. */
const most = 8;

/**
 * What is written on a button or link, without its key.
 * @param {HTMLElement} el
 */
function nameOf(el) {
  return (el.getAttribute("aria-label") || el.querySelector("span")?.textContent || el.innerText).trim();
}

/**
 * What can be done on the page now: buttons and links with a name, also of its menus, none twice, none of the rows of a table.
 * @param {string} text
 * @returns {Map<string, HTMLElement>}
 */
function actionsOf(text) {
  /** @type {Map<string, HTMLElement>} */
  const out = new Map();
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  for (const el of document.querySelectorAll("main [data-action]")) {
    if (!(el instanceof HTMLElement) || el.closest("dialog, tr") || !(el.closest("[popover]") || el.checkVisibility({ visibilityProperty: true }))) continue;
    const name = nameOf(el);
    if (name && !out.has(name) && out.size < most && words.every((w) => name.toLowerCase().includes(w))) out.set(name, el);
  }
  return out;
}

/**
 * @param {HTMLElement} list
 * @param {HTMLDialogElement} dialog
 * @param {string} text
 */
function showActions(list, dialog, text) {
  const lines = [...actionsOf(text)].map(([name, el]) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "search-hit";
    const title = document.createElement("span");
    title.className = "search-title";
    title.textContent = name;
    button.append(title);
    for (const key of (el.getAttribute("aria-keyshortcuts") || "").split(" ")) {
      if (key === "" || (key.length === 1 && !singleKeys())) continue;
      const kbd = document.createElement("kbd");
      kbd.textContent = key;
      button.append(kbd);
    }
    button.addEventListener("click", () => {
      dialog.close();
      el.focus();
      el.click();
    });
    const line = document.createElement("li");
    line.append(button);
    return line;
  });
  list.replaceChildren(...lines);
  list.hidden = lines.length === 0;
}

/**
 * Moves the focus to the next or previous hit; before the first is the field.
 * @param {HTMLElement} root
 * @param {HTMLElement} input
 * @param {number} by
 */
function move(root, input, by) {
  const stops = [input, ...root.querySelectorAll(".search-hit")];
  const at = stops.indexOf(/** @type {Element} */ (document.activeElement));
  const next = stops[Math.min(Math.max(at + by, 0), stops.length - 1)];
  if (next instanceof HTMLElement) next.focus();
}

/**
 * A setting that is on this page is shown here: the form may be half filled in.
 * @param {MouseEvent} event
 */
function showField(event) {
  const hit = event.target instanceof Element ? event.target.closest("[data-field-id]") : null;
  const field = hit instanceof HTMLElement && document.querySelector("[data-run-form]") ? document.getElementById(hit.dataset.fieldId || "") : null;
  if (!field) return;
  event.preventDefault();
  hit?.closest("dialog")?.close();
  reveal(field);
}

/** @param {HTMLElement} field */
function reveal(field) {
  const fold = field.closest("details");
  if (fold) fold.open = true;
  field.scrollIntoView({ block: "center" });
  field.focus({ preventScroll: true });
}

export function startSearch() {
  const named = document.querySelector("[data-run-form]") && location.hash.startsWith("#f-") ? document.getElementById(location.hash.slice(1)) : null;
  if (named) reveal(named);

  const form = document.getElementById("search-form");
  const input = document.getElementById("search-text");
  const results = document.getElementById("search-results");
  if (!(form instanceof HTMLFormElement) || !(input instanceof HTMLInputElement) || !results) return;
  const dialog = form.closest("dialog");
  const list = document.getElementById("search-actions");
  const root = dialog || form.parentElement;
  if (!(root instanceof HTMLElement)) return;

  document.addEventListener("click", (event) => {
    if (!(event.target instanceof Element) || !event.target.closest("[data-search-open]") || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    dialog?.showModal();
    if (dialog && list) showActions(list, dialog, input.value);
    input.focus();
    input.select();
    form.dispatchEvent(new Event("search-open"));
  });
  root.addEventListener("click", showField);
  input.addEventListener("input", () => {
    if (dialog && list) showActions(list, dialog, input.value);
  });
  root.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      move(root, input, event.key === "ArrowDown" ? 1 : -1);
    } else if (event.key === "Enter" && event.target === input) {
      const known = results.querySelector("[data-found-text]")?.getAttribute("data-found-text") === input.value.trim();
      const first = list?.querySelector(".search-hit") || (known && results.querySelector(".search-hit"));
      if (!(first instanceof HTMLElement)) return; // the page of the search answers
      event.preventDefault();
      first.click();
    } else if (event.key.length === 1 && event.target !== input) {
      input.focus(); // and what was pressed is typed there
    }
  });
}
