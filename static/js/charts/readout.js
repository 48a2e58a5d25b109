// What stands beside the crosshair: the exact value, and what it is of.
import { integer, number } from "../ui/numbers.js";
import { xText } from "./axes.js";
import { bounds, lastColumn, nearest } from "./curve.js";

/**
 * @typedef {{curve: import("./curve.js").Curve, i: number}} Spot a column of a curve
 */

/**
 * The spot that the pointer is at: of the curve that is nearest in height, where there are several.
 * @param {import("./curve.js").Curve[]} curves
 * @param {number} x
 * @param {(value: number) => number} [distance] in pixels, from a value; without it the first curve is meant
 * @returns {Spot|null}
 */
export function spotAt(curves, x, distance) {
  /** @type {Spot|null} */
  let best = null;
  let least = Infinity;
  for (const curve of curves) {
    if (curve.hidden) continue;
    const i = nearest(curve, x);
    if (i < 0) continue;
    const value = curve.series.value[i];
    const far = value === null ? 1e9 : distance ? distance(value) : 0;
    if (far < least) {
      least = far;
      best = { curve, i };
    }
  }
  return best;
}

/**
 * The newest spot of the first curve.
 * @param {import("./curve.js").Curve[]} curves
 * @returns {Spot|null}
 */
export function lastSpot(curves) {
  for (const curve of curves) {
    const i = lastColumn(curve);
    if (i >= 0 && !curve.hidden) return { curve, i };
  }
  return null;
}

const readable = 7; // significant digits: floats have up to 17

/**
 * A value at a spot.
 * @param {Spot} s
 */
export function valueText({ curve, i }) {
  const value = curve.series.value[i];
  return value === null ? exactText({ curve, i }) : signed(Number(value.toPrecision(readable)));
}

/**
 * A value at a spot as it was sent, not rounded.
 * @param {Spot} s
 */
export function exactText({ curve, i }) {
  const value = curve.series.value[i];
  return value === null ? curve.odd.get(i) || "–" : signed(value);
}

/** @param {number} v */
function signed(v) {
  return String(v).replace("e+", "e").replace("-", "−");
}

/**
 * What a spot is of: its steps, and the lowest and highest value there.
 * @param {Spot} s
 * @param {{x: string, kind: import("./axes.js").Kind, smoothed: boolean}} how
 */
export function placeText({ curve, i }, { x, kind, smoothed }) {
  const { series } = curve;
  const parts = [];
  if (kind === "time") parts.push(`at ${xText("time", curve.x[i])}`);
  else if (kind === "elapsed") parts.push(`after ${xText("elapsed", curve.x[i])}`);
  else if (kind === "number") parts.push(`at ${number(curve.x[i])} ${x}`);
  if (!series.clock) parts.push(`${parts.length > 0 ? "" : series.width > 1 ? "mean of " : "at "}${stepsText(series, i)}`);
  if (smoothed) parts.push("smoothed");
  const [low, high] = bounds(curve, i);
  const raw = smoothed ? "raw " : "";
  if (low !== null && high !== null && low !== high) parts.push(`${raw}${number(low)} to ${number(high)}`);
  else if (raw && low !== null && low !== series.value[i]) parts.push(raw + number(low));
  const odd = curve.odd.get(i);
  if (odd && series.value[i] !== null) parts.push(`holds ${odd}`);
  return parts.join(" · ");
}

/**
 * The steps of a column.
 * @param {import("./curve.js").Series} s
 * @param {number} i
 */
function stepsText(s, i) {
  if (s.width === 1) return `step ${integer(s.step[i])}`;
  if (i === s.step.length - 1) return `steps from ${integer(s.step[i])}`; // as far as there are any
  return `steps ${integer(s.step[i])}–${integer((Math.floor(s.step[i] / s.width) + 1) * s.width - 1)}`;
}

/**
 * A chart in a sentence, for who does not see it.
 * @param {string} title
 * @param {import("./curve.js").Curve[]} curves
 * @param {{x: string, kind: import("./axes.js").Kind, smoothed: boolean}} how
 */
export function describe(title, curves, how) {
  const spot = lastSpot(curves);
  if (!spot) return `${title}: no data`;
  const points = curves.reduce((sum, c) => sum + c.series.points, 0);
  const of = curves.length > 1 ? `${curves.length} curves, ${integer(points)} points` : `${integer(points)} points`;
  return `${title}: ${of}, last ${valueText(spot)} ${placeText(spot, how)}`;
}
