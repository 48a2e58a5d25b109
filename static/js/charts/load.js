// Where charts get their curves. A source answers what a chart asks; this one is of a single run.
import { curveOf } from "./curve.js";

/**
 * @typedef {object} Ask
 * @property {string[]} metrics  names, or formulas after "="
 * @property {string} x
 * @property {number|null} from
 * @property {number|null} to
 * @property {number} px        columns at most
 * @property {string} smooth
 * @property {string} workers
 * @property {number} replaced  an attempt whose replaced part is asked for too, 0 for none
 *
 * @typedef {object} Answer
 * @property {import("./curve.js").Curve[]} curves
 * @property {string} tag  what the source needs to tell whether there is something new
 * @property {string} [missing]  what was asked for that there is not, in words
 *
 * @typedef {object} Source
 * @property {(ask: Ask, tag: string, signal: AbortSignal) => Promise<Answer|null>} load
 * answers, or null if nothing has changed since the answer of the tag. It throws a Refusal with the server's words.
 */

/** The server's reason, for people. */
export class Refusal extends Error {}

const plan = "planned/";

/**
 * The curves of a run.
 * @param {string} url of its series
 * @param {{name?: (s: import("./curve.js").Series, many: boolean) => string}} [look]
 * @returns {Source}
 */
export function runSource(url, look = {}) {
  const name = look.name || nameOf;
  return {
    async load(ask, tag, signal) {
      const parts = ask.replaced ? [ask, { ...ask, replaced: 0 }] : [ask];
      const tags = tag.split(" ");
      const answers = await Promise.all(parts.map((part, i) => get(url, part, tags.length === parts.length ? tags[i] : "", signal)));
      if (answers.every((a) => a.body === null)) return null;
      // One that has not changed beside one that has is read again: it is in the browser's cache.
      const whole = await Promise.all(answers.map((a, i) => (a.body === null ? get(url, parts[i], "", signal) : a)));
      const curves = whole.flatMap(({ body }, i) => curvesOf(body?.series || [], ask, parts[i].replaced, name));
      return answered(curves, ask.x, whole.map((a) => a.tag).join(" "), whole[0].body?.missing);
    },
  };
}

/**
 * An answer of the curves that have a place on the axis, and why there are none.
 * @param {import("./curve.js").Curve[]} curves
 * @param {string} x
 * @param {string} tag
 * @param {string} [missing]
 * @returns {Answer}
 */
export function answered(curves, x, tag, missing) {
  const placed = curves.filter((c) => !c.x.every(Number.isNaN));
  const apart = curves.length > 0 && placed.length === 0 ? `No step has a value of ${x} as well.` : "";
  return { curves: placed, tag, missing: missing || apart };
}

/**
 * @param {import("./curve.js").Series[]} series
 * @param {Ask} ask
 * @param {number} replaced
 * @param {(s: import("./curve.js").Series, many: boolean) => string} name
 */
function curvesOf(series, ask, replaced, name) {
  const many = ask.metrics.filter((m) => !m.startsWith(plan)).length > 1;
  // A plan is the same for every worker.
  return series.filter((s) => !s.metric.startsWith(plan) || s.worker <= 0).map((s) => {
    const slot = s.metric.startsWith(plan) ? -1 : many ? ask.metrics.indexOf(s.metric) : Math.max(0, s.worker);
    const curve = curveOf(s, { name: name(s, many), slot, seconds: s.clock && ask.x === "step" });
    if (!replaced) return curve;
    return { ...curve, key: `${curve.key}\n${replaced}`, name: `${curve.name}, replaced (attempt ${replaced})`, slot: slot + 16 };
  });
}

/**
 * @param {import("./curve.js").Series} s
 * @param {boolean} many metrics are in the chart
 */
function nameOf(s, many) {
  if (s.metric.startsWith(plan)) return "plan";
  const worker = s.worker >= 0 ? `worker ${s.worker}` : "";
  return many || !worker ? [s.metric, worker].filter(Boolean).join(" ") : worker;
}

/**
 * @param {string} url
 * @param {Ask} ask
 */
export function seriesURL(url, ask) {
  const p = new URLSearchParams();
  for (const m of ask.metrics) p.append("metric", m);
  if (ask.x !== "step") p.set("x", ask.x);
  if (ask.from !== null) p.set("from", String(ask.from));
  if (ask.to !== null) p.set("to", String(ask.to));
  p.set("px", String(ask.px));
  if (ask.smooth) p.set("smooth", ask.smooth);
  if (ask.workers !== "all") p.set("workers", ask.workers);
  if (ask.replaced) p.set("replaced", String(ask.replaced));
  return `${url}${url.includes("?") ? "&" : "?"}${p}`;
}

/**
 * What the server answers to an ask, null if that is what the tag was of.
 * @param {string} url
 * @param {Ask} ask
 * @param {string} tag
 * @param {AbortSignal} signal
 * @returns {Promise<{body: any, tag: string}>}
 */
export async function get(url, ask, tag, signal) {
  /** @type {Record<string, string>} */
  const headers = { Accept: "application/json" };
  if (tag) headers["If-None-Match"] = tag;
  const response = await fetch(seriesURL(url, ask), { headers, signal });
  if (response.status === 304) return { body: null, tag };
  if (!response.ok) throw await refusal(response);
  return { body: await response.json(), tag: response.headers.get("ETag") || "" };
}

/** @param {Response} response */
async function refusal(response) {
  if (response.status < 400 || response.status >= 500) return new Error(`series: ${response.status}`);
  const problem = await response.json().catch(() => ({}));
  const words = String(problem.detail || "");
  return new Refusal(words.slice(words.indexOf("\n") + 1) || `The console answers ${response.status}.`); // without how many there are
}

/**
 * What the server finds wrong with a metric or formula of a run, or "".
 * @param {Source} source
 * @param {string} metric
 */
export async function mistake(source, metric) {
  try {
    const answer = await source.load({ metrics: [metric], x: "step", from: null, to: null, px: 1, smooth: "", workers: "all", replaced: 0 }, "", new AbortController().signal);
    return answer?.missing || "";
  } catch (e) {
    return e instanceof Refusal ? e.message : "The console does not answer. Try again.";
  }
}
