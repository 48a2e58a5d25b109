// The loss of a sweep's runs over each other: each has a colour and a pattern of its own, and a name in the legend.
import { axisLabels, number } from "./numbers.js";
import { tokenColour } from "./theme.js";

/**
 * @typedef {{id: string, number: number, label: string, state: string, best: boolean, steps: number[], loss: any[]}} Curve
 */

const colours = 8; // --rank-0 to --rank-7
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
    document.addEventListener("themechange", () => this.plot?.redraw(true, true));
    new ResizeObserver(() => {
      const { width, height } = this.size();
      if (this.plot && width > 0 && (width !== this.plot.width || height !== this.plot.height)) this.plot.setSize({ width, height });
    }).observe(this.area);
  }

  size() {
    return { width: this.area.clientWidth, height: this.area.clientHeight };
  }

  /** @param {{runs: Curve[], more: number}} answer */
  show(answer) {
    this.runs = answer.runs.filter((r) => r.steps.length > 0);
    const uPlot = /** @type {any} */ (window).uPlot;
    if (this.runs.length === 0) return;
    if (!uPlot) {
      this.note.textContent = "The chart library is not installed: run “make build”.";
      return;
    }
    this.note.hidden = true;
    const data = this.columns();
    const names = this.runs.map((r) => r.id).join();
    if (this.plot && names === this.shown) {
      const x = this.plot.scales.x;
      const [first, last] = [this.plot.data[0][0], this.plot.data[0][this.plot.data[0].length - 1]];
      const zoomed = x.min > first || x.max < last;
      this.plot.setData(data, !zoomed);
      if (zoomed) this.plot.setScale("x", { min: x.min, max: x.max });
    } else {
      this.plot?.destroy();
      this.plot = new uPlot(this.options(), data, this.area);
      this.shown = names;
    }
    this.el.dataset.curves = String(this.runs.length);
    this.describe(answer.more);
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
    const font = `11px ${getComputedStyle(document.body).fontFamily}`;
    const axis = { stroke: () => tokenColour("--chart-axis"), grid: { stroke: () => tokenColour("--chart-grid"), width: 1 }, ticks: { show: false }, font, labelFont: font };
    return {
      ...this.size(),
      padding: [10, 16, 0, 0],
      legend: { show: false },
      scales: { x: { time: false } },
      cursor: { drag: { x: true, y: false }, y: false, points: { size: 6 } },
      axes: [
        { ...axis, size: 34, space: 70, gap: 6, label: "step", labelSize: 16, labelGap: -2, values: (/** @type {any} */ _, /** @type {number[]} */ v) => v.map((n) => (Number.isInteger(n) ? n.toLocaleString("en") : "")) },
        { ...axis, size: 60, gap: 6, space: 36, values: (/** @type {any} */ _, /** @type {number[]} */ v) => axisLabels(v, v.length > 1 ? v[1] - v[0] : 1) },
      ],
      series: [
        {},
        ...this.runs.map((_, i) => ({
          stroke: () => tokenColour(`--rank-${i % colours}`),
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
    this.readout.textContent = inside ? `step ${this.plot.data[0][at].toLocaleString("en")}` : "";
    this.legend.querySelectorAll("[data-legend-value]").forEach((el, i) => {
      const value = inside ? this.plot.data[i + 1]?.[at] : last(this.plot.data[i + 1]);
      el.textContent = typeof value === "number" ? number(value) : "–";
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
      link.href = `/runs/${r.id}`;
      link.textContent = `#${r.number} ${r.label}${r.best ? " (best)" : ""}`;
      const value = document.createElement("span");
      value.className = "num legend-value";
      value.dataset.legendValue = "";
      item.append(line, link, value);
      return item;
    });
    if (more > 0) {
      const item = document.createElement("li");
      item.className = "legend-more";
      item.textContent = `${more} more ${more === 1 ? "run is" : "runs are"} not drawn: those shown have the lowest loss.`;
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
