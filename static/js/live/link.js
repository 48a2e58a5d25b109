// A page's way to a hub: to the one that all tabs share, or to its own where browsers have no shared workers or do not start them.
import { Hub, beatEvery, mostMissed } from "./hub.js";

const startsWithin = 3000; // milliseconds

export class Link {
  /**
   * @param {string} user whom the page is for: tabs of different users share nothing
   * @param {(t: import("./hub.js").Told) => void} told
   * @param {() => void} opened is called whenever there is another hub, which knows nothing of this page
   */
  constructor(user, told, opened) {
    this.user = user;
    this.told = told;
    this.opened = opened;
    /** @type {MessagePort|null} */
    this.port = null;
    /** @type {Hub|undefined} */
    this.own = undefined;
    this.timer = 0;
    this.beats = 0;
    this.missed = 0;
  }

  /** Opens a way to the shared hub, or another one. */
  open() {
    try {
      const worker = new SharedWorker(new URL("./worker.js", import.meta.url), { type: "module", name: this.user });
      worker.addEventListener("error", () => this.port === worker.port && this.openOwn());
      this.use(worker.port);
      this.timer = setTimeout(() => this.openOwn(), startsWithin);
    } catch {
      this.openOwn();
    }
  }

  openOwn() {
    const { port1, port2 } = new MessageChannel();
    const own = new Hub();
    own.attach(port1);
    this.use(port2, own);
  }

  /**
   * @param {MessagePort} port
   * @param {Hub} [own]
   */
  use(port, own) {
    this.close();
    this.port = port;
    this.own = own;
    port.addEventListener("message", (event) => {
      if (this.port !== port) return;
      clearTimeout(this.timer); // it lives
      this.missed = 0;
      this.told(event.data);
    });
    // The worker ended with the process of the tab that started it; where browsers do not tell, beats do.
    port.addEventListener("close", () => this.port === port && this.open());
    port.start();
    this.opened();
  }

  /** @param {import("./hub.js").Said} s */
  say(s) {
    this.port?.postMessage(s);
  }

  /** Shows the hub that this page lives, and finds out whether the hub does. */
  startBeats() {
    clearInterval(this.beats);
    this.missed = 0;
    this.beats = setInterval(() => {
      if (++this.missed > mostMissed) this.open();
      else this.say({ kind: "beat" });
    }, beatEvery);
  }

  stopBeats() {
    clearInterval(this.beats);
  }

  close() {
    clearTimeout(this.timer);
    this.say({ kind: "bye" });
    this.port?.close();
    this.port = null;
    this.own?.close(); // a page that is left reads no messages any more
    this.own = undefined;
  }
}
