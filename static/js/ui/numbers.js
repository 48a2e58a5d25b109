// Numbers as people read them: 3 significant digits and SI prefixes, as views.Number.

const sizes = /** @type {[number, string][]} */ ([[1e12, " T"], [1e9, " G"], [1e6, " M"], [1e3, " k"]]);

/**
 * @param {number} v
 * @returns {string}
 */
export function number(v) {
  if (!Number.isFinite(v)) return String(v).replace("Infinity", "Inf");
  const abs = Math.abs(v);
  if (abs === 0) return "0";
  if (abs < 1e-4 || abs >= 1e15 * 0.9995) return v.toExponential(2).replace("e+", "e");
  for (const [size, name] of sizes) {
    if (abs >= size * 0.9995) return significant(v / size) + name;
  }
  return significant(v);
}

/** @param {number} v */
function significant(v) {
  const rounded = Number(v.toPrecision(3));
  const decimals = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(rounded))));
  return rounded.toFixed(decimals);
}

/**
 * Labels of an axis: as few digits as write every tick exactly.
 * @param {number[]} values ticks, divided by 10 to the power
 * @param {number} step between neighbours
 * @param {number} [power] see powerOf
 * @returns {string[]}
 */
export function axisLabels(values, step, power = 0) {
  const largest = Math.max(...values.map(Math.abs));
  const [size, name] = power !== 0 ? [1, `e${power}`] : sizes.find(([s]) => largest >= s) || [1, ""];
  const decimals = decimalsOf(step / size);
  return values.map((v) => (v === 0 ? "0" : (v / size).toFixed(decimals) + name));
}

/**
 * How many decimals write a step between ticks exactly: 2 for 0.25.
 * @param {number} step
 */
function decimalsOf(step) {
  let decimals = 0;
  for (let v = Math.abs(step); decimals < 12 && Math.abs(v - Math.round(v)) > 1e-6 * v; decimals++) v *= 10;
  return decimals;
}

/**
 * The power of ten to divide values by before they are drawn, so that the chart can place and label them: 0 unless the
 * largest is too large or too small to be written without one.
 * @param {(number|null|undefined)[][]} columns
 */
export function powerOf(columns) {
  let largest = 0;
  for (const column of columns) for (const v of column) if (v !== null && v !== undefined) largest = Math.max(largest, Math.abs(v));
  return largest !== 0 && (largest < 1e-4 || largest >= 1e15) ? Math.floor(Math.log10(largest)) : 0;
}

const thousands = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

/**
 * Whole numbers with commas between thousands, as views.Integer.
 * @param {number} n
 */
export function integer(n) {
  return thousands.format(n);
}

/**
 * A duration in its two largest units, as views.Duration: 45 s, 3 min 20 s, 2 h 05 min, 3 d 4 h.
 * @param {number} seconds
 */
export function duration(seconds) {
  const s = Math.max(0, Math.round(seconds));
  const two = (/** @type {number} */ n) => String(n).padStart(2, "0");
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${two(s % 60)} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${two(Math.floor(s / 60) % 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor(s / 3600) % 24} h`;
}
