// Example data for the page of components.
import { startCharts } from "./runs/chart.js";

export function startGallery() {
  const root = document.querySelector("[data-example-charts]");
  if (!root) return;
  const steps = Array.from({ length: 200 }, (_, i) => i + 1);
  const mean = steps.map((s) => 1.5 + 6 * Math.exp(-s / 40) + 0.1 * Math.sin(s / 3));
  for (const chart of startCharts(root)) {
    chart.markEvery = 25;
    chart.replace({ steps, series: { loss: { mean, min: mean.map((v) => v * 0.96), max: mean.map((v) => v * 1.04) } } });
  }
}
