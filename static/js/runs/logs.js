// The log tab: any line of any worker, found, followed, and beside those of others.
import { Pane } from "./log/pane.js";
import { Search } from "./log/search.js";
import { Source } from "./log/source.js";
import { State } from "./log/state.js";
import { Selection } from "./log/selection.js";
import { showFound, showProblem, startBar } from "./log/bar.js";
import { histogram } from "./log/strip.js";
import { element } from "./log/row.js";
import { source, Tail } from "./tail.js";
import { paced } from "../live/pace.js";
import { localClocks } from "../ui/times.js";

/** @typedef {import("./log/row.js").Line} Line */

const renewEvery = 5000; // milliseconds between searches of a log that grows
const drawEvery = 300; // milliseconds between drawings of what a search has found
const togetherAfter = 120; // milliseconds until the other panes come to the time of this one
const lastPos = Number.MAX_SAFE_INTEGER;

/**
 * @param {HTMLElement} root
 * @returns {Tail|Logs|null}
 */
export function startLogs(root) {
  const section = root.querySelector("[data-log]");
  if (!(section instanceof HTMLElement)) return null;
  return section.dataset.log === "all" ? new Logs(section) : new Tail(section);
}

export class Logs {
  /** @param {HTMLElement} section */
  constructor(section) {
    this.section = section;
    this.url = section.dataset.logUrl || "";
    this.bar = /** @type {HTMLFormElement} */ (section.querySelector("[data-log-bar]"));
    this.home = /** @type {HTMLElement} */ (section.querySelector("[data-log-panes]"));
    this.state = new State(this.bar);
    this.events = [...section.querySelectorAll("[data-log-place]")].map((el) => ({
      mark: el.getAttribute("data-log-place") || "", at: Date.parse(el.getAttribute("data-at") || ""), label: el.querySelector("[dir]")?.textContent || "",
    }));
    this.search = new Search(this.url, () => this.found());
    this.hit = 0; // position of the hit that was gone to
    /** @type {Pane[]} */
    this.panes = [];
    this.template = /** @type {HTMLElement} */ (this.home.firstElementChild?.cloneNode(true));
    this.template.querySelector("[data-log-lines]")?.replaceChildren();
    this.generation = 0;
    this.together = 0;
    this.filter = "";
    this.pattern = "";
    /** @type {Map<string, Line>} lines that are still rewritten, as progress bars are */
    this.open = new Map();
    this.openList = document.createElement("ol");
    this.openList.className = "log-lines log-open";
    this.home.after(this.openList);
    this.selection = new Selection(this);
    this.drawFound = paced(async () => {
      this.mapped();
      for (const p of this.panes) p.strip.draw();
    }, drawEvery);
    this.renew = paced(() => this.searchAgain(), renewEvery);
    localClocks(section);
    this.found();
    this.wrap(false);
    startBar(this, this.bar);
    void this.begin();
  }

  /** Shows the place of the page's address, and follows the log where it names none. */
  async begin() {
    const asked = this.home.querySelector(".log-line[aria-current]");
    const from = new URL(location.href).searchParams.get("from");
    if (asked instanceof HTMLElement) this.selection.restore(Number(asked.dataset.pos), this.state.line);
    const place = asked instanceof HTMLElement ? { pos: Number(asked.dataset.pos) } : null;
    await this.build(place, place === null && from === null);
    if (from !== null) this.panes[0]?.view.show(Number(from) || 0, "start");
    this.links();
    if (this.state.pattern.has("q")) this.apply();
  }

  /**
   * Makes the panes anew for what the bar asks.
   * @param {Record<string, string|number>|null} place what to show, null for the end
   * @param {boolean} follow
   * @returns {Promise<boolean>} whether the filter is one
   */
  async build(place, follow) {
    const generation = ++this.generation;
    const filter = this.state.filter;
    const ranks = this.state.side.length > 1 ? this.state.side.map(String) : [filter.get("worker") || ""];
    const sources = ranks.map((rank) => {
      const own = new URLSearchParams(filter);
      if (rank) own.set("worker", rank);
      const s = new Source(this.url, own, () => {});
      if (this.pattern && this.search.active) s.mark = this.marks;
      return s;
    });
    try {
      await Promise.all(sources.map((s) => s.tail()));
    } catch (error) {
      const problem = /** @type {any} */ (error).field;
      if (problem) showProblem(this.section, problem, /** @type {Error} */ (error).message);
      else this.say("The log could not be read. Try again.");
      return false;
    }
    if (generation !== this.generation) return true;
    this.filter = String(filter);
    for (const p of this.panes) p.close();
    const elements = sources.map((_, i) => (i === 0 && this.panes.length === 0 ? /** @type {HTMLElement} */ (this.home.firstElementChild) : /** @type {HTMLElement} */ (this.template.cloneNode(true))));
    elements.forEach((el, i) => {
      el.toggleAttribute("data-log-beside", ranks.length > 1);
      if (ranks.length > 1) {
        const head = document.createElement("h3");
        head.className = `log-pane-head rank-${Number(ranks[i]) % 8}`;
        head.textContent = `Worker ${ranks[i]}`;
        el.prepend(head);
        el.querySelector("[data-log-view]")?.setAttribute("aria-label", `Log lines of worker ${ranks[i]}`);
      }
    });
    this.home.replaceChildren(...elements);
    this.panes = sources.map((s, i) => new Pane(elements[i], s, this));
    await Promise.all(this.panes.map(async (p) => {
      if (place) await p.goTo(place, "middle");
      p.view.start();
      if (!place && follow) p.view.setFollow(true);
      else if (!place) p.view.toEnd();
    }));
    this.followed();
    for (const p of this.panes) p.remap();
    return true;
  }

  get marks() {
    const q = new URLSearchParams(this.state.pattern);
    q.set("mark", q.get("q") || "");
    q.delete("q");
    return q;
  }

  /** Does what the bar asks now. */
  async apply() {
    this.state.write();
    const pattern = String(this.state.pattern);
    const filter = String(this.state.filter);
    const searched = String(this.state.search);
    if (searched !== this.searched || this.search.failed) {
      this.searched = searched;
      this.hit = 0;
      if (!pattern) {
        this.search.clear();
        this.found();
      } else if (!(await this.search.start(this.state.search)) || searched !== String(this.state.search)) {
        return;
      }
    }
    showProblem(this.section, "hide", "");
    if (filter !== this.filter) {
      const top = this.panes[0]?.topLine;
      const follow = this.panes[0]?.view.follow ?? true;
      this.pattern = pattern;
      await this.build(follow || !top ? null : { pos: top.pos }, follow);
    } else if (pattern !== this.pattern) {
      this.pattern = pattern;
      for (const p of this.panes) p.source.setMark(pattern ? this.marks : new URLSearchParams());
    }
    this.links();
  }

  searched = "";

  /** The links of the page have its filter: of downloads, and of places. */
  links() {
    for (const a of /** @type {NodeListOf<HTMLAnchorElement>} */ (this.bar.querySelectorAll("[data-log-download]"))) {
      const to = new URL(a.href);
      const matches = a.parentElement?.hasAttribute("data-log-matches");
      const q = matches ? this.state.search : this.state.filter;
      if (!q.has("machine")) q.set("machine", "0");
      if (matches && a.parentElement) a.parentElement.hidden = !q.has("q") || this.state.value("only") !== "";
      for (const keep of ["format", "compress"]) if (to.searchParams.get(keep)) q.set(keep, to.searchParams.get(keep) || "");
      for (const [k, v] of this.selection.range) q.set(k, v);
      to.search = String(q);
      a.href = to.href;
    }
    const note = this.bar.querySelector("[data-log-download-note]");
    if (note) note.textContent = this.selection.range.length > 0 ? "The selected lines" : "The lines of this page’s filters";
  }

  /** @param {boolean} chosen by the reader */
  wrap(chosen) {
    if (chosen) {
      this.state.wrapped = true;
      this.state.write();
    }
    this.section.toggleAttribute("data-wrap", this.state.value("wrap") !== "");
    for (const p of this.panes) p.view.reshape();
  }

  /** Shows the workers beside each other that are ticked, up to four. */
  chooseSides() {
    const boxes = this.state.sides();
    this.state.side = boxes.filter((b) => b.checked).map((b) => Number(b.value)).slice(0, 4);
    for (const b of boxes) b.disabled = !b.checked && this.state.side.length >= 4;
    this.state.write();
    const top = this.panes[0]?.topLine;
    const follow = this.panes[0]?.view.follow ?? true;
    void this.build(follow || !top ? null : { at: top.at }, follow);
  }

  // What the panes ask.

  /** @param {Line} line */
  marked(line) {
    return line.pos === this.hit || this.selection.has(line.pos);
  }

  /**
   * A pane shows another place: the others go to the same time.
   * @param {Pane} pane
   * @param {"reader"|"script"} by
   */
  moved(pane, by) {
    if (by !== "reader" || this.panes.length < 2) return;
    clearTimeout(this.together);
    this.together = setTimeout(() => {
      const at = pane.topLine?.at;
      for (const p of this.panes) {
        if (p === pane) continue;
        if (pane.view.follow) p.view.setFollow(true);
        else if (at) p.goTo({ at }, "start").catch(() => {});
      }
    }, togetherAfter);
  }

  followed() {
    const on = this.panes.some((p) => p.view.follow);
    this.bar.querySelector("[data-log-follow]")?.setAttribute("aria-pressed", String(on));
  }

  mapped() {
    const places = this.panes[0]?.strip.places;
    const home = this.section.querySelector("[data-log-histogram]");
    if (places && home instanceof HTMLElement) histogram(home, this.search, places, (at) => void this.goTo({ at: at.toISOString() }));
  }

  /**
   * @param {Pane} pane
   * @param {number} n
   * @param {Line} line
   * @param {boolean} further to the range that is selected
   */
  select(pane, n, line, further) {
    if (pane.view.follow) pane.view.setFollow(false);
    this.selection.choose(pane, n, line, further);
    this.redraw();
    this.links();
  }

  redraw() {
    for (const p of this.panes) p.view.soon();
  }

  // What the bar asks.

  follow() {
    const on = !this.panes.some((p) => p.view.follow);
    for (const p of this.panes) p.view.setFollow(on);
  }

  /** @param {boolean} start or end */
  ends(start) {
    for (const p of this.panes) {
      if (start) p.view.toStart();
      else p.view.setFollow(true);
    }
    this.panes[0]?.view.view.focus({ preventScroll: true });
  }

  /** @param {Record<string, string|number>} place */
  async goTo(place) {
    try {
      const line = await this.panes[0]?.goTo(place, "middle");
      if (line) this.hit = line.pos;
      await Promise.all(this.panes.slice(1).map((p) => p.goTo(line ? { at: line.at } : place, "middle")));
      this.redraw();
    } catch {
      this.say("That place could not be read.");
    }
  }

  /** @param {boolean} back */
  async step(back) {
    if (!this.search.active) return;
    const top = this.panes[0]?.topLine;
    const from = this.hit || (top ? top.pos - 1 : 0);
    let line = await this.search.step(from, back);
    if (!line) {
      line = await this.search.step(back ? lastPos : 0, back);
      if (line) this.say(back ? "From the end" : "From the start");
    }
    if (!line) return;
    await this.goTo({ pos: line.pos });
    this.hit = line.pos;
    this.found();
    this.redraw();
  }

  /** Something is known of the search. */
  found() {
    showFound(this.section, this.search, this.hit);
    this.drawFound();
  }

  async searchAgain() {
    const query = this.search.query;
    if (!query || this.search.share < 1) return;
    const fresh = new Search(this.url, () => {});
    await fresh.finish(query);
    if (this.search.query === query && fresh.share === 1) this.search.adopt(fresh);
  }

  /** @param {string} text */
  say(text) {
    const status = this.section.querySelector("[data-log-status]");
    if (status) status.textContent = text;
  }

  // What the socket tells.

  /** @param {{lines: Line[], skipped: number, open?: Line[]}} data */
  receive(data) {
    for (const line of data.lines || []) this.open.delete(source(line));
    for (const line of data.open || []) {
      if (line.text === "") this.open.delete(source(line));
      else this.open.set(source(line), line);
    }
    for (const p of this.panes) {
      p.source.receive(data.lines || [], data.skipped || 0);
      p.remap();
    }
    if (this.search.active) this.renew();
    this.showOpen();
  }

  showOpen() {
    const lines = [...this.open.values()].filter((l) => this.panes.some((p) => p.source.simple && p.source.wants(l)));
    this.openList.replaceChildren(...lines.map((l) => element(l, (pos) => this.state.href(pos))));
  }

  /** After a gap: what came meanwhile. */
  async catchUp() {
    this.open.clear(); // those that are still open are told again
    this.showOpen();
    await Promise.all(this.panes.map((p) => p.source.tail()));
  }
}
