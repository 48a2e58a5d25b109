// The table of the tab Metrics, of what the charts are zoomed to: rows in sight ask for their numbers, and have those of the whole run again
// when the zoom is reset.
import { get } from "../charts/load.js";
import { at } from "../ui/base.js";
import { integer, number } from "../ui/numbers.js";

const atOnce = 32; // metrics that a request asks for
const wait = 200; // milliseconds that the zoom stays
const maxStep = 1e12; // beyond are times

export class Numbers {
  /**
   * @param {HTMLElement} page
   * @param {() => import("../charts/view.js").View} view
   */
  constructor(page, view) {
    this.page = page;
    this.view = view;
    this.url = at(`/runs/${/** @type {HTMLElement} */ (document.getElementById("run-page")).dataset.runId}/series?newest=1`);
    this.range = ""; // that the rows are to be of
    /** @type {WeakMap<Element, string>} the range that a row is of; none for the whole run */
    this.of = new WeakMap();
    /** @type {WeakMap<Element, Node[]>} its cells of the whole run */
    this.whole = new WeakMap();
    /** @type {Set<HTMLElement>} in sight */
    this.near = new Set();
    this.timer = 0;
    this.asked = new AbortController();
    this.observer = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) {
        if (isIntersecting) this.near.add(/** @type {HTMLElement} */ (target));
        else this.near.delete(/** @type {HTMLElement} */ (target));
      }
      this.soon();
    }, { rootMargin: "200px" });
    page.addEventListener("rows", () => this.watch());
    this.watch();
  }

  /** Looks at the rows that are in the page now. */
  watch() {
    this.observer.disconnect();
    this.near.clear();
    for (const row of this.page.querySelectorAll("[data-table] tr[data-metric]")) this.observer.observe(row);
    this.changed();
  }

  /** The view may have changed. */
  changed() {
    const { x, from, to } = this.view();
    const range = from === null && to === null ? "" : JSON.stringify([x, from, to]);
    const words = this.page.querySelector("[data-table-range]");
    if (words) words.textContent = range ? "Of what the charts are zoomed to" : "Of the whole run";
    if (range === this.range) return;
    this.range = range;
    this.asked.abort();
    this.asked = new AbortController();
    this.soon();
  }

  soon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.fill(this.range, this.asked.signal).catch(() => {}), this.range ? wait : 0); // the next zoom may do
  }

  /**
   * @param {string} range
   * @param {AbortSignal} signal
   */
  async fill(range, signal) {
    const rows = [...this.near].filter((row) => (this.of.get(row) || "") !== range && row.querySelector("[data-cell]"));
    if (!range) {
      for (const row of rows) {
        const cells = this.whole.get(row);
        if (cells) row.replaceChildren(...[...row.querySelectorAll("th")], ...cells.map((c) => c.cloneNode(true)));
        this.of.delete(row);
      }
      return;
    }
    const { x, from, to } = this.view();
    while (rows.length > 0) {
      const some = rows.splice(0, atOnce);
      const metrics = some.map((row) => row.dataset.metric || "");
      const { body } = await get(this.url, { metrics, x, from, to, px: 1, smooth: "", workers: "all", replaced: 0 }, "", signal);
      for (const row of some) {
        if (!this.whole.has(row)) this.whole.set(row, [...row.querySelectorAll("[data-cell]")].map((c) => c.cloneNode(true)));
        show(row, body.series.find((/** @type {any} */ s) => s.metric === row.dataset.metric));
        this.of.set(row, range);
      }
    }
  }
}

/**
 * @param {HTMLElement} row
 * @param {any} s the series in one column, undefined where there is none in range
 */
function show(row, s) {
  const [step, last] = s?.newest || [null, null];
  const odd = s?.odd?.map((/** @type {any} */ [, name]) => name)[0];
  /** @type {(name: string, v: number|null|undefined, text?: (v: number) => string) => void} */
  const put = (name, v, text = number) => {
    const cell = row.querySelector(`[data-cell="${name}"]`);
    if (!(cell instanceof HTMLElement)) return;
    const known = typeof v === "number";
    cell.textContent = known ? text(v) : name === "last" && odd ? odd : "–";
    cell.title = known && text === number ? String(v) : "";
  };
  put("last", last);
  put("low", s ? (s.min || s.value)[0] : null);
  put("high", s ? (s.max || s.value)[0] : null);
  put("step", step !== null && step <= maxStep ? step : null, integer);
  put("points", s ? s.points : 0, integer);
}
