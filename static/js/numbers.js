// Numbers as people read them: 3 significant digits and SI prefixes, as views.Number.

const sizes = /** @type {[number, string][]} */ ([[1e12, " T"], [1e9, " G"], [1e6, " M"], [1e3, " k"]]);

/**
 * @param {number} v
 * @returns {string}
 */
export function number(v) {
  if (!Number.isFinite(v)) return String(v);
  const abs = Math.abs(v);
  if (abs === 0) return "0";
  if (abs < 1e-4 || abs >= 1e15) return v.toExponential(2);
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
 * Labels of an axis: as few digits as tell neighbours apart.
 * @param {number[]} values
 * @param {number} step between neighbours
 * @returns {string[]}
 */
export function axisLabels(values, step) {
  const largest = Math.max(...values.map(Math.abs));
  const [size, name] = sizes.find(([s]) => largest >= s) || [1, ""];
  const decimals = Math.min(6, Math.max(0, -Math.floor(Math.log10(step / size) + 1e-9)));
  return values.map((v) => (v === 0 ? "0" : (v / size).toFixed(decimals) + name));
}
