// The timeline of a run, newest first. What happens live comes in at its start and is kept in bounds at its end; what the
// reader loaded of earlier times stays, and never is there a hole between two events.
import { refreshTimes } from "../ui/times.js";

const heads = "[data-attempt-head]"; // of attempts, among their events

/** @param {HTMLElement} page */
export function startEvents(page) {
  const events = new Events();
  page.addEventListener("htmx:beforeSwap", (event) => events.check(/** @type {CustomEvent} */ (event)));
  page.addEventListener("htmx:afterSettle", (event) => events.loaded(event));
  return events;
}

/** @param {Element|null|undefined} row */
function sequence(row) {
  return row ? row.id.replace("event-", "") : "";
}

class Events {
  constructor() {
    this.step = Number(this.list?.dataset.most || 0); // events in the page, and how many more than the reader loaded
    this.most = this.step;
  }

  get list() {
    return document.getElementById("event-list");
  }

  /**
   * An answer is of use only where the timeline still ends where it was asked from.
   * @param {CustomEvent} event
   */
  check(event) {
    const list = event.detail.target;
    if (!(list instanceof HTMLElement) || !list.matches("[data-timeline]")) return;
    const before = String(event.detail.requestConfig.parameters.before);
    if (list.lastElementChild && before !== sequence(list.lastElementChild)) event.detail.shouldSwap = false;
  }

  /** @param {Event} event */
  loaded(event) {
    const list = event.target;
    if (!(list instanceof HTMLElement) || !list.matches("[data-timeline]")) return;
    this.most = Math.max(this.most, list.children.length + this.step);
    this.head(list);
    refreshTimes(list);
  }

  /** Drops the oldest when there are too many; they can be loaded again. */
  trim() {
    document.querySelector("[data-event-empty]")?.remove();
    const list = this.list;
    const link = document.getElementById("events-earlier");
    if (list) this.head(list);
    if (!list || list.children.length <= this.most || link?.classList.contains("htmx-request")) return;
    while (list.children.length > this.most || list.lastElementChild?.matches(heads)) list.lastElementChild?.remove();
    if (!(link instanceof HTMLAnchorElement)) return; // the overview has the newest alone
    const before = sequence(list.lastElementChild);
    const url = new URL(link.href);
    url.searchParams.set("before", before);
    link.href = url.href;
    link.setAttribute("hx-vals", JSON.stringify({ before: Number(before) }));
    link.hidden = false;
    document.querySelector("[data-events-beginning]")?.toggleAttribute("hidden", true);
  }

  /**
   * Keeps each attempt's head once, above its newest event.
   * @param {HTMLElement} list
   */
  head(list) {
    const seen = new Set();
    for (const head of list.querySelectorAll(heads)) {
      if (seen.has(head.id)) head.remove();
      seen.add(head.id);
    }
    const newest = list.querySelector(heads);
    const first = list.firstElementChild;
    if (newest && first instanceof HTMLElement && Number(first.dataset.attempt) <= Number(newest.getAttribute("data-attempt-head"))) list.prepend(newest);
  }

  /**
   * Gives a fresh timeline the older events of the page, when the two meet.
   * @param {HTMLElement} fresh
   */
  join(fresh) {
    const rows = /** @type {HTMLElement|null} */ (fresh.querySelector("#event-list"));
    const end = document.getElementById("events-end");
    const meeting = document.getElementById(rows?.lastElementChild?.id || "");
    if (!rows || !end || !meeting) return;
    for (let row = meeting.nextElementSibling; row; row = row.nextElementSibling) rows.append(row.cloneNode(true));
    this.head(rows);
    fresh.querySelector("#events-end")?.replaceWith(end.cloneNode(true));
  }
}
