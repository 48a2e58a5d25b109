// Rows of runs, live: a message brings the newest state of many runs, and a frame changes a bounded number of them. Those in
// sight come first; the others follow little by little, for whoever searches the page or reads it aloud.
import { duration, integer, number } from "../ui/numbers.js";

/**
 * @typedef {{id: string, sweep?: string, badge: string, labels?: string, reason?: string, notice?: string, says?: string, step: number, steps_total: number,
 *   loss: number|string|null, tokens_per_second: number|string, workers: string, started: number, ended: number}} Row
 */

const perFrame = 60; // rows in sight
const unseenPerFrame = 20;
const frameEvery = 2500; // milliseconds, when no message brings the next frame sooner
const countEvery = 5000; // durations of runs that say nothing

export class Rows {
  /**
   * @param {string} selector of the rows, which have data-run-id
   * @param {(changed: Row[]) => void} changed is told of runs that are new here, or have another badge or other labels
   */
  constructor(selector, changed) {
    this.selector = selector;
    this.changed = changed;
    /** @type {Map<string, string>} badge and labels of each run that has been seen */
    this.known = new Map();
    /** @type {Map<string, Row>} not shown yet */
    this.pending = new Map();
    /** @type {Set<Element>} in sight, or nearly */
    this.near = new Set();
    this.observer = new IntersectionObserver((entries) => {
      for (const e of entries) {
        if (e.isIntersecting) this.near.add(e.target);
        else this.near.delete(e.target);
      }
      this.soon();
    }, { rootMargin: "200px" });
    this.frame = 0;
    this.timer = 0;
    this.watch();
    setInterval(() => {
      if (!document.hidden) for (const el of this.near) count(el);
    }, countEvery);
  }

  /** Looks at the rows that are in the page now; call it when they have been replaced. */
  watch() {
    this.observer.disconnect();
    this.near.clear();
    for (const el of document.querySelectorAll(this.selector)) {
      this.observer.observe(el);
      this.known.set(el.getAttribute("data-run-id") || "", shown(el.getAttribute("data-row-badge"), el.getAttribute("data-row-labels")));
    }
  }

  /** @param {Row[]} rows */
  receive(rows) {
    const changed = [];
    for (const r of rows) {
      const now = shown(r.badge, r.labels);
      if (this.known.get(r.id) !== now) changed.push(r);
      this.known.set(r.id, now);
      this.pending.set(r.id, r);
    }
    if (changed.length > 0) this.changed(changed);
    this.soon();
  }

  soon() {
    if (!this.frame && this.pending.size > 0) this.frame = requestAnimationFrame(() => this.draw());
  }

  draw() {
    this.frame = 0;
    clearTimeout(this.timer);
    let seen = perFrame;
    for (const el of this.near) {
      const id = el.getAttribute("data-run-id") || "";
      const r = this.pending.get(id);
      if (!r) continue;
      if (seen-- === 0) {
        this.soon();
        return;
      }
      this.pending.delete(id);
      show(el, r);
    }
    let unseen = unseenPerFrame;
    for (const [id, r] of this.pending) {
      const el = document.getElementById(`run-${id}`);
      const here = el?.matches(this.selector);
      if (here && unseen-- === 0) break;
      this.pending.delete(id);
      if (el && here) show(el, r);
    }
    if (this.pending.size > 0) this.timer = setTimeout(() => this.soon(), frameEvery);
  }
}

/**
 * What a row shows that only the server can render anew.
 * @param {string|null} badge
 * @param {string|null|undefined} labels
 */
const shown = (badge, labels) => `${badge || ""} ${labels || ""}`;

/** @type {WeakMap<Element, Record<string, Element|null>>} */
const cells = new WeakMap();

/**
 * @param {Element} el a row
 * @param {string} metric
 */
function cell(el, metric) {
  let known = cells.get(el);
  if (!known) cells.set(el, (known = {}));
  if (!known[metric]?.isConnected) known[metric] = el.querySelector(`[data-metric="${metric}"]`);
  return known[metric];
}

/**
 * @param {Element|null} el
 * @param {string} text
 * @param {string} [title]
 */
function write(el, text, title) {
  if (!el) return;
  const node = el.firstChild;
  if (!(node instanceof Text) || node.nextSibling) el.textContent = text;
  else if (node.data !== text) node.data = text;
  if (title !== undefined && el.getAttribute("title") !== title) el.setAttribute("title", title);
}

/**
 * Makes a row show a run; the same as views.runRow.
 * @param {Element} el
 * @param {Row} r
 */
function show(el, r) {
  if (el.getAttribute("data-row-badge") !== r.badge) badge(el, r.badge);
  notice(el, r.notice ?? "", r.says ?? "");
  const reason = el.querySelector("[data-row-reason]");
  if (reason) {
    if (r.reason) write(reason, r.reason, r.reason);
    return;
  }
  const total = r.steps_total;
  write(cell(el, "step"), total > 0 ? `${integer(r.step)} / ${integer(total)}` : integer(r.step));
  if (r.loss !== null) write(cell(el, "loss"), number(Number(r.loss)), String(r.loss));
  const rate = Number(r.tokens_per_second);
  if (rate > 0) write(cell(el, "throughput"), number(rate), `${rate} tokens per second`);
  write(cell(el, "participants"), r.workers);
  const progress = cell(el, "progress");
  if (progress && total > 0) {
    const share = Math.min(1, Math.max(0, r.step / total));
    write(progress, `${Math.floor(share * 100)} %`);
    progress.parentElement?.querySelector("progress")?.setAttribute("value", String(share));
  }
  const time = cell(el, "duration");
  if (!time || r.started === 0) return;
  if (r.ended > 0) {
    time.removeAttribute("data-since");
    write(time, duration((r.ended - r.started) / 1000));
  } else if (!time.hasAttribute("data-since")) {
    time.setAttribute("data-since", new Date(r.started).toISOString());
    count(el);
  }
}

/**
 * Counts on how long a run has been going.
 * @param {Element} el
 */
function count(el) {
  const time = cell(el, "duration");
  const since = time?.getAttribute("data-since");
  if (since) write(time, duration((Date.now() - Date.parse(since)) / 1000));
}

/**
 * @param {Element} el
 * @param {string} key
 */
function badge(el, key) {
  const templates = document.getElementById("badges");
  const fresh = templates instanceof HTMLTemplateElement ? templates.content.querySelector(`[data-badge="${CSS.escape(key)}"]`) : null;
  if (!fresh) return;
  const copy = /** @type {HTMLElement} */ (fresh.cloneNode(true));
  el.querySelector("[data-badge]")?.replaceWith(copy);
  el.setAttribute("data-row-badge", key);
  el.setAttribute("data-run-state", copy.dataset.state || "");
}

/**
 * Shows the gravest notice of a run behind its badge, or none.
 * @param {Element} el
 * @param {string} kind
 * @param {string} says
 */
function notice(el, kind, says) {
  let mark = el.querySelector("[data-row-notice]");
  if (kind !== (mark?.getAttribute("data-row-notice") ?? "")) {
    mark?.remove();
    const templates = document.getElementById("badges");
    const fresh = kind && templates instanceof HTMLTemplateElement ? templates.content.querySelector(`[data-row-notice="${CSS.escape(kind)}"]`) : null;
    mark = fresh ? /** @type {HTMLElement} */ (fresh.cloneNode(true)) : null;
    if (mark) el.querySelector("[data-badge]")?.after(mark);
  }
  if (mark) {
    write(mark.querySelector("[data-row-notice-text]"), says);
    if (mark.getAttribute("title") !== says) mark.setAttribute("title", says);
  }
}
