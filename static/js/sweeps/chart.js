// The loss of a sweep's runs over each other: each has a colour and a pattern of its own, and a name in the legend.
import { frame, scaled, span } from "../ui/axes.js";
import { at } from "../ui/base.js";
import { integer, number, powerOf } from "../ui/numbers.js";
import { tokenColour } from "../ui/theme.js";

/**
 * @typedef {{id: string, number: number, label: string, state: string, best: boolean, steps: number[], loss: any[]}} Curve
 */

const colours = 8; // --rank-0 to --rank-7
const most = 16; // as the server's curvesShown
const redrawEvery = 700; // milliseconds, less than between two messages
const dashes = [[], [8, 4], [2, 3]]; // neighbours differ in both; 24 runs differ in one of them

export class SweepChart {
  /** @param {HTMLElement} el */
  constructor(el) {
    this.area = /** @type {HTMLElement} */ (el.querySelector("[data-chart-area]"));
    this.note = /** @type {HTMLElement} */ (el.querySelector("[data-chart-empty]"));
    this.readout = /** @type {HTMLElement} */ (el.querySelector("[data-chart-read]"));
    this.legend = /** @type {HTMLElement} */ (el.querySelector("[data-chart-legend]"));
    this.el = el;
    /** @type {Curve[]} */
    this.runs = [];
    /** @type {any} */
    this.plot = null;
    this.shown = "";
    this.power = 0; // losses are drawn divided by 10 to this power
    this.timer = 0;
    this.drawn = -Infinity;
    this.best = "";
    /** @type {Map<string, string>} */
    this.known = new Map();
    document.addEventListener("themechange", () => {
      this.known.clear();
      this.plot?.redraw(true, true);
    });
    new ResizeObserver(() => {
      const { width, height } = this.size();
      if (this.plot && width > 0 && (width !== this.plot.width || height !== this.plot.height)) this.plot.setSize({ width, height });
    }).observe(this.area);
  }

  size() {
    return { width: this.area.clientWidth, height: this.area.clientHeight };
  }

  /**
   * The colour of a token; asking the browser at each redraw would cost more than drawing.
   * @param {string} token
   */
  colour(token) {
    const known = this.known.get(token) || tokenColour(token);
    this.known.set(token, known);
    return known;
  }

  /** @param {{runs: Curve[], more: number}} answer */
  show(answer) {
    const uPlot = /** @type {any} */ (window).uPlot;
    this.runs = uPlot ? answer.runs.filter((r) => r.steps.length > 0) : [];
    if (answer.runs.length > 0 && !uPlot) this.note.textContent = "The chart library is not installed: run “make build”.";
    if (this.runs.length === 0) return;
    this.best = this.runs.find((r) => r.best)?.id || this.best;
    this.note.hidden = true;
    this.draw();
    this.el.dataset.curves = String(this.runs.length);
    this.describe(answer.more);
  }

  /**
   * Puts the newest loss of runs at the ends of their curves.
   * @param {import("../live/rows.js").Row[]} rows
   * @returns {boolean} whether the chart has room for a run that it does not show yet
   */
  append(rows) {
    const curves = new Map(this.runs.map((r) => [r.id, r]));
    let added = false;
    let missing = false;
    for (const r of rows) {
      const curve = curves.get(r.id);
      if (!curve) {
        missing ||= r.loss !== null;
      } else if (r.loss !== null && !(r.step <= curve.steps[curve.steps.length - 1])) {
        curve.steps.push(r.step);
        curve.loss.push(r.loss);
        added = true;
      }
    }
    if (added && !this.timer) {
      // At once when it may, so that rows and curves share a frame.
      const wait = this.drawn + redrawEvery - performance.now();
      const draw = () => requestAnimationFrame(() => this.draw());
      if (wait > 0) this.timer = setTimeout(draw, wait);
      else this.timer = draw();
    }
    return missing && this.runs.length < most;
  }

  /**
   * Says in the legend which run is best.
   * @param {string} id
   */
  mark(id) {
    this.best = id;
    for (const el of this.legend.querySelectorAll("[data-best-of]")) el.toggleAttribute("hidden", el.getAttribute("data-best-of") !== id);
  }

  draw() {
    this.timer = 0;
    this.drawn = performance.now();
    const [steps, ...columns] = this.columns();
    this.power = powerOf(columns);
    const data = [steps, ...columns.map((c) => scaled(c, this.power))];
    const names = this.runs.map((r) => r.id).join();
    if (this.plot && names === this.shown) {
      const x = this.plot.scales.x;
      const [first, last] = [this.plot.data[0][0], this.plot.data[0][this.plot.data[0].length - 1]];
      const zoomed = x.min > first || x.max < last;
      this.plot.setData(data, !zoomed);
      if (zoomed) this.plot.setScale("x", { min: x.min, max: x.max });
    } else {
      this.plot?.destroy();
      this.plot = new (/** @type {any} */ (window).uPlot)(this.options(), data, this.area);
      this.shown = names;
    }
    this.read();
  }

  /** Every run's losses over the steps of all; a step that a run does not have is left out of its line. */
  columns() {
    const steps = [...new Set(this.runs.flatMap((r) => r.steps))].sort((a, b) => a - b);
    const place = new Map(steps.map((step, i) => [step, i]));
    const columns = this.runs.map((r) => {
      /** @type {(number|null|undefined)[]} */
      const column = new Array(steps.length).fill(undefined); // undefined is bridged, null is a gap
      r.steps.forEach((step, i) => {
        column[place.get(step) ?? 0] = typeof r.loss[i] === "number" ? r.loss[i] : null;
      });
      return column;
    });
    return [steps, ...columns];
  }

  options() {
    return {
      ...this.size(),
      ...frame({ axis: () => this.colour("--chart-axis"), grid: () => this.colour("--chart-grid"), power: () => this.power }),
      legend: { show: false },
      scales: { x: { time: false }, y: { range: (/** @type {any} */ _, /** @type {number} */ low, /** @type {number} */ high) => span(low, high) } },
      cursor: { drag: { x: true, y: false }, y: false, points: { size: 6 } },
      series: [
        {},
        ...this.runs.map((_, i) => ({
          stroke: () => this.colour(`--rank-${i % colours}`),
          dash: dashes[i % dashes.length],
          width: 1.5,
          points: { show: false },
        })),
      ],
      hooks: { setCursor: [() => this.read()] },
    };
  }

  /** Shows the step under the crosshair, and every run's loss there in the legend. */
  read() {
    const at = this.plot?.cursor?.idx;
    const inside = at !== null && at !== undefined;
    this.readout.textContent = inside ? `step ${integer(this.plot.data[0][at])}` : "";
    this.legend.querySelectorAll("[data-legend-value]").forEach((el, i) => {
      const value = inside ? this.plot.data[i + 1]?.[at] : last(this.plot.data[i + 1]);
      const text = typeof value === "number" ? number(value * 10 ** this.power) : "–";
      if (el.textContent !== text) el.textContent = text;
    });
  }

  /** @param {number} more */
  describe(more) {
    this.area.setAttribute("role", "img");
    this.area.setAttribute("aria-label", `Loss by step of ${this.runs.length} runs; the legend names them.`);
    const items = this.runs.map((r, i) => {
      const item = document.createElement("li");
      item.className = `legend-item rank-${i % colours}`;
      const line = document.createElement("span");
      line.className = `legend-line legend-dash-${i % dashes.length}`;
      line.setAttribute("aria-hidden", "true");
      const link = document.createElement("a");
      link.href = at(`/runs/${r.id}`);
      link.textContent = `#${r.number} ${r.label}`;
      const best = document.createElement("span");
      best.className = "legend-best";
      best.textContent = "best";
      best.dataset.bestOf = r.id;
      best.hidden = r.id !== this.best;
      const value = document.createElement("span");
      value.className = "num legend-value";
      value.dataset.legendValue = "";
      item.append(line, link, best, value);
      return item;
    });
    if (more > 0) {
      const item = document.createElement("li");
      item.className = "legend-more";
      item.textContent = `${more} more ${more === 1 ? "run is" : "runs are"} not shown; these have the lowest loss.`;
      items.push(item);
    }
    this.legend.replaceChildren(...items);
    this.read();
  }
}

/** @param {any[]|undefined} column */
function last(column) {
  for (let i = (column?.length ?? 0) - 1; i >= 0; i--) if (typeof column?.[i] === "number") return column[i];
  return null;
}
