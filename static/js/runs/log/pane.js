// One log beside others: of all workers, or of one, with its scroll bar and overview.
import { Source } from "./source.js";
import { Places } from "./places.js";
import { Strip } from "./strip.js";
import { View } from "./view.js";
import { doLine } from "./row.js";
import { paced } from "../../live/pace.js";
import { fullTime } from "../../ui/times.js";

/** @typedef {import("./row.js").Line} Line */

const mapEvery = 5000;
const fewPieces = 8; // of which each warning is looked for, as their places are not told by the pieces

export class Pane {
  /**
   * @param {HTMLElement} el
   * @param {Source} source whose first lines are here
   * @param {import("../logs.js").Logs} logs
   */
  constructor(el, source, logs) {
    this.el = el;
    this.logs = logs;
    this.source = source;
    source.changed = () => this.view.soon();
    this.view = new View(el, source, {
      href: (pos) => logs.state.href(pos),
      marked: (line) => logs.marked(line),
      moved: (by) => logs.moved(this, by),
      following: () => logs.followed(),
    });
    this.strip = new Strip(el, (share) => this.goToShare(share));
    this.strip.events = logs.events;
    this.strip.search = logs.search;
    this.remap = paced(() => this.map(), mapEvery);
    el.querySelector("[data-log-view]")?.addEventListener("click", (event) => this.clicked(/** @type {MouseEvent} */ (event)));
    // Writing out a time is slow, and few are pointed at.
    el.querySelector("[data-log-view]")?.addEventListener("pointerover", (event) => {
      const time = event.target instanceof Element ? event.target.closest("time") : null;
      if (time && !time.title) time.title = fullTime(new Date(time.dateTime));
    });
    el.querySelector("[data-log-view]")?.addEventListener("keydown", (event) => this.pressed(/** @type {KeyboardEvent} */ (event)));
  }

  close() {
    this.source.close();
    this.view.close();
    this.strip.close();
  }

  /** @param {number} share of the log */
  goToShare(share) {
    this.view.setFollow(false);
    this.view.show(Math.floor(share * this.source.total), "middle");
    this.logs.moved(this, "reader");
  }

  /** Reads where what is in the log. */
  async map() {
    if (this.source.closed) return;
    const places = new Places(await this.source.ask("map", {}));
    this.strip.lines = [];
    if (places.pieces.length <= fewPieces && places.pieces.some((p) => p.level[1] + p.level[2] > 0)) this.strip.lines = await this.warnings();
    this.strip.places = places;
    this.strip.draw();
    this.logs.mapped();
  }

  /** @returns {Promise<Line[]>} the first warnings and errors of each piece */
  async warnings() {
    const q = new URLSearchParams([...this.source.filter]);
    if (q.get("level") !== "error") q.set("level", "warning");
    q.delete("machine");
    const response = await fetch(`${this.source.url}search?${q}`, { headers: { Accept: "application/json" } });
    if (!response.ok) return [];
    return (await response.text()).split("\n").filter(Boolean).flatMap((line) => JSON.parse(line).lines || []);
  }

  /** @param {MouseEvent} event */
  clicked(event) {
    const target = event.target instanceof Element ? event.target : null;
    const li = target?.closest(".log-line");
    const n = Number(li instanceof HTMLElement ? li.dataset.n : NaN);
    const line = this.source.line(n);
    if (!target || !line) return;
    const button = target.closest("[data-log-do]");
    if (button instanceof HTMLElement) {
      if (button.dataset.logDo === "repeats") {
        this.view.expanded.add(Math.floor(n / 50));
        this.view.soon();
        return;
      }
      void doLine(button, line, { whole: (l) => this.source.whole(l), next: (l) => this.source.next(l), changed: () => this.view.soon() }).catch(() => button.removeAttribute("aria-busy"));
      return;
    }
    if (!target.closest(".log-gutter") || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    this.logs.select(this, n, line, event.shiftKey);
  }

  /** @param {KeyboardEvent} event */
  pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Home") this.view.toStart();
    else if (event.key === "End") this.view.setFollow(true);
    else return;
    event.preventDefault();
    this.logs.moved(this, "reader");
  }

  /** The line at the top of the window, if it is here. */
  get topLine() {
    return this.source.line(this.view.top);
  }

  /**
   * Shows a place: a line by its position, a time or a step.
   * @param {Record<string, string|number>} place
   * @param {"start"|"middle"} where
   * @returns {Promise<Line|undefined>} the line that is there
   */
  async goTo(place, where) {
    const { number, line } = await this.source.around(place);
    this.view.start();
    if (number >= 0) this.view.show(number, where);
    else this.view.setFollow(true);
    return line;
  }
}
