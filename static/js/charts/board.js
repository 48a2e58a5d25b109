// The charts of a page. They share a view, an address, and a crosshair; only those in sight ask and draw.
//
//   const board = new Board({ source: runSource(url) });   // or a source of your own: see load.js
//   board.scan(document);                                  // takes up each figure[data-curves], as views/charts.Chart renders them
//   board.news();                                          // the socket told of new points
//   board.set({ smooth: "ema:0.9" });                      // changes the view of all, and the address
//
// A source answers with curves (curve.js: curveOf(series, {name, slot, key})); of several runs, give each run a slot: its colour and
// dash. board.hide(keys) and board.highlight(key) hide and light the curves with these keys in every chart, for a legend of one's own.
// The page needs views/charts.Templates.
import { paced } from "../live/pace.js";
import { Chart } from "./chart.js";
import { readView, shifted, writeView } from "./view.js";

const newsEvery = 500; // milliseconds
const marksEvery = 10000;
const nearby = "400px"; // outside of the window, in which charts are kept

/**
 * @typedef {object} Options
 * @property {import("./load.js").Source} source
 * @property {number} [syncEvery]                 steps between syncs, for faint lines
 * @property {(s: import("./readout.js").Spot) => string} [logHref]  where a click on a point leads, "" for nowhere
 * @property {(m: import("./marks.js").Mark) => string} [markHref]
 * @property {() => Promise<import("./marks.js").Mark[]>} [marks]  what happened; asked for again when it may be more
 * @property {(chart: Chart) => string[]} [tools]  which of the further tools a chart has; to remove its own by default
 * @property {(tool: string, chart: Chart) => void} [press]  one of them was pressed
 * @property {(view: import("./view.js").View) => void} [changed]
 * @property {boolean} [address]                  whether the address says the view; the default
 * @property {string} [layout]                    the parameters of a saved view, in place of an address that says none
 * @property {boolean} [plain]                    an address that says none stands for a saved view: the usual one has to be said
 */

export class Board {
  /** @param {Options} options */
  constructor(options) {
    this.options = options;
    this.source = options.source;
    this.view = readView(new URLSearchParams(options.layout || location.search));
    /** @type {import("./marks.js").Mark[]} */
    this.marks = [];
    this.annotate = paced(async () => {
      if (!this.options.marks || document.hidden) return;
      this.marks = await this.options.marks();
      for (const c of this.charts.values()) c.draw();
    }, marksEvery);
    this.annotate();
    /** @type {Set<HTMLElement>} */
    this.figures = new Set();
    /** @type {Map<Element, Chart>} of the figures in sight, or nearly */
    this.charts = new Map();
    /** @type {Set<string>} keys of curves that no chart shows */
    this.hidden = new Set();
    /** @type {WeakMap<Element, Set<string>>} and those that one does not */
    this.hiddenIn = new WeakMap();
    this.frame = 0;
    this.fresh = false; // new points came
    this.observer = new IntersectionObserver((entries) => entries.forEach((e) => this.seen(e)), { rootMargin: `${nearby} 0px` });
    this.later = paced(async () => {
      if (document.hidden) return;
      const news = this.fresh;
      this.fresh = false;
      await Promise.all([...this.charts.values()].map((c) => c.load(news)));
    }, newsEvery);
    document.addEventListener("themechange", () => this.charts.forEach((c) => c.recolour()));
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden && this.fresh) this.later();
    });
  }

  /**
   * Takes up the charts below an element, and lets go of those that have left the page.
   * @param {ParentNode} root
   */
  scan(root) {
    for (const el of this.figures) {
      if (el.isConnected) continue;
      this.observer.unobserve(el);
      this.figures.delete(el);
      this.close(el);
    }
    for (const el of root.querySelectorAll("figure[data-curves]")) {
      if (!(el instanceof HTMLElement) || this.figures.has(el)) continue;
      this.figures.add(el);
      this.observer.observe(el);
    }
  }

  /** @param {IntersectionObserverEntry} e */
  seen(e) {
    const el = /** @type {HTMLElement} */ (e.target);
    if (!e.isIntersecting) {
      this.close(el);
    } else if (!this.charts.has(el) && el.isConnected) {
      const chart = new Chart(el, this);
      this.charts.set(el, chart);
      void chart.load();
    }
  }

  /** @param {HTMLElement} el */
  close(el) {
    if (document.fullscreenElement === el) return;
    this.charts.get(el)?.close();
    this.charts.delete(el);
  }

  /** There may be new points. A hidden page asks when it is seen again. */
  news() {
    this.fresh = true;
    this.annotate();
    if (!document.hidden && this.charts.size > 0) this.later();
  }

  /** @param {Partial<import("./view.js").View>} change */
  set(change) {
    if (change.x !== undefined && change.x !== this.view.x) change = { from: null, to: null, ...change };
    this.view = { ...this.view, ...change };
    if (this.options.address !== false) {
      const url = new URL(location.href);
      writeView(this.view, url.searchParams, this.options.plain);
      history.replaceState(history.state, "", url);
    }
    this.options.changed?.(this.view);
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      for (const c of this.charts.values()) void c.load();
    });
  }

  /** @param {[number, number]|null} r */
  zoom(r) {
    if (!r) {
      this.set({ from: null, to: null });
      return;
    }
    let [from, to] = r;
    if (this.view.x === "step") {
      from = Math.floor(from);
      to = Math.max(from + 1, Math.ceil(to));
    }
    if (to > from) this.set({ from: rounded(from, to - from), to: rounded(to, to - from) });
  }

  /**
   * Zooms all charts around their middle: in by a scale below 1, out above it.
   * @param {number} scale
   */
  scale(scale) {
    for (const c of this.charts.values()) {
      const r = c.clock ? null : c.range();
      if (!r) continue;
      this.zoom(shifted(r, { scale }));
      return;
    }
  }

  /**
   * Moves the crosshair of all charts.
   * @param {Chart} source where the pointer is
   * @param {number|null} x
   * @param {number|null} top
   */
  hover(source, x, top) {
    for (const c of this.charts.values()) {
      if (c === source) c.read(x, top);
      else if (c.kind === source.kind) c.read(x, null);
    }
  }

  /** @param {Iterable<string>} keys of curves that no chart shows */
  hide(keys) {
    this.hidden = new Set(keys);
    for (const c of this.charts.values()) c.draw();
  }

  /**
   * @param {Element} el a figure
   * @param {string} key
   */
  isHidden(el, key) {
    return this.hidden.has(key) || Boolean(this.hiddenIn.get(el)?.has(key));
  }

  /**
   * Hides a curve in one chart, or shows it again.
   * @param {Element} el
   * @param {string} key
   */
  toggle(el, key) {
    const hidden = this.hiddenIn.get(el) || new Set();
    if (!hidden.delete(key)) hidden.add(key);
    this.hiddenIn.set(el, hidden);
  }

  /** @param {string|null} key */
  highlight(key) {
    for (const c of this.charts.values()) c.highlight(key);
  }
}

/**
 * A number with as many digits as its range needs.
 * @param {number} v
 * @param {number} span
 */
function rounded(v, span) {
  return Number(v.toFixed(Math.min(20, Math.max(0, 4 - Math.floor(Math.log10(span))))));
}
