// A window on a log of any length. Which line is at the top is the truth, and the scroll bar follows: a browser has no room for the
// heights of ten million lines, so a little scrolling moves by pixels, and much scrolling to that share of the log.
import { element, placeholder } from "./row.js";

/** @typedef {import("./row.js").Line} Line */
/** @typedef {{n: number, line: Line|undefined, repeats: number}} Entry */

const tallest = 8_000_000; // pixels; browsers have room for two to four times as many
const beyond = 15; // rows above and below what is seen
const mostLines = 2000; // that are looked through for a window, as repeated ones have no height
const settleAfter = 150; // milliseconds without scrolling

export class View {
  /**
   * @param {HTMLElement} pane
   * @param {import("./source.js").Source} source
   * @param {{href: (pos: number) => string, marked: (line: Line) => boolean, moved: (by: "reader"|"script") => void, following: (on: boolean) => void}} page
   */
  constructor(pane, source, page) {
    this.pane = pane;
    this.source = source;
    this.page = page;
    this.view = /** @type {HTMLElement} */ (pane.querySelector("[data-log-view]"));
    this.list = /** @type {HTMLElement} */ (pane.querySelector("[data-log-lines]"));
    this.empty = /** @type {HTMLElement} */ (pane.querySelector("[data-log-empty]"));
    this.sizer = document.createElement("div");
    this.sizer.className = "log-sizer";
    this.lastShown = false;
    this.anew = true; // nothing is known of the rows' height
    this.top = 0; // number of the line at the top
    this.off = 0; // pixels of it that are above
    this.follow = false;
    this.row = 19; // height of a row, the mean of those that were seen
    this.wide = 0; // widest row so far
    this.last = 0; // where the bar was
    this.frame = 0;
    this.settling = 0;
    this.expanded = new Set(); // numbers of the first lines of repeats that are open
    /** @type {Map<number, {entry: Entry, el: HTMLElement}>} */
    this.rows = new Map();
    this.live = false; // the window is on: before, it has the lines of the server
    this.view.addEventListener("scroll", () => this.scrolled(), { passive: true });
    this.resized = new ResizeObserver(() => this.live && this.soon());
    this.resized.observe(this.view);
  }

  close() {
    this.resized.disconnect();
    cancelAnimationFrame(this.frame);
    clearTimeout(this.settling);
  }

  /** @param {import("./source.js").Source} source */
  use(source) {
    this.source = source;
    this.expanded.clear();
    for (const r of this.rows.values()) r.el.remove();
    this.rows.clear();
    this.reshape();
  }

  /** Rows have other heights from now on. */
  reshape() {
    this.wide = 0;
    this.anew = true;
    this.soon();
  }

  /** Takes the place of the lines that the server sent. */
  start() {
    if (this.live) return;
    this.live = true;
    for (const el of this.view.querySelectorAll(":scope > :not([data-log-lines], [data-log-empty])")) el.remove();
    this.list.replaceChildren();
    this.list.classList.add("log-window");
    this.list.before(this.sizer);
    this.sizer.append(this.list);
  }

  soon() {
    if (!this.frame) {
      this.frame = requestAnimationFrame(() => {
        this.frame = 0;
        this.draw();
      });
    }
  }

  get height() {
    return this.view.clientHeight;
  }

  /** How many lines can be above the top. */
  get most() {
    return Math.max(0, this.source.total - this.height / this.row);
  }

  /** How far the bar can go. */
  get range() {
    return Math.max(0, this.view.scrollHeight - this.height);
  }

  scrolled() {
    if (!this.live) return;
    const by = this.scroll();
    if (by === 0) return;
    if (by < 0 && this.follow) this.setFollow(false);
    this.draw();
    if (by > 0 && this.atEnd && !this.follow) this.setFollow(true);
    this.page.moved("reader");
    clearTimeout(this.settling);
    this.settling = setTimeout(() => this.settle(), settleAfter);
  }

  /** Goes where the bar has gone, and returns how far that was. */
  scroll() {
    const now = this.view.scrollTop;
    const by = now - this.last;
    if (Math.abs(by) < 0.5) return 0;
    this.last = now;
    if (Math.abs(by) <= 1.5 * this.height) this.shift(by);
    else this.toShare(this.range > 0 ? now / this.range : 0);
    return by;
  }

  /** @param {number} share */
  toShare(share) {
    const place = share * this.most;
    this.top = Math.floor(place);
    this.off = (place - this.top) * this.row;
  }

  /**
   * Moves by pixels.
   * @param {number} by
   */
  shift(by) {
    this.off += by;
    const height = (/** @type {number} */ n) => this.rows.get(n)?.el.offsetHeight ?? (this.source.repeats(n) === 0 && !this.open(n) ? 0 : this.row);
    while (this.off < 0 && this.top > 0) this.off += height(--this.top);
    for (let h = height(this.top); this.off >= h && this.top < this.source.total - 1; h = height(this.top)) {
      this.off -= h;
      this.top++;
    }
    if (this.top === 0 && this.off < 0) this.off = 0;
  }

  /** Puts the bar where it belongs, once nobody moves it. */
  settle() {
    const at = this.most > 0 ? Math.min(1, (this.top + this.off / this.row) / this.most) * this.range : 0;
    if (Math.abs(at - this.view.scrollTop) < 1) return;
    this.view.scrollTop = at;
    this.last = this.view.scrollTop;
    this.draw();
  }

  get atEnd() {
    return this.source.total === 0 || (this.lastShown && this.list.getBoundingClientRect().bottom - this.view.getBoundingClientRect().bottom < 4);
  }

  /** @param {boolean} on */
  setFollow(on) {
    if (this.follow === on) return;
    this.follow = on;
    this.page.following(on);
    if (on) this.toEnd();
  }

  toStart() {
    this.setFollow(false);
    this.show(0, "start");
  }

  toEnd() {
    this.last = this.view.scrollTop;
    this.top = Math.max(0, Math.floor(this.most));
    this.off = this.height;
    this.draw();
    this.settle();
    this.page.moved("script");
  }

  /**
   * Shows a line by its number.
   * @param {number} n
   * @param {"start"|"middle"} where
   */
  show(n, where) {
    if (this.follow) this.setFollow(false);
    this.last = this.view.scrollTop;
    this.top = Math.max(0, Math.min(n, this.source.total - 1));
    this.off = 0;
    if (where === "middle") {
      this.draw(); // which measures the rows above
      this.shift(-(this.height - this.row) / 2);
    }
    this.draw();
    this.settle();
    this.page.moved("script");
  }

  /**
   * Whether a line is shown though it repeats another.
   * @param {number} n
   */
  open(n) {
    return this.expanded.size > 0 && this.expanded.has(Math.floor(n / 50));
  }

  /** @returns {Entry[]} what is in the window and around it */
  entries() {
    const want = Math.ceil(this.height / this.row) + 2 * beyond;
    /** @type {Entry[]} */
    const out = [];
    let from = this.top;
    for (let i = 0; from > 0 && i < beyond; from--) if (this.source.repeats(from - 1) > 0 || this.open(from - 1)) i++;
    const end = Math.min(this.source.total, from + mostLines);
    for (let n = from; n < end && out.length < want; n++) {
      const open = this.open(n);
      const repeats = open ? 1 : this.source.repeats(n);
      if (repeats > 0) out.push({ n, line: this.source.line(n), repeats });
    }
    return out;
  }

  draw() {
    if (!this.live) return;
    if (!this.follow) this.scroll();
    const total = this.source.total;
    this.empty.hidden = total > 0 || !this.source.known;
    if (this.follow) {
      this.top = Math.max(0, Math.floor(total - this.height / this.row));
      this.off = this.height;
    }
    this.top = Math.max(0, Math.min(this.top, total - 1));
    if (this.off < 0) this.shift(0);
    // The top may be a line that another stands for.
    while (this.top > 0 && this.source.repeats(this.top) === 0 && !this.open(this.top)) this.top--;
    const entries = this.entries();
    this.source.want(entries[0]?.n ?? 0, (entries[entries.length - 1]?.n ?? 0) + 1);
    this.lay(entries);
    this.measure(entries);
    this.place(entries);
    this.last = this.view.scrollTop;
  }

  /**
   * Makes the rows those of the entries; a row stays that shows the same.
   * @param {Entry[]} entries
   */
  lay(entries) {
    const stays = new Map();
    let before = this.list.firstElementChild;
    for (const entry of entries) {
      const old = this.rows.get(entry.n);
      let el = old && old.entry.line === entry.line && old.entry.repeats === entry.repeats ? old.el : null;
      if (!el) el = entry.line ? element(entry.line, this.page.href, entry.repeats) : placeholder();
      const marked = entry.line !== undefined && this.page.marked(entry.line);
      if (marked && !el.hasAttribute("aria-current")) el.setAttribute("aria-current", "true");
      else if (!marked) el.removeAttribute("aria-current");
      el.dataset.n = String(entry.n);
      if (before === el) before = el.nextElementSibling;
      else this.list.insertBefore(el, before);
      stays.set(entry.n, { entry, el });
    }
    for (const [n, r] of this.rows) if (stays.get(n)?.el !== r.el) r.el.remove();
    this.rows = stays;
    this.lastShown = entries.length === 0 || entries[entries.length - 1].n + (entries[entries.length - 1].repeats || 1) >= this.source.total;
  }

  /**
   * Gives the bar its length, by the height of the rows that are seen.
   * @param {Entry[]} entries
   */
  measure(entries) {
    if (entries.length > 0 && entries.some((e) => e.line)) {
      let lines = 0;
      for (const e of entries) lines += e.repeats;
      const mean = this.list.offsetHeight / lines;
      this.row = Math.max(4, this.anew || Math.abs(mean - this.row) < 0.5 ? mean : this.row + (mean - this.row) / 4);
      this.anew = false;
    }
    if (this.list.scrollWidth > this.wide) this.wide = this.list.scrollWidth;
    const height = `${Math.max(this.height, Math.min(tallest, Math.round(this.source.total * this.row)))}px`;
    const width = this.pane.closest("[data-wrap]") ? "" : `${this.wide}px`;
    if (this.sizer.style.height !== height) this.sizer.style.height = height;
    if (this.sizer.style.minWidth !== width) this.sizer.style.minWidth = width;
  }

  /**
   * Puts the rows where the top line is at the top, or the last at the end.
   * @param {Entry[]} entries
   */
  place(entries) {
    if (this.follow) this.view.scrollTop = this.view.scrollHeight;
    const scroll = this.view.scrollTop;
    const first = this.rows.get(this.top)?.el;
    const above = (first?.offsetTop ?? 0) + this.off;
    const rest = this.list.offsetHeight - above - this.height;
    let moved = above;
    if (this.lastShown && rest < 0) moved = above + rest; // the end is above the lower edge
    if (entries[0]?.n === 0) moved = Math.max(0, moved);
    else if (moved < 0) this.soon(); // with the lines that belong above these
    if (moved !== above) {
      let by = moved;
      for (const e of entries) {
        const h = this.rows.get(e.n)?.el.offsetHeight ?? 0;
        this.top = e.n;
        this.off = by;
        if (by < h) break;
        by -= h;
      }
    }
    this.list.style.transform = `translateY(${Math.round(scroll - moved)}px)`;
  }
}
