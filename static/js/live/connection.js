// The socket: opened again with back-off and jitter until nobody wants it any more.
import { at } from "../ui/base.js";

/**
 * @typedef {{topic?: string, seq?: number, type: string, data?: any}} Incoming
 * @typedef {object} Owner
 * @property {() => void} opened
 * @property {(m: Incoming, size: number) => void} received
 * @property {(code: number, reason: string, heard: boolean) => void} lost is called before the wait for the next attempt; heard tells whether
 *   anything came
 */

const firstDelay = 500;
export const longestDelay = 15000;
const silence = 60000; // the server pings more often than this

export class Connection {
  /** @param {Owner} owner */
  constructor(owner) {
    this.owner = owner;
    /** @type {WebSocket|null} */
    this.socket = null;
    this.attempts = 0;
    this.timer = 0;
    this.watchdog = 0;
    this.sent = 0; // messages on this socket
  }

  get isOpen() {
    return this.socket?.readyState === WebSocket.OPEN;
  }

  /** Connects now, unless it is connected. */
  connect() {
    clearTimeout(this.timer);
    if (this.socket) return;
    const url = new URL(at("/ws"), location.href);
    url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(url);
    this.socket = socket;
    this.sent = 0;
    let heard = false;
    socket.addEventListener("open", () => this.socket === socket && this.owner.opened());
    socket.addEventListener("message", (event) => {
      if (this.socket !== socket) return;
      // Only an answer proves that the server is there; a proxy may open a socket to nothing.
      this.attempts = 0;
      heard = true;
      clearTimeout(this.watchdog);
      // A connection that has fallen silent is dead, whatever the browser thinks.
      this.watchdog = setTimeout(() => socket.close(), silence);
      this.owner.received(JSON.parse(event.data), event.data.length);
    });
    socket.addEventListener("close", (event) => {
      if (this.socket !== socket) return;
      this.close();
      this.attempts++;
      // Half fixed, half random: browsers that lost the same server do not come back in step.
      const ceiling = Math.min(longestDelay, firstDelay * 2 ** (this.attempts - 1));
      this.timer = setTimeout(() => this.connect(), ceiling / 2 + Math.random() * (ceiling / 2));
      this.owner.lost(event.code, event.reason, heard);
    });
  }

  /** @param {object} message */
  send(message) {
    this.sent++;
    this.socket?.send(JSON.stringify(message));
  }

  /** Closes the socket, and does not connect again. */
  close() {
    clearTimeout(this.timer);
    clearTimeout(this.watchdog);
    const socket = this.socket;
    this.socket = null;
    socket?.close();
  }
}
