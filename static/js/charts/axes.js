// The axes of charts: the axis below says steps, numbers, times or durations, the one at the left values; every label is whole.
import { axisLabels, duration, integer, number } from "../ui/numbers.js";
import { colour } from "./palette.js";

/** @typedef {"step"|"number"|"time"|"elapsed"} Kind of the x axis */

const digit = 6.2; // the width of a digit of the axes' font, in CSS pixels
const wanted = 70; // pixels between labels below

/** @returns {string} */
export function axisFont() {
  return `11px ${getComputedStyle(document.body).fontFamily}`;
}

/**
 * Padding and axes for uPlot.
 * @param {() => {kind: Kind, label: string, power: number, logX: boolean, logY: boolean}} look power: values are drawn divided by 10 to it
 * @param {(axis: "x"|"y", splits: number[], labels: string[]) => void} drawn is told of each axis's labels
 */
export function frame(look, drawn) {
  const font = axisFont();
  const axis = { stroke: () => colour("--chart-axis"), grid: { stroke: () => colour("--chart-grid"), width: 1 }, ticks: { show: false }, font, labelFont: font };
  return {
    padding: [14, (/** @type {any} */ u) => rightPadding(u, look().kind), 0, 0],
    axes: [
      {
        ...axis,
        size: 21,
        space: wanted,
        gap: 6,
        label: () => look().label,
        labelSize: 15,
        labelGap: 0,
        values: (/** @type {any} */ _, /** @type {number[]} */ v, /** @type {number} */ __, /** @type {number} */ ___, /** @type {number} */ step) => {
          const labels = xLabels(look().kind, v, step, look().logX);
          drawn("x", v, labels);
          return labels;
        },
        splits: (/** @type {any} */ u, /** @type {number} */ _, /** @type {number} */ min, /** @type {number} */ max, /** @type {number} */ step, /** @type {number} */ space) => splits(look(), u, min, max, step, space),
        filter: (/** @type {any} */ _, /** @type {number[]} */ v) => v,
      },
      {
        ...axis,
        gap: 6,
        space: 36,
        splits: (/** @type {any} */ _, /** @type {number} */ __, /** @type {number} */ min, /** @type {number} */ max, /** @type {number} */ step) => (look().logY ? logSplits(min, max) : multiples(min, max, step)),
        size: (/** @type {any} */ _, /** @type {string[]|null} */ labels) => Math.max(60, Math.ceil(Math.max(0, ...(labels || []).map((l) => (l || "").length)) * digit) + 14),
        filter: (/** @type {any} */ _, /** @type {number[]} */ v) => v,
        values: (/** @type {any} */ _, /** @type {number[]} */ v, /** @type {number} */ __, /** @type {number} */ ___, /** @type {number} */ step) => {
          const labels = !look().logY ? axisLabels(v, step, look().power) : isEven(v) ? axisLabels(v, v[1] - v[0]) : logLabels(v);
          drawn("y", v, labels);
          return labels;
        },
      },
    ],
  };
}

const clock = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];

/**
 * Where labels below stand: at round durations and times of day, at what uPlot finds elsewhere.
 * @param {{kind: Kind, logX: boolean}} look
 * @param {any} u
 * @param {number} min
 * @param {number} max
 * @param {number} step
 * @param {number} space
 */
function splits({ kind, logX }, u, min, max, step, space) {
  if (logX) return logSplits(min, max);
  let by = step;
  if (kind === "time" || kind === "elapsed") {
    const least = ((max - min) * space) / Math.max(1, u.bbox.width / devicePixelRatio);
    by = clock.find((c) => c >= least) || Math.ceil(least / 86400) * 86400;
  }
  const offset = kind === "time" ? new Date(min * 1000).getTimezoneOffset() * 60 : 0;
  return multiples(min - offset, max - offset, by).map((v) => v + offset);
}

/**
 * @param {number} min
 * @param {number} max
 * @param {number} step
 */
function multiples(min, max, step) {
  const out = [];
  for (let i = Math.ceil(min / step); i * step <= max && out.length < 100; i++) out.push(i * step);
  return out;
}

/**
 * Whether labels are as far apart in value as multiples are: a log scale of less than half a decade has such.
 * @param {number[]} v
 */
function isEven(v) {
  return v.length > 2 && Math.abs(v[2] - v[1] - (v[1] - v[0])) < 1e-6 * v[0];
}

/**
 * Powers of ten, and where there are few, what lies between: in less than half a decade, even steps.
 * @param {number} min above 0
 * @param {number} max
 */
export function logSplits(min, max) {
  const out = [];
  const decades = Math.log10(max / min);
  if (decades < 0.5) {
    const rough = (max - min) / 4;
    const power = 10 ** Math.floor(Math.log10(rough));
    return multiples(min, max, [1, 2, 5, 10].map((s) => s * power).find((s) => s >= rough) || rough);
  }
  const every = Math.max(1, Math.ceil(decades / 8));
  const steps = decades < 1 ? [1, 2, 3, 4, 5, 6, 7, 8, 9] : decades < 3 ? [1, 2, 5] : [1];
  for (let e = Math.floor(Math.log10(min)); 10 ** e <= max; e += every) {
    for (const s of steps) {
      const v = Number(`${s}e${e}`);
      if (v >= min && v <= max) out.push(v);
    }
  }
  return out;
}

/**
 * @param {(number|null)[]} values
 * @returns {string[]}
 */
function logLabels(values) {
  return values.map((v) => (v === null ? "" : v >= 1e-4 && v < 1e15 ? axisLabels([v], v)[0] : v.toExponential(0).replace("e+", "e")));
}

/**
 * @param {Kind} kind
 * @param {number[]} values
 * @param {number} step
 * @param {boolean} log
 */
function xLabels(kind, values, step, log) {
  switch (kind) {
    case "step":
      return values.map((n) => (Number.isInteger(n) ? (Math.abs(n) >= 1e7 ? number(n) : integer(n)) : ""));
    case "time":
      return timeLabels(values);
    case "elapsed":
      return values.map((v) => (v < 0 ? "" : duration(v)));
  }
  return log ? logLabels(values) : axisLabels(values, step);
}

/**
 * Times of day in the reader's zone, and the day where it is another than at the label before.
 * @param {number[]} values Unix seconds
 */
function timeLabels(values) {
  let day = "";
  const fine = values.length > 1 && values[1] - values[0] < 60;
  return values.map((v) => {
    const at = new Date(v * 1000);
    const date = at.toLocaleDateString("en", { month: "short", day: "numeric" });
    const time = at.toLocaleTimeString("en", { hour: "2-digit", minute: "2-digit", second: fine ? "2-digit" : undefined, hourCycle: "h23" });
    const label = date === day ? time : time === "00:00" ? date : `${date} ${time}`;
    day = date;
    return label;
  });
}

/**
 * A place of the x axis in words.
 * @param {Kind} kind
 * @param {number} v
 */
export function xText(kind, v) {
  switch (kind) {
    case "step":
      return integer(v);
    case "time":
      return new Date(v * 1000).toLocaleString("en", { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
    case "elapsed":
      return duration(v);
  }
  return String(v);
}

/**
 * Room for the half of the last label that may stand right of the curves.
 * @param {any} u
 * @param {Kind} kind
 */
function rightPadding(u, kind) {
  const last = u.scales.x?.max;
  if (kind !== "step") return 24;
  return Number.isFinite(last) ? Math.max(16, Math.ceil((integer(last).length * digit) / 2) + 6) : 16;
}

/**
 * A range with a little air, never of no height.
 * @param {number|null} low
 * @param {number|null} high
 * @param {boolean} [log]
 * @returns {[number, number]}
 */
export function span(low, high, log = false) {
  if (low === null || high === null) return log ? [0.1, 1] : [0, 1];
  if (log) return low === high ? [low / 2, high * 2] : [low * (low / high) ** 0.04, high * (high / low) ** 0.04];
  if (low === high) {
    const air = Math.abs(low) * 0.1 || 1;
    return [low - air, high + air];
  }
  const air = (high - low) * 0.08;
  return [low >= 0 ? Math.max(0, low - air) : low - air, high + air];
}
