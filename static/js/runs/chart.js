// Curves with uPlot: they grow live, share their crosshair, zoom by dragging, and reset with a double click.
import { frame, scaled, span } from "../ui/axes.js";
import { number, powerOf } from "../ui/numbers.js";
import { tokenColour } from "../ui/theme.js";

/** @typedef {{steps: number[], series: Record<string, Record<string, (number|null)[]>>}} Columns */

const redrawEvery = 200; // milliseconds

/**
 * @param {ParentNode} root
 * @returns {Chart[]}
 */
export function startCharts(root) {
  const charts = [...root.querySelectorAll("[data-chart]")].map((el) => new Chart(/** @type {HTMLElement} */ (el)));
  document.addEventListener("themechange", () => charts.forEach((c) => c.recolour()));
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) charts.forEach((c) => c.schedule());
  });
  return charts;
}

export class Chart {
  /** @param {HTMLElement} el */
  constructor(el) {
    this.el = el;
    this.area = /** @type {HTMLElement} */ (el.querySelector("[data-chart-area]"));
    this.note = /** @type {HTMLElement} */ (el.querySelector("[data-chart-empty]"));
    this.readout = /** @type {HTMLElement} */ (el.querySelector("[data-chart-read]"));
    this.metric = el.dataset.metricName || "";
    this.stat = el.dataset.stat || "mean";
    this.unit = el.dataset.unit || "";
    this.title = el.dataset.title || "";
    /** @type {number[]} */
    this.steps = [];
    /** @type {Record<string, (number|null)[]>} */
    this.columns = Object.fromEntries(this.stats().map((s) => [s, []]));
    this.power = 0; // values are drawn divided by 10 to this power
    this.markEvery = 0;
    /** @type {any} */
    this.plot = null;
    this.timer = 0;
    this.drawn = 0;
    /** @type {[number, number]|null} */
    this.extent = null;
  }

  /** Which statistics are drawn: a mean has the spread between workers around it. */
  stats() {
    return this.stat === "mean" ? ["mean", "min", "max"] : [this.stat];
  }

  /** @param {Columns} data */
  replace(data) {
    this.steps = [];
    for (const s of this.stats()) this.columns[s] = [];
    this.upsert(data);
  }

  /** @param {Columns} data */
  upsert(data) {
    const series = data.series?.[this.metric];
    if (!series) return;
    const main = series[this.stat];
    if (!main) return;
    data.steps.forEach((step, i) => {
      if (main[i] === null || main[i] === undefined) return;
      const at = this.place(step);
      for (const s of this.stats()) this.columns[s][at] = finite(series[s]?.[i] ?? main[i]);
    });
    this.schedule();
  }

  /**
   * The index of a step, made if it is new. Steps nearly always arrive in order.
   * @param {number} step
   */
  place(step) {
    const n = this.steps.length;
    if (n === 0 || step > this.steps[n - 1]) {
      this.steps.push(step);
      for (const s of this.stats()) this.columns[s].push(null);
      return n;
    }
    let low = 0;
    let high = n - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.steps[middle] < step) low = middle + 1;
      else high = middle;
    }
    if (this.steps[low] !== step) {
      this.steps.splice(low, 0, step);
      for (const s of this.stats()) this.columns[s].splice(low, 0, null);
    }
    return low;
  }

  schedule() {
    if (this.timer || document.hidden || this.steps.length === 0) return;
    const wait = Math.max(0, this.drawn + redrawEvery - performance.now());
    this.timer = setTimeout(() => {
      this.timer = 0;
      requestAnimationFrame(() => this.draw());
    }, wait);
  }

  draw() {
    this.drawn = performance.now();
    const columns = this.stats().map((s) => this.columns[s]);
    this.power = powerOf(columns);
    const data = [this.steps, ...columns.map((c) => scaled(c, this.power))];
    const last = this.steps.length - 1;
    this.area.setAttribute("role", "img");
    this.area.setAttribute(
      "aria-label",
      `${this.title}, ${this.unit}: ${this.steps.length} points, ${number(this.columns[this.stat][last] ?? NaN)} at step ${this.steps[last]}`,
    );
    this.el.dataset.points = String(this.steps.length);
    if (!this.plot) {
      this.open(data);
    } else {
      const x = this.plot.scales.x;
      const zoomed = this.extent && (x.min > this.extent[0] || x.max < this.extent[1]);
      this.plot.setData(data, !zoomed);
      if (zoomed) this.plot.setScale("x", { min: x.min, max: x.max });
    }
    this.extent = [this.steps[0], this.steps[last]];
    this.read();
  }

  /** @param {any[]} data */
  open(data) {
    const uPlot = /** @type {any} */ (window).uPlot;
    if (!uPlot) {
      this.note.textContent = "The chart library is not installed: run “make build”.";
      return;
    }
    this.note.hidden = true;
    this.colours();
    this.plot = new uPlot(this.options(uPlot), data, this.area);
    new ResizeObserver(() => {
      const { width, height } = this.size();
      if (width > 0 && (width !== this.plot.width || height !== this.plot.height)) this.plot.setSize({ width, height });
    }).observe(this.area);
  }

  size() {
    return { width: this.area.clientWidth, height: this.area.clientHeight };
  }

  colours() {
    const line = tokenColour(this.metric === "loss" ? "--chart-1" : "--chart-2");
    const channels = line.match(/[\d.]+/g)?.slice(0, 3).join(" ") || "0 0 0";
    this.colour = { line, fill: `rgb(${channels} / 14%)`, grid: tokenColour("--chart-grid"), axis: tokenColour("--chart-axis") };
  }

  recolour() {
    if (!this.plot) return;
    this.colours();
    this.plot.redraw(true, true);
  }

  /** @param {any} uPlot */
  options(uPlot) {
    const quiet = { stroke: () => "transparent", width: 0, points: { show: false } };
    return {
      ...this.size(),
      ...frame({ axis: () => this.colour?.axis || "", grid: () => this.colour?.grid || "", power: () => this.power }),
      legend: { show: false },
      scales: { x: { time: false }, y: { range: (/** @type {any} */ _, /** @type {number} */ low, /** @type {number} */ high) => span(low, high) } },
      cursor: {
        sync: { key: "steps", scales: ["x", null] },
        drag: { x: true, y: false },
        y: false,
        points: { size: 7, show: (/** @type {any} */ u, /** @type {number} */ i) => (i === 1 ? undefined : false) },
      },
      series: [
        {},
        { stroke: () => this.colour?.line, width: 1.75, points: { size: 4 } },
        ...(this.stat === "mean" ? [quiet, quiet] : []),
      ],
      bands: this.stat === "mean" ? [{ series: [3, 2], fill: () => this.colour?.fill }] : [],
      hooks: {
        setCursor: [() => this.read()],
        drawAxes: [(/** @type {any} */ u) => this.marks(u)],
      },
    };
  }

  /**
   * Faint lines where DiLoCo workers average, as long as they can be told apart.
   * @param {any} u
   */
  marks(u) {
    const every = this.markEvery;
    const { min, max } = u.scales.x;
    if (every < 2 || !(max > min) || (u.bbox.width / devicePixelRatio / (max - min)) * every < 24) return;
    u.ctx.save();
    u.ctx.strokeStyle = this.colour?.axis;
    u.ctx.globalAlpha = 0.28;
    u.ctx.lineWidth = devicePixelRatio;
    u.ctx.setLineDash([2 * devicePixelRatio, 4 * devicePixelRatio]);
    u.ctx.beginPath();
    for (let step = Math.ceil(min / every) * every; step <= max; step += every) {
      const x = Math.round(u.valToPos(step, "x", true));
      u.ctx.moveTo(x, u.bbox.top);
      u.ctx.lineTo(x, u.bbox.top + u.bbox.height);
    }
    u.ctx.stroke();
    u.ctx.restore();
  }

  /** Shows the values under the crosshair, or the newest. */
  read() {
    const at = this.plot?.cursor?.idx ?? this.steps.length - 1;
    if (this.steps[at] === undefined) return;
    const value = this.columns[this.stat][at];
    let text = `${value === null ? "not a number" : number(value)} at step ${this.steps[at].toLocaleString("en")}`;
    const low = this.columns.min?.[at];
    const high = this.columns.max?.[at];
    if (low !== null && low !== undefined && high !== null && high !== undefined && low !== high) text += ` (${number(low)} to ${number(high)})`;
    this.readout.textContent = text;
    this.readout.title = String(value);
  }
}

/**
 * A number to draw; NaN and infinities (sent as text) are gaps.
 * @param {any} v
 * @returns {number|null}
 */
function finite(v) {
  return typeof v === "number" && Number.isFinite(v) ? v : null;
}
