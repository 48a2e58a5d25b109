// The form for a new run: tells the server which fields have been touched, so that only those show mistakes while
// typing, and mirrors each message to its input for assistive technology.

export function startForm() {
  /** @type {Set<string>} */
  const touched = new Set();

  document.addEventListener("input", (event) => {
    const el = event.target;
    if ((el instanceof HTMLInputElement || el instanceof HTMLSelectElement) && el.form?.matches("[data-run-form]") && el.name) {
      touched.add(el.name);
    }
  });
  document.addEventListener("focusout", (event) => {
    const el = event.target;
    if (el instanceof HTMLInputElement && el.form?.matches("[data-run-form]") && el.value !== el.defaultValue) touched.add(el.name);
  });

  document.addEventListener("htmx:configRequest", (event) => {
    const detail = /** @type {CustomEvent} */ (event).detail;
    if (detail.path === "/runs/validate") detail.parameters.touched = [...touched].join(",");
    if (detail.path === "/runs/new") touched.clear();
  });

  document.addEventListener("htmx:oobAfterSwap", (event) => {
    const el = /** @type {CustomEvent} */ (event).detail?.target;
    if (el instanceof HTMLElement) mirror(el.id);
  });

  const summary = document.getElementById("form-summary");
  if (summary) summary.focus();
}

/**
 * Copies "this field is wrong" from a message to its input.
 * @param {string} messageID
 */
function mirror(messageID) {
  const message = document.getElementById(messageID);
  const input = document.getElementById(message?.dataset.for || "");
  if (!message || !input) return;
  if (message.dataset.invalid === "true") input.setAttribute("aria-invalid", "true");
  else input.removeAttribute("aria-invalid");
}
