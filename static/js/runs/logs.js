// The log tab: besides the newest lines one worker or all, the first and the last line, earlier and later ones. What scrolls out at one
// end can be loaded again.
import { element, Tail } from "./tail.js";

/** @typedef {import("./tail.js").Line} Line */

/**
 * @param {HTMLElement} root
 * @returns {Tail|null}
 */
export function startLogs(root) {
  const section = root.querySelector("[data-log]");
  if (!(section instanceof HTMLElement)) return null;
  return section.querySelector("[data-log-earlier]") ? new Logs(section) : new Tail(section);
}

class Logs extends Tail {
  /** @param {HTMLElement} section */
  constructor(section) {
    super(section, 2000, 500);
    this.earlier = /** @type {HTMLButtonElement} */ (section.querySelector("[data-log-earlier]"));
    this.later = /** @type {HTMLButtonElement} */ (section.querySelector("[data-log-later]"));
    this.followButton = /** @type {HTMLButtonElement} */ (section.querySelector("[data-log-follow]"));
    section.querySelector(".tabs")?.addEventListener("click", (event) => this.chooseTab(event));
    this.followButton.addEventListener("click", () => this.setFollow(!this.follow));
    section.querySelector("[data-log-machine]")?.addEventListener("click", (event) => this.showMachine(/** @type {HTMLElement} */ (event.currentTarget)));
    section.querySelector("[data-log-start]")?.addEventListener("click", () => void this.toStart());
    section.querySelector("[data-log-end]")?.addEventListener("click", () => this.setFollow(true));
    this.earlier.addEventListener("click", () => void this.loadEarlier());
    this.later.addEventListener("click", () => void this.loadLater());
    const spot = this.list.querySelector("[aria-current]");
    if (spot instanceof HTMLElement) this.show(spot);
  }

  /**
   * Shows a line that was asked for, or the next one that is not hidden, and those around it.
   * @param {HTMLElement} asked
   */
  show(asked) {
    let line = asked;
    while (!line.checkVisibility() && line.nextElementSibling instanceof HTMLElement) line = line.nextElementSibling;
    this.setFollow(false);
    this.atEnd = this.section.dataset.later !== "true";
    this.later.hidden = this.atEnd;
    this.view.scrollTop = line.offsetTop - (this.view.clientHeight - line.offsetHeight) / 2;
  }

  /** The position of the first line in the page. */
  get first() {
    return Number(/** @type {HTMLElement|null} */ (this.list.querySelector("[data-pos]"))?.dataset.pos || this.last);
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

  /** @override */
  trimStart() {
    const trimmed = super.trimStart();
    if (trimmed) this.earlier.hidden = false;
    return trimmed;
  }

  /** @override */
  update() {
    super.update();
    this.later.hidden = this.atEnd;
  }

  /**
   * @override
   * @param {boolean} on
   */
  setFollow(on) {
    this.followButton.setAttribute("aria-pressed", String(on));
    super.setFollow(on);
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
    history.replaceState(history.state, "", tab.href);
    const download = this.section.querySelector("[data-log-download]");
    if (download instanceof HTMLAnchorElement) {
      const to = new URL(download.href);
      to.searchParams.set("worker", String(this.rank));
      download.href = to.href;
    }
    this.setFollow(true);
    void this.loadTail();
  }

  /** Shows the first lines of all. */
  async toStart() {
    const generation = ++this.generation;
    this.setFollow(false);
    const { lines, more } = await this.read({ after: 0, limit: this.page });
    if (generation !== this.generation) return;
    this.fill(lines, false, !more);
    this.view.scrollTop = 0;
    this.view.focus({ preventScroll: true });
  }

  /**
   * @override
   * @param {Line[]} lines
   * @param {boolean} earlier
   * @param {boolean} atEnd
   */
  fill(lines, earlier, atEnd) {
    this.earlier.hidden = !earlier;
    super.fill(lines, earlier, atEnd);
  }

  loadEarlier() {
    return this.loadMore(this.earlier, async () => {
      const { lines, more } = await this.read({ before: this.first, limit: this.page });
      return () => {
        const before = this.view.scrollHeight;
        const top = this.view.scrollTop;
        this.setFollow(false);
        this.list.prepend(...lines.map(element));
        this.earlier.hidden = !more;
        this.view.scrollTop = top + this.view.scrollHeight - before;
        this.trimEnd();
        this.update();
      };
    });
  }

  loadLater() {
    return this.loadMore(this.later, async () => {
      const { lines, more } = await this.read({ after: this.last, limit: this.page });
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
    const extra = this.list.children.length - this.most;
    if (extra <= 0) return;
    for (let i = 0; i < extra; i++) this.list.lastElementChild?.remove();
    this.last = Number(/** @type {HTMLElement|null} */ (this.list.lastElementChild)?.dataset.pos || this.last);
    this.atEnd = false;
  }

  /**
   * The newest lines again, unless the reader is elsewhere.
   * @override
   */
  async catchUp() {
    if (this.atEnd && this.follow) return super.catchUp();
    this.open.clear();
    this.atEnd = false;
    this.update();
  }
}
