// The overview of a log beside its scroll bar, and the histogram of a search: where the warnings, the errors, the hits and the events are.
// Errors take the whole width and warnings half of it, so that they differ in more than colour.
import { integer } from "../../ui/numbers.js";
import { fullTime } from "../../ui/times.js";

/** @typedef {import("./places.js").Places} Places */
/** @typedef {import("./row.js").Line} Line */
/** @typedef {{mark: string, at: number, label: string}} Event */

const svgns = "http://www.w3.org/2000/svg";
const grain = 3; // pixels of a mark
const bins = 80;

/**
 * @param {string} name
 * @param {Record<string, string|number>} attributes
 */
function svg(name, attributes) {
  const el = document.createElementNS(svgns, name);
  for (const [k, v] of Object.entries(attributes)) el.setAttribute(k, String(v));
  return el;
}

export class Strip {
  /**
   * @param {HTMLElement} pane
   * @param {(share: number) => void} go
   */
  constructor(pane, go) {
    this.el = document.createElement("div");
    this.el.className = "log-strip";
    this.el.setAttribute("aria-hidden", "true");
    pane.append(this.el);
    this.share = (/** @type {MouseEvent} */ e) => {
      const box = this.el.getBoundingClientRect();
      return Math.min(1, Math.max(0, (e.clientY - box.top) / box.height));
    };
    this.el.addEventListener("click", (e) => go(this.share(e)));
    this.el.addEventListener("mousemove", (e) => (this.el.title = this.says(this.share(e))));
    /** @type {Places|null} */
    this.places = null;
    /** @type {Line[]} warnings and errors whose place is known */
    this.lines = [];
    /** @type {Event[]} */
    this.events = [];
    /** @type {import("./search.js").Search|null} */
    this.search = null;
    this.resized = new ResizeObserver(() => this.draw());
    this.resized.observe(this.el);
  }

  close() {
    this.resized.disconnect();
    this.el.remove();
  }

  draw() {
    const height = this.el.clientHeight;
    const places = this.places;
    if (!places || height === 0) return;
    const most = Math.max(1, Math.floor(height / grain));
    const row = (/** @type {number} */ share) => Math.min(most - 1, Math.floor(share * most));
    /** @type {Record<string, Set<number>>} */
    const rows = { error: new Set(), warning: new Set(), hit: new Set(), faint: new Set() };
    const spread = (/** @type {string} */ kind, /** @type {[number, number]} */ [from, to]) => {
      const [a, b] = [row(from), row(to)];
      const into = b - a > 2 ? "faint" : kind; // where in a long piece is not known
      for (let i = a; i <= b; i++) rows[into].add(i);
    };
    const known = new Set();
    for (const l of this.lines) {
      rows[l.level === "error" ? "error" : "warning"].add(row(places.ofLine(l)));
      known.add(places.pieceOf(l.pos));
    }
    places.pieces.forEach((p, i) => {
      if (known.has(i)) return;
      if (p.level[2] > 0) spread("error", places.stretch(i));
      else if (p.level[1] > 0) spread("warning", places.stretch(i));
    });
    if (this.search?.active) {
      for (const l of this.search.lines) rows.hit.add(row(places.ofLine(l)));
      if (this.search.lines.length < this.search.hits) for (const f of this.search.pieces) spread("hit", places.stretch(places.pieceOf(f.piece)));
    }
    const path = (/** @type {string} */ kind, /** @type {number} */ x, /** @type {number} */ width) =>
      svg("path", { class: `strip-${kind}`, d: [...rows[kind]].map((i) => `M${x} ${i * grain}h${width}v${grain - 1}h-${width}z`).join("") });
    const drawing = svg("svg", { width: 14, height });
    drawing.append(path("faint", 0, 6), path("warning", 0, 4), path("error", 0, 8), path("hit", 9, 5));
    for (const e of this.events) {
      const y = Math.min(height - 3, Math.max(3, places.ofTime(e.at) * height));
      drawing.append(svg("path", { class: `strip-event log-place-${e.mark}`, d: `M14 ${y - 3}L8 ${y}L14 ${y + 3}z` }));
    }
    this.el.replaceChildren(drawing);
  }

  /**
   * What there is at a place.
   * @param {number} share
   */
  says(share) {
    const places = this.places;
    if (!places || places.pieces.length === 0) return "";
    const near = 4 / Math.max(1, this.el.clientHeight);
    const out = [`Line ${integer(Math.floor(share * places.total) + 1)} of ${integer(places.total)}`];
    for (const e of this.events) if (Math.abs(places.ofTime(e.at) - share) < near) out.push(e.label);
    const here = places.pieces.findIndex((_, i) => places.stretch(i)[1] >= share);
    const piece = places.pieces[here];
    if (piece) {
      out.push(fullTime(new Date(places.since[here])));
      if (piece.level[2] > 0) out.push(`${integer(piece.level[2])} errors in these ${integer(piece.lines)} lines`);
      if (piece.level[1] > 0) out.push(`${integer(piece.level[1])} warnings in these ${integer(piece.lines)} lines`);
    }
    return out.join("\n");
  }
}

/**
 * Draws how many hits there are over time.
 * @param {HTMLElement} home
 * @param {import("./search.js").Search} search
 * @param {Places} places
 * @param {(at: Date) => void} go
 */
export function histogram(home, search, places, go) {
  const begin = Math.min(...places.since);
  const long = Math.max(...places.until) - begin;
  home.hidden = !search.active || search.hits === 0 || !(long > 0);
  if (home.hidden) return;
  const counts = new Array(bins).fill(0);
  const bin = (/** @type {number} */ at) => Math.min(bins - 1, Math.max(0, Math.floor(((at - begin) / long) * bins)));
  /** @type {Record<number, number>} */
  const known = {};
  for (const l of search.lines) {
    counts[bin(Date.parse(l.at))]++;
    const i = places.pieceOf(l.pos);
    known[i] = (known[i] || 0) + 1;
  }
  for (const f of search.pieces) {
    const i = places.pieceOf(f.piece);
    const rest = f.hits - (known[i] || 0);
    if (rest <= 0) continue; // else over the time of the piece
    const [a, b] = [bin(places.since[i]), bin(places.until[i])];
    for (let j = a; j <= b; j++) counts[j] += rest / (b - a + 1);
  }
  const most = Math.max(...counts);
  const drawing = svg("svg", { viewBox: `0 0 ${bins} 20`, preserveAspectRatio: "none", role: "img", "aria-label": `${integer(search.hits)} matches over time` });
  counts.forEach((n, i) => {
    if (n === 0) return;
    const height = Math.max(1, (n / most) * 19);
    const bar = svg("rect", { x: i + 0.1, y: 20 - height, width: 0.8, height });
    const title = svg("title", {});
    title.textContent = `${integer(Math.round(n))} from ${fullTime(new Date(begin + (i / bins) * long))}`;
    bar.append(title);
    drawing.append(bar);
  });
  home.replaceChildren(drawing);
  home.onclick = (e) => {
    const box = home.getBoundingClientRect();
    go(new Date(begin + Math.min(1, Math.max(0, (e.clientX - box.left) / box.width)) * long));
  };
}
