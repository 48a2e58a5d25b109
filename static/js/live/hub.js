// The hub of tabs: one socket for the topics of all that are seen. It runs in a shared worker, and where there is none in the page, for that
// page alone. A tab joins with the sequences of what it shows, and leaves when it is hidden or closed; nothing is sent to hidden tabs.
import { at } from "../ui/base.js";
import { Connection } from "./connection.js";
import { Topic } from "./topic.js";

/**
 * @typedef {import("./topic.js").Message} Message
 *
 * What tabs say. A turn is from a join to the next one, or to the end: answers name it, so that what was under way before is told apart.
 * @typedef {{kind: "join", turn: number, user: string, topics: Record<string, number>}} Join
 * @typedef {Join | {kind: "leave" | "bye" | "beat" | "wake"}} Said
 *
 * What the hub says. own: this socket cannot have the tab's topics, it has to have one of its own; again: the hub does not know the tab.
 * @typedef {{turn: number, kind: "message", m: Message} | {turn: number, kind: "beat" | "up" | "down" | "refused" | "own" | "again"}} Told
 *
 * @typedef {{turn: number, topics: Set<string>, missed: number}} Tab
 */

const mostTopics = 16; // the server's limits
const mostSent = 100;
const notAllowed = 4403; // the server's code for a topic that one may not follow, or no longer; its reason begins with the topic
const linger = 2000; // milliseconds that topics stay when their last tab has left: the next one may want them
export const beatEvery = 4000;
export const mostMissed = 2; // beats, before the other side counts as gone

/** Whether nobody is signed in any more: a socket that is refused does not say why to a script. */
async function signedOut() {
  try {
    const answer = await fetch(at("/system"), { headers: { Accept: "application/json" } });
    return answer.status === 401 || answer.redirected; // to the log-in, or to what comes first
  } catch {
    return false; // the server is away
  }
}

export class Hub {
  constructor() {
    /** @type {Map<MessagePort, Tab|null>} null while it is hidden */
    this.tabs = new Map();
    /** @type {Map<string, Topic>} */
    this.topics = new Map();
    /** @type {Map<string, Topic>|null} of the subscription that the server has not confirmed yet */
    this.asked = null;
    this.changed = false; // the topics, since the server was asked
    this.user = "";
    this.lingering = 0;
    this.connection = new Connection({
      opened: () => {
        this.asked = null;
        for (const t of this.topics.values()) t.confirmed = false;
        this.subscribe();
      },
      received: (m, size) => this.received(m, size),
      lost: (code, reason, heard) => this.lost(code, reason, heard),
    });
    this.ticks = setInterval(() => this.tick(), beatEvery);
  }

  /** Ends a hub that a page had for itself. */
  close() {
    clearInterval(this.ticks);
    clearTimeout(this.lingering);
    this.tabs.clear();
    this.topics.clear();
    this.connection.close();
  }

  /** @param {MessagePort} port */
  attach(port) {
    this.tabs.set(port, null);
    port.addEventListener("message", (event) => this.said(port, event.data));
    port.addEventListener("close", () => this.leave(port, true)); // where browsers tell
    port.start();
    this.tell(port, { turn: 0, kind: "beat" });
  }

  /**
   * @param {MessagePort} port
   * @param {Said} s
   */
  said(port, s) {
    const tab = this.tabs.get(port);
    switch (s.kind) {
      case "join":
        this.join(port, s);
        break;
      case "leave":
      case "bye":
        this.leave(port, s.kind === "bye");
        break;
      case "beat":
        if (tab) tab.missed = 0;
        this.tell(port, { turn: tab?.turn ?? 0, kind: tab ? "beat" : "again" });
        break;
      case "wake":
        this.wake();
        break;
    }
  }

  /**
   * @param {MessagePort} port
   * @param {Told} t
   */
  tell(port, t) {
    port.postMessage(t);
  }

  /**
   * @param {MessagePort} port
   * @param {Join} j
   */
  join(port, j) {
    const tab = { turn: j.turn, topics: new Set(Object.keys(j.topics)), missed: 0 };
    this.tabs.set(port, tab);
    this.user = j.user;
    if (new Set([...tab.topics, ...this.topics.keys()]).size > mostTopics) this.prune();
    if (this.wanted().size > mostTopics) {
      this.turnAway(port, tab);
      return;
    }
    let fresh = false;
    for (const [name, since] of Object.entries(j.topics)) {
      let topic = this.topics.get(name);
      if (!topic?.reaches(since)) {
        this.topics.set(name, (topic = new Topic(since))); // from there on again; who has it already leaves it out
        fresh = true;
      }
      for (const m of topic.after(name, since)) this.tell(port, { turn: tab.turn, kind: "message", m });
    }
    if (fresh) this.subscribe();
    if (this.connection.attempts > 0) this.tell(port, { turn: tab.turn, kind: "down" });
    else this.up(port, tab);
    this.wake();
  }

  /**
   * @param {MessagePort} port
   * @param {Tab} tab
   */
  turnAway(port, tab) {
    this.tell(port, { turn: tab.turn, kind: "own" });
    this.leave(port, true);
  }

  /**
   * @param {MessagePort} port
   * @param {boolean} [closed]
   */
  leave(port, closed = false) {
    if (closed) this.tabs.delete(port);
    else if (this.tabs.has(port)) this.tabs.set(port, null);
    clearTimeout(this.lingering);
    if (this.tabs.size === 0) this.prune(); // nothing may run any more once the last page is left
    else this.lingering = setTimeout(() => this.prune(), linger);
  }

  wanted() {
    return new Set(this.seen().flatMap(([, tab]) => [...tab.topics]));
  }

  /** Gives up what no tab wants. */
  prune() {
    const wanted = this.wanted();
    const before = this.topics.size;
    for (const name of this.topics.keys()) if (!wanted.has(name)) this.topics.delete(name);
    if (this.topics.size === 0) this.connection.close();
    else if (this.topics.size < before) this.subscribe();
  }

  /** Connects at once rather than after a pause. */
  wake() {
    if (this.topics.size > 0) this.connection.connect();
  }

  /** Tells the server which topics to send. One subscription is under way at a time: positions are known between two. */
  subscribe() {
    this.changed = true;
    if (this.asked || !this.connection.isOpen) return;
    if (this.connection.sent >= mostSent) {
      this.connection.close();
      this.connection.connect();
      return;
    }
    this.changed = false;
    this.asked = new Map(this.topics);
    const since = Object.fromEntries([...this.topics].map(([name, t]) => [name, t.since]));
    this.connection.send({ sub: Object.keys(since), since, page: true, user: this.user });
  }

  /**
   * @param {import("./connection.js").Incoming} m
   * @param {number} size
   */
  received(m, size) {
    if (m.type === "subscribed") this.confirmed(m.data);
    const topic = this.topics.get(m.topic ?? "");
    const message = /** @type {Message} */ (m);
    if (!topic?.take(message, size)) return;
    for (const [port, tab] of this.seen()) if (tab.topics.has(message.topic)) this.tell(port, { turn: tab.turn, kind: "message", m: message });
  }

  /** @param {Record<string, number>} at */
  confirmed(at) {
    for (const [name, topic] of this.asked ?? []) {
      if (this.topics.get(name) === topic) topic.confirm(at[name]); // else it was given up, and is followed anew
    }
    this.asked = null;
    if (this.changed) this.subscribe();
    for (const [port, tab] of this.seen()) this.up(port, tab);
  }

  /**
   * Tells a tab that it is live, if it is.
   * @param {MessagePort} port
   * @param {Tab} tab
   */
  up(port, tab) {
    if ([...tab.topics].every((name) => this.topics.get(name)?.confirmed)) this.tell(port, { turn: tab.turn, kind: "up" });
  }

  /**
   * @param {number} code
   * @param {string} reason
   * @param {boolean} heard
   */
  lost(code, reason, heard) {
    for (const t of this.topics.values()) t.confirmed = false;
    this.asked = null;
    const topic = code === notAllowed ? reason.slice(0, reason.indexOf(": ")) : "";
    if (this.topics.has(topic)) {
      this.refuseTopic(topic);
      return;
    }
    for (const [port, tab] of this.seen()) this.tell(port, { turn: tab.turn, kind: "down" });
    if (code === notAllowed) this.refuse();
    else if (!heard) void signedOut().then((out) => out && this.refuse());
  }

  /**
   * Whoever follows what they may not asks for themselves, and the others go on.
   * @param {string} topic
   */
  refuseTopic(topic) {
    const all = this.seen();
    const those = all.filter(([, tab]) => tab.topics.has(topic));
    if (all.length > 0 && those.length === all.length) {
      for (const [port, tab] of those) for (const kind of /** @type {const} */ (["down", "refused"])) this.tell(port, { turn: tab.turn, kind });
      return;
    }
    for (const [port, tab] of those) this.turnAway(port, tab);
    this.prune();
    this.wake();
  }

  /** @returns {[MessagePort, Tab][]} */
  seen() {
    return /** @type {[MessagePort, Tab][]} */ ([...this.tabs].filter(([, tab]) => tab));
  }

  /** Nobody is signed in any more, or somebody else: what hidden tabs show goes, too. */
  refuse() {
    for (const [port, tab] of this.tabs) this.tell(port, { turn: tab?.turn ?? 0, kind: "refused" });
  }

  /** Finds tabs that are gone without a word. */
  tick() {
    for (const [port, tab] of this.seen()) if (++tab.missed > mostMissed) this.leave(port, true);
  }
}
