// What the machines of a run use: the table is read anew every ten seconds, and a heat map shows a metric of each GPU over time.
import { morph, parse } from "../live/fragments.js";
import { at } from "../ui/base.js";
import { number } from "../ui/numbers.js";
import { tokenColour } from "../ui/theme.js";

const every = 10000; // milliseconds, as nodes are asked
const tallest = 16; // CSS pixels of a row
const lowest = 3;
const frame = 420; // CSS pixels that rows fill before the map scrolls
const shades = 8; // --shade-1 to --shade-8

/**
 * @typedef {{rank: number, gpu: number, values: (number|null)[]}} Row
 * @typedef {{metric: string, start: number, width: number, columns: number, rows: Row[], left?: number}} Heat
 */

/**
 * @param {HTMLElement} page
 */
export function startMachines(page) {
  const part = /** @type {HTMLElement|null} */ (page.querySelector("[data-machines]"));
  if (!part) return;
  const map = part.querySelector("[data-heat]");
  const run = at(`/runs/${part.dataset.machines}`);
  const heat = map instanceof HTMLElement ? new HeatMap(map, run) : null;
  part.addEventListener("click", (event) => {
    const link = event.target instanceof Element && event.target.closest("[data-usage-sort]");
    if (!(link instanceof HTMLElement) || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    part.dataset.sort = link.dataset.usageSort;
    history.replaceState(history.state, "", /** @type {HTMLAnchorElement} */ (link).href);
    void table().catch(() => location.assign(/** @type {HTMLAnchorElement} */ (link).href));
  });

  async function table() {
    const response = await fetch(`${run}/usage?sort=${encodeURIComponent(part?.dataset.sort || "")}`, { headers: { Accept: "text/html" } });
    if (!response.ok) throw new Error(`usage: ${response.status}`);
    const fresh = parse(await response.text())[0];
    const old = document.getElementById("run-usage");
    if (fresh && old) morph(old, fresh);
  }

  void heat?.load();
  if (!("live" in part.dataset)) return;
  setInterval(() => {
    if (document.hidden) return;
    void table().catch(() => {}); // the next time may do
    void heat?.load();
  }, every);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    void table().catch(() => {});
    void heat?.load();
  });
}

class HeatMap {
  /**
   * @param {HTMLElement} card
   * @param {string} run its path
   */
  constructor(card, run) {
    this.run = run;
    const find = (/** @type {string} */ name) => /** @type {any} */ (card.querySelector(`[data-heat-${name}]`));
    this.canvas = /** @type {HTMLCanvasElement} */ (find("canvas"));
    this.metric = /** @type {HTMLSelectElement} */ (find("metric"));
    this.minutes = /** @type {HTMLSelectElement} */ (find("minutes"));
    this.order = /** @type {HTMLSelectElement} */ (find("order"));
    this.scale = /** @type {HTMLElement} */ (find("scale"));
    this.spot = /** @type {HTMLOutputElement} */ (find("spot"));
    /** @type {Heat|null} */
    this.heat = null;
    /** @type {Row[]} */
    this.rows = [];
    this.at = { row: -1, column: -1 };
    this.asked = new AbortController();
    for (const select of [this.metric, this.minutes]) select.addEventListener("change", () => void this.load());
    this.order.addEventListener("change", () => this.draw());
    this.canvas.addEventListener("pointermove", (e) => this.point(e));
    this.canvas.addEventListener("pointerleave", () => this.say(-1, -1));
    this.canvas.addEventListener("click", () => this.open());
    this.canvas.addEventListener("keydown", (e) => this.key(e));
    document.addEventListener("themechange", () => this.draw());
    new ResizeObserver(() => this.draw()).observe(/** @type {HTMLElement} */ (this.canvas.parentElement));
  }

  async load() {
    this.asked.abort();
    this.asked = new AbortController();
    const query = new URLSearchParams({ metric: this.metric.value, minutes: this.minutes.value, px: "200" });
    try {
      const response = await fetch(`${this.run}/heat?${query}`, { signal: this.asked.signal });
      if (!response.ok) throw new Error(`heat: ${response.status}`);
      this.heat = await response.json();
      this.draw();
    } catch (err) {
      if (!(err instanceof DOMException)) this.spot.textContent = "The console does not answer; what is shown is older.";
    }
  }

  /** What a value is of the scale, and the end of that. */
  scaled() {
    const { most, divide, unit } = /** @type {HTMLOptionElement} */ (this.metric.selectedOptions[0]).dataset;
    let end = Number(most) * Number(divide);
    if (!end) for (const row of this.rows) for (const v of row.values) if (v !== null && v > end) end = v;
    return { end: end || 1, divide: Number(divide) || 1, unit: unit || "" };
  }

  draw() {
    const heat = this.heat;
    if (!heat) return;
    const mean = (/** @type {Row} */ row) => {
      const known = row.values.filter((v) => v !== null);
      return known.reduce((a, b) => a + Number(b), 0) / (known.length || 1);
    };
    this.rows = [...heat.rows];
    if (this.order.value !== "rank") {
      const sign = this.order.value === "low" ? 1 : -1;
      const means = new Map(this.rows.map((row) => [row, mean(row)]));
      this.rows.sort((a, b) => sign * ((means.get(a) || 0) - (means.get(b) || 0)));
    }
    const canvas = this.canvas;
    canvas.hidden = this.rows.length === 0;
    if (canvas.hidden) {
      this.scale.textContent = "Nothing was measured in this time.";
      this.spot.textContent = "";
      return;
    }
    const { end, divide, unit } = this.scaled();
    const height = Math.max(lowest, Math.min(tallest, Math.floor(frame / this.rows.length)));
    const width = Math.max(1, canvas.parentElement?.clientWidth || 1);
    const ratio = devicePixelRatio;
    canvas.style.height = `${height * this.rows.length}px`;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * this.rows.length * ratio);
    const small = new OffscreenCanvas(heat.columns, this.rows.length);
    const pen = small.getContext("2d");
    const wide = canvas.getContext("2d");
    if (!pen || !wide) return;
    const image = pen.createImageData(heat.columns, this.rows.length);
    const ramp = ramped();
    this.rows.forEach((row, y) => {
      row.values.forEach((v, x) => {
        if (v === null) return;
        const c = ramp[Math.round(255 * Math.max(0, Math.min(1, v / end)))];
        image.data.set(c, 4 * (y * heat.columns + x));
      });
    });
    pen.putImageData(image, 0, 0);
    wide.imageSmoothingEnabled = false;
    wide.drawImage(small, 0, 0, canvas.width, canvas.height);
    if (this.at.row >= 0 && this.at.row < this.rows.length) {
      wide.strokeStyle = tokenColour("--text");
      wide.lineWidth = ratio;
      const w = canvas.width / heat.columns;
      const h = canvas.height / this.rows.length;
      wide.strokeRect(this.at.column * w, this.at.row * h, w, h);
    }
    const left = heat.left ? ` ${heat.left} more GPUs are not shown.` : "";
    this.scale.textContent = `0 to ${number(end / divide)} ${unit}, ${this.rows.length} GPUs, a column is ${duration(heat.width)}.${left}`;
  }

  /** @param {PointerEvent} e */
  point(e) {
    if (!this.heat) return;
    const box = this.canvas.getBoundingClientRect();
    this.say(Math.floor(((e.clientY - box.top) / box.height) * this.rows.length), Math.floor(((e.clientX - box.left) / box.width) * this.heat.columns));
  }

  /** @param {KeyboardEvent} e */
  key(e) {
    const move = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[e.key];
    if (e.key === "Enter") this.open();
    if (!move || !this.heat || !this.rows.length) return;
    e.preventDefault();
    const last = this.heat.columns - 1;
    const { row, column } = this.at.row < 0 ? { row: move[0] > 0 ? -1 : 0, column: move[1] > 0 ? -1 : last } : this.at;
    this.say(Math.max(0, Math.min(this.rows.length - 1, row + move[0])), Math.max(0, Math.min(last, column + move[1])));
  }

  /**
   * Says what a place shows.
   * @param {number} y
   * @param {number} x
   */
  say(y, x) {
    const heat = this.heat;
    const row = this.rows[y];
    if (!heat || (y === this.at.row && x === this.at.column)) return;
    this.at = row ? { row: y, column: x } : { row: -1, column: -1 };
    this.draw();
    if (!row) {
      this.spot.textContent = "";
      return;
    }
    const { divide, unit } = this.scaled();
    const v = row.values[x];
    const value = v === null || v === undefined ? "not measured" : `${number(v / divide)} ${unit}`;
    this.spot.textContent = `Worker ${row.rank}, GPU ${row.gpu}: ${value} at ${new Date(heat.start + x * heat.width).toLocaleTimeString()}`;
  }

  /** Opens the log of the worker at the time that is pointed at. */
  open() {
    const row = this.rows[this.at.row];
    if (!row || !this.heat) return;
    const time = new Date(this.heat.start + this.at.column * this.heat.width).toISOString();
    location.assign(`${this.run}/logs?${new URLSearchParams({ at: time, worker: String(row.rank) })}`);
  }
}

/** Colours of values from the lowest, which is the darkest in both themes, to the highest: 256 between the shades. */
function ramped() {
  const stops = Array.from({ length: shades }, (_, i) => (tokenColour(`--shade-${i + 1}`).match(/[\d.]+/g) || []).slice(0, 3).map(Number));
  const light = (/** @type {number[]} */ c) => 2 * c[0] + 5 * c[1] + c[2];
  if (light(stops[0]) > light(stops[shades - 1])) stops.reverse();
  return Array.from({ length: 256 }, (_, i) => {
    const place = (i / 255) * (shades - 1);
    const low = Math.min(shades - 2, Math.floor(place));
    const part = place - low;
    return [0, 1, 2].map((c) => Math.round(stops[low][c] * (1 - part) + stops[low + 1][c] * part)).concat(255);
  });
}

/** @param {number} ms */
function duration(ms) {
  const s = ms / 1000;
  return s < 60 ? `${number(s)} s` : s < 3600 ? `${number(s / 60)} min` : `${number(s / 3600)} h`;
}
