// Curves as they are drawn: the columns of a server's answer, where a line breaks, what is in range, what is nearest. Pure.

/**
 * One curve of an answer of GET /runs/{id}/series; the arrays have an entry for each column.
 * @typedef {{metric: string, worker: number, formula?: string, clock?: boolean, width: number, points: number, step: number[],
 *   x?: (number|null)[], min?: (number|null)[], max?: (number|null)[], value: (number|null)[], odd?: [number, string][]}} Series
 *
 * @typedef {object} Curve
 * @property {string} key      what it is, the same in every answer
 * @property {string} name     for the legend and the readout
 * @property {number} slot     its colour and dash, see palette.js; -1 for a plan, which is drawn muted
 * @property {boolean} [hidden]
 * @property {boolean} [faint] while another is highlighted
 * @property {boolean} [thin]  one of very many: a single line from the lowest to the highest value of each column
 * @property {Series} series
 * @property {number[]} x      NaN where the axis has no value
 * @property {boolean} holes    some x are NaN
 * @property {boolean} ascending  false for a metric over another that goes back: points instead of a line
 * @property {number} gap      neighbours with more steps between them are not joined
 * @property {Map<number, string>} odd  columns with what is not finite, such as "NaN"
 */

/**
 * @param {Series} series
 * @param {{key?: string, name: string, slot: number, seconds?: boolean}} look seconds: steps are Unix milliseconds, shown as seconds
 * @returns {Curve}
 */
export function curveOf(series, look) {
  const x = series.x ? series.x.map((v) => v ?? NaN) : look.seconds ? series.step.map((v) => v / 1000) : series.step;
  const ascending = x.every((v, i) => i === 0 || !(v < x[i - 1]));
  /** @type {Map<number, string>} */
  const odd = new Map();
  for (const [i, name] of series.odd || []) odd.set(i, odd.has(i) ? `${odd.get(i)}, ${name}` : name);
  return { key: look.key || `${series.metric}\n${series.worker}`, name: look.name, slot: look.slot, series, x, holes: x.some(Number.isNaN), ascending, gap: gapOf(series.step.filter((_, i) => !Number.isNaN(x[i])), series.width), odd };
}

/**
 * The steps from which neighbours are not joined: four times what is usual, and over one column. Whatever the axis, gaps are of steps: a
 * pause between two of them misses nothing.
 * @param {number[]} steps
 * @param {number} width of a column
 */
export function gapOf(steps, width) {
  const distances = [];
  for (let i = 1; i < steps.length; i++) if (steps[i] > steps[i - 1]) distances.push(steps[i] - steps[i - 1]);
  if (distances.length < 4) return Infinity;
  distances.sort((a, b) => a - b);
  return Math.max(width, 4 * distances[distances.length >> 1]);
}

/**
 * What a curve's column holds: from its lowest to its highest value.
 * @param {Curve} c
 * @param {number} i
 * @returns {[number|null, number|null]}
 */
export function bounds(c, i) {
  const { min, max, value } = c.series;
  return min && max ? [min[i], max[i]] : [value[i], value[i]];
}

/**
 * The first and last x of curves, or null where there are none.
 * @param {Curve[]} curves
 * @returns {[number, number]|null}
 */
export function extent(curves) {
  let low = Infinity;
  let high = -Infinity;
  for (const c of curves) {
    if (c.hidden) continue;
    for (const x of c.x) {
      if (x < low) low = x;
      if (x > high) high = x;
    }
  }
  return low <= high ? [low, high] : null;
}

/**
 * The lowest and highest value between two x. Clipped, the lowest and highest hundredth of the columns do not count, and beyond is
 * how many of them hold something outside. On a log scale what is not positive does not count.
 * @param {Curve[]} curves
 * @param {number} from
 * @param {number} to
 * @param {{clip?: boolean, log?: boolean}} how
 * @returns {{low: number|null, high: number|null, beyond: number}}
 */
export function range(curves, from, to, { clip = false, log = false } = {}) {
  const lows = [];
  const highs = [];
  for (const c of curves) {
    if (c.hidden) continue;
    for (let i = 0; i < c.x.length; i++) {
      if (!(c.x[i] >= from && c.x[i] <= to)) continue;
      let [low, high] = bounds(c, i);
      const value = c.series.value[i];
      if (value !== null) {
        low = low === null ? value : Math.min(low, value);
        high = high === null ? value : Math.max(high, value);
      }
      if (low === null || high === null || (log && high <= 0)) continue;
      lows.push(log && low <= 0 ? (value !== null && value > 0 ? value : high) : low);
      highs.push(high);
    }
  }
  if (lows.length === 0) return { low: null, high: null, beyond: 0 };
  if (!clip) return { low: lows.reduce((a, b) => Math.min(a, b)), high: highs.reduce((a, b) => Math.max(a, b)), beyond: 0 };
  const low = percentile(lows, 0.01);
  const high = percentile(highs, 0.99);
  let beyond = 0;
  for (let i = 0; i < lows.length; i++) if (lows[i] < low || highs[i] > high) beyond++;
  return { low, high: Math.max(low, high), beyond };
}

/**
 * @param {number[]} values at least one; not changed
 * @param {number} share from 0 to 1
 */
export function percentile(values, share) {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.round(share * (sorted.length - 1))];
}

/**
 * The column nearest to an x, or -1.
 * @param {Curve} c
 * @param {number} x
 */
export function nearest(c, x) {
  let best = -1;
  if (c.ascending && !c.holes && c.x.length > 0) {
    let low = 0;
    let high = c.x.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (c.x[middle] < x) low = middle + 1;
      else high = middle;
    }
    return low > 0 && !(c.x[low] - x < x - c.x[low - 1]) ? low - 1 : low;
  }
  let distance = Infinity;
  c.x.forEach((v, i) => {
    if (Math.abs(v - x) < distance) {
      distance = Math.abs(v - x);
      best = i;
    }
  });
  return best;
}

/**
 * The last column with a value, or -1.
 * @param {Curve} c
 */
export function lastColumn(c) {
  let i = c.series.value.length - 1;
  while (i >= 0 && c.series.value[i] === null) i--;
  return i;
}
