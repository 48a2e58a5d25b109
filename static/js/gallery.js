// Example data for the page of components.
import { Board } from "./charts/board.js";
import { curveOf } from "./charts/curve.js";

const steps = Array.from({ length: 200 }, (_, i) => i + 1);

/**
 * @param {string} metric
 * @param {number} slot
 */
function example(metric, slot) {
  const value = steps.map((s) => (s === 150 && slot === 0 ? null : 1.5 + slot / 4 + 6 * Math.exp(-s / (40 + 3 * slot)) + 0.1 * Math.sin(s / 3)));
  const spread = metric === "loss" ? { min: value.map((v) => v && v * 0.96), max: value.map((v) => v && v * 1.04) } : {};
  return curveOf({ metric, worker: -1, width: 1, points: steps.length, step: steps, value, odd: slot === 0 ? [[149, "NaN"]] : [], ...spread }, { key: String(slot), name: `curve ${slot + 1}`, slot });
}

export function startGallery() {
  const root = document.querySelector("[data-example-charts]");
  if (!(root instanceof HTMLElement)) return;
  const board = new Board({
    source: {
      load: async ({ metrics: [metric] }) => ({ curves: metric === "none" ? [] : Array.from({ length: metric === "many" ? 12 : 1 }, (_, i) => example(metric, i)), tag: "" }),
    },
    syncEvery: 25,
    marks: async () => [{ step: 80, kind: "restart", text: "attempt 2" }, { step: 120, kind: "checkpoint", text: "saved" }],
  });
  board.scan(root);
}
