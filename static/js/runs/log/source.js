// The lines that a filter leaves of a run's log, by number: a bounded cache of pages, of which the newest wish is fetched and no other.
import { sameness } from "./row.js";
import { paced } from "../../live/pace.js";

/** @typedef {import("./row.js").Line} Line */
/** @typedef {{first: number, spot: number, total: number, lines: Line[]}} Page */

const pageLines = 200;
const mostPages = 60;
const textBytes = 4096; // of a line; the rest is read when it is asked for
const block = 50; // repeats are counted within so many lines, so that a line's number says to which it belongs
const refillEvery = 500;

/** @type {Record<string, number>} */
const ranks = { info: 0, warning: 1, error: 2 };

export class Source {
  /**
   * @param {string} url of /log/
   * @param {URLSearchParams} filter
   * @param {() => void} changed is called when lines have come
   */
  constructor(url, filter, changed) {
    this.url = url;
    this.filter = filter;
    this.changed = changed;
    this.mark = new URLSearchParams();
    this.total = 0;
    this.known = false; // total is
    /** @type {Map<number, (Line|undefined)[]>} by number, the ones used last at the end */
    this.pages = new Map();
    /** @type {Set<number>} pages that are shown until they have been read again */
    this.stale = new Set();
    /** @type {AbortController|null} */
    this.fetching = null;
    this.wish = "";
    this.end = -1; // position of the last line, where it is known
    this.failed = false;
    this.closed = false;
    this.refill = paced(() => this.tail(), refillEvery);
    // A line that comes is known to be wanted without the server, unless a pattern or a time decides.
    this.simple = !["q", "hide", "since", "until"].some((p) => filter.has(p));
  }

  close() {
    this.closed = true;
    this.fetching?.abort();
  }

  /**
   * Asks about the log.
   * @param {string} what
   * @param {Record<string, string|number>} query
   * @param {AbortSignal} [signal]
   * @returns {Promise<any>}
   */
  async ask(what, query, signal) {
    const q = new URLSearchParams([...this.filter, ...this.mark]);
    for (const [k, v] of Object.entries(query)) q.set(k, String(v));
    const response = await fetch(`${this.url}${what}?${q}`, { headers: { Accept: "application/json" }, signal });
    if (response.ok) return response.json();
    const { errors } = response.status === 422 ? await response.json() : { errors: null };
    const problem = errors?.[0];
    throw Object.assign(new Error(problem ? `${problem.rule}: ${problem.fix}` : `log: ${response.status}`), { field: problem?.field });
  }

  /**
   * Lines somewhere; without a place the last.
   * @param {Record<string, string|number>} query
   * @param {AbortSignal} [signal]
   * @returns {Promise<Page>}
   */
  read(query, signal) {
    return this.ask("lines", { limit: pageLines, text: textBytes, ...query }, signal);
  }

  /** @param {number} n */
  line(n) {
    return this.pages.get(Math.floor(n / pageLines))?.[n % pageLines];
  }

  /**
   * How many lines from this one on have the same text: 1 for one alone, 0 for one that another stands for.
   * @param {number} n
   */
  repeats(n) {
    const line = this.line(n);
    const text = line && sameness(line);
    if (!text) return 1;
    const same = (/** @type {number} */ i) => {
      const other = this.line(i);
      return other && sameness(other) === text;
    };
    if (n % block > 0 && same(n - 1)) return 0;
    let to = n + 1;
    while (to % block > 0 && to < this.total && same(to)) to++;
    return to - n;
  }

  /**
   * @param {number} first
   * @param {Line[]} lines
   */
  store(first, lines) {
    lines.forEach((line, i) => {
      const key = Math.floor((first + i) / pageLines);
      const page = (!this.stale.delete(key) && this.pages.get(key)) || [];
      this.pages.delete(key);
      this.pages.set(key, page);
      page[(first + i) % pageLines] = line;
    });
    for (const key of this.pages.keys()) {
      if (this.pages.size <= mostPages) break;
      this.pages.delete(key);
    }
  }

  /**
   * Wants lines from one to before another, and nothing else any more.
   * @param {number} from
   * @param {number} to
   */
  want(from, to) {
    let missing = Math.max(0, from);
    const end = Math.min(to, this.total);
    while (missing < end && this.line(missing) && !this.stale.has(Math.floor(missing / pageLines))) missing++;
    if (missing >= end) return;
    const page = Math.floor(missing / pageLines);
    const begin = this.pages.get(page)?.[0] && !this.stale.has(page) ? missing : page * pageLines;
    const wish = `${begin} ${end}`;
    if (this.fetching && this.wish === wish) return;
    this.fetching?.abort();
    const mine = (this.fetching = new AbortController());
    this.wish = wish;
    this.read({ from: begin, limit: Math.max(pageLines, Math.min(2 * pageLines, end - begin)) }, mine.signal).then(
      (got) => {
        if (this.fetching !== mine) return;
        this.fetching = null;
        this.failed = false;
        if (got.lines.length === 0 || got.total < this.total && this.end < 0) this.total = Math.min(this.total, got.total);
        this.store(got.first, got.lines);
        this.changed();
      },
      () => {
        if (this.fetching !== mine) return;
        this.fetching = null;
        this.failed = true;
        this.changed();
        setTimeout(() => !this.closed && this.changed(), 2000); // tries again
      },
    );
  }

  /**
   * Reads the lines around a place, and returns the number of the one that was asked for, -1 for none.
   * @param {Record<string, string|number>} place pos, at or step
   * @returns {Promise<{number: number, line: Line|undefined}>}
   */
  async around(place) {
    const got = await this.read(place);
    if (!this.known || got.total > this.total) {
      this.total = got.total;
      this.end = -1;
    }
    this.known = true;
    this.store(got.first, got.lines);
    const i = got.spot ? got.lines.findIndex((l) => l.pos === got.spot) : -1;
    return { number: i < 0 ? -1 : got.first + i, line: got.lines[i] };
  }

  /** Reads the last lines, and how many there are. */
  async tail() {
    if (this.closed) return;
    const got = await this.read({});
    const last = got.lines[got.lines.length - 1];
    if (this.end > (last?.pos ?? 0)) return; // others have come meanwhile
    if (got.total < this.total) this.pages.clear();
    // Lines of several workers that came at the same moment may have changed places.
    for (const key of this.pages.keys()) if (key >= Math.floor(Math.min(got.first, this.total) / pageLines) - 1) this.pages.delete(key);
    this.total = got.total;
    this.known = true;
    this.end = last?.pos ?? 0;
    this.store(got.first, got.lines);
    this.changed();
  }

  /**
   * Appends lines that have just come.
   * @param {Line[]} lines
   * @param {number} skipped how many did not
   */
  receive(lines, skipped) {
    const mine = this.simple ? lines.filter((l) => this.wants(l)) : lines;
    if (mine.length === 0 && skipped === 0) return;
    if (!this.simple || skipped > 0 || this.end < 0 || mine.some((l) => l.text.length >= textBytes || this.mark.has("mark"))) {
      this.refill();
      return;
    }
    for (const line of mine) {
      if (line.pos <= this.end) {
        if (!this.has(line.pos)) this.refill(); // it came out of order
        continue;
      }
      this.store(this.total, [line]);
      this.total++;
      this.end = line.pos;
    }
    this.changed();
  }

  /** @param {Line} l */
  wants(l) {
    const level = l.level || "info";
    const is = (/** @type {string} */ name, /** @type {string} */ value) => !this.filter.get(name) || this.filter.get(name) === value;
    if (!is("worker", String(l.rank)) || !is("stream", l.stream)) return false;
    return level === "machine" ? this.filter.has("machine") : ranks[level] >= ranks[this.filter.get("level") || "info"];
  }

  /**
   * Whether a line is among the last that are here.
   * @param {number} pos
   */
  has(pos) {
    for (let n = this.total - 1; n >= 0 && n > this.total - 2 * pageLines; n--) if (this.line(n)?.pos === pos) return true;
    return false;
  }

  /** @param {URLSearchParams} mark the pattern that is marked from now on */
  setMark(mark) {
    this.mark = mark;
    this.stale = new Set(this.pages.keys());
    this.fetching?.abort();
    this.fetching = null;
    this.changed();
  }

  /**
   * A line with all its text.
   * @param {Line} line
   * @returns {Promise<Line|undefined>}
   */
  async whole(line) {
    const got = await this.ask("lines", { pos: line.pos, limit: 1 });
    return got.lines.find((/** @type {Line} */ l) => l.pos === line.pos);
  }

  /**
   * The next line of the same worker and stream.
   * @param {Line} line
   * @returns {Promise<Line|undefined>}
   */
  async next(line) {
    const q = new URLSearchParams({ worker: String(line.rank), stream: line.stream, machine: "1", pos: String(line.pos), limit: "4" });
    const response = await fetch(`${this.url}lines?${q}`, { headers: { Accept: "application/json" } });
    if (!response.ok) throw new Error(`log: ${response.status}`);
    return (await response.json()).lines.find((/** @type {Line} */ l) => l.pos > line.pos);
  }
}
