// The search over the fields of the form: hides what does not match, opens the folds of what does, and says how many.

import { singleKeys } from "../ui/keys.js";

export function startSearch() {
  document.addEventListener("input", (event) => {
    if (event.target instanceof HTMLInputElement && event.target.matches("[data-field-search]")) {
      event.stopPropagation();
      search(event.target.value);
    }
  }, true);
  document.addEventListener("keydown", (event) => {
    const field = document.querySelector("[data-field-search]");
    if (!(field instanceof HTMLInputElement)) return;
    const typing = event.target instanceof Element && event.target.matches("input, textarea, select");
    if (event.key === "/" && singleKeys() && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      field.focus();
    } else if (event.key === "Escape" && event.target === field && field.value) {
      event.preventDefault();
      field.value = "";
      search("");
    } else if (event.key === "Enter" && event.target === field) {
      event.preventDefault(); // it would submit the form
      const first = document.querySelector(".form-section-match .field:not([hidden]) :is(input:not([type=hidden]), select, textarea)");
      if (first instanceof HTMLElement) first.focus();
    }
  });
}

/** @param {string} text */
function search(text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  let found = 0;
  for (const section of document.querySelectorAll("[data-section]")) {
    let here = 0;
    for (const field of section.querySelectorAll("[data-search]")) {
      const hay = field.getAttribute("data-search") || "";
      const match = words.every((w) => hay.includes(w));
      field.toggleAttribute("hidden", !match);
      if (match) here++;
    }
    const fold = section.querySelector("details[data-more]");
    if (fold instanceof HTMLDetailsElement) {
      const inside = fold.querySelectorAll("[data-search]:not([hidden])").length;
      fold.toggleAttribute("hidden", inside === 0);
      if (words.length && inside) {
        if (!fold.open) fold.dataset.opened = "";
        fold.open = true;
      } else if (!words.length && "opened" in fold.dataset) {
        delete fold.dataset.opened;
        fold.open = false;
      }
    }
    section.classList.toggle("form-section-match", words.length > 0 && here > 0);
    section.toggleAttribute("hidden", here === 0);
    found += here;
  }
  const count = document.querySelector("[data-search-count]");
  if (count) count.textContent = words.length ? `${found} ${found === 1 ? "setting matches" : "settings match"}` : "";
  document.querySelector("[data-search-none]")?.toggleAttribute("hidden", !words.length || found > 0);
}
