// One sweep's page, live: rows and curves follow the states of its runs, the best one is marked, the order is kept. What is
// counted over all runs is read again when a state changes.
import { apply } from "../live/fragments.js";
import { paced } from "../live/pace.js";
import { Rows } from "../live/rows.js";
import { Board } from "../charts/board.js";
import { Parallel } from "../compare/parallel.js";
import { followPointer } from "../compare/pointed.js";
import { linesSource } from "../compare/source.js";
import { at } from "../ui/base.js";

const headEvery = 1000; // milliseconds
const curvesEvery = 3000;
const curvesShown = 16; // more cannot be told apart
const sortEvery = 5000;
const snapshotEvery = 3000;

/**
 * @typedef {import("../live/rows.js").Row} Row
 * @typedef {{el: HTMLElement, number: number, badge: string, step: number, loss: number, rate: number, seconds: number}} Run
 */

/** What the table can be sorted by that changes; NaN is what a run does not have. */
const orders = /** @type {Record<string, (r: Run) => number>} */ ({
  loss: (r) => r.loss,
  throughput: (r) => (r.rate > 0 ? r.rate : NaN),
  step: (r) => r.step,
  state: (r) => badgeOrder().indexOf(r.badge),
  duration: (r) => r.seconds,
});

function badgeOrder() {
  const templates = document.getElementById("badges");
  return templates instanceof HTMLTemplateElement ? [...templates.content.querySelectorAll("[data-badge]")].map((b) => b.getAttribute("data-badge")) : [];
}

/**
 * @param {import("../live/live.js").Live} live
 * @param {HTMLElement} page
 */
export function startSweepPage(live, page) {
  const table = new SweepTable(page);
  const board = curvesOf(page, table);
  const coordinates = page.querySelector("[data-parallel]");
  const parallel = !(coordinates instanceof HTMLElement) ? null : new Parallel(coordinates, (out) => {
    for (const [id, r] of table.runs) r.el.hidden = out.has(id);
    board.hide(out);
  });
  followPointer(page, (line, id) => {
    board.highlight(line);
    parallel?.highlight(id);
  });

  const head = paced(async () => {
    const response = await fetch(page.dataset.headUrl || "", { headers: { Accept: "text/html" } });
    if (response.status === 404) location.assign(at("/sweeps"));
    else if (!response.ok) throw new Error(`sweep: ${response.status}`);
    else apply(await response.text(), (old) => !(old instanceof HTMLDialogElement && old.open));
  }, headEvery);
  const curves = paced(async () => board.news(), curvesEvery);
  const rows = new Rows("#sweep-rows > tr", head);

  /** @param {Row[]} list */
  function receive(list) {
    if (list.some((r) => !table.runs.has(r.id))) {
      location.reload(); // a run that this page does not have: it was made before the sweep's page could know
      return;
    }
    rows.receive(list);
    table.receive(list);
    curves();
  }

  let read = -Infinity;
  async function reread() {
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, read + snapshotEvery - performance.now())));
    read = performance.now();
    const response = await fetch(page.dataset.rowsUrl || "", { headers: { Accept: "application/json" } });
    if (response.status === 404) {
      location.assign(at("/sweeps"));
      return Number.MAX_SAFE_INTEGER;
    }
    if (!response.ok) throw new Error(`rows: ${response.status}`);
    const answer = await response.json();
    if (answer.rows.length < table.runs.size) location.reload(); // some have been deleted
    receive(answer.rows);
    head();
    return answer.seq;
  }

  live.follow(page.dataset.topic || "", Number(page.dataset.seq ?? -1), {
    message: (m) => {
      if (m.type === "deleted") location.assign(at("/sweeps"));
      else if (m.type === "rows") receive(m.data);
    },
    reread,
  });
}

/**
 * The loss of the runs in which it is lowest.
 * @param {HTMLElement} page
 * @param {SweepTable} table
 */
function curvesOf(page, table) {
  /** @type {Map<string, import("../compare/source.js").Look>} */
  const looks = new Map();
  const unit = page.querySelector("#sweep-chart [data-chart-unit]");
  const usual = unit?.textContent;
  const series = () => {
    const { shown, more } = table.lowest(curvesShown);
    looks.clear();
    shown.forEach(([id, r], slot) => looks.set(id, { name: `${r.el.dataset.name}${r === table.best ? ", best" : ""}`, slot, shade: null }));
    if (unit) unit.textContent = more > 0 ? `${usual}, the ${shown.length} lowest runs of ${shown.length + more}` : `${usual}`;
    return `${at(page.dataset.seriesUrl || "")}${shown.map(([id]) => id).join(",")}`;
  };
  const board = new Board({ source: linesSource(series, looks) });
  board.scan(page);
  return board;
}

/** The runs of the table: which is best, and their order. */
class SweepTable {
  /** @param {HTMLElement} page */
  constructor(page) {
    this.body = document.getElementById("sweep-rows");
    this.byRate = page.dataset.bestBy === "throughput";
    this.desc = page.dataset.desc === "true";
    this.order = orders[page.dataset.sort || ""];
    /** @type {Map<string, Run>} */
    this.runs = new Map();
    /** @type {Run|null} */
    this.best = null;
    for (const el of this.body?.querySelectorAll(":scope > tr") || []) {
      if (!(el instanceof HTMLElement)) continue;
      const d = el.dataset;
      const run = { el, number: Number(d.number), badge: d.rowBadge || "", step: Number(d.step), loss: Number(d.loss ?? NaN), rate: Number(d.rate), seconds: NaN };
      this.runs.set(d.runId || "", run);
      if (d.best === "true") this.best = run;
    }
    if (this.order) setInterval(() => this.sort(), sortEvery);
  }

  /** @param {Row[]} list */
  receive(list) {
    for (const r of list) {
      const run = this.runs.get(r.id);
      if (!run) continue;
      run.badge = r.badge;
      run.step = r.step;
      run.loss = r.loss === null ? NaN : Number(r.loss);
      run.rate = Number(r.tokens_per_second);
      if (r.started > 0) run.seconds = ((r.ended || Date.now()) - r.started) / 1000;
    }
    this.mark();
  }

  /** Marks the best run: the first of equal ones by number, as Server.markBest. */
  mark() {
    /** @type {Run|null} */
    let best = null;
    let lowest = Infinity;
    for (const run of this.runs.values()) {
      const value = this.byRate ? -(run.rate > 0 ? run.rate : NaN) : run.loss;
      if ((value < lowest && value > -Infinity) || (value === lowest && best && run.number < best.number)) {
        lowest = value;
        best = run;
      }
    }
    if (best === this.best || !best) return;
    const template = document.getElementById("best-mark");
    const mark = this.best?.el.querySelector("[data-best-mark]") || (template instanceof HTMLTemplateElement ? template.content.firstElementChild?.cloneNode(true) : null);
    for (const run of [this.best, best]) {
      if (!run) continue;
      run.el.dataset.best = String(run === best);
      run.el.classList.toggle("row-best", run === best);
    }
    if (mark) best.el.firstElementChild?.prepend(mark);
    this.best = best;
  }

  /**
   * The runs with the lowest loss, by number, and how many more have one.
   * @param {number} most
   */
  lowest(most) {
    const known = [...this.runs].filter(([, r]) => r.loss === r.loss).sort(([, a], [, b]) => a.loss - b.loss);
    return { shown: known.slice(0, most).sort(([, a], [, b]) => a.number - b.number), more: Math.max(0, known.length - most) };
  }

  /** Puts rows where they belong now, unless somebody is at them. */
  sort() {
    const body = this.body;
    if (!body || document.hidden || body.matches(":hover, :focus-within")) return;
    const sorted = [...this.runs.values()].sort((a, b) => this.compare(a, b));
    let row = body.firstElementChild;
    for (const run of sorted) {
      if (row === run.el) row = row.nextElementSibling;
      else body.insertBefore(run.el, row);
    }
  }

  /**
   * As Server.sortSweep: what a run does not have is last either way.
   * @param {Run} a
   * @param {Run} b
   */
  compare(a, b) {
    const x = this.order(a);
    const y = this.order(b);
    if (Number.isNaN(x) !== Number.isNaN(y)) return Number.isNaN(x) ? 1 : -1;
    return (this.desc ? y - x : x - y) || a.number - b.number;
  }
}
