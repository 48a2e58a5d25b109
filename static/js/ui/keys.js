// Keys of what is on the page: an element names its own in aria-keyshortcuts, and a press is a click. Those of one character can be
// switched off in the account menu.

/** @param {Event} event */
function typing(event) {
  return event.target instanceof Element && event.target.matches("input, textarea, select, [contenteditable]");
}

/** @param {KeyboardEvent} event */
function nameOf(event) {
  if (event.altKey) return "";
  return event.ctrlKey || event.metaKey ? `Control+${event.key.toUpperCase()}` : event.key;
}

/** Whether keys alone do something: who dictates, or types unsteadily, may not want that. */
export function singleKeys() {
  return document.documentElement.dataset.keys !== "off";
}

export function startKeys() {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing || event.repeat) return;
    const name = nameOf(event);
    if (name === "" || (name.length === 1 && !singleKeys()) || (typing(event) && !name.startsWith("Control+"))) return;
    if (document.querySelector("dialog[open]")) return;
    for (const el of document.querySelectorAll("[aria-keyshortcuts]")) {
      if (!(el instanceof HTMLElement) || !(el.getAttribute("aria-keyshortcuts") || "").split(" ").includes(name) || !(el.checkVisibility() || el.closest("[popover]"))) continue;
      event.preventDefault();
      el.click();
      return;
    }
  });
}
