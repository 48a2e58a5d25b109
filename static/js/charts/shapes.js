// Curves as shapes in pixels, which the canvas paints and an SVG writes. Pure.
import { bounds } from "./curve.js";

/**
 * @typedef {object} Shape
 * @property {"line"|"area"|"bars"|"dots"|"crosses"} kind  bars join two points each
 * @property {number[]} at     x and y of each point in turn, in CSS pixels from the top left of the plot
 * @property {number} slot     of the curve
 * @property {number} alpha
 * @property {number} width    of the line, radius of dots
 * @property {Path2D} [path]   once it was painted
 *
 * @typedef {{log: boolean, min: number, max: number, size: number, flip?: boolean}} Scale
 */

const farthest = 1e6; // pixels: further out, canvases draw nonsense
const sparse = 10; // pixels between points from which each has a dot

/**
 * The pixel of a value on a scale.
 * @param {Scale} s
 * @returns {(v: number) => number}
 */
export function placeOn({ log, min, max, size, flip = false }) {
  const low = log ? Math.log10(min) : min;
  const by = size / ((log ? Math.log10(max) : max) - low);
  return (v) => {
    const p = ((log ? Math.log10(v) : v) - low) * by;
    const q = flip ? size - p : p;
    return q < -farthest ? -farthest : q > farthest ? farthest : q;
  };
}

/**
 * @param {import("./curve.js").Curve} c
 * @param {Scale} xs
 * @param {Scale} ys
 * @param {{smoothed: boolean, power: number}} how smoothed: the lowest and highest values are those of the raw curve
 * @returns {Shape[]}
 */
export function shapesOf(c, xs, ys, { smoothed, power }) {
  const sx = placeOn(xs);
  const sy = placeOn(ys);
  const by = 10 ** power;
  const dim = c.faint ? 0.25 : 1;
  const wide = Boolean(c.series.min);
  const raw = c.series.width === 1 && wide && smoothed;
  const out = /** @type {Shape[]} */ ([]);
  const [first, end] = inSight(c, xs);
  const dotted = c.slot >= 0 && !c.thin && xs.size > sparse * (end - first);
  /** @type {number[]} */
  let line = [];
  /** @type {number[]} */
  let top = [];
  /** @type {number[]} */
  let bottom = [];
  const dots = [];
  const crosses = [];
  const bars = [];
  const close = () => {
    if (!c.ascending) {
      for (let i = 0; i < top.length; i += 2) bars.push(top[i], top[i + 1], bottom[i], bottom[i + 1]);
    } else if (wide && !c.thin && top.length > 2) {
      out.push({ kind: "area", at: top.concat(reversed(bottom)), slot: c.slot, alpha: (smoothed ? 0.1 : 0.2) * dim, width: 0 });
      for (const edge of raw ? [top] : [top, bottom]) out.push({ kind: "line", at: edge, slot: c.slot, alpha: (smoothed ? 0.32 : 0.45) * dim, width: 1 });
    }
    const joined = line.length > 2 && c.ascending;
    if (joined) out.push({ kind: "line", at: line, slot: c.slot, alpha: dim, width: c.thin ? (c.faint ? 0.75 : 1) : c.slot < 0 ? 1.25 : 1.75 });
    if (!joined || dotted) dots.push(...line);
    [line, top, bottom] = [[], [], []];
  };
  let before = NaN;
  for (let i = first; i < end; i++) {
    const at = c.x[i];
    if (Number.isNaN(at) || (xs.log && at <= 0)) continue;
    const step = c.series.step[i];
    if (step - before > c.gap) close();
    before = step;
    const x = sx(at);
    if (c.odd.has(i)) crosses.push(x, ys.size - 5);
    const value = c.series.value[i];
    if (value === null || (ys.log && value <= 0)) {
      close();
      continue;
    }
    const [low, high] = bounds(c, i);
    if (c.thin && wide && !smoothed && low !== null && high !== null && !(ys.log && low <= 0)) {
      line.push(x, sy(low / by), x, sy(high / by));
      continue;
    }
    line.push(x, sy(value / by));
    if (!wide || c.thin) continue;
    bottom.push(x, sy(ys.log && (low ?? value) <= 0 ? ys.min : (low ?? value) / by));
    top.push(x, sy((high ?? value) / by));
  }
  close();
  if (bars.length > 0) out.push({ kind: "bars", at: bars, slot: c.slot, alpha: (smoothed ? 0.32 : 0.45) * dim, width: 1 });
  if (dots.length > 0) out.push({ kind: "dots", at: dots, slot: c.slot, alpha: dim, width: 2 });
  if (crosses.length > 0) out.push({ kind: "crosses", at: crosses, slot: c.slot, alpha: dim, width: 4 });
  return out;
}

/**
 * The columns in sight and one on either side, so that lines reach the edges.
 * @param {import("./curve.js").Curve} c
 * @param {Scale} xs
 * @returns {[number, number]}
 */
function inSight(c, xs) {
  if (!c.ascending || c.holes) return [0, c.x.length];
  let first = c.x.findIndex((x) => x >= xs.min);
  if (first < 0) first = c.x.length;
  let end = first;
  while (end < c.x.length && c.x[end] <= xs.max) end++;
  return [Math.max(0, first - 1), Math.min(c.x.length, end + 1)];
}

/**
 * Points in the opposite order.
 * @param {number[]} at
 */
function reversed(at) {
  const out = [];
  for (let i = at.length - 2; i >= 0; i -= 2) out.push(at[i], at[i + 1]);
  return out;
}
