// The bar above a log: what a press or a key means, and what the search has found.
import { singleKeys } from "../../ui/keys.js";
import { integer } from "../../ui/numbers.js";

/** @typedef {import("../logs.js").Logs} Logs */

const typingPause = 250; // milliseconds until what is typed is searched

/**
 * @param {Logs} logs
 * @param {HTMLFormElement} bar
 */
export function startBar(logs, bar) {
  let timer = 0;
  bar.addEventListener("input", (event) => {
    if (!(event.target instanceof HTMLInputElement) || (event.target.name !== "q" && event.target.name !== "hide")) return;
    clearTimeout(timer);
    timer = setTimeout(() => logs.apply(), typingPause);
  });
  bar.addEventListener("change", (event) => {
    const el = event.target;
    if (!(el instanceof HTMLInputElement || el instanceof HTMLSelectElement) || el.name === "step" || el.matches("[data-log-time]")) return;
    if (el.name === "wrap") logs.wrap(true);
    else if (el.matches("[data-log-side]")) logs.chooseSides();
    else {
      clearTimeout(timer);
      logs.apply();
    }
  });
  bar.addEventListener("submit", (event) => {
    event.preventDefault();
    const place = document.activeElement instanceof Element ? document.activeElement.closest("[data-menu=log-places]") : null;
    if (place || event.submitter?.matches("[data-log-go]")) go();
    else void logs.step(false);
  });
  function go() {
    const step = logs.state.value("step");
    const time = /** @type {HTMLInputElement|null} */ (bar.querySelector("[data-log-time]"))?.value;
    if (step) void logs.goTo({ step });
    else if (time) void logs.goTo({ at: new Date(time).toISOString() });
    closeMenus();
  }
  function closeMenus() {
    for (const d of bar.querySelectorAll("details[open]")) d.removeAttribute("open");
  }
  bar.addEventListener("click", (event) => {
    const el = event.target instanceof Element ? event.target.closest("[data-log-follow], [data-log-start], [data-log-end], [data-log-next], [data-log-previous], [data-log-place]") : null;
    if (!(el instanceof HTMLElement) || (event instanceof MouseEvent && (event.ctrlKey || event.metaKey))) return;
    event.preventDefault();
    if (el.matches("[data-log-follow]")) logs.follow();
    else if (el.matches("[data-log-next]")) void logs.step(false);
    else if (el.matches("[data-log-previous]")) void logs.step(true);
    else if (el.matches("[data-log-start]")) logs.ends(true);
    else if (el.matches("[data-log-end]")) logs.ends(false);
    else void logs.goTo({ at: el.dataset.at || "" });
    if (el.closest("details")) closeMenus();
  });
  const q = /** @type {HTMLInputElement} */ (logs.state.field("q"));
  q.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.shiftKey) {
      event.preventDefault();
      void logs.step(true);
    } else if (event.key === "Escape" && q.value !== "") {
      event.preventDefault();
      q.value = "";
      logs.apply();
    }
  });
  // Before the keys of every page, of which some are the same.
  document.addEventListener(
    "keydown",
    (event) => {
      const plain = !event.ctrlKey && !event.metaKey && !event.altKey && singleKeys() && !document.querySelector("dialog[open]");
      if (!plain || event.isComposing || (event.target instanceof Element && event.target.matches("input, textarea, select, [contenteditable]"))) return;
      if (event.key === "/") {
        q.focus();
        q.select();
      } else if ((event.key === "n" || event.key === "N") && logs.search.active) void logs.step(event.key === "N");
      else if (event.key === "f") logs.follow();
      else if (event.key === "w") {
        const box = /** @type {HTMLInputElement} */ (logs.state.field("wrap"));
        box.checked = !box.checked;
        logs.wrap(true);
      } else return;
      event.preventDefault();
      event.stopPropagation();
    },
    true,
  );
}

/**
 * Shows how far a search has come.
 * @param {HTMLElement} section
 * @param {import("./search.js").Search} search
 * @param {number} current position of the hit that was gone to
 */
export function showFound(section, search, current) {
  const count = section.querySelector("[data-log-count]");
  const n = search.numberOf(current);
  const busy = search.active && search.share < 1 && !search.failed;
  let text = "";
  if (search.active) text = n > 0 ? `${integer(n)} of ${integer(search.hits)}` : `${integer(search.hits)}${busy ? " …" : search.hits === 1 ? " match" : " matches"}`;
  if (count instanceof HTMLElement) {
    if (count.textContent !== text) count.textContent = text;
    count.title = busy ? `${Math.floor(search.share * 100)} % of the log is searched` : "";
  }
  for (const b of /** @type {NodeListOf<HTMLButtonElement>} */ (section.querySelectorAll("[data-log-next], [data-log-previous]"))) b.disabled = !search.active || search.hits === 0;
  showProblem(section, "q", search.problem);
  const unread = section.querySelector("[data-log-unread]");
  if (!(unread instanceof HTMLElement)) return;
  if (unread.textContent !== search.unread) unread.textContent = search.unread;
  unread.hidden = search.unread === "";
}

/**
 * Says below the bar what is wrong with a pattern.
 * @param {HTMLElement} section
 * @param {string} field
 * @param {string} text
 */
export function showProblem(section, field, text) {
  const el = section.querySelector(`[data-log-problem="${field}"]`);
  const input = section.querySelector(`[name="${field}"]`);
  if (!(el instanceof HTMLElement) || !input) return;
  if (el.textContent !== text) el.textContent = text;
  el.hidden = text === "";
  if (text) {
    input.setAttribute("aria-invalid", "true");
    input.setAttribute("aria-describedby", el.id);
  } else {
    input.removeAttribute("aria-invalid");
    input.removeAttribute("aria-describedby");
  }
}
