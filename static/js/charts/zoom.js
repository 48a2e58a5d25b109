// Zoom and pan of a chart: shift and drag, or keys while it has the focus. Dragging without shift is the plot's.
import { shifted } from "./view.js";

/**
 * @typedef {object} Zoomed a chart
 * @property {HTMLElement} area
 * @property {() => [number, number]|null} range      what of x is in sight
 * @property {(r: [number, number]|null) => void} zoom  null for all
 * @property {(columns: number) => void} step         moves the crosshair
 * @property {() => void} openLog                     at the crosshair
 * @property {() => void} fullScreen
 * @property {() => void} nextMark
 */

/** What keys do to the range in sight. */
const moves = /** @type {Record<string, Parameters<typeof shifted>[1]>} */ ({
  "+": { scale: 0.5 },
  "=": { scale: 0.5 },
  "-": { scale: 2 },
  "_": { scale: 2 },
  ArrowLeft: { move: -0.25 },
  ArrowRight: { move: 0.25 },
});

/** @param {Zoomed} chart */
export function attachZoom(chart) {
  chart.area.addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || e.target !== chart.area) return;
    if (!act(chart, e)) return;
    e.preventDefault();
    e.stopPropagation(); // not a shortcut of the page
  });
  chart.area.addEventListener("pointerdown", (e) => {
    if (e.shiftKey && e.button === 0) pan(chart, e);
  });
}

/**
 * @param {Zoomed} chart
 * @param {KeyboardEvent} e
 */
function act(chart, e) {
  if (e.shiftKey && (e.key === "ArrowLeft" || e.key === "ArrowRight")) {
    chart.step(e.key === "ArrowLeft" ? -1 : 1);
    return true;
  }
  const range = chart.range();
  const move = moves[e.key];
  if (move && range) {
    chart.zoom(shifted(range, move));
    return true;
  }
  switch (e.key) {
    case "0":
      chart.zoom(null);
      return true;
    case "Enter":
      chart.openLog();
      return true;
    case "f":
      chart.fullScreen();
      return true;
    case "m":
      chart.nextMark();
      return true;
  }
  return false;
}

/**
 * @param {Zoomed} chart
 * @param {PointerEvent} down
 */
function pan(chart, down) {
  const start = chart.range();
  const over = chart.area.querySelector(".u-over");
  if (!start || !over) return;
  down.preventDefault();
  const width = over.clientWidth;
  /** @param {PointerEvent} e */
  const move = (e) => chart.zoom(shifted(start, { move: (down.clientX - e.clientX) / width }));
  const end = () => {
    removeEventListener("pointermove", move);
    chart.area.classList.remove("chart-panning");
  };
  chart.area.classList.add("chart-panning");
  addEventListener("pointermove", move);
  addEventListener("pointerup", end, { once: true });
  addEventListener("pointercancel", end, { once: true });
}
