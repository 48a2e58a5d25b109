// Colours and dashes of curves by index: 8 colours that people who see fewer tell apart, then the same with other dashes.
import { tokenColour } from "../ui/theme.js";

const colours = 8; // --series-1 to --series-8
export const shades = 1000; // slots from here on are colours that stand for values, --shade-1 to --shade-8
const dashes = [[], [7, 4], [2, 3], [9, 3, 2, 3]];

/** @type {Map<string, string>} asking the browser at each redraw would cost more than drawing */
const known = new Map();
document.addEventListener("themechange", () => known.clear());

/** @param {string} token such as "--chart-grid" */
export function colour(token) {
  let c = known.get(token);
  if (c === undefined) known.set(token, (c = tokenColour(token)));
  return c;
}

/** @param {number} slot of a curve, -1 for a plan */
export function strokeOf(slot) {
  if (slot < 0) return colour("--muted");
  return colour(slot < shades ? `--series-${(slot % colours) + 1}` : `--shade-${slot - shades + 1}`);
}

/** @param {number} slot */
export function dashOf(slot) {
  if (slot >= shades) return dashes[0];
  return slot < 0 ? dashes[1] : dashes[Math.floor(slot / colours) % dashes.length];
}

/**
 * The class of a swatch in the look of a curve, as charts.css has it.
 * @param {number} slot
 */
export function swatchOf(slot) {
  return slot < 0 ? "swatch swatch-plan" : `swatch swatch-${(slot % colours) + 1} swatch-dash-${Math.floor(slot / colours) % dashes.length}`;
}
