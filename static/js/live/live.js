// What a page follows: topics with sequences, from the snapshot that it shows on. A hidden page follows nothing and renders nothing; once it is
// seen again it goes on where it stopped, or reads its snapshot again.
import { Link } from "./link.js";
import { longestDelay } from "./connection.js";

/**
 * @typedef {import("./topic.js").Message} Message
 * @typedef {{message: (m: Message) => void, reread?: () => Promise<number>}} Listener
 * message is called for each message in order; reread re-reads the snapshot and returns its sequence
 */

const firstDelay = 500;

export class Live {
  /** @param {string} user whom the page is for */
  constructor(user) {
    this.user = user;
    /** @type {Map<string, {since: number, fragment: number, listener: Listener, rereading: boolean, held: Message[]}>} */
    this.topics = new Map();
    this.turn = 0;
    this.joined = false;
    this.link = new Link(user, (t) => this.told(t), () => this.joined && this.join());
    /** @type {(up: boolean) => void} */
    this.onConnection = () => {};
    /** Who looks at the page may not follow its topics, or not any more. */
    this.onRefused = () => location.reload();
  }

  /**
   * @param {string} topic
   * @param {number} since sequence of the snapshot that the page shows
   * @param {Listener} listener
   */
  follow(topic, since, listener) {
    this.topics.set(topic, { since, fragment: since, listener, rereading: false, held: [] });
  }

  start() {
    if (this.topics.size === 0) return;
    const look = () => (document.hidden ? this.leave() : this.resume());
    document.addEventListener("visibilitychange", look);
    window.addEventListener("online", () => this.link.say({ kind: "wake" }));
    window.addEventListener("pagehide", () => {
      this.leave();
      this.link.close();
    });
    window.addEventListener("pageshow", (event) => event.persisted && look());
    look();
  }

  resume() {
    if (this.joined) return;
    this.joined = true;
    this.link.startBeats();
    if (this.link.port) this.join();
    else this.link.open();
  }

  /** Says what the page shows; what was under way before that comes again. */
  join() {
    this.turn++;
    /** @type {Record<string, number>} */
    const topics = {};
    for (const [topic, t] of this.topics) {
      topics[topic] = t.since;
      t.held.length = 0;
    }
    this.link.say({ kind: "join", turn: this.turn, user: this.user, topics });
  }

  leave() {
    this.joined = false;
    this.turn++;
    this.link.stopBeats();
    this.link.say({ kind: "leave" });
  }

  /** @param {import("./hub.js").Told} t */
  told(t) {
    if (t.kind === "refused") this.onRefused(); // also of a page that is hidden
    if (!this.joined) return;
    if (t.kind === "again") this.join();
    if (t.turn !== this.turn) return;
    if (t.kind === "message") this.deliver(t.m);
    else if (t.kind === "own") this.link.openOwn();
    else if (t.kind === "up" || t.kind === "down") this.onConnection(t.kind === "up");
  }

  /** @param {Message} m */
  deliver(m) {
    const t = this.topics.get(m.topic);
    if (!t) return;
    if (t.rereading) {
      t.held.push(m);
      return;
    }
    if (m.type === "gap") {
      void this.reread(m.topic);
      return;
    }
    // A fragment comes before the message that it shows, with its sequence.
    if (m.seq <= t.since || (m.type === "html" && m.seq <= t.fragment)) return;
    if (m.type === "html") t.fragment = m.seq;
    else t.since = m.seq;
    t.listener.message(m);
  }

  /**
   * Reads the snapshot again, and once more, after a pause, when that was too late for another gap.
   * @param {string} topic
   */
  async reread(topic) {
    const t = this.topics.get(topic);
    if (!t?.listener.reread || t.rereading) return;
    t.rereading = true;
    for (let wait = firstDelay; this.joined; ) {
      t.held.length = 0; // the snapshot has them
      try {
        t.since = t.fragment = await t.listener.reread();
        if (!t.held.some((m) => m.type === "gap")) break;
        wait = firstDelay;
      } catch {
        wait = Math.min(longestDelay, wait * 2);
      }
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
    t.rereading = false;
    if (!this.joined) t.held.length = 0; // a page that comes back asks from the gap on
    for (const m of t.held.splice(0)) this.deliver(m);
  }
}
