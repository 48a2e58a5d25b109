// Annotations: what happened to a run, as lines in its charts with a sign on top that names them and leads to the event.

/**
 * @typedef {{step: number, at?: string, kind: string, text: string, event?: number}} Mark as the server sends it
 * @typedef {{x: number, marks: Mark[]}} Place  marks that would stand over each other
 */

/** The sign and colour of each kind, those that matter most first: of marks over each other the first gives its sign. */
export const kinds = /** @type {Record<string, {sign: string, token: string, word: string}>} */ ({
  nan: { sign: "!", token: "--danger", word: "not finite" },
  loss: { sign: "×", token: "--danger", word: "worker lost" },
  restart: { sign: "↻", token: "--warning", word: "restart" },
  sync_failed: { sign: "≁", token: "--warning", word: "sync failed" },
  schedule: { sign: "≠", token: "--warning", word: "off schedule" },
  join: { sign: "+", token: "--info", word: "join" },
  evaluation: { sign: "e", token: "--violet", word: "evaluation" },
  checkpoint: { sign: "c", token: "--success", word: "checkpoint" },
  sync: { sign: "~", token: "--muted", word: "sync" },
});

const apart = 24; // pixels between signs: each can be hit with a finger
const someSyncs = 12; // more in sight have no signs
const order = Object.keys(kinds);

/**
 * Marks in sight, those too near to each other together.
 * @param {Mark[]} marks
 * @param {(m: Mark) => number} xOf NaN where the axis does not have it
 * @param {(x: number) => number} left pixels
 * @param {number} width of the plot
 * @returns {Place[]}
 */
export function placesOf(marks, xOf, left, width) {
  const out = /** @type {Place[]} */ ([]);
  let inSight = marks.map((mark) => ({ mark, x: xOf(mark) })).filter(({ x }) => left(x) >= 0 && left(x) <= width);
  const other = inSight.filter(({ mark }) => mark.kind !== "sync");
  if (inSight.length - other.length > someSyncs) inSight = other;
  inSight.sort((a, b) => a.x - b.x);
  for (const { mark, x } of inSight) {
    const last = out[out.length - 1];
    if (last && left(x) - left(last.x) < apart) last.marks.push(mark);
    else out.push({ x, marks: [mark] });
  }
  for (const p of out) p.marks.sort((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind));
  return out;
}

/** @param {Mark[]} marks */
export function wordsOf(marks) {
  const lines = marks.slice(0, 6).map((m) => `${kinds[m.kind]?.word || m.kind} at step ${m.step.toLocaleString("en")}: ${m.text}`);
  if (marks.length > 6) lines.push(`and ${marks.length - 6} more`);
  return lines.join("\n");
}

export class Marks {
  /**
   * @param {HTMLElement} strip over the plot
   * @param {(m: Mark) => string} href of what a mark leads to
   */
  constructor(strip, href) {
    this.strip = strip;
    this.href = href;
    this.tip = document.createElement("p");
    this.tip.className = "chart-tip";
    this.tip.hidden = true;
    /** @type {HTMLAnchorElement[]} */
    this.signs = [];
  }

  /**
   * @param {Place[]} places
   * @param {(x: number) => number} left pixels from the left edge of the strip
   */
  show(places, left) {
    const focused = this.signs.findIndex((s) => s === document.activeElement);
    while (this.signs.length < places.length) this.signs.push(this.sign());
    this.signs.splice(places.length).forEach((s) => s.remove());
    places.forEach(({ x, marks }, i) => {
      const kind = kinds[marks[0].kind];
      const el = this.signs[i];
      el.className = `chart-mark chart-mark-${marks[0].kind}`;
      el.textContent = marks.length > 1 && !kind ? String(marks.length) : kind?.sign || "•";
      el.href = this.href(marks[0]);
      el.setAttribute("aria-label", wordsOf(marks));
      el.style.left = `${left(x)}px`;
    });
    if (!this.tip.isConnected && places.length > 0) this.strip.append(this.tip);
    if (focused >= places.length) this.tip.hidden = true;
  }

  sign() {
    const el = document.createElement("a");
    el.tabIndex = -1; // reached with a key of the chart: a page of charts would have hundreds
    for (const type of ["pointerenter", "focus"]) el.addEventListener(type, () => this.tell(el));
    for (const type of ["pointerleave", "blur"]) el.addEventListener(type, () => (this.tip.hidden = true));
    this.strip.append(el);
    return el;
  }

  /** @param {HTMLElement} el */
  tell(el) {
    this.tip.textContent = el.getAttribute("aria-label");
    this.tip.hidden = false;
    const at = el.offsetLeft;
    const room = this.strip.clientWidth - this.tip.offsetWidth;
    this.tip.style.left = `${Math.max(0, Math.min(at - this.tip.offsetWidth / 2, room))}px`;
  }

  /** Moves the focus to the next sign, or the first. */
  next() {
    const i = this.signs.findIndex((s) => s === document.activeElement);
    (this.signs[i + 1] || this.signs[0])?.focus();
  }
}
