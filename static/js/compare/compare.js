// The page that compares runs: its tables are the legend of its charts, and the ranges of the parallel coordinates filter both. What is
// hidden and how the charts stand is in the address, which links and the form carry on.
import { Board } from "../charts/board.js";
import { at } from "../ui/base.js";
import { Parallel } from "./parallel.js";
import { followPointer } from "./pointed.js";
import { linesSource } from "./source.js";

const carried = ["hide", "x", "smooth", "from", "to", "log", "logx", "clip"]; // what the scripts write into the address

/** @param {HTMLElement} page */
export function startComparePage(page) {
  const lines = new Lines(page);
  if (lines.all.size === 0) return;
  const board = new Board({
    source: linesSource(() => at(page.dataset.seriesUrl || ""), lines.all, Number(page.dataset.columns)),
    press: (tool, chart) => tool === "remove" && leave({ without: chart.metrics[0] }),
  });
  board.scan(page);
  lines.changed = (hidden) => board.hide(hidden);
  lines.update();
  const figure = page.querySelector("[data-parallel]");
  const parallel = figure instanceof HTMLElement ? new Parallel(figure, (out) => lines.filter(out)) : null;
  followPointer(page, (line, run) => {
    lines.light(line);
    board.highlight(line);
    parallel?.highlight(run);
  });
  page.addEventListener("click", (e) => {
    const link = e.target instanceof Element ? e.target.closest("a") : null;
    if (link && link.pathname === location.pathname) link.search = carry(new URLSearchParams(link.search)).toString();
  }, true);
  const form = document.getElementById("compare-form");
  form?.addEventListener("formdata", (e) => carryForm(e.formData));
}

/**
 * What the scripts have changed since the page was made.
 * @param {URLSearchParams} to
 */
function carry(to) {
  const now = new URLSearchParams(location.search);
  for (const name of carried) {
    to.delete(name);
    for (const value of now.getAll(name)) to.append(name, value);
  }
  return to;
}

/** @param {FormData} to */
function carryForm(to) {
  const now = new URLSearchParams(location.search);
  for (const name of carried) {
    if (name === "x" || name === "smooth") continue; // the form asks for them
    to.delete(name);
    for (const value of now.getAll(name)) to.append(name, value);
  }
}

/** @param {Record<string, string>} change */
function leave(change) {
  const url = new URL(location.href);
  for (const [name, value] of Object.entries(change)) url.searchParams.set(name, value);
  location.assign(url);
}

/** The lines of the charts as the tables have them: which are shown, and which is lit. */
class Lines {
  /** @param {HTMLElement} page */
  constructor(page) {
    this.page = page;
    const byValue = page.dataset.byValue === "true";
    /** @type {Map<string, import("./source.js").Look>} */
    this.all = new Map();
    /** @type {Map<string, HTMLElement>} */
    this.rows = new Map();
    for (const row of page.querySelectorAll("[data-line][data-slot]")) {
      if (!(row instanceof HTMLElement)) continue;
      const { line = "", slot, shade, name = "" } = row.dataset;
      this.all.set(line, { name, slot: Number(slot), shade: byValue ? Number(shade) : null });
      this.rows.set(line, row);
    }
    this.hidden = new Set([...page.querySelectorAll("[data-show]:not(:checked)")].map((el) => el.getAttribute("data-show") || ""));
    /** @type {Set<string>} runs that the parallel coordinates leave out */
    this.out = new Set();
    /** @type {(hidden: string[]) => void} */
    this.changed = () => {};
    this.lit = "";
    page.addEventListener("change", (e) => this.ticked(e));
    page.addEventListener("click", (e) => this.pressed(e));
  }

  /** @param {Event} e */
  ticked(e) {
    const box = e.target;
    if (!(box instanceof HTMLInputElement) || box.dataset.show === undefined) return;
    if (box.checked) this.hidden.delete(box.dataset.show);
    else this.hidden.add(box.dataset.show);
    this.say();
    this.update();
  }

  /** @param {Event} e */
  pressed(e) {
    const button = e.target instanceof Element ? e.target.closest("button") : null;
    if (!button) return;
    if (button.dataset.action === "show-all") this.hidden.clear();
    else if (button.dataset.action === "hide-all") this.hidden = new Set(this.all.keys());
    else if (button.dataset.lines) {
      const only = button.dataset.lines.split(" ");
      const already = button.getAttribute("aria-pressed") === "true";
      this.page.querySelectorAll("[data-lines]").forEach((b) => b.setAttribute("aria-pressed", String(b === button && !already)));
      this.hidden = new Set(already ? [] : [...this.all.keys()].filter((key) => !only.includes(key)));
    } else return;
    this.say();
    this.update();
  }

  /** Writes what is hidden into the address. */
  say() {
    const url = new URL(location.href);
    if (this.hidden.size === 0) url.searchParams.delete("hide");
    else url.searchParams.set("hide", [...this.hidden].join(","));
    history.replaceState(history.state, "", url);
  }

  /** @param {Set<string>} out runs */
  filter(out) {
    this.out = out;
    for (const row of this.page.querySelectorAll("#compare-rows > tr")) {
      if (row instanceof HTMLElement) row.hidden = out.has(row.dataset.run || "");
    }
    this.update();
  }

  update() {
    const gone = [];
    for (const [key, row] of this.rows) {
      const hidden = this.hidden.has(key);
      row.classList.toggle("is-hidden", hidden);
      const box = row.querySelector("[data-show]");
      if (box instanceof HTMLInputElement) box.checked = !hidden;
      if (hidden || this.out.has(key)) gone.push(key);
    }
    const text = gone.length > 0 ? `${this.all.size - gone.length} of ${this.all.size} shown` : "";
    const count = this.page.querySelector("[data-shown-count]");
    if (count && count.textContent !== text) count.textContent = text;
    this.changed(gone);
  }

  /** @param {string} key */
  light(key) {
    this.rows.get(this.lit)?.classList.remove("is-lit");
    this.rows.get(key)?.classList.add("is-lit");
    this.lit = key;
  }
}
