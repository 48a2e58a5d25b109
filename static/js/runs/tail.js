// The newest lines of a run's log, live: of all workers or one, followed as long as the reader is at the end, and bounded.
import { paint } from "./ansi.js";
import { clock, localClocks } from "../ui/times.js";

/** @typedef {{pos: number, rank: number, stream: string, at: string, text: string}} Line */

export class Tail {
  /**
   * @param {HTMLElement} section
   * @param {number} [most] how many lines are in the page at most
   * @param {number} [page] how many are read at once
   */
  constructor(section, most = 300, page = 100) {
    this.most = most;
    this.page = page;
    this.section = section;
    this.url = section.dataset.logUrl || "";
    this.view = /** @type {HTMLElement} */ (section.querySelector("[data-log-view]"));
    this.list = /** @type {HTMLElement} */ (section.querySelector("[data-log-lines]"));
    this.empty = /** @type {HTMLElement} */ (section.querySelector("[data-log-empty]"));
    this.rank = Number(section.dataset.rank);
    this.last = Number(section.dataset.last);
    this.follow = true;
    this.atEnd = true; // the newest lines are in the page
    this.generation = 0;
    /** @type {Line[]} */
    this.pending = [];
    this.skipped = 0;
    this.frame = 0;
    /** @type {Map<string, Line>} lines that are still rewritten, as progress bars are */
    this.open = new Map();
    this.openList = /** @type {HTMLElement} */ (this.list.cloneNode(false));
    delete this.openList.dataset.logLines;
    this.list.after(this.openList);

    for (const el of this.list.querySelectorAll("[data-raw]")) {
      const text = el.querySelector(".log-text");
      if (text) paint(text, (el.getAttribute("data-raw") || "").replaceAll("␛", "\x1b"));
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
    if (!this.atEnd) return;
    this.skipped += data.skipped || 0;
    for (const line of data.lines || []) {
      if (this.rank < 0 || line.rank === this.rank) this.pending.push(line);
    }
    if (this.pending.length > this.most) this.pending.splice(0, this.pending.length - this.most);
    if (!this.frame) this.frame = requestAnimationFrame(() => this.flush());
  }

  flush() {
    this.frame = 0;
    const lines = this.pending.splice(0).filter((l) => l.pos > this.last);
    const piece = document.createDocumentFragment();
    if (this.skipped > 0) {
      piece.append(note(`${this.skipped.toLocaleString("en")} lines are left out here because there were too many at once; the download has them.`));
      this.skipped = 0;
    }
    for (const line of lines) piece.append(element(line));
    if (lines.length > 0) this.last = lines[lines.length - 1].pos;
    this.list.append(piece);
    this.trimStart();
    this.update();
    if (this.follow) this.toEnd();
  }

  /** Drops the oldest lines when there are too many, and returns whether. */
  trimStart() {
    if (this.list.children.length <= this.most) return false;
    const extra = this.list.children.length - this.most * 0.8; // trimming seldom moves the page seldom
    const before = this.view.scrollHeight;
    for (let i = 0; i < extra; i++) this.list.firstElementChild?.remove();
    if (!this.follow) this.view.scrollTop -= before - this.view.scrollHeight;
    return true;
  }

  update() {
    const open = this.atEnd ? [...this.open.values()].filter((l) => this.rank < 0 || l.rank === this.rank) : [];
    this.openList.replaceChildren(...open.map(element));
    this.empty.hidden = this.list.children.length + open.length > 0;
  }

  toEnd() {
    this.view.scrollTop = this.view.scrollHeight;
  }

  scrolled() {
    const gap = this.view.scrollHeight - this.view.scrollTop - this.view.clientHeight;
    if (this.follow && gap > 40) this.setFollow(false);
    else if (!this.follow && gap < 4 && this.atEnd) this.setFollow(true);
  }

  /** @param {boolean} on */
  setFollow(on) {
    this.follow = on;
    if (!on) return;
    if (this.atEnd) this.toEnd();
    else void this.loadTail();
  }

  /** @param {Record<string, string|number>} query @returns {Promise<{lines: Line[], more: boolean}>} */
  async read(query) {
    const url = new URL(this.url, location.href);
    url.searchParams.set("worker", String(this.rank));
    for (const [k, v] of Object.entries(query)) url.searchParams.set(k, String(v));
    const response = await fetch(url, { headers: { Accept: "application/json" } });
    if (!response.ok) throw new Error(`logs: ${response.status}`);
    return response.json();
  }

  async loadTail() {
    const generation = ++this.generation;
    const { lines, more } = await this.read({ limit: this.page });
    if (generation !== this.generation) return;
    this.fill(lines, more, true);
    this.toEnd();
  }

  /**
   * Shows these lines instead of those that are in the page.
   * @param {Line[]} lines
   * @param {boolean} _earlier whether there are lines before them
   * @param {boolean} atEnd whether they are the newest
   */
  fill(lines, _earlier, atEnd) {
    this.pending.length = 0;
    this.list.replaceChildren(...lines.map(element));
    this.last = Math.max(lines[lines.length - 1]?.pos || 0, 0);
    this.atEnd = atEnd;
    this.update();
  }

  /** After a gap: the newest lines again. */
  async catchUp() {
    this.open.clear(); // those that are still open are told again
    await this.loadTail();
    this.update();
  }
}

/**
 * Which worker and stream a line is of: each has one that is still rewritten at most.
 * @param {Line} line
 */
function source(line) {
  return `${line.rank} ${line.stream}`;
}

/** @param {string} text */
function note(text) {
  const li = document.createElement("li");
  li.className = "log-skipped";
  li.textContent = text;
  return li;
}

/**
 * The same element as views.logLine.
 * @param {Line} line
 */
export function element(line) {
  const li = document.createElement("li");
  li.className = line.stream === "stderr" ? "log-line log-stderr" : "log-line";
  if (line.text.startsWith("COTRAIN {")) li.classList.add("log-machine");
  li.dataset.pos = String(line.pos);
  const time = document.createElement("time");
  time.dateTime = line.at;
  time.textContent = clock(new Date(line.at));
  time.title = new Date(line.at).toLocaleString();
  const rank = document.createElement("span");
  rank.className = `log-rank rank-${line.rank % 8}`;
  rank.title = `Worker ${line.rank}`;
  rank.textContent = String(line.rank);
  const text = document.createElement("span");
  text.className = "log-text";
  paint(text, line.text);
  li.append(time, rank, text);
  return li;
}
