// What a page of charts shows, and how the address says it: ?x=tokens&from=&to=&smooth=ema:0.9&log=loss&clip=1. Pure.

/**
 * @typedef {object} View
 * @property {string} x          step, tokens, time, elapsed, or a metric
 * @property {number|null} from  range of x, null where it is open
 * @property {number|null} to
 * @property {string} smooth     as the server reads it: ema:0.9, twema:600s, gauss:50, or ""
 * @property {string} workers    all, each, or a rank
 * @property {number} replaced   the attempt whose replaced part is shown too, 0 for none
 * @property {string[]} log      metrics on a log scale
 * @property {boolean} logx
 * @property {boolean} clip      outliers are left out of the y axis
 * @property {string[]} charts   those of the first row, in their order: names or formulas such as "=val_loss - loss"; none for the usual ones
 * @property {string[]} formulas charts after these
 */

/**
 * @param {URLSearchParams} p
 * @returns {View}
 */
export function readView(p) {
  return {
    x: p.get("x") || "step",
    from: numberOf(p.get("from")),
    to: numberOf(p.get("to")),
    smooth: p.get("smooth") || "",
    workers: p.get("workers") || "all",
    replaced: Number(p.get("replaced")) || 0,
    log: p.getAll("log"),
    logx: p.has("logx"),
    clip: p.has("clip"),
    charts: p.getAll("chart"),
    formulas: p.getAll("formula"),
  };
}

/** @param {string|null} text */
function numberOf(text) {
  const v = text ? Number(text) : NaN;
  return Number.isFinite(v) ? v : null;
}

const names = ["x", "from", "to", "smooth", "workers", "replaced", "logx", "clip", "log", "chart", "formula"];

/**
 * Writes a view into the parameters of an address; what is as usual is left out, and what is not of a view stays.
 * @param {View} v
 * @param {URLSearchParams} p
 * @param {boolean} [plain] the usual view is said, too
 */
export function writeView(v, p, plain = false) {
  for (const name of [...names, "plain"]) p.delete(name);
  /** @type {(name: string, value: string|number|null) => void} */
  const put = (name, value) => (value === null || value === "" ? undefined : p.append(name, String(value)));
  put("x", v.x === "step" ? "" : v.x);
  put("from", v.from);
  put("to", v.to);
  put("smooth", v.smooth);
  put("workers", v.workers === "all" ? "" : v.workers);
  put("replaced", v.replaced || "");
  put("logx", v.logx ? 1 : "");
  put("clip", v.clip ? 1 : "");
  for (const m of v.log) put("log", m);
  for (const c of v.charts) put("chart", c);
  for (const f of v.formulas) put("formula", f);
  if (plain && !names.some((name) => p.has(name))) p.append("plain", "1");
}

/**
 * What of a view is saved as a layout: all that is not of one run.
 * @param {View} v
 */
export function layoutOf(v) {
  const p = new URLSearchParams();
  writeView({ ...v, from: null, to: null, replaced: 0 }, p);
  return p.toString();
}

/** The kinds of smoothing: what their slider means from its first to its last notch, and how the amount is written. */
export const kernels = {
  ema: { low: 0.5, high: 0.999, weight: true, unit: "", hint: "weight of the past" },
  twema: { low: 1, high: 86400, weight: false, unit: "s", hint: "half-life" },
  gauss: { low: 1, high: 1000, weight: false, unit: "", hint: "points" },
};
export const notches = 100;

/**
 * The smoothing of a slider's place: none at 0. Amounts grow by equal factors; of a weight, what it lacks of 1 shrinks so.
 * @param {string} kernel
 * @param {number} notch 0 to notches
 * @returns {string}
 */
export function smoothingAt(kernel, notch) {
  const k = kernels[/** @type {keyof typeof kernels} */ (kernel)];
  if (!k || notch <= 0) return "";
  const share = (notch - 1) / (notches - 1);
  const amount = k.weight ? 1 - (1 - k.low) * ((1 - k.high) / (1 - k.low)) ** share : k.low * (k.high / k.low) ** share;
  return `${kernel}:${Number(amount.toPrecision(amount > 0.99 && k.weight ? 4 : 3))}${k.unit}`;
}

/**
 * The slider's place of a smoothing.
 * @param {string} smooth
 * @returns {{kernel: string, notch: number}}
 */
export function notchOf(smooth) {
  const [kernel, text = ""] = smooth.split(":");
  const k = kernels[/** @type {keyof typeof kernels} */ (kernel)];
  if (!k) return { kernel: "ema", notch: 0 };
  const amount = k.unit ? seconds(text) : Number(text);
  const share = k.weight ? Math.log((1 - amount) / (1 - k.low)) / Math.log((1 - k.high) / (1 - k.low)) : Math.log(amount / k.low) / Math.log(k.high / k.low);
  return { kernel, notch: Number.isFinite(share) ? Math.min(notches, Math.max(1, Math.round(share * (notches - 1)) + 1)) : 0 };
}

/**
 * Seconds of a duration as Go writes it: 90s, 10m, 1h30m.
 * @param {string} text
 */
function seconds(text) {
  const units = /** @type {Record<string, number>} */ ({ h: 3600, m: 60, s: 1, ms: 0.001 });
  let sum = 0;
  for (const [, n, unit] of text.matchAll(/([\d.]+)(ms|h|m|s)/g)) sum += Number(n) * units[unit];
  return sum;
}

/**
 * The range to ask for so that a part is shown: half of it more on either side, so that lines reach the edges and a small pan asks for
 * nothing, on a grid, so that equal views have equal addresses.
 * @param {number} from
 * @param {number} to
 * @returns {[number, number]}
 */
export function askedRange(from, to) {
  const span = to - from;
  if (!(span > 0)) return [from, to];
  const grid = 2 ** Math.floor(Math.log2(span)) / 4;
  return [Math.floor((from - span / 2) / grid) * grid, Math.ceil((to + span / 2) / grid) * grid];
}

/**
 * A range moved by a share of itself, and scaled around its middle or around a point.
 * @param {[number, number]} r
 * @param {{move?: number, scale?: number, around?: number}} how
 * @returns {[number, number]}
 */
export function shifted([from, to], { move = 0, scale = 1, around = (from + to) / 2 }) {
  const by = (to - from) * move;
  return [around + (from - around) * scale + by, around + (to - around) * scale + by];
}
