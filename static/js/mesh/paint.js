// Draws a window of a mesh's timeline: a strip of how many workers there are, a lane per worker, and the time below.
import { axisFont } from "../charts/axes.js";
import { colour } from "../charts/palette.js";

/**
 * @typedef {{number: number, attempt: number, step: number, start: number, end: number, workers: number, straggler: number,
 *   cost: number, reduce: number, syncs?: number[]}} Round times in Unix milliseconds, cost and reduce in seconds
 * @typedef {{version: number, same?: boolean, start: number, end: number, from: number, to: number, total: number,
 *   lanes: {rank: number, node?: string}[], rounds?: Round[], spans?: {lane: number, state: number, from: number, to: number}[],
 *   columns?: number, cells?: string}} Window as GET /runs/{id}/mesh/timeline answers
 * @typedef {{left: number, top: number, width: number, height: number, lane: number, from: number, to: number}} Frame where lanes are, in pixels, and the time that they show
 */

export const states = ["absent", "compute", "wait", "all-reduce", "recovery", "alone"];
const tokens = ["--surface-2", "--mesh-compute", "--mesh-wait", "--mesh-sync", "--mesh-recovery", "--mesh-alone"];
export const drawn = states.length - 1; // states that columns have a share of

const strip = 26;
const axis = 22;
const gutter = 44;
const roomy = 11; // pixels of a lane from which on it has its label

/**
 * How high lanes are: all in sight where they can be.
 * @param {number} lanes
 */
export function laneHeight(lanes) {
  return Math.max(2, Math.min(24, Math.floor(480 / Math.max(1, lanes))));
}

/** @param {number} lanes */
export function heightOf(lanes) {
  return strip + lanes * laneHeight(lanes) + axis;
}

/**
 * @param {number} width of the canvas, in CSS pixels
 * @param {number} lanes
 * @param {{from: number, to: number}} shown
 * @returns {Frame}
 */
export function frameOf(width, lanes, shown) {
  const lane = laneHeight(lanes);
  return { left: gutter, top: strip, width: Math.max(1, width - gutter - 8), height: lanes * lane, lane, from: shown.from, to: shown.to };
}

/**
 * @param {Frame} f
 * @param {number} time
 */
export function xOf(f, time) {
  return f.left + ((time - f.from) / (f.to - f.from)) * f.width;
}

/**
 * @param {Frame} f
 * @param {number} x
 */
export function timeAt(f, x) {
  return f.from + ((x - f.left) / f.width) * (f.to - f.from);
}

/**
 * The parts of a lane in a round: when it came, and when the all-reduce began.
 * @param {Round} r
 * @param {number} sync as in Round.syncs
 * @returns {{came: number, reduce: number, failed: boolean}|null} null where it took no part
 */
export function partsOf(r, sync) {
  if (sync === -1) return null;
  if (sync < -1) return { came: sync === -2 ? r.start : Math.max(r.start, r.end + sync + 2), reduce: r.end, failed: true };
  const took = Math.min(sync, r.end - r.start);
  return { came: r.end - took, reduce: r.end - Math.min(r.reduce * 1000, took), failed: false };
}

/** @type {WeakMap<Window, Uint8Array>} */
const decoded = new WeakMap();

/**
 * The shares of states in columns.
 * @param {Window} w
 * @returns {Uint8Array|null}
 */
export function cellsOf(w) {
  if (!w.cells) return null;
  let out = decoded.get(w);
  if (!out) {
    const text = atob(w.cells);
    out = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) out[i] = text.charCodeAt(i);
    decoded.set(w, out);
  }
  return out;
}

/**
 * @param {CanvasRenderingContext2D} c
 * @param {Frame} f
 * @param {Window} w
 * @param {CanvasImageSource|null} picture of columns, from pictureOf
 */
export function paint(c, f, w, picture) {
  const width = f.left + f.width + 8;
  c.clearRect(0, 0, width, f.top + f.height + axis);
  c.fillStyle = colour(tokens[0]);
  c.fillRect(f.left, f.top, f.width, f.height);
  c.save();
  c.beginPath();
  c.rect(f.left, 0, f.width, f.top + f.height);
  c.clip();
  if (picture) {
    c.imageSmoothingEnabled = false;
    c.drawImage(picture, xOf(f, w.from), f.top, xOf(f, w.to) - xOf(f, w.from), f.height);
  } else {
    paintRounds(c, f, w);
  }
  paintMembers(c, f, w);
  c.restore();
  paintLabels(c, f, w);
}

/**
 * @param {CanvasRenderingContext2D} c
 * @param {Frame} f
 * @param {Window} w
 */
function paintRounds(c, f, w) {
  /** @type {number[][]} rectangles by state: x, y and width */
  const rects = states.map(() => []);
  /** @param {number} state @param {number} lane @param {number} from @param {number} to */
  const add = (state, lane, from, to) => {
    const x = xOf(f, from);
    const wide = xOf(f, to) - x;
    if (wide > 0) rects[state].push(x, f.top + lane * f.lane, wide);
  };
  for (const s of w.spans || []) add(s.state, s.lane, s.from, s.to);
  for (const r of w.rounds || []) {
    r.syncs?.forEach((sync, lane) => {
      const p = partsOf(r, sync);
      if (!p) return;
      add(1, lane, r.start, p.came);
      add(p.failed ? 5 : 2, lane, p.came, p.reduce);
      add(3, lane, p.reduce, r.end);
    });
  }
  const high = f.lane > 3 ? f.lane - 1 : f.lane;
  rects.forEach((list, state) => {
    c.fillStyle = colour(tokens[state]);
    for (let i = 0; i < list.length; i += 3) c.fillRect(list[i], list[i + 1], Math.max(list[i + 2], 0.5), high);
  });
  if (f.lane < 5) return;
  c.fillStyle = colour("--text"); // who came last, and when
  for (const r of w.rounds || []) {
    const lane = w.lanes.findIndex((l) => l.rank === r.straggler);
    const p = lane >= 0 && r.syncs ? partsOf(r, r.syncs[lane]) : null;
    if (p && xOf(f, r.end) - xOf(f, r.start) > 16) c.fillRect(xOf(f, p.came) - 1, f.top + lane * f.lane, 2, high);
  }
}

/**
 * How many workers there are, over time.
 * @param {CanvasRenderingContext2D} c
 * @param {Frame} f
 * @param {Window} w
 */
function paintMembers(c, f, w) {
  const of = Math.max(1, w.lanes.length);
  const y = (/** @type {number} */ n) => strip - 5 - (strip - 9) * (n / of);
  c.fillStyle = colour("--mesh-compute");
  if (w.rounds) {
    for (const r of w.rounds) c.fillRect(xOf(f, r.start), y(r.workers), Math.max(0.5, xOf(f, r.end) - xOf(f, r.start)), strip - 5 - y(r.workers));
    return;
  }
  for (const [i, n] of membersOf(w).entries()) {
    const x = xOf(f, w.from + ((w.to - w.from) * i) / (w.columns || 1));
    c.fillRect(x, y(n), xOf(f, w.from + ((w.to - w.from) * (i + 1)) / (w.columns || 1)) - x, strip - 5 - y(n));
  }
}

/** @type {WeakMap<Window, number[]>} */
const members = new WeakMap();

/** @param {Window} w */
function membersOf(w) {
  let out = members.get(w);
  if (!out) {
    const columns = w.columns || 0;
    const cells = cellsOf(w) || new Uint8Array(0);
    out = new Array(columns).fill(0);
    for (let i = 0; i * drawn < cells.length; i++) for (let s = 0; s < drawn; s++) out[i % columns] += cells[i * drawn + s] / 255;
    members.set(w, out);
  }
  return out;
}

/**
 * A pixel for each lane and column, in the mixture of its states' colours.
 * @param {Window} w
 * @returns {HTMLCanvasElement|null}
 */
export function pictureOf(w) {
  const cells = cellsOf(w);
  if (!cells || !w.columns) return null;
  const canvas = document.createElement("canvas");
  canvas.width = w.columns;
  canvas.height = w.lanes.length;
  const c = canvas.getContext("2d", { willReadFrequently: true });
  if (!c) return null;
  const rgb = tokens.map((token) => {
    c.fillStyle = colour(token);
    c.fillRect(0, 0, 1, 1);
    return c.getImageData(0, 0, 1, 1).data;
  });
  const image = c.createImageData(canvas.width, canvas.height);
  for (let i = 0; i * drawn < cells.length; i++) {
    let rest = 255;
    let r = 0;
    let g = 0;
    let b = 0;
    for (let s = 0; s < drawn; s++) {
      const share = cells[i * drawn + s];
      if (!share) continue;
      rest -= share;
      r += share * rgb[s + 1][0];
      g += share * rgb[s + 1][1];
      b += share * rgb[s + 1][2];
    }
    rest = Math.max(0, rest);
    image.data[i * 4] = (r + rest * rgb[0][0]) / 255;
    image.data[i * 4 + 1] = (g + rest * rgb[0][1]) / 255;
    image.data[i * 4 + 2] = (b + rest * rgb[0][2]) / 255;
    image.data[i * 4 + 3] = 255;
  }
  c.putImageData(image, 0, 0);
  return canvas;
}

const ticks = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800, 2592000];

/**
 * @param {CanvasRenderingContext2D} c
 * @param {Frame} f
 * @param {Window} w
 */
function paintLabels(c, f, w) {
  c.fillStyle = colour("--chart-axis");
  c.font = axisFont();
  c.textBaseline = "middle";
  c.textAlign = "right";
  const every = Math.max(1, Math.ceil(roomy / f.lane));
  w.lanes.forEach((l, i) => {
    if (i % every === 0) c.fillText(String(l.rank), f.left - 6, f.top + i * f.lane + Math.max(f.lane, roomy) / 2);
  });
  c.fillText(String(w.lanes.length), f.left - 6, 8);
  c.textAlign = "center";
  const least = ((f.to - f.from) / 1000 / f.width) * 90;
  const step = (ticks.find((t) => t >= least) || ticks[ticks.length - 1]) * 1000;
  const zone = new Date(f.from).getTimezoneOffset() * 60000;
  for (let t = Math.ceil((f.from - zone) / step) * step + zone; t <= f.to; t += step) {
    const x = xOf(f, t);
    c.fillRect(Math.round(x), f.top + f.height, 1, 4);
    if (x > f.left + 24 && x < f.left + f.width - 24) c.fillText(clock(t, step), x, f.top + f.height + 13);
  }
}

/**
 * @param {number} time
 * @param {number} step between ticks
 */
function clock(time, step) {
  const d = new Date(time);
  if (step >= 86400000) return d.toLocaleDateString(undefined, { month: "short", day: "numeric" });
  const two = (/** @type {number} */ n) => String(n).padStart(2, "0");
  return `${two(d.getHours())}:${two(d.getMinutes())}${step < 60000 ? `:${two(d.getSeconds())}` : ""}`;
}
