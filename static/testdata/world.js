// A world in which the scripts of static/js/live run without a browser: time, channels between tabs and worker, and a console with sockets.
// All is random, and repeats itself with a seed.

/** @param {number} seed */
export function random(seed) {
  let s = seed * 2654435761;
  const next = () => {
    s = (s + 0x6d2b79f5) | 0;
    let t = Math.imul(s ^ (s >>> 15), 1 | s);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  return { next, below: (n) => Math.floor(next() * n), of: (list) => list[Math.floor(next() * list.length)] };
}

/** Time that passes only when it is told to. */
export class Clock {
  constructor() {
    this.now = 0;
    this.ids = 0;
    this.events = new Map();
  }
  after(ms, fn) {
    this.events.set(++this.ids, { at: this.now + Math.max(0, ms), fn });
    return this.ids;
  }
  every(ms, fn) {
    const id = ++this.ids;
    const next = () => {
      this.events.set(id, { at: this.now + ms, fn: () => (next(), fn()) });
    };
    next();
    return id;
  }
  async run(ms) {
    const end = this.now + ms;
    for (;;) {
      let id = 0;
      let first = null;
      for (const [i, e] of this.events) if (e.at <= end && (!first || e.at < first.at)) [id, first] = [i, e];
      if (!first) break;
      this.events.delete(id);
      this.now = first.at;
      first.fn();
      await new Promise((resolve) => setImmediate(resolve)); // what waits for promises
    }
    this.now = end;
  }
}

/** Something that delivers in order, each a moment later. */
class Line {
  constructor(world) {
    this.world = world;
    this.last = 0;
  }
  push(fn) {
    const { clock, rng } = this.world;
    this.last = Math.max(this.last, clock.now + rng.next() * this.world.delay);
    clock.after(this.last - clock.now, fn);
  }
}

class Port {
  constructor(world) {
    this.line = new Line(world);
    this.listeners = { message: [], close: [] };
    this.open = true;
  }
  addEventListener(type, fn) {
    this.listeners[type].push(fn);
  }
  start() {}
  postMessage(data) {
    const copy = structuredClone(data);
    if (this.open) this.line.push(() => this.other.open && this.other.listeners.message.forEach((fn) => fn({ data: copy })));
  }
  close() {
    this.open = false;
    this.line.push(() => this.world.tells && this.other.listeners.close.forEach((fn) => fn({})));
  }
}

const ringSize = 40;

/** The console: topics with sequences and rings, as internal/feed has them, and its sockets, as internal/web/live serves them. */
export class Console {
  constructor(world) {
    this.world = world;
    this.up = true;
    this.base = 1000;
    this.topics = new Map();
    this.sockets = new Set();
    this.refused = new Set();
    this.most = { open: 0, sent: 0, topics: 0 };
    this.opened = 0;
    this.faults = [];
  }
  topic(name) {
    if (!this.topics.has(name)) this.topics.set(name, { seq: this.base, ring: [] });
    return this.topics.get(name);
  }
  publish(name) {
    const t = this.topic(name);
    t.seq++;
    t.ring.push(t.seq);
    if (t.ring.length > ringSize) t.ring.shift();
    for (const s of this.sockets) if (s.at?.has(name)) s.pump(name);
  }
  restart() {
    this.base += 100000;
    this.topics.clear();
    for (const s of [...this.sockets]) s.cut(1001);
  }
}

/** A socket as a browser has it. */
function socketOf(world) {
  return class WebSocket {
    static OPEN = 1;
    constructor() {
      this.readyState = 0;
      this.listeners = { open: [], message: [], close: [] };
      this.down = new Line(world);
      this.upward = new Line(world);
      this.sent = 0;
      this.at = null;
      this.down.push(() => {
        if (this.readyState !== 0) return;
        if (!world.console.up) return this.cut(1006);
        this.readyState = 1;
        const c = world.console;
        c.sockets.add(this);
        c.opened++;
        c.most.open = Math.max(c.most.open, c.sockets.size);
        this.fire("open", {});
      });
    }
    addEventListener(type, fn) {
      this.listeners[type].push(fn);
    }
    fire(type, event) {
      for (const fn of this.listeners[type]) fn(event);
    }
    send(text) {
      this.upward.push(() => this.readyState === 1 && this.said(JSON.parse(text)));
    }
    said({ sub, since, page }) {
      const c = world.console;
      c.most.sent = Math.max(c.most.sent, ++this.sent);
      c.most.topics = Math.max(c.most.topics, sub.length);
      if (!page || sub.length === 0 || sub.length > 16 || this.sent > 100) {
        c.faults.push(`a subscription to ${sub.length} topics as message ${this.sent}`);
        return this.cut(1008);
      }
      const no = [...sub].sort().find((name) => c.refused.has(name));
      if (no) return this.cut(4403, `${no}: not allowed, or not any more`);
      this.at = new Map();
      for (const name of sub) this.at.set(name, since[name] < 0 ? c.topic(name).seq : since[name]);
      this.tell({ type: "subscribed", data: Object.fromEntries(this.at) });
      for (const name of sub) this.pump(name);
    }
    pump(name) {
      const t = world.console.topic(name);
      const from = this.at.get(name);
      if (from === t.seq) return;
      this.at.set(name, t.seq);
      if (from > t.seq || from < t.seq - t.ring.length) return this.tell({ topic: name, seq: t.seq, type: "gap", data: {} });
      for (const seq of t.ring) {
        if (seq <= from) continue;
        if (seq % 3 === 0) this.tell({ topic: name, seq, type: "html", data: "x" });
        this.tell({ topic: name, seq, type: "log", data: seq });
      }
    }
    tell(m) {
      const data = JSON.stringify(m);
      this.down.push(() => this.readyState === 1 && this.fire("message", { data }));
    }
    cut(code, reason = "") {
      world.console.sockets.delete(this);
      if (this.readyState === 3) return;
      // What is on its way still comes when the console says goodbye, and is lost with the connection.
      const end = () => {
        if (this.readyState === 3) return;
        this.readyState = 3;
        this.fire("close", { code, reason });
      };
      if (code === 1006) end();
      else this.down.push(end);
    }
    close() {
      if (this.readyState === 3) return;
      this.readyState = 3;
      world.console.sockets.delete(this);
      this.down.push(() => this.fire("close", { code: 1005, reason: "" }));
    }
  };
}

/** Makes the world that the scripts find. */
export function makeWorld(seed) {
  const world = { clock: new Clock(), rng: random(seed), tells: seed % 2 === 0, delay: [3, 40, 400][seed % 3], shared: true, hub: null, Hub: null, ports: [] };
  world.console = new Console(world);
  const { clock } = world;
  Port.prototype.world = world;
  Math.random = world.rng.next;
  const names = {
    location: { href: "http://console/", protocol: "http:" },
    setTimeout: (fn, ms) => clock.after(ms, fn),
    clearTimeout: (id) => clock.events.delete(id),
    setInterval: (fn, ms) => clock.every(ms, fn),
    clearInterval: (id) => clock.events.delete(id),
    WebSocket: socketOf(world),
    MessageChannel: class {
      constructor() {
        this.port1 = new Port(world);
        this.port2 = new Port(world);
        this.port1.other = this.port2;
        this.port2.other = this.port1;
      }
    },
    SharedWorker: class {
      constructor() {
        if (!world.shared) throw new Error("no shared workers");
        const { port1, port2 } = new MessageChannel();
        world.hub ??= new world.Hub();
        world.hub.attach(port1);
        this.port = port2;
      }
      addEventListener() {}
    },
    fetch: async () => {
      if (!world.console.up) throw new Error("away");
      return { status: 200, redirected: false };
    },
  };
  for (const [name, value] of Object.entries(names)) Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  return world;
}

/** A page that checks all that it is told: everything once, in order, from its snapshot on. */
export class Tab {
  constructor(world, Live, topics) {
    this.world = world;
    this.live = new Live("ann");
    this.shows = new Map(topics.map((name) => [name, world.console.topic(name).seq])); // rendered now
    this.html = new Map(); // the last fragment's sequence
    this.faults = [];
    this.rereads = 0;
    this.refused = 0;
    this.alive = true;
    this.up = null;
    this.live.onConnection = (up) => (this.up = up);
    this.live.onRefused = () => this.refused++;
    for (const [name, since] of this.shows) this.live.follow(name, since, { message: (m) => this.message(m), reread: () => this.reread(name) });
  }
  message(m) {
    const shown = this.shows.get(m.topic);
    if (!this.alive || !this.live.joined) this.faults.push(`${m.topic}: a message for a tab that is not seen`);
    if (m.type === "html") {
      if (m.seq !== shown + 1 || this.html.get(m.topic) === m.seq) this.faults.push(`${m.topic}: fragment ${m.seq} after ${shown}`);
      this.html.set(m.topic, m.seq);
      return;
    }
    if (m.seq !== shown + 1) this.faults.push(`${m.topic}: ${m.seq} after ${shown}`);
    // A cut between a message and its fragment loses the former, as pages need only one of them.
    this.shows.set(m.topic, m.seq);
  }
  async reread(name) {
    this.rereads++;
    const { console, clock, rng } = this.world;
    await new Promise((resolve) => clock.after(rng.next() * 30, resolve));
    if (!console.up) throw new Error("away");
    const seq = console.topic(name).seq;
    await new Promise((resolve) => clock.after(rng.next() * 30, resolve));
    this.shows.set(name, seq);
    return seq;
  }
  close() {
    this.live.leave();
    this.live.link.close();
    this.alive = false;
  }
  /** Ends without a word. */
  crash() {
    this.live.link.stopBeats();
    this.live.joined = false;
    if (this.live.link.port) this.live.link.port.open = false;
    this.alive = false;
  }
}
