// One chart: it asks a source for its curves while it is in sight, draws them, and says what is under the crosshair.
import { span } from "./axes.js";
import { extent, lastColumn, nearest, range } from "./curve.js";
import { save } from "./export.js";
import { Legend } from "./legend.js";
import { Refusal } from "./load.js";
import { Marks, kinds, placesOf } from "./marks.js";
import { Plot } from "./plot.js";
import { describe, exactText, lastSpot, placeText, spotAt, valueText } from "./readout.js";
import { askedRange } from "./view.js";
import { attachZoom } from "./zoom.js";
import { powerOf } from "../ui/numbers.js";

const near = 12; // pixels from a point within which a click means it
const leastPixels = 64; // and the grid of the widths that are asked for, so that equal charts ask alike
const mostPixels = 4096;
const mostLines = 60; // more annotations have signs, but no lines: they would hide the curve
const leastApart = 24; // pixels between syncs for them to be shown

/** @typedef {import("./curve.js").Curve} Curve */

export class Chart {
  /**
   * @param {HTMLElement} el     a figure as views/charts.Figure renders it
   * @param {import("./board.js").Board} board that it belongs to
   */
  constructor(el, board) {
    this.el = el;
    this.board = board;
    /** @type {string[]} */
    this.metrics = JSON.parse(el.dataset.metrics || "[]");
    this.title = el.dataset.title || this.metrics[0] || "";
    this.open();
    const part = (/** @type {string} */ name) => /** @type {HTMLElement} */ (el.querySelector(`[data-chart-${name}]`));
    this.area = part("area");
    this.empty = part("empty");
    this.readout = part("read");
    this.note = part("note");
    this.legend = new Legend(part("legend"), { toggle: (key) => this.toggle(key), highlight: (key) => this.highlight(key) });
    this.signs = new Marks(part("marks"), (m) => board.options.markHref?.(m) || "");
    /** @type {Curve[]} */
    this.curves = [];
    this.tag = "";
    this.missing = ""; // what was asked for that there is not, in words
    this.asked = ""; // what the curves answer
    this.pending = ""; // what is being asked
    /** @type {Plot|null} */
    this.plot = null;
    /** @type {AbortController|null} */
    this.loading = null;
    this.lit = ""; // the curve that is highlighted
    this.pointer = { x: /** @type {number|null} */ (null), top: /** @type {number|null} */ (null) };
    /** @type {import("./readout.js").Spot|null} */
    this.spot = null;
    this.clock = false; // its metric has no steps
    /** @type {[number, number]|null} what is in sight of a chart that does not share its axis with the board */
    this.own = null;
    attachZoom(this);
    this.area.addEventListener("click", (e) => this.clicked(e));
    this.area.addEventListener("focus", () => this.say());
    this.say("Loading");
  }

  /** Fills the figure with what a chart has. */
  open() {
    const template = document.getElementById("chart-parts");
    if (!(template instanceof HTMLTemplateElement)) throw new Error("charts: the page has no templates");
    this.el.append(template.content.cloneNode(true));
    const tools = /** @type {HTMLElement} */ (this.el.querySelector("[data-chart-tools]"));
    this.el.querySelector("figcaption")?.append(tools);
    tools.addEventListener("click", (e) => {
      const button = e.target instanceof Element ? e.target.closest("button") : null;
      if (button instanceof HTMLButtonElement) this.press(button.dataset.tool || "");
    });
    this.log = tools.querySelector('[data-tool="log"]');
    const extra = this.board.options.tools?.(this) || (this.el.dataset.own === undefined ? [] : ["remove"]);
    for (const b of tools.querySelectorAll("[data-extra]")) if (!extra.includes(b.getAttribute("data-tool") || "")) b.remove();
    for (const b of tools.querySelectorAll("button, summary")) b.setAttribute("aria-label", `${b.getAttribute("title") || b.textContent}, ${this.title}`);
  }

  /** @param {string} tool */
  press(tool) {
    const { view } = this.board;
    const metric = this.metrics[0];
    switch (tool) {
      case "log":
        this.board.set({ log: view.log.includes(metric) ? view.log.filter((m) => m !== metric) : [...view.log, metric] });
        break;
      case "full":
        this.fullScreen();
        break;
      case "png":
      case "svg":
      case "csv":
        if (this.plot) save(tool, this);
        break;
      default:
        this.board.options.press?.(tool, this);
    }
    this.el.querySelector(".chart-menu")?.removeAttribute("open");
  }

  fullScreen() {
    if (document.fullscreenElement) void document.exitFullscreen();
    else void this.el.requestFullscreen?.();
  }

  /** @returns {import("./axes.js").Kind} */
  get kind() {
    const { x } = this.board.view;
    if (this.clock || x === "time") return "time";
    return x === "step" || x === "elapsed" ? x : "number";
  }

  /** How the readout speaks of the view. */
  get how() {
    return { x: this.board.view.x, kind: this.kind, smoothed: this.board.view.smooth !== "" };
  }

  /** @returns {import("./load.js").Ask} */
  ask() {
    const { x, from, to, smooth, workers, replaced } = this.board.view;
    const width = Math.floor((this.area.clientWidth - 80) / leastPixels) * leastPixels;
    const part = from !== null && to !== null && !this.clock ? askedRange(from, to) : null;
    const px = Math.min(mostPixels, Math.max(leastPixels, width) * (part ? 2 : 1));
    return { metrics: this.metrics, x, from: part ? part[0] : null, to: part ? part[1] : null, px, smooth, workers, replaced };
  }

  /**
   * Brings the curves up to date with the view.
   * @param {boolean} [news] there may be new points
   */
  async load(news = false) {
    const ask = this.ask();
    const asked = JSON.stringify(ask);
    if (asked === this.asked && !news) {
      this.loading?.abort(); // of a view that has been left meanwhile
      this.loading = null;
      this.draw();
      return;
    }
    this.draw(); // what is there, until the answer comes
    if (this.loading && this.pending === asked) return;
    this.loading?.abort();
    const loading = (this.loading = new AbortController());
    this.pending = asked;
    try {
      const answer = await this.board.source.load(ask, asked === this.asked ? this.tag : "", loading.signal);
      if (loading.signal.aborted) return;
      if (answer) {
        this.curves = answer.curves;
        this.tag = answer.tag;
        this.missing = answer.missing || "";
        this.clock = answer.curves.some((c) => c.series.clock === true) && ask.x === "step";
      }
      this.asked = asked;
      this.say(this.missing || "No data");
      this.draw();
    } catch (e) {
      if (loading.signal.aborted) return;
      this.asked = "";
      const refused = e instanceof Refusal;
      if (refused) this.curves = []; // or they would pass for the answer
      this.say(refused ? e.message : "The console does not answer. Retrying.");
      if (refused) this.draw();
      else this.board.later();
    } finally {
      if (this.loading === loading) this.loading = null;
    }
  }

  /**
   * Writes what stands in the place of the curves, or describes them.
   * @param {string} [text]
   */
  say(text) {
    if (text) this.empty.textContent = text;
    this.empty.hidden = this.curves.length > 0;
    this.area.setAttribute("aria-label", describe(this.title, this.curves, this.how));
  }

  /** What of x is in sight. */
  range() {
    const whole = extent(this.curves);
    if (!whole) return null;
    const { from, to } = this.board.view;
    const zoomed = this.clock ? this.own : from !== null && to !== null ? /** @type {[number, number]} */ ([from, to]) : null;
    const [low, high] = zoomed || whole;
    if (low < high) return /** @type {[number, number]} */ ([low, high]);
    return /** @type {[number, number]} */ ([low - 0.5, high + 0.5]);
  }

  /** @param {[number, number]|null} r */
  zoom(r) {
    if (!this.clock) {
      this.board.zoom(r);
      return;
    }
    this.own = r;
    this.draw();
  }

  draw() {
    const x = this.range();
    if (!x || !this.area.clientWidth || !(/** @type {any} */ (window).uPlot)) {
      if (!(/** @type {any} */ (window).uPlot)) this.empty.textContent = "The chart library is not installed: run “make build”.";
      this.plot?.destroy();
      this.plot = null;
      return;
    }
    for (const c of this.curves) {
      c.hidden = this.board.isHidden(this.el, c.key);
      c.faint = this.lit !== "" && this.lit !== c.key;
    }
    this.legend.show(this.curves);
    const scene = this.scene(x);
    if (this.plot) {
      this.plot.show(scene);
    } else {
      this.plot = new Plot(this.area, scene, {
        zoom: (from, to) => this.zoom([from, to]),
        reset: () => this.zoom(null),
        cursor: (at, top) => this.board.hover(this, at, top),
        drawn: () => this.placeMarks(),
        resized: () => void this.load(),
      });
    }
    this.el.dataset.points = String(this.curves.reduce((sum, c) => sum + c.series.points, 0));
    this.read(this.pointer.x, this.pointer.top);
  }

  /**
   * @param {[number, number]} x
   * @returns {import("./plot.js").Scene}
   */
  scene(x) {
    const { view } = this.board;
    const logY = view.log.includes(this.metrics[0]);
    const logX = view.logx && x[1] > 0 && this.kind !== "time";
    if (logX && x[0] <= 0) x = [Math.min(...this.curves.flatMap((c) => c.x.filter((v) => v > 0)), x[1] / 10), x[1]];
    const { low, high, beyond } = range(this.curves, x[0], x[1], { clip: view.clip, log: logY });
    const log = logY && low !== null;
    const power = log ? 0 : powerOf([[low, high]]);
    const y = span(low === null ? null : low / 10 ** power, high === null ? null : high / 10 ** power, log);
    this.log?.setAttribute("aria-pressed", String(logY));
    this.tell(beyond, logY && !log);
    const lines = this.kind === "step" ? this.board.marks.filter((m) => m.kind !== "sync" && m.step >= x[0] && m.step <= x[1]) : [];
    return {
      curves: this.ordered(), x, y, kind: this.kind, label: this.label(), power, logX, logY: log, smoothed: view.smooth !== "",
      rules: this.syncs(x), marks: lines.slice(-mostLines).map((m) => ({ x: m.step, token: kinds[m.kind]?.token || "--muted" })),
    };
  }

  /** The first lies over the others, the highlighted one over all, a plan below. */
  ordered() {
    const height = (/** @type {Curve} */ c) => (c.faint ? 0 : 2) + (c.slot < 0 ? 0 : 1);
    return [...this.curves].reverse().sort((a, b) => height(a) - height(b));
  }

  label() {
    const { x } = this.board.view;
    if (this.kind === "time") return "";
    return x === "elapsed" ? "since the start" : x;
  }

  /**
   * Steps at which workers synchronize, as long as they can be told apart.
   * @param {[number, number]} x
   */
  syncs([from, to]) {
    const every = this.board.options.syncEvery || 0;
    if (every < 2 || this.kind !== "step" || (this.area.clientWidth / (to - from)) * every < leastApart) return [];
    const out = [];
    for (let step = Math.ceil(from / every) * every; step <= to; step += every) out.push(step);
    return out;
  }

  /**
   * Says what the picture alone does not.
   * @param {number} beyond columns outside of a clipped axis
   * @param {boolean} unlogged
   */
  tell(beyond, unlogged) {
    const odd = this.curves.reduce((sum, c) => sum + (c.hidden ? 0 : c.odd.size), 0);
    const words = [
      odd > 0 ? `✕ ${odd} not finite` : "",
      beyond > 0 ? `axis clipped to the 1st–99th percentile, ${beyond} beyond` : "",
      unlogged ? "nothing above 0 for a log scale" : "",
    ].filter(Boolean);
    this.note.textContent = words.join(" · ");
    this.el.dataset.odd = String(odd);
  }

  placeMarks() {
    if (!this.plot) return;
    const marks = this.kind === "step" ? this.board.marks : [];
    const left = (/** @type {number} */ x) => this.plot?.left(x) ?? NaN;
    const inset = /** @type {HTMLElement|null} */ (this.area.querySelector(".u-over"))?.offsetLeft || 0;
    this.signs.show(placesOf(marks, (m) => m.step, left, this.plot.width()), (x) => left(x) + inset);
  }

  /**
   * Shows the crosshair at an x, or the newest values without it.
   * @param {number|null} x
   * @param {number|null} top of the pointer in pixels, if it is over this chart
   */
  read(x, top) {
    const plot = this.plot;
    this.pointer = { x, top };
    if (!plot) return;
    const range = this.range();
    const at = x ?? (this.board.view.to === null ? null : (range?.[1] ?? null)); // null: the newest
    this.spot = at === null ? lastSpot(this.curves) : spotAt(this.curves, at, top === null ? undefined : (v) => Math.abs(plot.top(v) - top));
    if (this.spot && range && !(this.spot.curve.x[this.spot.i] >= range[0] && this.spot.curve.x[this.spot.i] <= range[1])) this.spot = null;
    plot.point(x === null || !this.spot ? null : x, this.spot);
    if (!this.spot) this.tellSpot("", "");
    if (this.spot) {
      const { curve, i } = this.spot;
      const name = curve.name && (this.curves.length > 1 || curve.series.worker >= 0) ? ` · ${curve.name}` : "";
      this.tellSpot(valueText(this.spot), placeText(this.spot, this.how) + name, exactText(this.spot));
      this.readout.dataset.value = String(curve.series.value[i] ?? curve.odd.get(i) ?? "");
      this.readout.dataset.step = String(curve.series.step[i]);
      this.readout.dataset.worker = String(curve.series.worker);
    }
    if (this.curves.length > 1) {
      this.legend.read(this.curves.map((c) => {
        const i = at === null ? lastColumn(c) : nearest(c, at);
        return i < 0 ? null : c.series.value[i];
      }));
    }
    this.area.classList.toggle("chart-at-point", top !== null && this.atPoint(top));
  }

  /**
   * Writes the readout.
   * @param {string} value
   * @param {string} place
   * @param {string} [exact] the value not rounded, to be seen on hovering
   */
  tellSpot(value, place, exact = value) {
    const text = `${exact} ${place}`.trim();
    if (this.readout.title === text) return;
    this.readout.title = text;
    const [first, second] = this.readout.children;
    first.textContent = value;
    second.textContent = place;
  }

  /**
   * Whether the pointer is on the point that the readout names.
   * @param {number} top
   */
  atPoint(top) {
    const { spot, plot } = this;
    const value = spot?.curve.series.value[spot.i];
    return Boolean(plot && this.board.options.logHref && typeof value === "number" && Math.abs(plot.top(value) - top) <= near);
  }

  /** @param {MouseEvent} e */
  clicked(e) {
    if (e.target instanceof Element && e.target.closest(".u-over") && this.area.classList.contains("chart-at-point")) this.openLog();
  }

  openLog() {
    const href = this.spot && this.board.options.logHref?.(this.spot);
    if (href) location.assign(href);
  }

  /**
   * Moves the crosshair by columns, and reads it aloud.
   * @param {number} by
   */
  step(by) {
    const { spot } = this;
    const range = this.range();
    if (!spot || !range) return;
    const i = Math.min(spot.curve.x.length - 1, Math.max(0, spot.i + by));
    this.board.hover(this, spot.curve.x[i], null);
    this.area.setAttribute("aria-label", `${this.title}: ${this.readout.title}`);
  }

  nextMark() {
    this.signs.next();
  }

  /** @param {string} key */
  toggle(key) {
    this.board.toggle(this.el, key);
    this.draw();
  }

  /** @param {string|null} key */
  highlight(key) {
    if (this.lit === (key || "")) return;
    this.lit = key || "";
    for (const c of this.curves) c.faint = this.lit !== "" && this.lit !== c.key;
    this.plot?.reorder(this.ordered());
  }

  recolour() {
    this.plot?.redraw();
  }

  /** Leaves the figure as it was. */
  close() {
    this.loading?.abort();
    this.plot?.destroy();
    this.el.querySelectorAll("[data-chart-tools], :scope > :not(figcaption)").forEach((part) => part.remove());
    delete this.el.dataset.points;
  }
}
