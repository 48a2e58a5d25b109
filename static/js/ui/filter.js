// A field that narrows a list of buttons while one types: data-filter names the list. Enter presses the first that is left.

/**
 * @param {HTMLInputElement} input
 * @returns {HTMLElement[]} the entries of its list
 */
function entries(input) {
  const list = document.querySelector(input.dataset.filter || "");
  return list ? [...list.children].filter((li) => li instanceof HTMLElement) : [];
}

export function startFilters() {
  document.addEventListener("input", (event) => {
    const input = event.target;
    if (!(input instanceof HTMLInputElement) || !input.dataset.filter) return;
    const text = input.value.trim().toLowerCase();
    let left = 0;
    for (const li of entries(input)) {
      li.hidden = !(li.textContent || "").toLowerCase().includes(text);
      if (!li.hidden) left++;
    }
    input.closest("form")?.querySelector("[data-filter-none]")?.toggleAttribute("hidden", left > 0);
  });
  document.addEventListener("keydown", (event) => {
    const input = event.target;
    if (event.key !== "Enter" || !(input instanceof HTMLInputElement) || !input.dataset.filter) return;
    event.preventDefault(); // it would press the first button of the form, hidden or not
    entries(input).find((li) => !li.hidden)?.querySelector("button")?.click();
  });
}
