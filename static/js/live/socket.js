// The live connection: one WebSocket for the page, topics with sequences, resumption after a lost connection. A
// hidden tab renders nothing: its messages wait, and when they become many the connection is closed until the tab
// is seen again.
import { at } from "../ui/base.js";

/**
 * @typedef {{topic: string, seq: number, type: string, data: any}} Message
 * @typedef {{message: (m: Message) => void, reread?: () => Promise<number>, hidden?: (m: Message) => void}} Listener
 * message is called for each message in order; reread re-reads the snapshot and returns its sequence; hidden is called when a message
 * comes that waits until the tab is seen.
 */

const firstDelay = 500;
const longestDelay = 15000;
const waiting = 300; // messages that a hidden tab keeps
const silence = 60000; // the server pings more often than this
const notAllowed = 4403; // the server's code for a topic that one may not follow, or no longer

/** Whether the page is signed out: a socket that is refused does not say why to a script. */
async function signedOut() {
  try {
    const answer = await fetch(at("/system"), { headers: { Accept: "application/json" } });
    return answer.status === 401 || answer.redirected; // to the log-in, or to what comes first
  } catch {
    return false; // the server is away
  }
}

export class Live {
  constructor() {
    /** @type {Map<string, {since: number, listener: Listener, rereading: boolean, held: Message[]}>} */
    this.topics = new Map();
    /** @type {WebSocket|null} */
    this.socket = null;
    /** @type {Message[]} */
    this.buffer = [];
    this.attempts = 0;
    this.timer = 0;
    this.watchdog = 0;
    this.leaving = false;
    this.heard = false; // anything on this socket
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
    this.topics.set(topic, { since, listener, rereading: false, held: [] });
  }

  start() {
    if (this.topics.size === 0) return;
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.wake();
    });
    window.addEventListener("online", () => this.wake());
    window.addEventListener("pagehide", () => {
      this.leaving = true;
      this.socket?.close();
    });
    window.addEventListener("pageshow", (event) => {
      if (event.persisted) {
        this.leaving = false;
        this.connect();
      }
    });
    this.connect();
  }

  wake() {
    for (const m of this.buffer.splice(0)) this.deliver(m);
    if (!this.socket && !this.leaving) {
      this.attempts = 0;
      this.connect();
    }
  }

  connect() {
    clearTimeout(this.timer);
    if (this.socket) return;
    const url = new URL(at("/ws"), location.href);
    url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(url);
    this.socket = socket;
    this.heard = false;
    socket.addEventListener("open", () => {
      /** @type {Record<string, number>} */
      const since = {};
      for (const [topic, t] of this.topics) since[topic] = t.since;
      socket.send(JSON.stringify({ sub: [...this.topics.keys()], since, page: true }));
    });
    socket.addEventListener("message", (event) => {
      // Only an answer proves that the server is there; a proxy may open a socket to nothing.
      if (this.attempts > 0) this.attempts = 0;
      this.heard = true;
      this.onConnection(true);
      this.watch(socket);
      this.receive(JSON.parse(event.data));
    });
    socket.addEventListener("close", (event) => {
      clearTimeout(this.watchdog);
      if (this.socket !== socket) return;
      this.socket = null;
      if (this.leaving) return;
      if (event.code === notAllowed) this.onRefused();
      else if (!this.heard) void signedOut().then((out) => out && this.onRefused());
      this.retry();
    });
  }

  /**
   * A connection that has fallen silent is dead, whatever the browser thinks.
   * @param {WebSocket} socket
   */
  watch(socket) {
    clearTimeout(this.watchdog);
    this.watchdog = setTimeout(() => socket.close(), silence);
  }

  retry() {
    this.attempts++;
    this.onConnection(false);
    const ceiling = Math.min(longestDelay, firstDelay * 2 ** (this.attempts - 1));
    clearTimeout(this.timer);
    // Half fixed, half random: pages that lost the same server do not come back in step.
    this.timer = setTimeout(() => this.connect(), ceiling / 2 + Math.random() * (ceiling / 2));
  }

  /** @param {Message} m */
  receive(m) {
    if (!m.topic) return;
    if (!document.hidden) {
      this.deliver(m);
      return;
    }
    this.topics.get(m.topic)?.listener.hidden?.(m);
    this.buffer.push(m);
    if (this.buffer.length > waiting) {
      // The sequences stay where rendering stopped, so coming back resumes there or re-reads the snapshot.
      this.buffer.length = 0;
      const socket = this.socket;
      this.socket = null;
      socket?.close();
    }
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
    // Several messages may share a sequence (a state and its fragment); an older one was seen already.
    if (m.seq < t.since) return;
    t.since = m.seq;
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
    for (let wait = firstDelay; !this.leaving; ) {
      t.held.length = 0; // the snapshot has them
      try {
        t.since = await t.listener.reread();
        if (!t.held.some((m) => m.type === "gap")) break;
        wait = firstDelay;
      } catch {
        wait = Math.min(longestDelay, wait * 2);
      }
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
    t.rereading = false;
    if (this.leaving) t.held.length = 0; // a page that comes back asks from the gap on
    for (const m of t.held.splice(0)) if (m.seq > t.since) this.deliver(m);
  }
}
