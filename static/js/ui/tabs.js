// A row of tabs that is wider than its place begins where the current one is seen.

/** @param {ParentNode} root */
function reveal(root) {
  for (const row of root.querySelectorAll(".tabs")) {
    const current = row.querySelector("[aria-current]");
    if (!(row instanceof HTMLElement) || !(current instanceof HTMLElement) || row.scrollWidth <= row.clientWidth) continue;
    // Not scrollIntoView: that would move the page too.
    const place = current.getBoundingClientRect();
    row.scrollLeft += place.left + place.width / 2 - row.getBoundingClientRect().left - row.clientWidth / 2;
  }
}

export function startTabs() {
  reveal(document);
  addEventListener("resize", () => reveal(document));
  document.addEventListener("htmx:afterSettle", () => reveal(document));
}
