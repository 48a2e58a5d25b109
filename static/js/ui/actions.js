// Small actions that any page may have: copy, confirm in a dialog, dismiss, and one submit per form.
import { toast } from "./toast.js";

/** @param {HTMLElement} button */
async function copy(button) {
  const source = document.querySelector(button.dataset.copy || "");
  if (!source) return;
  try {
    await navigator.clipboard.writeText(source.textContent || "");
    toast("success", "Copied");
  } catch {
    const range = document.createRange();
    range.selectNodeContents(source);
    getSelection()?.removeAllRanges();
    getSelection()?.addRange(range);
    toast("info", "The browser blocks copying. The text is selected: press Ctrl+C.");
  }
}

/**
 * What the console says in place of a part of a page, or "".
 * @param {{xhr?: XMLHttpRequest}} detail of an event of htmx
 */
function faultOf(detail) {
  return decodeURIComponent(detail.xhr?.getResponseHeader("X-Fault") || "");
}

/**
 * Shows the question that a link leads to in a dialog; where that fails the link is followed.
 * @param {HTMLAnchorElement} link
 */
async function ask(link) {
  try {
    const answer = await fetch(link.href, { headers: { Accept: "text/html" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const question = page.querySelector("[data-confirm]");
    if (!answer.ok || !question) throw new Error("no question");
    document.getElementById("ask-dialog")?.remove();
    const dialog = document.createElement("dialog");
    dialog.id = "ask-dialog";
    dialog.className = "dialog";
    dialog.setAttribute("aria-labelledby", "confirm-title");
    dialog.append(...[...question.childNodes].map((n) => document.importNode(n, true)));
    dialog.addEventListener("close", () => {
      dialog.remove();
      link.focus();
    });
    document.body.append(dialog);
    document.querySelectorAll("[popover]:popover-open").forEach((p) => /** @type {HTMLElement} */ (p).hidePopover());
    dialog.showModal();
  } catch {
    location.assign(link.href);
  } finally {
    link.removeAttribute("aria-busy");
  }
}

export function startActions() {
  document.addEventListener("click", (event) => {
    const target = event.target instanceof Element ? event.target : null;
    if (!target) return;
    const copier = target.closest("[data-copy]");
    if (copier instanceof HTMLElement) void copy(copier);
    target.closest("[data-dismiss]")?.closest(".toast")?.remove();

    const asker = target.closest("a[data-ask]");
    if (asker instanceof HTMLAnchorElement && !event.ctrlKey && !event.metaKey && !event.shiftKey && !asker.hasAttribute("aria-busy")) {
      event.preventDefault();
      asker.setAttribute("aria-busy", "true");
      void ask(asker);
    }
    const opener = target.closest("[data-dialog]");
    if (opener instanceof HTMLElement) {
      const dialog = document.getElementById(opener.dataset.dialog || "");
      if (dialog instanceof HTMLDialogElement) {
        event.preventDefault();
        dialog.showModal();
      }
    }
    const closer = target.closest("[data-dialog-close]");
    const open = closer?.closest("dialog");
    if (open) {
      event.preventDefault();
      open.close();
    } else if (target instanceof HTMLDialogElement) {
      target.close(); // a click on the backdrop
    }
  });

  // A form that is being sent says so, and is not sent twice. Coming back with the back button makes it usable again.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!(form instanceof HTMLFormElement) || form.method !== "post" || event.defaultPrevented) return;
    if (event.submitter?.hasAttribute("data-download")) return; // the page stays
    if (form.dataset.sending) {
      event.preventDefault();
      return;
    }
    form.dataset.sending = "1";
    event.submitter?.setAttribute("aria-busy", "true");
  });
  window.addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sending]")) {
      form.removeAttribute("data-sending");
      form.querySelectorAll("[aria-busy]").forEach((b) => b.removeAttribute("aria-busy"));
    }
  });

  document.addEventListener("htmx:beforeSwap", (event) => {
    const detail = /** @type {CustomEvent} */ (event).detail;
    if (faultOf(detail) !== "") {
      detail.shouldSwap = false;
      detail.isError = true;
    }
  });
  document.addEventListener("htmx:responseError", (event) => {
    const detail = /** @type {CustomEvent} */ (event).detail;
    toast("danger", faultOf(detail) || "The server failed. Try again in a moment.", detail.xhr?.getResponseHeader("X-Fault-Help") || "");
  });
  document.addEventListener("htmx:sendError", () => toast("danger", "Server unreachable. Try again in a moment."));
}
