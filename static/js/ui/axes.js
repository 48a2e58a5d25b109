// The frame that all charts share: steps below, values at the left, every label whole.
import { axisLabels, integer } from "./numbers.js";

const digit = 6.2; // the width of a digit of the axes' font, in CSS pixels

/** @returns {string} */
export function axisFont() {
  return `11px ${getComputedStyle(document.body).fontFamily}`;
}

/**
 * Padding and axes for uPlot.
 * @param {{axis: () => string, grid: () => string, power: () => number}} look colours, and what values were divided by
 */
export function frame(look) {
  const font = axisFont();
  const axis = { stroke: look.axis, grid: { stroke: look.grid, width: 1 }, ticks: { show: false }, font, labelFont: font };
  return {
    padding: [10, rightPadding, 0, 0],
    axes: [
      { ...axis, size: 34, space: 70, gap: 6, label: "step", labelSize: 16, labelGap: -2, values: (/** @type {any} */ _, /** @type {number[]} */ v) => v.map((n) => (Number.isInteger(n) ? integer(n) : "")) },
      {
        ...axis,
        gap: 6,
        space: 36,
        size: (/** @type {any} */ _, /** @type {string[]|null} */ labels) => Math.max(60, Math.ceil(Math.max(0, ...(labels || []).map((l) => l.length)) * digit) + 14),
        values: (/** @type {any} */ _, /** @type {number[]} */ v, /** @type {number} */ _axis, /** @type {number} */ _space, /** @type {number} */ step) => axisLabels(v, step, look.power()),
      },
    ],
  };
}

/**
 * Room for the half of the last step's label that may stand right of the curves.
 * @param {any} u
 */
function rightPadding(u) {
  const last = u.scales.x?.max;
  return Number.isFinite(last) ? Math.max(16, Math.ceil((integer(last).length * digit) / 2) + 6) : 16;
}

/**
 * A range with a little air, never of no height.
 * @param {number|null} low
 * @param {number|null} high
 * @returns {[number, number]}
 */
export function span(low, high) {
  if (low === null || high === null) return [0, 1];
  if (low === high) {
    const air = Math.abs(low) * 0.1 || 1;
    return [low - air, high + air];
  }
  const air = (high - low) * 0.08;
  return [low >= 0 ? Math.max(0, low - air) : low - air, high + air];
}

/**
 * A column as it is drawn.
 * @param {(number|null|undefined)[]} column
 * @param {number} power
 */
export function scaled(column, power) {
  if (power === 0) return column;
  const by = 10 ** power;
  return column.map((v) => (v === null || v === undefined ? v : v / by));
}
