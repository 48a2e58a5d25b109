// Parallel coordinates, rendered by the server: a range chosen on the axes, by dragging or with the handles and arrow keys, keeps the
// runs whose lines pass through all of them.

/**
 * @typedef {object} Axis
 * @property {Element} el
 * @property {[number, string][]} stops  different places from 0 to 1, ascending, with their values: where handles can stand
 * @property {Element[]} handles         high, low
 * @property {number} low                index in stops
 * @property {number} high
 */

const svg = (/** @type {Element} */ el, /** @type {Record<string, string|number>} */ attributes) => {
  for (const [name, value] of Object.entries(attributes)) el.setAttribute(name, String(value));
};

export class Parallel {
  /**
   * @param {HTMLElement} figure
   * @param {(out: Set<string>) => void} changed  the runs that are not in the ranges
   */
  constructor(figure, changed) {
    this.changed = changed;
    this.plot = /** @type {SVGElement} */ (figure.querySelector(".parallel-plot"));
    this.count = /** @type {HTMLElement} */ (figure.querySelector("[data-parallel-count]"));
    this.clear = /** @type {HTMLButtonElement} */ (figure.querySelector('[data-action="clear-brush"]'));
    this.top = Number(this.plot.dataset.top);
    this.height = Number(this.plot.dataset.height);
    /** @type {{el: Element, run: string, places: number[]}[]} */
    this.lines = [...this.plot.querySelectorAll("[data-parallel-run]")].map((el) => ({
      el, run: el.getAttribute("data-parallel-run") || "", places: (el.getAttribute("data-places") || "").split(" ").map(Number),
    }));
    /** @type {Axis[]} */
    this.axes = [...this.plot.querySelectorAll(".parallel-axis")].map((el) => this.axis(el));
    this.clear.addEventListener("click", () => this.reset());
  }

  /** @param {Element} el */
  axis(el) {
    const stops = /** @type {[number, string][]} */ (JSON.parse(el.getAttribute("data-stops") || "[]"));
    const axis = { el, stops, handles: [...el.querySelectorAll("[data-handle]")], low: 0, high: stops.length - 1 };
    for (const h of axis.handles) h.addEventListener("keydown", (e) => this.key(/** @type {KeyboardEvent} */ (e), axis));
    el.querySelector("[data-hit]")?.addEventListener("pointerdown", (e) => this.drag(/** @type {PointerEvent} */ (e), axis));
    this.place(axis);
    return axis;
  }

  /**
   * @param {KeyboardEvent} e
   * @param {Axis} axis
   */
  key(e, axis) {
    const end = /** @type {Element} */ (e.currentTarget).getAttribute("data-handle") === "low" ? "low" : "high";
    const last = axis.stops.length - 1;
    const to = { ArrowUp: axis[end] + 1, ArrowRight: axis[end] + 1, ArrowDown: axis[end] - 1, ArrowLeft: axis[end] - 1, PageUp: axis[end] + 5, PageDown: axis[end] - 5, Home: 0, End: last }[e.key];
    if (e.key === "Escape") this.set(axis, 0, last);
    else if (to === undefined) return;
    else if (end === "low") this.set(axis, Math.min(Math.max(0, to), axis.high), axis.high);
    else this.set(axis, axis.low, Math.max(Math.min(last, to), axis.low));
    e.preventDefault();
  }

  /**
   * @param {PointerEvent} down
   * @param {Axis} axis
   */
  drag(down, axis) {
    if (down.button !== 0) return;
    const target = /** @type {Element} */ (down.currentTarget);
    target.setPointerCapture(down.pointerId);
    const start = this.placeOf(down);
    const move = (/** @type {Event} */ e) => {
      const [from, to] = [start, this.placeOf(/** @type {PointerEvent} */ (e))].sort((a, b) => a - b);
      const inside = axis.stops.map(([p], i) => (p >= from - 1e-4 && p <= to + 1e-4 ? i : -1)).filter((i) => i >= 0);
      if (inside.length > 0) this.set(axis, inside[0], inside[inside.length - 1]);
    };
    const up = (/** @type {Event} */ e) => {
      target.removeEventListener("pointermove", move);
      // A click is no range.
      if (Math.abs(this.placeOf(/** @type {PointerEvent} */ (e)) - start) < 0.01) this.set(axis, 0, axis.stops.length - 1);
    };
    target.addEventListener("pointermove", move);
    target.addEventListener("pointerup", up, { once: true });
    target.addEventListener("pointercancel", () => target.removeEventListener("pointermove", move), { once: true });
  }

  /**
   * The place on an axis of a pointer.
   * @param {PointerEvent} e
   */
  placeOf(e) {
    const box = this.plot.getBoundingClientRect();
    const y = (e.clientY - box.top) * (Number(this.plot.getAttribute("height")) / box.height);
    return 1 - (y - this.top) / this.height;
  }

  /**
   * @param {Axis} axis
   * @param {number} low
   * @param {number} high
   */
  set(axis, low, high) {
    if (axis.low === low && axis.high === high) return;
    axis.low = low;
    axis.high = high;
    this.place(axis);
    this.filter();
  }

  reset() {
    for (const a of this.axes) {
      a.low = 0;
      a.high = a.stops.length - 1;
      this.place(a);
    }
    this.filter();
  }

  /**
   * Moves the handles of an axis to its range.
   * @param {Axis} axis
   */
  place({ el, stops, handles, low, high }) {
    const whole = low === 0 && high === stops.length - 1;
    const y = (/** @type {number} */ place) => this.top + (1 - place) * this.height;
    const top = y(whole ? 1 : stops[high][0]);
    const bottom = y(whole ? 0 : stops[low][0]);
    const x = el.querySelector(".parallel-rule")?.getAttribute("x1") || 0;
    for (const h of handles) {
      const upper = h.getAttribute("data-handle") === "high";
      const at = upper ? high : low;
      svg(h, { "aria-valuemax": Math.max(0, stops.length - 1), "aria-valuenow": at, "aria-valuetext": stops[at]?.[1] ?? "" });
      svg(/** @type {Element} */ (h.firstElementChild), { transform: `translate(${x} ${upper ? top : bottom})` });
    }
    const range = el.querySelector("[data-range]");
    if (range) svg(range, { y: top, height: Math.max(2, bottom - top), visibility: whole ? "hidden" : "visible" });
  }

  filter() {
    const ranges = this.axes
      .map(({ stops, low, high }, i) => ({ i, low: stops[low]?.[0], high: stops[high]?.[0], whole: low === 0 && high === stops.length - 1 }))
      .filter((r) => !r.whole);
    const out = new Set();
    for (const { el, run, places } of this.lines) {
      const inside = ranges.every((r) => places[r.i] >= r.low - 1e-4 && places[r.i] <= r.high + 1e-4);
      el.classList.toggle("is-out", !inside);
      if (!inside) out.add(run);
    }
    const all = this.lines.length;
    this.count.textContent = ranges.length > 0 ? `${all - out.size} of ${all} runs` : `${all} runs`;
    this.clear.hidden = ranges.length === 0;
    this.changed(out);
  }

  /** @param {string} run "" for none */
  highlight(run) {
    for (const l of this.lines) l.el.classList.toggle("is-lit", l.run === run);
  }
}
