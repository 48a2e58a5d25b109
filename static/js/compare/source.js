// The curves of several runs or groups in one answer.
import { curveOf } from "../charts/curve.js";
import { answered, get } from "../charts/load.js";
import { shades } from "../charts/palette.js";

/** @typedef {{name: string, slot: number, shade: number|null}} Look of a line; by shade where there are too many for a look each */

/**
 * @param {() => string} url of the series, with the runs
 * @param {Map<string, Look>} looks by key
 * @param {number} [columns] of whole curves, where there are so many lines that a chart's width does not decide
 * @returns {import("../charts/load.js").Source}
 */
export function linesSource(url, looks, columns = 0) {
  return {
    async load(ask, tag, signal) {
      const px = columns > 0 && ask.from === null ? columns : ask.px;
      const { body, tag: next } = await get(url(), { ...ask, px, workers: "all", replaced: 0 }, tag, signal);
      if (!body) return null;
      const curves = [];
      for (const { key, answer } of body.lines) {
        const look = looks.get(key);
        if (!look) continue; // a run that the page does not have yet
        const thin = look.shade !== null;
        for (const s of answer.series) {
          curves.push({ ...curveOf(s, { key, name: look.name, slot: look.shade === null ? look.slot : shades + look.shade, seconds: s.clock && ask.x === "step" }), thin });
        }
      }
      return answered(curves, ask.x, next, body.lines.find((/** @type {any} */ l) => l.answer.missing)?.answer.missing);
    },
  };
}
