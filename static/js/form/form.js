// The form for a new run: tells the server which fields have been touched, so that only those show mistakes while
// typing, holds checks while the pointer is down, mirrors each message to its input for assistive technology, and returns
// fields to what they were.
import { at } from "../ui/base.js";
import { startSearch } from "./search.js";

/** @typedef {HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement} Control */

export function startForm() {
  /** @type {Set<string>} */
  const touched = new Set();

  document.addEventListener("input", (event) => {
    const el = control(event.target);
    if (el) touched.add(el.name);
  });
  document.addEventListener("focusout", (event) => {
    const el = control(event.target);
    if (el && !(el instanceof HTMLSelectElement) && el.value !== el.defaultValue) touched.add(el.name);
  });
  document.addEventListener("click", (event) => {
    const button = event.target instanceof Element ? event.target.closest("[data-reset-for]") : null;
    if (button instanceof HTMLElement) reset(button);
  });

  document.addEventListener("htmx:configRequest", (event) => {
    const detail = /** @type {CustomEvent} */ (event).detail;
    // htmx sends a check that was still waiting to the formaction of the button that was just clicked: the page leaves anyway.
    if (detail.elt instanceof HTMLFormElement && detail.elt.hasAttribute("hx-post") && detail.path !== detail.elt.getAttribute("hx-post")) {
      event.preventDefault();
      return;
    }
    if (detail.path === at("/runs/validate")) detail.parameters.touched = [...touched].join(",");
    if (detail.path === at("/runs/new")) touched.clear();
  });

  // Leaving a field for another checks it. Were messages to come or go before the button is released, the other would move
  // from under the pointer, and the click be lost.
  let pressed = false;
  /** @type {(() => void)|null} */
  let check = null;
  const release = () =>
    setTimeout(() => {
      pressed = false;
      check?.();
      check = null;
    });
  document.addEventListener("pointerdown", () => (pressed = true));
  document.addEventListener("pointerup", release);
  document.addEventListener("pointercancel", release);
  document.addEventListener("htmx:confirm", (event) => {
    const detail = /** @type {CustomEvent} */ (event).detail;
    if (!pressed || detail.path !== at("/runs/validate")) return;
    event.preventDefault();
    check = () => detail.issueRequest(true);
  });

  document.addEventListener("htmx:oobAfterSwap", (event) => {
    const el = /** @type {CustomEvent} */ (event).detail?.target;
    if (el instanceof HTMLElement) mirror(el.id);
  });

  // Which secrets can be ticked depends on the project. The new ones come without ticks: those of the page are newer.
  document.addEventListener("htmx:oobBeforeSwap", (event) => {
    const { target, fragment } = /** @type {CustomEvent} */ (event).detail;
    if (!(target instanceof HTMLElement) || !target.matches("[data-ticks]")) return;
    const ticked = new Set(ticks(target).filter((t) => t.checked).map((t) => t.value));
    for (const t of ticks(fragment)) t.checked = ticked.has(t.value);
  });

  // The answer of a dry run may come far from the button: it is brought into sight, and gets the focus.
  document.addEventListener("htmx:afterSettle", (event) => {
    const answer = event.target;
    if (!(answer instanceof HTMLElement) || !answer.matches("[data-dry-run]")) return;
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    answer.focus({ preventScroll: true });
    answer.scrollIntoView({ block: "start", behavior: still ? "auto" : "smooth" });
  });

  const summary = document.getElementById("form-summary");
  if (summary) summary.focus();
  if (document.querySelector("[data-field-search]")) startSearch();
}

/**
 * A named input of the form, or null.
 * @param {EventTarget | null} el
 * @returns {Control | null}
 */
function control(el) {
  const known = el instanceof HTMLInputElement || el instanceof HTMLSelectElement || el instanceof HTMLTextAreaElement;
  return known && el.name && el.form?.matches("[data-run-form]") ? el : null;
}

/**
 * The ticks in an element.
 * @param {ParentNode} within
 * @returns {HTMLInputElement[]}
 */
function ticks(within) {
  return [...within.querySelectorAll("input")].filter((el) => el.type === "checkbox");
}

/**
 * Returns a field to the value that its mark names, and lets the server know as if it had been typed.
 * @param {HTMLElement} button
 */
function reset(button) {
  const el = document.getElementById(button.dataset.resetFor || "");
  const value = button.dataset.reset || "";
  const group = el?.closest("[data-ticks]");
  const table = el?.closest("[data-field-table]");
  if (table) {
    for (const row of table.querySelectorAll("select")) row.value = [...row.options].find((o) => value.split(",").includes(o.value))?.value ?? "";
  } else if (el instanceof HTMLInputElement && group) {
    for (const t of ticks(group)) t.checked = value.split(",").includes(t.value);
  } else if (el instanceof HTMLInputElement && el.type === "checkbox") {
    el.checked = value === "true" || (value === "" && el.value === "");
  } else if (el instanceof HTMLSelectElement) {
    const same = [...el.options].find((o) => o.value === value) || [...el.options].find((o) => o.dataset.real === value);
    if (same) el.value = same.value;
  } else if (el instanceof HTMLInputElement || el instanceof HTMLTextAreaElement) {
    el.value = value;
  } else {
    return;
  }
  if (!el) return;
  el.focus();
  el.dispatchEvent(new Event("input", { bubbles: true }));
  el.dispatchEvent(new Event("change", { bubbles: true }));
}

/**
 * Copies "this field is wrong" from a message to its input, and opens the fold that hides it.
 * @param {string} messageID
 */
function mirror(messageID) {
  const message = document.getElementById(messageID);
  const input = document.getElementById(message?.dataset.for || "");
  if (!message || !input) return;
  if (message.dataset.invalid !== "true") {
    input.removeAttribute("aria-invalid");
    return;
  }
  input.setAttribute("aria-invalid", "true");
  const fold = input.closest("details");
  if (fold) fold.open = true;
}
