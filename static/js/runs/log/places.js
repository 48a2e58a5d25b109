// Where lines are in a log, as far as the map of its pieces tells.

/** @typedef {{first: number, lines: number, since: string, until: string, level: number[]}} Piece */

export class Places {
  /** @param {{total: number, pieces: Piece[]}} map */
  constructor(map) {
    this.total = map.total;
    this.pieces = map.pieces;
    /** @type {number[]} lines before each piece */
    this.starts = [];
    let n = 0;
    for (const p of map.pieces) {
      this.starts.push(n);
      n += p.lines;
    }
    this.since = map.pieces.map((p) => Date.parse(p.since));
    this.until = map.pieces.map((p) => Date.parse(p.until));
  }

  /**
   * The share of the log before a piece, and before the next.
   * @param {number} i
   * @returns {[number, number]}
   */
  stretch(i) {
    return this.total > 0 ? [this.starts[i] / this.total, (this.starts[i] + this.pieces[i].lines) / this.total] : [0, 0];
  }

  /**
   * The piece that a position is in.
   * @param {number} pos
   */
  pieceOf(pos) {
    let i = this.pieces.length - 1;
    while (i > 0 && this.pieces[i].first > pos) i--;
    return i;
  }

  /**
   * The share of the log before a moment.
   * @param {number} at
   */
  ofTime(at) {
    for (let i = 0; i < this.pieces.length; i++) {
      if (at > this.until[i]) continue;
      const long = this.until[i] - this.since[i];
      const [from, to] = this.stretch(i);
      return from + (to - from) * (long > 0 ? Math.min(1, Math.max(0, (at - this.since[i]) / long)) : 0);
    }
    return 1;
  }

  /**
   * The share of the log before a line.
   * @param {{pos: number, at: string}} line
   */
  ofLine(line) {
    const i = this.pieceOf(line.pos);
    if (i < 0) return 0;
    const [from, to] = this.stretch(i);
    return Math.min(to, Math.max(from, this.ofTime(Date.parse(line.at))));
  }
}
