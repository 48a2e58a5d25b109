// The timeline of a run's mesh: reads windows of time from the console, and moves in them by mouse and keyboard.
import { paced } from "../live/pace.js";
import { at } from "../ui/base.js";
import { cellsOf, frameOf, heightOf, paint, pictureOf, timeAt, xOf } from "./paint.js";
import { describe, span, spotAt } from "./read.js";

const readEvery = 1000;
const settle = 120; // milliseconds without a move before the window is read
const least = 20; // milliseconds that a window may show

/** A timeline in its section. */
export class Timeline {
  /**
   * @param {HTMLElement} section
   * @param {string} run its ID
   */
  constructor(section, run) {
    const find = (/** @type {string} */ name) => /** @type {HTMLElement} */ (section.querySelector(`[data-lanes-${name}]`));
    this.section = section;
    this.run = at(`/runs/${run}`);
    this.inner = Number(section.dataset.lanes);
    this.box = find("view");
    this.canvas = /** @type {HTMLCanvasElement} */ (find("canvas"));
    this.tip = find("tip");
    this.reading = find("read");
    this.range = find("range");
    /** @type {import("./paint.js").Window|null} */
    this.data = null;
    /** @type {{from: number, to: number}|null} what is shown; null is all of it */
    this.shown = null;
    this.follows = true; // the end of the run
    this.lane = 0;
    this.time = 0; // of the cursor, 0 for none
    this.frame = 0; // a pending animation frame
    this.timer = 0;
    /** @type {AbortController|null} */
    this.asking = null;
    this.news = paced(() => this.read(true), readEvery);
    this.listen();
    new ResizeObserver(() => this.draw()).observe(this.box);
    document.addEventListener("themechange", () => this.redraw());
    this.read(false).catch(() => this.news());
  }

  listen() {
    this.section.addEventListener("click", (e) => {
      const what = e.target instanceof Element ? e.target.closest("[data-lanes-do]") : null;
      if (what instanceof HTMLElement) this.act(what.dataset.lanesDo || "");
    });
    this.box.addEventListener("keydown", (e) => this.key(e));
    this.box.addEventListener("wheel", (e) => this.wheel(e), { passive: false });
    this.box.addEventListener("pointerdown", (e) => this.drag(e));
    this.box.addEventListener("pointermove", (e) => this.hover(e));
    this.box.addEventListener("pointerleave", () => this.say(null));
    this.box.addEventListener("dblclick", () => this.act("all"));
    this.box.addEventListener("blur", () => this.say(null));
  }

  /** @returns {{from: number, to: number}} */
  window() {
    if (this.shown) return this.shown;
    return this.data ? { from: this.data.start, to: Math.max(this.data.end, this.data.start + least) } : { from: 0, to: 1 };
  }

  /** @returns {import("./paint.js").Frame} */
  place() {
    return frameOf(this.box.clientWidth, this.data?.lanes.length || 0, this.window());
  }

  /**
   * Reads what is shown.
   * @param {boolean} news only if there is some
   */
  async read(news) {
    this.asking?.abort();
    this.asking = new AbortController();
    const q = new URLSearchParams({ columns: String(Math.max(1, Math.floor(this.place().width))) });
    if (this.shown) {
      q.set("from", String(Math.round(this.shown.from)));
      q.set("to", String(Math.round(this.shown.to)));
    }
    if (news && this.data) q.set("since", String(this.data.version));
    const response = await fetch(`${this.run}/mesh/timeline?${q}`, { headers: { Accept: "application/json" }, signal: this.asking.signal });
    if (!response.ok) throw new Error(`timeline: ${response.status}`);
    const answer = /** @type {import("./paint.js").Window} */ (await response.json());
    if (answer.same) return;
    const before = this.data?.end;
    this.data = answer;
    this.section.hidden = answer.total === 0;
    if (this.shown && this.follows && before && answer.end > before) {
      const wide = this.shown.to - this.shown.from;
      this.show(answer.end - wide, answer.end);
    }
    this.redraw();
  }

  redraw() {
    if (!this.data) return;
    this.cells = cellsOf(this.data);
    this.picture = pictureOf(this.data);
    this.draw();
  }

  draw() {
    if (!this.frame) this.frame = requestAnimationFrame(() => this.drawNow());
  }

  drawNow() {
    this.frame = 0;
    const w = this.data;
    const c = this.canvas.getContext("2d");
    if (!w || !c || !this.box.clientWidth) return;
    const [width, height, ratio] = [this.box.clientWidth, heightOf(w.lanes.length), devicePixelRatio || 1];
    if (this.canvas.width !== Math.round(width * ratio) || this.canvas.height !== Math.round(height * ratio)) {
      this.canvas.width = Math.round(width * ratio);
      this.canvas.height = Math.round(height * ratio);
      this.canvas.style.width = `${width}px`;
      this.canvas.style.height = `${height}px`;
    }
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    paint(c, this.place(), w, this.picture || null);
    const { from, to } = this.window();
    this.range.textContent = `${span((to - from) / 1000)} of ${span((w.end - w.start) / 1000)}`;
    this.section.dataset.drawn = `${w.version}`;
  }

  /**
   * Shows a window of time, and reads it once it rests.
   * @param {number} from
   * @param {number} to
   */
  show(from, to) {
    const w = this.data;
    if (!w) return;
    const all = Math.max(w.end - w.start, least);
    const wide = Math.min(all, Math.max(least, to - from));
    from = Math.min(Math.max(from, w.start), w.start + all - wide);
    this.shown = wide >= all ? null : { from, to: from + wide };
    this.follows = !this.shown || this.shown.to >= w.end;
    this.draw();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.read(false).catch(() => this.news()), settle);
  }

  /**
   * @param {number} by factor
   * @param {number} [around] time
   */
  zoom(by, around) {
    const { from, to } = this.window();
    const middle = around ?? (this.time >= from && this.time <= to ? this.time : (from + to) / 2);
    this.show(middle - (middle - from) * by, middle + (to - middle) * by);
  }

  /** @param {number} share of the window */
  pan(share) {
    const { from, to } = this.window();
    this.show(from + share * (to - from), to + share * (to - from));
  }

  /** @param {string} what */
  act(what) {
    const w = this.data;
    if (!w) return;
    if (what === "in") this.zoom(0.5);
    if (what === "out") this.zoom(2);
    if (what === "all") this.show(w.start, w.end);
    if (what === "newest") this.show(w.end - (20 * (w.end - w.start)) / Math.max(20, w.total), w.end);
  }

  /** @param {KeyboardEvent} e */
  key(e) {
    const w = this.data;
    if (!w || e.ctrlKey || e.metaKey || e.altKey) return;
    /** @type {Record<string, () => void>} */
    const does = {
      "+": () => this.zoom(0.5),
      "=": () => this.zoom(0.5),
      "-": () => this.zoom(2),
      0: () => this.act("all"),
      Home: () => this.move(w.start + 1 - this.time),
      End: () => this.move(w.end - 1 - this.time),
      ArrowLeft: () => (e.shiftKey ? this.pan(-0.25) : this.next(-1)),
      ArrowRight: () => (e.shiftKey ? this.pan(0.25) : this.next(1)),
      ArrowUp: () => this.up(-1),
      ArrowDown: () => this.up(1),
      Enter: () => this.open(),
      Escape: () => this.say(null),
    };
    const act = does[e.key];
    if (!act) return;
    e.preventDefault();
    e.stopPropagation();
    act();
  }

  /**
   * To the next round, or column where there are no single ones.
   * @param {number} by 1 or -1
   */
  next(by) {
    const w = this.data;
    if (!w) return;
    const { from, to } = this.window();
    if (!this.time) return this.move((by > 0 ? from : to) - this.time + by);
    if (w.rounds?.length) {
      const i = w.rounds.findIndex((r) => r.end >= this.time);
      const r = w.rounds[Math.max(0, Math.min(w.rounds.length - 1, (i < 0 ? w.rounds.length : i) + by))];
      return this.move((r.start + r.end) / 2 - this.time);
    }
    this.move((by * (to - from)) / (w.columns || 100));
  }

  /** @param {number} by lanes */
  up(by) {
    this.lane = Math.max(0, Math.min((this.data?.lanes.length || 1) - 1, this.lane + by));
    this.move(0);
  }

  /** @param {number} by milliseconds */
  move(by) {
    const w = this.data;
    if (!w) return;
    const { from, to } = this.window();
    this.time = Math.max(w.start, Math.min(w.end, (this.time || (from + to) / 2) + by));
    if (this.time < from) this.show(this.time, this.time + to - from);
    if (this.time > to) this.show(this.time - (to - from), this.time);
    this.say({ lane: this.lane, time: this.time }, true);
  }

  /** Opens the log where the cursor is. */
  open() {
    const url = this.link();
    if (url) location.assign(url);
  }

  /** @returns {string} where the log has the round under the cursor */
  link() {
    const w = this.data;
    if (!w || !this.time) return "";
    const { round } = spotAt(w, this.lane, this.time);
    const q = new URLSearchParams({ worker: String(w.lanes[this.lane].rank) });
    if (round) q.set("step", String(round.step));
    else q.set("at", new Date(this.time).toISOString());
    return `${this.run}/logs?${q}`;
  }

  /**
   * Tells what is at a spot: beside it, and for who cannot see that, below.
   * @param {{lane: number, time: number}|null} spot
   * @param {boolean} [aloud]
   */
  say(spot, aloud = false) {
    const w = this.data;
    const lines = spot && w ? describe(w, spotAt(w, spot.lane, spot.time), this.cells || null) : [];
    this.tip.hidden = lines.length === 0;
    if (!spot || !w || !lines.length) return;
    const f = this.place();
    this.tip.replaceChildren(...lines.map((text) => Object.assign(document.createElement("p"), { textContent: text })));
    const x = xOf(f, spot.time);
    this.tip.style.left = `${Math.max(0, Math.min(x + 12, this.box.clientWidth - this.tip.offsetWidth - 4))}px`;
    this.tip.style.top = `${f.top + (spot.lane + 1) * f.lane + 6 - this.box.scrollTop}px`;
    if (aloud) this.reading.replaceChildren(`${lines.join(". ")}. `, Object.assign(document.createElement("a"), { href: this.link(), textContent: "Log" }), this.metrics(spotAt(w, spot.lane, spot.time)));
  }

  /** @param {import("./read.js").Spot} s */
  metrics(s) {
    if (!s.round) return "";
    const q = new URLSearchParams({ from: String(Math.max(0, s.round.step - 2 * this.inner)), to: String(s.round.step + this.inner) });
    const a = Object.assign(document.createElement("a"), { href: `${this.run}/metrics?${q}`, textContent: "Metrics" });
    const both = document.createDocumentFragment();
    both.append(" · ", a);
    return both;
  }

  /**
   * @param {PointerEvent|WheelEvent} e
   * @returns {{lane: number, time: number}|null} null outside the lanes
   */
  under(e) {
    const f = this.place();
    const box = this.canvas.getBoundingClientRect();
    const lane = Math.floor((e.clientY - box.top - f.top) / f.lane);
    const x = e.clientX - box.left;
    if (lane < 0 || lane >= (this.data?.lanes.length || 0) || x < f.left || x > f.left + f.width) return null;
    return { lane, time: timeAt(f, x) };
  }

  /** @param {PointerEvent} e */
  hover(e) {
    if (e.buttons === 0) this.say(this.under(e));
  }

  /** @param {WheelEvent} e */
  wheel(e) {
    const spot = this.under(e);
    if (spot && (e.ctrlKey || e.metaKey)) {
      e.preventDefault();
      this.zoom(Math.exp(Math.max(-1, Math.min(1, e.deltaY / 200))), spot.time);
    } else if (Math.abs(e.deltaX) > Math.abs(e.deltaY)) {
      e.preventDefault();
      this.pan(e.deltaX / this.place().width);
    }
  }

  /**
   * A drag selects what to zoom to, with Shift it moves; a click puts the cursor there.
   * @param {PointerEvent} e
   */
  drag(e) {
    const start = this.under(e);
    if (!start || e.button !== 0) return;
    const began = this.window();
    const [x, f] = [e.clientX, this.place()];
    let last = e.clientX;
    const mark = document.createElement("div");
    mark.className = "lanes-selection";
    const move = (/** @type {PointerEvent} */ m) => {
      last = m.clientX;
      if (e.shiftKey) {
        const by = ((last - x) / f.width) * (began.to - began.from);
        this.show(began.from - by, began.to - by);
        return;
      }
      const left = this.canvas.getBoundingClientRect().left;
      mark.style.left = `${Math.min(x, last) - left}px`;
      mark.style.width = `${Math.abs(last - x)}px`;
      mark.style.height = `${f.top + f.height}px`;
      if (Math.abs(last - x) > 4) this.box.append(mark);
    };
    const up = () => {
      removeEventListener("pointermove", move);
      removeEventListener("pointerup", up);
      removeEventListener("pointercancel", up);
      mark.remove();
      if (e.shiftKey) return;
      const left = this.canvas.getBoundingClientRect().left;
      if (Math.abs(last - x) > 4) {
        this.show(timeAt(f, Math.min(x, last) - left), timeAt(f, Math.max(x, last) - left));
        return;
      }
      [this.lane, this.time] = [start.lane, start.time];
      this.say(start, true);
    };
    addEventListener("pointermove", move);
    addEventListener("pointerup", up);
    addEventListener("pointercancel", up);
  }
}

/**
 * @param {HTMLElement} page a run's
 * @returns {Timeline|null} null where it has none
 */
export function startTimeline(page) {
  const section = page.querySelector("[data-lanes]");
  return section instanceof HTMLElement ? new Timeline(section, page.dataset.runId || "") : null;
}
