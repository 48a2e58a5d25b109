// The charts of a run's page.
import { Board } from "../charts/board.js";
import { runSource } from "../charts/load.js";
import { startMetrics } from "../metrics/show.js";
import { at } from "../ui/base.js";

/**
 * @param {HTMLElement} page
 * @returns {Board|null} null where the page has none
 */
export function startCurves(page) {
  if (!document.getElementById("chart-parts")) return null;
  const run = at(`/runs/${page.dataset.runId}`);
  const metrics = document.getElementById("metrics-page");
  const board = new Board({
    layout: metrics?.dataset.layout,
    plain: metrics?.dataset.saved !== undefined,
    source: runSource(`${run}/series`),
    syncEvery: Number(page.dataset.innerSteps || 0),
    logHref: (s) => logHref(`${run}/logs`, s),
    markHref: (m) => (m.event ? `${run}/events?before=${m.event + 1}#event-${m.event}` : `${run}/logs?step=${m.step}`),
    marks: async () => {
      const response = await fetch(`${run}/marks`, { headers: { Accept: "application/json" } });
      return response.ok ? (await response.json()).marks : [];
    },
  });
  if (metrics) startMetrics(board, metrics);
  board.scan(page);
  return board;
}

/**
 * Where the log is at a spot: at its step and worker, or at its time where it has no step.
 * @param {string} url
 * @param {import("../charts/readout.js").Spot} s
 */
function logHref(url, { curve, i }) {
  const p = new URLSearchParams();
  if (curve.series.clock) p.set("at", new Date(curve.series.step[i]).toISOString());
  else p.set("step", String(curve.series.step[i]));
  if (!curve.series.clock && !curve.series.formula && !curve.series.metric.startsWith("=")) p.set("metric", curve.series.metric);
  if (curve.series.worker >= 0) p.set("worker", String(curve.series.worker));
  return `${url}?${p}`;
}
