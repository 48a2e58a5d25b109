// The log of a run: newest lines, one worker or all, follow, the first and the last line, earlier and later ones. At most
// `most` lines are in the page; what scrolls out at one end can be loaded again.
import { paint } from "./ansi.js";
import { clock, localClocks } from "../ui/times.js";

/** @typedef {{pos: number, rank: number, stream: string, at: string, text: string}} Line */

const most = 2000;
const fewer = 1600; // what is left when there were too many: trimming seldom moves the page seldom
const page = 500;

/** @param {HTMLElement} root */
export function startLogs(root) {
  const section = root.querySelector("[data-log]");
  return section instanceof HTMLElement ? new Logs(section, root.dataset.logsUrl || "") : new NoLogs();
}

class NoLogs {
  receive() {}
  async catchUp() {}
}

class Logs {
  /**
   * @param {HTMLElement} section
   * @param {string} url
   */
  constructor(section, url) {
    this.section = section;
    this.url = url;
    this.view = /** @type {HTMLElement} */ (section.querySelector("[data-log-view]"));
    this.list = /** @type {HTMLElement} */ (section.querySelector("[data-log-lines]"));
    this.empty = /** @type {HTMLElement} */ (section.querySelector("[data-log-empty]"));
    this.earlier = /** @type {HTMLButtonElement} */ (section.querySelector("[data-log-earlier]"));
    this.later = /** @type {HTMLButtonElement} */ (section.querySelector("[data-log-later]"));
    this.followButton = /** @type {HTMLButtonElement} */ (section.querySelector("[data-log-follow]"));
    this.rank = Number(section.dataset.rank);
    this.first = Number(section.dataset.first);
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

    section.querySelector(".tabs")?.addEventListener("click", (event) => this.chooseTab(event));
    this.followButton.addEventListener("click", () => this.setFollow(!this.follow));
    section.querySelector("[data-log-machine]")?.addEventListener("click", (event) => this.showMachine(/** @type {HTMLElement} */ (event.currentTarget)));
    section.querySelector("[data-log-start]")?.addEventListener("click", () => void this.toStart());
    section.querySelector("[data-log-end]")?.addEventListener("click", () => this.setFollow(true));
    this.earlier.addEventListener("click", () => void this.loadEarlier());
    this.later.addEventListener("click", () => void this.loadLater());
    this.view.addEventListener("scroll", () => this.scrolled(), { passive: true });
  }

  /**
   * Machine lines repeat what the charts show, so they are out of the way until asked for.
   * @param {HTMLElement} button
   */
  showMachine(button) {
    const shown = this.section.toggleAttribute("data-machine");
    button.setAttribute("aria-pressed", String(shown));
    if (this.follow) this.toEnd();
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
    if (this.pending.length > most) this.pending.splice(0, this.pending.length - most);
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
    if (lines.length > 0) {
      this.last = lines[lines.length - 1].pos;
      if (this.first === 0) this.first = lines[0].pos;
    }
    this.list.append(piece);
    this.trimStart();
    this.update();
    if (this.follow) this.toEnd();
  }

  trimStart() {
    if (this.list.children.length <= most) return;
    const extra = this.list.children.length - fewer;
    const before = this.view.scrollHeight;
    for (let i = 0; i < extra; i++) this.list.firstElementChild?.remove();
    this.first = Number(/** @type {HTMLElement} */ (this.list.querySelector("[data-pos]"))?.dataset.pos || this.last);
    this.earlier.hidden = false;
    if (!this.follow) this.view.scrollTop -= before - this.view.scrollHeight;
  }

  update() {
    const open = this.atEnd ? [...this.open.values()].filter((l) => this.rank < 0 || l.rank === this.rank) : [];
    this.openList.replaceChildren(...open.map(element));
    this.empty.hidden = this.list.children.length + open.length > 0;
    this.later.hidden = this.atEnd;
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
    this.followButton.setAttribute("aria-pressed", String(on));
    if (!on) return;
    if (this.atEnd) this.toEnd();
    else void this.loadTail();
  }

  /** @param {Event} event */
  chooseTab(event) {
    const tab = event.target instanceof Element ? event.target.closest("[data-tab]") : null;
    if (!(tab instanceof HTMLAnchorElement)) return;
    event.preventDefault();
    for (const other of this.section.querySelectorAll("[data-tab]")) {
      if (other === tab) other.setAttribute("aria-current", "true");
      else other.removeAttribute("aria-current");
    }
    this.rank = Number(tab.dataset.tab);
    history.replaceState(history.state, "", tab.href.replace(/#logs$/, ""));
    const download = this.section.querySelector("[data-log-download]");
    if (download instanceof HTMLAnchorElement) {
      const to = new URL(download.href);
      to.searchParams.set("worker", String(this.rank));
      download.href = to.href;
    }
    this.setFollow(true);
    void this.loadTail();
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
    const { lines, more } = await this.read({ limit: page });
    if (generation !== this.generation) return;
    this.fill(lines, more, true);
    this.toEnd();
  }

  /** Shows the first lines of all. */
  async toStart() {
    const generation = ++this.generation;
    this.setFollow(false);
    const { lines, more } = await this.read({ after: 0, limit: page });
    if (generation !== this.generation) return;
    this.fill(lines, false, !more);
    this.view.scrollTop = 0;
    this.view.focus({ preventScroll: true });
  }

  /**
   * Shows these lines instead of those that are in the page.
   * @param {Line[]} lines
   * @param {boolean} earlier whether there are lines before them
   * @param {boolean} atEnd whether they are the newest
   */
  fill(lines, earlier, atEnd) {
    this.pending.length = 0;
    this.list.replaceChildren(...lines.map(element));
    this.first = lines[0]?.pos || 0;
    this.last = Math.max(lines[lines.length - 1]?.pos || 0, 0);
    this.atEnd = atEnd;
    this.earlier.hidden = !earlier;
    this.update();
  }

  loadEarlier() {
    return this.loadMore(this.earlier, async () => {
      const { lines, more } = await this.read({ before: this.first, limit: page });
      return () => {
        const before = this.view.scrollHeight;
        const top = this.view.scrollTop;
        this.setFollow(false);
        this.list.prepend(...lines.map(element));
        if (lines.length > 0) this.first = lines[0].pos;
        this.earlier.hidden = !more;
        this.view.scrollTop = top + this.view.scrollHeight - before;
        this.trimEnd();
        this.update();
      };
    });
  }

  loadLater() {
    return this.loadMore(this.later, async () => {
      const { lines, more } = await this.read({ after: this.last, limit: page });
      return () => {
        this.list.append(...lines.map(element));
        if (lines.length > 0) this.last = lines[lines.length - 1].pos;
        this.atEnd = !more;
        this.trimStart();
        this.update();
      };
    });
  }

  /**
   * @param {HTMLButtonElement} button what was pressed
   * @param {() => Promise<() => void>} load reads lines, and returns what shows them
   */
  async loadMore(button, load) {
    const generation = ++this.generation;
    button.setAttribute("aria-busy", "true");
    try {
      const show = await load();
      if (generation === this.generation) show();
    } catch {
      button.textContent = "Loading failed, try again";
    } finally {
      button.removeAttribute("aria-busy");
    }
  }

  trimEnd() {
    const extra = this.list.children.length - most;
    if (extra <= 0) return;
    for (let i = 0; i < extra; i++) this.list.lastElementChild?.remove();
    this.last = Number(/** @type {HTMLElement|null} */ (this.list.lastElementChild)?.dataset.pos || this.last);
    this.atEnd = false;
  }

  /** After a gap: the newest lines again, unless the reader is elsewhere. */
  async catchUp() {
    this.open.clear(); // those that are still open are told again
    if (this.atEnd && this.follow) await this.loadTail();
    else this.atEnd = false;
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
function element(line) {
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
