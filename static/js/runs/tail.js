// The newest lines of a run's log, live: followed as long as the reader is at the end, and bounded.
import { paint, parse } from "./ansi.js";
import { element } from "./log/row.js";
import { localClocks } from "../ui/times.js";

/** @typedef {import("./log/row.js").Line} Line */

const most = 300; // lines in the page
const page = 100; // lines that are read at once
const frame = 16; // milliseconds

export class Tail {
  /** @param {HTMLElement} section */
  constructor(section) {
    this.url = section.dataset.logUrl || "";
    this.view = /** @type {HTMLElement} */ (section.querySelector("[data-log-view]"));
    this.list = /** @type {HTMLElement} */ (section.querySelector("[data-log-lines]"));
    this.empty = /** @type {HTMLElement} */ (section.querySelector("[data-log-empty]"));
    this.all = section.querySelector("a[href]")?.getAttribute("href") || "";
    this.last = Number(section.dataset.last);
    this.follow = true;
    this.generation = 0;
    /** @type {Line[]} */
    this.pending = [];
    this.skipped = 0;
    this.frame = 0;
    this.flushed = -Infinity;
    /** @type {Map<string, Line>} lines that are still rewritten, as progress bars are */
    this.open = new Map();
    this.openList = /** @type {HTMLElement} */ (this.list.cloneNode(false));
    delete this.openList.dataset.logLines;
    this.list.after(this.openList);

    for (const el of this.list.querySelectorAll("[data-raw]")) {
      const text = el.querySelector(".log-text");
      const parsed = parse((el.getAttribute("data-raw") || "").replaceAll("␛", "\x1b"));
      if (text) {
        text.textContent = "";
        paint(text, parsed, parsed.states[parsed.states.length - 1]);
      }
      el.removeAttribute("data-raw");
    }
    localClocks(this.list);
    this.toEnd();
    this.view.addEventListener("scroll", () => this.scrolled(), { passive: true });
  }

  /** @param {{lines: Line[], skipped: number, open?: Line[]}} data */
  receive(data) {
    for (const line of data.lines || []) this.open.delete(source(line));
    for (const line of data.open || []) {
      if (line.text === "") this.open.delete(source(line));
      else this.open.set(source(line), line);
    }
    this.skipped += data.skipped || 0;
    for (const line of data.lines || []) if (line.level !== "machine") this.pending.push(line);
    if (this.pending.length > most) this.pending.splice(0, this.pending.length - most);
    // A line that comes alone is shown at once, further ones with the next frame.
    if (performance.now() - this.flushed > frame) this.flush();
    else if (!this.frame) this.frame = requestAnimationFrame(() => this.flush());
  }

  flush() {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    this.flushed = performance.now();
    const lines = this.pending.splice(0).filter((l) => l.pos > this.last);
    const piece = document.createDocumentFragment();
    if (this.skipped > 0) {
      piece.append(note(`${this.skipped.toLocaleString("en")} lines are left out here because there were too many at once; the log has them.`));
      this.skipped = 0;
    }
    for (const line of lines) piece.append(this.element(line));
    if (lines.length > 0) this.last = lines[lines.length - 1].pos;
    this.list.append(piece);
    this.trim();
    this.update();
    if (this.follow) this.toEnd();
  }

  /** @param {Line} line */
  element(line) {
    return element(line, (pos) => `${this.all}?line=${pos}`);
  }

  /** Drops the oldest lines when there are too many. */
  trim() {
    if (this.list.children.length <= most) return;
    const extra = this.list.children.length - most * 0.8; // trimming seldom moves the page seldom
    const before = this.view.scrollHeight;
    for (let i = 0; i < extra; i++) this.list.firstElementChild?.remove();
    if (!this.follow) this.view.scrollTop -= before - this.view.scrollHeight;
  }

  update() {
    this.openList.replaceChildren(...[...this.open.values()].map((l) => this.element(l)));
    this.empty.hidden = this.list.children.length + this.open.size > 0;
  }

  toEnd() {
    this.view.scrollTop = this.view.scrollHeight;
  }

  scrolled() {
    const gap = this.view.scrollHeight - this.view.scrollTop - this.view.clientHeight;
    if (this.follow && gap > 40) this.follow = false;
    else if (!this.follow && gap < 4) this.follow = true;
  }

  /** After a gap: the newest lines again. */
  async catchUp() {
    const generation = ++this.generation;
    this.open.clear(); // those that are still open are told again
    const response = await fetch(`${this.url}lines?limit=${page}&text=4096`, { headers: { Accept: "application/json" } });
    if (!response.ok) throw new Error(`logs: ${response.status}`);
    const { lines } = /** @type {{lines: Line[]}} */ (await response.json());
    if (generation !== this.generation) return;
    this.pending.length = 0;
    this.list.replaceChildren(...lines.map((l) => this.element(l)));
    this.last = Math.max(lines[lines.length - 1]?.pos || 0, 0);
    this.update();
    this.toEnd();
  }
}

/**
 * Which worker and stream a line is of: each has one that is still rewritten at most.
 * @param {Line} line
 */
export function source(line) {
  return `${line.rank} ${line.stream}`;
}

/** @param {string} text */
function note(text) {
  const li = document.createElement("li");
  li.className = "log-skipped";
  li.textContent = text;
  return li;
}
