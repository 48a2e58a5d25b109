// What a spot of a mesh's timeline says.
import { number } from "../ui/numbers.js";
import { drawn, partsOf, states } from "./paint.js";

/** @typedef {import("./paint.js").Window} Window */
/** @typedef {{lane: number, round: import("./paint.js").Round|null, column: number}} Spot */

/** @param {number} seconds */
export function span(seconds) {
  if (seconds < 1) return `${number(seconds * 1000)} ms`;
  if (seconds < 600) return `${number(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 120 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}

/**
 * What is at a time, in a lane.
 * @param {Window} w
 * @param {number} lane
 * @param {number} time
 * @returns {Spot}
 */
export function spotAt(w, lane, time) {
  const round = w.rounds?.find((r) => r.end >= time && r.start <= time) || null;
  const column = w.columns ? Math.max(0, Math.min(w.columns - 1, Math.floor(((time - w.from) / (w.to - w.from)) * w.columns))) : -1;
  return { lane, round, column };
}

/**
 * The lines of a spot.
 * @param {Window} w
 * @param {Spot} s
 * @param {Uint8Array|null} cells
 * @returns {string[]}
 */
export function describe(w, s, cells) {
  const lane = w.lanes[s.lane];
  if (!lane) return [];
  const lines = [`Worker ${lane.rank}${lane.node ? ` (${lane.node})` : ""}`];
  const r = s.round;
  if (r) lines.push(`Step ${r.step.toLocaleString("en-US")}${r.attempt > 1 ? `, attempt ${r.attempt}` : ""}: round ${r.number} of ${w.total.toLocaleString("en-US")}`);
  if (r?.syncs) {
    lines.push(did(r, s.lane));
  } else if (cells && s.column >= 0 && w.columns) {
    const at = (s.lane * w.columns + s.column) * drawn;
    const shares = states.slice(1).map((name, i) => [name, cells[at + i] / 255]);
    const some = shares.filter(([, v]) => Number(v) > 0.002).map(([name, v]) => `${name} ${number(Number(v) * 100)} %`);
    lines.push(`${span((w.to - w.from) / w.columns / 1000)} here: ${some.join(", ") || states[0]}. Zoom in for single rounds.`);
  }
  if (r) lines.push(r.straggler < 0 ? "Nobody waited" : `Straggler: worker ${r.straggler}, cost ${span(r.cost)} of all workers' time`);
  return lines;
}

/**
 * @param {import("./paint.js").Round} r
 * @param {number} lane
 */
function did(r, lane) {
  const p = r.syncs ? partsOf(r, r.syncs[lane]) : null;
  if (!p) return "absent";
  const seconds = (/** @type {number} */ ms) => span(Math.max(0, ms) / 1000);
  if (p.failed) return `compute ${seconds(p.came - r.start)}, then its all-reduce failed: alone`;
  return `compute ${seconds(p.came - r.start)}, wait ${seconds(p.reduce - p.came)}, all-reduce ${seconds(r.end - p.reduce)}`;
}
