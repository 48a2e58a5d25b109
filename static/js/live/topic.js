// A topic that is followed, and its recent messages for tabs that come later.

/** @typedef {{topic: string, seq: number, type: string, data: any}} Message */

const mostMessages = 300;
const mostText = 256 << 10; // characters

export class Topic {
  /** @param {number} since the last sequence that is known, -1 to begin now */
  constructor(since) {
    this.since = since;
    this.from = since; // recent has all that came after it
    this.floor = since; // what is not beyond it came with an earlier subscription
    this.fragment = since; // the last sequence that a fragment came for
    this.confirmed = false;
    /** @type {{m: Message, size: number}[]} */
    this.recent = [];
    this.size = 0;
  }

  /**
   * The server follows the topic.
   * @param {number} at the sequence from which on
   */
  confirm(at) {
    this.confirmed = true;
    if (this.since < 0) this.since = this.from = at;
    this.floor = this.since;
  }

  /**
   * Reports whether a message is news. A fragment comes before the message that it shows, with its sequence.
   * @param {Message} m
   * @param {number} size
   */
  take(m, size) {
    if (!this.confirmed) return false;
    if (m.type === "gap") {
      this.since = this.from = this.floor = this.fragment = m.seq;
      this.recent = [];
      this.size = 0;
      return true;
    }
    if (m.seq <= this.floor || (m.type === "html" && m.seq <= this.fragment)) return false;
    if (m.type === "html") this.fragment = m.seq;
    else this.since = m.seq;
    this.recent.push({ m, size });
    this.size += size;
    while (this.recent.length > mostMessages || this.size > mostText) {
      const oldest = /** @type {{m: Message, size: number}} */ (this.recent.shift());
      this.size -= oldest.size;
      this.from = oldest.m.seq;
    }
    return true;
  }

  /**
   * Reports whether a tab that comes later can be told what it has missed, or nobody can.
   * @param {number} since
   */
  reaches(since) {
    return since < 0 || (this.since >= 0 && (since >= this.from || this.since - since > mostMessages));
  }

  /**
   * What a tab that comes later has missed, or a gap where that is not known any more.
   * @param {string} name
   * @param {number} since
   * @returns {Message[]}
   */
  after(name, since) {
    if (since < 0) return [];
    if (since < this.from) return [{ topic: name, seq: this.since, type: "gap", data: {} }];
    return this.recent.filter(({ m }) => m.seq > since).map(({ m }) => m);
  }
}
