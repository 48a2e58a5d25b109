// A search of the whole log: hits are counted as they come, and stepped through. The work at the server ends when the pattern changes.

import { integer } from "../../ui/numbers.js";

/** @typedef {import("./row.js").Line} Line */
/** @typedef {{piece: number, hits: number}} Found */

export class Search {
  /**
   * @param {string} url of /log/
   * @param {() => void} changed
   */
  constructor(url, changed) {
    this.url = url;
    this.changed = changed;
    /** @type {AbortController|null} */
    this.running = null;
    this.frame = 0;
    this.reading = Promise.resolve();
    this.clear();
  }

  clear() {
    this.running?.abort();
    this.running = null;
    /** @type {URLSearchParams|null} */
    this.query = null;
    this.hits = 0;
    /** @type {Line[]} the first hits */
    this.lines = [];
    /** @type {Found[]} */
    this.pieces = [];
    this.lost = 0; // pieces that cannot be read
    this.share = 1; // of the log that was searched
    this.problem = "";
    this.failed = false;
  }

  get active() {
    return this.query !== null;
  }

  /**
   * Searches anew.
   * @param {URLSearchParams} query the filter with q, regexp and case
   * @returns {Promise<boolean>} whether the pattern is one
   */
  async start(query) {
    this.clear();
    this.query = query;
    this.share = 0;
    const mine = (this.running = new AbortController());
    try {
      const response = await fetch(`${this.url}search?${query}`, { headers: { Accept: "application/json" }, signal: mine.signal });
      if (!response.ok) {
        const { errors } = await response.json().catch(() => ({}));
        this.problem = errors?.[0] ? `${errors[0].rule}: ${errors[0].fix}` : "The search failed. Try again.";
        this.query = null;
        this.soon();
        return false;
      }
      this.reading = this.read(response, mine);
      return true;
    } catch {
      if (this.running === mine) this.fail();
      return false;
    }
  }

  /**
   * Searches to the end.
   * @param {URLSearchParams} query
   */
  async finish(query) {
    if (await this.start(query)) await this.reading;
  }

  /**
   * Has found what another search of the same has found.
   * @param {Search} other
   */
  adopt(other) {
    this.hits = other.hits;
    this.lines = other.lines;
    this.pieces = other.pieces;
    this.lost = other.lost;
    this.soon();
  }

  /**
   * @param {Response} response
   * @param {AbortController} mine
   */
  async read(response, mine) {
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    try {
      for (;;) {
        const { done, value } = (await reader?.read()) || { done: true, value: "" };
        if (this.running !== mine) return;
        const lines = (rest + (value || "")).split("\n");
        rest = lines.pop() || "";
        for (const line of lines) if (line) this.take(JSON.parse(line));
        this.soon();
        if (done) break;
      }
      if (this.share < 1) this.fail(); // it ended early
    } catch {
      if (this.running === mine) this.fail();
    }
  }

  /** @param {{piece?: number, hits?: number, lines?: Line[], scanned?: number, of?: number, lost?: boolean, done?: boolean, error?: string}} part */
  take(part) {
    if (part.error) {
      this.problem = part.error;
      this.failed = true;
    } else if (part.done) {
      this.share = 1;
    } else {
      this.hits += part.hits || 0;
      this.share = part.of ? Math.min(0.999, (part.scanned || 0) / part.of) : 0;
      if (part.hits) this.pieces.push({ piece: part.piece || 0, hits: part.hits });
      if (part.lost) this.lost++;
      if (part.lines) this.lines.push(...part.lines);
    }
  }

  fail() {
    this.failed = true;
    this.problem ||= "The search did not finish. Try again.";
    this.soon();
  }

  soon() {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      this.changed();
    });
  }

  /** What is not searched, "" if nothing. */
  get unread() {
    if (this.lost === 0) return "";
    return this.lost === 1 ? "1 block of the log cannot be read, its lines are not searched." : `${integer(this.lost)} blocks of the log cannot be read, their lines are not searched.`;
  }

  /**
   * The next hit behind a position, or the last before one.
   * @param {number} pos
   * @param {boolean} back
   * @returns {Promise<Line|null>}
   */
  async step(pos, back) {
    if (!this.query) return null;
    const q = new URLSearchParams(this.query);
    q.set(back ? "before" : "after", String(pos));
    const response = await fetch(`${this.url}find?${q}`, { headers: { Accept: "application/json" } });
    if (!response.ok) return null;
    const { line } = await response.json();
    return line || null;
  }

  /**
   * The number of a hit, from 1, where it is known.
   * @param {number} pos
   */
  numberOf(pos) {
    if (this.share < 1 || this.lines.length < this.hits) return 0;
    return this.lines.findIndex((l) => l.pos === pos) + 1;
  }
}
