// Keys of what is on the page: an element names its own in aria-keyshortcuts, and a press is a click.

/** @param {Event} event */
function typing(event) {
  return event.target instanceof Element && event.target.matches("input, textarea, select, [contenteditable]");
}

/** @param {KeyboardEvent} event */
function nameOf(event) {
  if (event.altKey) return "";
  return event.ctrlKey || event.metaKey ? `Control+${event.key.toUpperCase()}` : event.key;
}

export function startKeys() {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing || event.repeat) return;
    const name = nameOf(event);
    if (name === "" || (typing(event) && !name.startsWith("Control+"))) return;
    if (document.querySelector("dialog[open]")) return;
    for (const el of document.querySelectorAll("[aria-keyshortcuts]")) {
      if (!(el instanceof HTMLElement) || !(el.getAttribute("aria-keyshortcuts") || "").split(" ").includes(name) || !el.checkVisibility()) continue;
      event.preventDefault();
      el.click();
      return;
    }
  });
}
