// Selecting runs in the list: how many, all of the page, and from one to another with Shift. Without this the checkboxes work alone.

const boxes = 'input[name="run"][form="bulk"]';

/** @returns {HTMLInputElement[]} */
const all = () => /** @type {HTMLInputElement[]} */ ([...document.querySelectorAll(boxes)]);

/** Whether some run is selected. */
export const selecting = () => all().some((b) => b.checked);

/**
 * Selects in a fresh list what is selected in the one that it replaces.
 * @param {Element} fresh
 */
export function keepSelection(fresh) {
  const selected = new Set(all().filter((b) => b.checked).map((b) => b.value));
  for (const b of /** @type {NodeListOf<HTMLInputElement>} */ (fresh.querySelectorAll(boxes))) b.toggleAttribute("checked", selected.has(b.value));
}

export function startSelection() {
  /** @type {HTMLInputElement|null} */
  let last = null;

  function show() {
    const list = all();
    const n = list.filter((b) => b.checked).length;
    const count = document.querySelector("#bulk:not(.bulk-all) [data-bulk-count]");
    const text = n === 1 ? "1 run" : `${n} runs`;
    if (count && n > 0 && count.textContent !== text) count.textContent = text;
    const compare = document.querySelector('#bulk [data-action="compare"]');
    if (compare instanceof HTMLButtonElement) compare.disabled = n < 2;
    for (const whole of /** @type {NodeListOf<HTMLInputElement>} */ (document.querySelectorAll("[data-select-all]"))) {
      whole.hidden = false;
      whole.checked = n > 0 && n === list.length;
      whole.indeterminate = n > 0 && n < list.length;
    }
  }

  document.addEventListener("click", (e) => {
    const box = e.target;
    if (!(box instanceof HTMLInputElement)) return;
    if (box.matches("[data-select-all]")) {
      for (const b of all()) b.checked = box.checked;
    } else if (box.matches(boxes)) {
      if (e.shiftKey && last?.isConnected) {
        const list = all();
        const [from, to] = [list.indexOf(last), list.indexOf(box)].sort((a, b) => a - b);
        for (const b of list.slice(from, to + 1)) b.checked = box.checked;
      }
      last = box;
    } else {
      return;
    }
    show();
  });
  document.addEventListener("reset", () => setTimeout(show));
  document.addEventListener("htmx:afterSettle", show);
  show();
  return show;
}

/** Panels close with Escape, and when something else is clicked. */
export function startMenus() {
  /** @param {(d: HTMLDetailsElement) => boolean} which */
  const close = (which) => {
    for (const d of /** @type {NodeListOf<HTMLDetailsElement>} */ (document.querySelectorAll("details.menu[open]"))) {
      if (!which(d)) continue;
      d.open = false;
      if (d.contains(document.activeElement)) d.querySelector("summary")?.focus();
    }
  };
  document.addEventListener("keydown", (e) => {
    if (e.key === "Escape") close(() => true);
  });
  document.addEventListener("click", (e) => close((d) => !d.contains(/** @type {Node} */ (e.target))));
}
