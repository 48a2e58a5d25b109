// A plot: uPlot's axes, crosshair and selection, with the curves painted by us, each over its own columns.
import { frame } from "./axes.js";
import { colour, dashOf, strokeOf } from "./palette.js";
import { shapesOf } from "./shapes.js";

/**
 * @typedef {object} Scene
 * @property {import("./curve.js").Curve[]} curves  in the order of painting
 * @property {[number, number]} x  what is in sight
 * @property {[number, number]} y  divided by 10 to the power
 * @property {import("./axes.js").Kind} kind
 * @property {string} label  of the x axis
 * @property {number} power  values are drawn divided by 10 to it
 * @property {boolean} logX
 * @property {boolean} logY
 * @property {boolean} smoothed
 * @property {number[]} rules   x of faint lines: syncs
 * @property {{x: number, token: string}[]} marks  x of annotations
 *
 * @typedef {object} Hooks
 * @property {(from: number, to: number) => void} zoom   a part was selected
 * @property {() => void} reset
 * @property {(x: number|null, top: number|null) => void} cursor  where the pointer is: x, and pixels from the top; null when it left
 * @property {() => void} drawn  the scales may have changed
 * @property {() => void} resized
 */

export class Plot {
  /**
   * @param {HTMLElement} area
   * @param {Scene} scene
   * @param {Hooks} hooks
   */
  constructor(area, scene, hooks) {
    this.area = area;
    this.scene = scene;
    this.hooks = hooks;
    this.quiet = false; // the crosshair is moved by us
    /** @type {Record<"x"|"y", {splits: number[], labels: string[]}>} */
    this.ticks = { x: { splits: [], labels: [] }, y: { splits: [], labels: [] } };
    this.dot = document.createElement("span");
    this.dot.className = "chart-dot";
    this.dot.hidden = true;
    this.signs = "";
    this.place = ""; // that the kept shapes are for
    /** @type {WeakMap<import("./curve.js").Curve, {plain?: import("./shapes.js").Shape[], faint?: import("./shapes.js").Shape[]}>} */
    this.kept = new WeakMap();
    this.open();
    this.resize = new ResizeObserver(() => {
      const { width, height } = this.size();
      if (width === 0 || (width === this.u.width && height === this.u.height)) return;
      this.u.setSize({ width, height });
      hooks.resized();
    });
    this.resize.observe(area);
  }

  open() {
    const uPlot = /** @type {any} */ (window).uPlot;
    const { logX, logY } = this.scene;
    this.signs = `${logX}${logY}`;
    this.u = new uPlot(
      {
        ...this.size(),
        ...frame(() => this.scene, (axis, splits, labels) => (this.ticks[axis] = { splits, labels })),
        legend: { show: false },
        scales: {
          x: { time: false, distr: logX ? 3 : 1, range: () => this.scene.x },
          y: { distr: logY ? 3 : 1, range: () => this.scene.y },
        },
        series: [{}, { paths: () => null, points: { show: false } }],
        cursor: {
          drag: { x: true, y: false, setScale: false, dist: 4 },
          y: false,
          points: { show: false },
          bind: {
            mousedown: (/** @type {any} */ _, /** @type {any} */ __, /** @type {(e: MouseEvent) => void} */ handle) => (/** @type {MouseEvent} */ e) => void (e.button === 0 && !e.shiftKey && handle(e)),
            dblclick: () => () => this.hooks.reset(),
          },
        },
        hooks: {
          setSelect: [(/** @type {any} */ u) => this.selected(u)],
          setCursor: [(/** @type {any} */ u) => this.moved(u)],
          draw: [(/** @type {any} */ u) => this.paint(u)],
        },
      },
      this.data(),
      this.area,
    );
    this.u.over.append(this.dot);
  }

  data() {
    return [this.scene.x, [null, null]];
  }

  size() {
    return { width: this.area.clientWidth, height: this.area.clientHeight };
  }

  /** @param {Scene} scene */
  show(scene) {
    this.scene = scene;
    if (this.signs !== `${scene.logX}${scene.logY}`) {
      this.u.destroy();
      this.open();
    } else {
      this.u.setData(this.data(), true);
    }
  }

  redraw() {
    this.u.redraw(true, true);
  }

  destroy() {
    this.resize.disconnect();
    this.u.destroy();
  }

  /** @param {any} u */
  selected(u) {
    const { left, width } = u.select;
    if (width < 1) return;
    const range = [u.posToVal(left, "x"), u.posToVal(left + width, "x")];
    u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.hooks.zoom(range[0], range[1]);
  }

  /** @param {any} u */
  moved(u) {
    if (this.quiet) return;
    const { left, top } = u.cursor;
    if (left === null || left === undefined || left < 0) this.hooks.cursor(null, null);
    else this.hooks.cursor(u.posToVal(left, "x"), top);
  }

  /**
   * Puts the crosshair at an x and a dot on the point that it reads, or takes them away.
   * @param {number|null} x
   * @param {import("./readout.js").Spot|null} spot
   */
  point(x, spot) {
    const left = x === null ? -10 : this.left(x);
    const inside = left >= 0 && left <= this.width();
    this.quiet = true;
    this.u.setCursor(inside ? { left, top: 0 } : { left: -10, top: -10 });
    this.quiet = false;
    const value = spot?.curve.series.value[spot.i];
    this.dot.hidden = !inside || typeof value !== "number";
    if (!spot || typeof value !== "number" || this.dot.hidden) return;
    this.dot.style.color = strokeOf(spot.curve.slot);
    this.dot.style.left = `${this.left(spot.curve.x[spot.i])}px`;
    this.dot.style.top = `${this.top(value)}px`;
  }

  /**
   * Pixels from the left edge of the curves.
   * @param {number} x
   */
  left(x) {
    return this.u.valToPos(x, "x");
  }

  /**
   * Pixels from the upper edge of the curves to a value.
   * @param {number} value
   */
  top(value) {
    return this.u.valToPos(value / 10 ** this.scene.power, "y");
  }

  width() {
    return this.u.bbox.width / devicePixelRatio;
  }

  height() {
    return this.u.bbox.height / devicePixelRatio;
  }

  /**
   * Paints the same curves again, in another order or fainter.
   * @param {import("./curve.js").Curve[]} curves
   */
  reorder(curves) {
    this.scene = { ...this.scene, curves };
    this.u.redraw(false, false);
  }

  /** The curves as shapes, in pixels from the top left of where they are. Those of a curve are kept while it stays where it is. */
  shapes() {
    const { curves, x, y, logX, logY, power, smoothed } = this.scene;
    const xs = { log: logX, min: x[0], max: x[1], size: this.width() };
    const ys = { log: logY, min: y[0], max: y[1], size: this.height(), flip: true };
    const place = JSON.stringify([xs, ys, smoothed, power]);
    if (place !== this.place) this.kept = new WeakMap();
    this.place = place;
    return curves.filter((c) => !c.hidden).flatMap((c) => {
      const kept = this.kept.get(c) || {};
      this.kept.set(c, kept);
      return (kept[c.faint ? "faint" : "plain"] ??= shapesOf(c, xs, ys, { smoothed, power }));
    });
  }

  /** @param {any} u */
  paint(u) {
    const { ctx, bbox } = u;
    const ratio = devicePixelRatio;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    ctx.translate(bbox.left, bbox.top);
    ctx.scale(ratio, ratio);
    rules(ctx, this.scene.rules.map((x) => u.valToPos(x, "x")), bbox.height / ratio, colour("--chart-axis"), 0.28);
    for (const m of this.scene.marks) rules(ctx, [u.valToPos(m.x, "x")], bbox.height / ratio, colour(m.token), 0.7);
    ctx.lineJoin = "round";
    for (const s of this.shapes()) shape(ctx, s);
    ctx.restore();
    this.hooks.drawn();
  }
}

/**
 * Dotted lines from top to bottom.
 * @param {CanvasRenderingContext2D} ctx
 * @param {number[]} at
 * @param {number} height
 * @param {string} stroke
 * @param {number} alpha
 */
function rules(ctx, at, height, stroke, alpha) {
  if (at.length === 0) return;
  ctx.strokeStyle = stroke;
  ctx.globalAlpha = alpha;
  ctx.lineWidth = 1;
  ctx.setLineDash([2, 4]);
  ctx.beginPath();
  for (const x of at) {
    ctx.moveTo(Math.round(x) + 0.5, 0);
    ctx.lineTo(Math.round(x) + 0.5, height);
  }
  ctx.stroke();
}

/**
 * @param {CanvasRenderingContext2D} ctx
 * @param {import("./shapes.js").Shape} s
 */
function shape(ctx, s) {
  const { kind, slot, alpha, width } = s;
  ctx.globalAlpha = alpha;
  ctx.strokeStyle = ctx.fillStyle = kind === "crosses" ? colour("--danger") : strokeOf(slot);
  ctx.lineWidth = width;
  ctx.setLineDash(kind === "line" ? dashOf(slot) : []);
  const path = (s.path ??= pathOf(s));
  if (kind === "crosses") ctx.lineWidth = 1.75;
  if (kind === "area" || kind === "dots") ctx.fill(path);
  else ctx.stroke(path);
}

/** @param {import("./shapes.js").Shape} s */
function pathOf({ kind, at, width }) {
  const path = new Path2D();
  for (let i = 0; i < at.length; i += 2) {
    const x = at[i];
    const y = at[i + 1];
    if (kind === "dots") {
      path.moveTo(x + width, y);
      path.arc(x, y, width, 0, 2 * Math.PI);
    } else if (kind === "crosses") {
      path.moveTo(x - width, y - width);
      path.lineTo(x + width, y + width);
      path.moveTo(x + width, y - width);
      path.lineTo(x - width, y + width);
    } else if (i === 0 || (kind === "bars" && i % 4 === 0)) path.moveTo(x, y);
    else path.lineTo(x, y);
  }
  return path;
}
