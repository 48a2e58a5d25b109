// The lines that are chosen: they are in the address of the page, can be copied, and those like them can be hidden.
import { parse } from "../ansi.js";
import { toast } from "../../ui/toast.js";

/** @typedef {import("./row.js").Line} Line */

const mostCopied = 2000; // lines; the download has any number
const likeness = 200; // characters of a line that are compared

export class Selection {
  /** @param {import("../logs.js").Logs} logs */
  constructor(logs) {
    this.logs = logs;
    /** @type {{pos: number, n: number, line: Line|undefined}|null} */
    this.from = null;
    /** @type {{pos: number, n: number, line: Line|undefined}|null} */
    this.to = null;
    /** @type {import("./pane.js").Pane|null} */
    this.pane = null;
    this.el = document.createElement("div");
    this.el.className = "log-selected";
    this.el.hidden = true;
    this.el.setAttribute("role", "toolbar");
    this.el.setAttribute("aria-label", "Selected lines");
    this.words = document.createElement("span");
    this.el.append(
      this.words,
      this.button("Copy link", () => this.copyLink()),
      this.button("Copy text", () => this.copyText()),
      (this.hide = this.button("Hide lines like this", () => this.hideLike())),
      (this.context = this.button("Show in context", () => this.showContext())),
      this.button("Clear", () => this.clear()),
    );
    logs.home.after(this.el);
  }

  /**
   * @param {string} label
   * @param {() => void} press
   */
  button(label, press) {
    const b = document.createElement("button");
    b.type = "button";
    b.className = "button button-small";
    b.textContent = label;
    b.addEventListener("click", press);
    return b;
  }

  /**
   * The lines that the address of the page names.
   * @param {number} pos
   * @param {string} text
   */
  restore(pos, text) {
    this.from = { pos, n: -1, line: undefined };
    const last = Number(text.split("-")[1]) || 0;
    this.to = last > pos ? { pos: last, n: -1, line: undefined } : null;
  }

  /** @param {number} pos */
  has(pos) {
    if (!this.from) return false;
    return pos >= this.from.pos && pos <= (this.to ?? this.from).pos;
  }

  /**
   * The selected lines, as the download reads them: from one to another; none where it is one line.
   * @returns {[string, string][]}
   */
  get range() {
    return this.from && this.to ? [["first", String(this.from.pos)], ["last", String(this.to.pos)]] : [];
  }

  /**
   * @param {import("./pane.js").Pane} pane
   * @param {number} n
   * @param {Line} line
   * @param {boolean} further
   */
  choose(pane, n, line, further) {
    const it = { pos: line.pos, n, line };
    this.pane = pane;
    if (further && this.from) {
      const ends = [this.from, it].sort((a, b) => a.pos - b.pos);
      [this.from, this.to] = ends[0].pos === ends[1].pos ? [it, null] : [ends[0], ends[1]];
      getSelection()?.removeAllRanges(); // the browser has selected text, too
    } else if (!this.to && this.from?.pos === it.pos) {
      this.clear();
      return;
    } else {
      this.from = it;
      this.to = null;
    }
    this.show();
  }

  show() {
    const { from, to } = this;
    this.el.hidden = !from;
    if (!from) return;
    const many = to && from.n >= 0 && to.n >= 0 ? to.n - from.n + 1 : 0;
    this.words.textContent = to ? (many ? `${many} lines` : "Lines") : "1 line";
    this.hide.hidden = to !== null || !from.line;
    this.context.hidden = this.logs.state.value("only") === "" && this.logs.state.value("level") === "";
    this.logs.state.line = to ? `${from.pos}-${to.pos}` : String(from.pos);
    this.logs.state.write();
  }

  clear() {
    this.from = this.to = null;
    this.el.hidden = true;
    this.logs.state.line = "";
    this.logs.state.write();
    this.logs.redraw();
    this.logs.links();
  }

  copyLink() {
    void copy(new URL(this.logs.state.href(this.logs.state.line), location.href).href, "Link copied");
  }

  async copyText() {
    const { from, to, pane } = this;
    if (!from || !pane) return;
    let lines = from.line ? [from.line] : [];
    if (to && from.n >= 0) {
      const limit = Math.min(mostCopied, to.n - from.n + 1);
      lines = (await pane.source.ask("lines", { from: from.n, limit })).lines;
      if (to.n - from.n >= mostCopied) toast("info", `The first ${mostCopied} lines are copied. The download has all.`);
    }
    await copy(lines.map(seen).join("\n"), "Text copied");
  }

  /** Hides lines that differ from this one in numbers alone. */
  hideLike() {
    const line = this.from?.line;
    const field = /** @type {HTMLInputElement} */ (this.logs.state.field("hide"));
    if (!line) return;
    const like = seen(line).trim().slice(0, likeness).replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replace(/\d+/g, "\\d+");
    field.value = field.value ? `${field.value}|${like}` : like;
    this.clear();
    void this.logs.apply();
  }

  /** Shows all lines around this one. */
  async showContext() {
    const pos = this.from?.pos;
    if (!pos) return;
    for (const name of ["only", "level"]) {
      const el = this.logs.state.field(name);
      if (el instanceof HTMLInputElement) el.checked = false;
      else if (el instanceof HTMLSelectElement) el.value = "";
    }
    await this.logs.apply();
    await this.logs.goTo({ pos });
    this.show();
  }
}

/**
 * A line as it stands on a terminal.
 * @param {Line} line
 */
function seen(line) {
  if (line.binary) return line.escaped || "";
  const { pieces, states } = parse(line.text);
  const [from, to] = states[states.length - 1];
  return pieces.map((p) => p.text).join("").slice(from, to);
}

/**
 * @param {string} text
 * @param {string} done
 */
async function copy(text, done) {
  try {
    await navigator.clipboard.writeText(text);
    toast("success", done);
  } catch {
    toast("danger", "The browser does not allow copying here.");
  }
}
