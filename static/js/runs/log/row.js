// A line of a log as an element: its gutter, and its text as a terminal would leave it. What is folded opens with a press; see doLine.
import { paint, parse } from "../ansi.js";
import { integer } from "../../ui/numbers.js";
import { clock } from "../../ui/times.js";

/**
 * A line, as /log/lines gives it and as the socket does.
 * @typedef {{pos: number, rank: number, stream: string, at: string, text: string, level?: string, cut?: boolean, binary?: number, escaped?: string,
 *   bytes?: number, marks?: [number, number][]}} Line
 */

const levels = /** @type {Record<string, [string, string]>} */ ({ warning: ["W", "Warning"], error: ["E", "Error"] });
const longest = 4096;
const mostStates = 200;

/**
 * The same element as views.logLine.
 * @param {Line} line
 * @param {(pos: number) => string} href the address of a line
 * @param {number} [repeats] how many lines of the same text it stands for
 */
export function element(line, href, repeats = 1) {
  const li = document.createElement("li");
  li.className = "log-line";
  if (line.stream === "stderr") li.classList.add("log-stderr");
  if (line.level && line.level !== "info") li.classList.add(`log-${line.level}`);
  li.dataset.pos = String(line.pos);
  const gutter = span("log-gutter", "");
  const link = document.createElement("a");
  link.href = href(line.pos);
  link.tabIndex = -1;
  const at = new Date(line.at);
  const time = document.createElement("time");
  time.dateTime = line.at;
  time.textContent = clock(at);
  const rank = span(`log-rank rank-${line.rank % 8}`, String(line.rank));
  rank.title = `Worker ${line.rank}`;
  const level = span("log-level", "");
  if (line.level && levels[line.level]) [level.textContent, level.title] = levels[line.level];
  const when = span("log-time", "");
  link.append(time);
  when.append(link);
  gutter.append(when, rank, level);
  const text = span("log-text", "");
  write(text, line);
  if (repeats > 1) text.append(" ", fold("repeats", `repeated ${integer(repeats)} times`));
  li.append(gutter, text);
  return li;
}

/**
 * @param {string} name
 * @param {string} text
 */
function span(name, text) {
  const el = document.createElement("span");
  el.className = name;
  el.textContent = text;
  return el;
}

/**
 * @param {string} what
 * @param {string} label
 */
function fold(what, label) {
  const b = document.createElement("button");
  b.type = "button";
  b.className = "log-fold";
  b.dataset.logDo = what;
  b.append(span("", label));
  return b;
}

/**
 * @param {HTMLElement} home
 * @param {Line} line
 * @param {boolean} [all] however long it is
 */
function write(home, line, all = false) {
  home.replaceChildren();
  if (line.binary) {
    home.append(span("log-binary", `binary, ${integer(line.binary)} bytes`), " ", fold("binary", "show"));
    return;
  }
  const parsed = parse(line.text);
  const last = parsed.states[parsed.states.length - 1];
  const shown = /** @type {[number, number]} */ ([last[0], all ? last[1] : Math.min(last[1], last[0] + longest)]);
  paint(home, parsed, shown, line.marks);
  const whole = line.bytes || line.text.length;
  if (!all && (line.bytes || shown[1] < last[1])) home.append("… ", fold("all", `show all ${integer(whole)} bytes`));
  if (line.cut) home.append(" ", span("log-note", "cut at 64 KiB"), " ", fold("rest", "show the rest"));
  if (parsed.states.length > 1) home.append(" ", fold("states", `${integer(parsed.states.length)} states`));
}

/**
 * What a press on a fold of a line does. It returns whether the line changed its height now; later changes are told by changed.
 * @param {HTMLElement} button
 * @param {Line} line
 * @param {{whole: (line: Line) => Promise<Line|undefined>, next: (line: Line) => Promise<Line|undefined>, changed: () => void}} more reads what is not here
 */
export async function doLine(button, line, more) {
  const text = button.closest(".log-text");
  if (!(text instanceof HTMLElement)) return;
  switch (button.dataset.logDo) {
    case "binary":
      button.before(span("log-escaped", (line.escaped || "") + ((line.binary || 0) > 1024 ? "…" : "")), " ");
      button.remove();
      break;
    case "states":
      button.replaceWith(history(line));
      break;
    case "all": {
      button.setAttribute("aria-busy", "true");
      const whole = line.bytes ? await more.whole(line) : line;
      if (whole) write(text, whole, true);
      break;
    }
    case "rest": {
      button.setAttribute("aria-busy", "true");
      const next = await more.next(line);
      text.querySelector(".log-note")?.remove();
      if (!next) {
        button.replaceWith(span("log-note", "its rest has not come yet"));
        break;
      }
      const rest = span("log-rest", "");
      rest.dataset.pos = String(next.pos);
      write(rest, next, true);
      button.replaceWith(rest);
      break;
    }
  }
  more.changed();
}

/**
 * What carriage returns overwrote, oldest first, without what stands.
 * @param {Line} line
 */
function history(line) {
  const list = document.createElement("span");
  list.className = "log-states";
  const parsed = parse(line.text);
  const past = parsed.states.slice(0, -1);
  if (past.length > mostStates) list.append(span("log-note", `${integer(past.length - mostStates)} earlier ones are in the download`));
  for (const s of past.slice(-mostStates)) {
    const el = span("log-state", "");
    paint(el, parsed, s, line.marks);
    list.append(el);
  }
  return list;
}

/** A line that is not here yet. */
export function placeholder() {
  const li = document.createElement("li");
  li.className = "log-line log-pending";
  li.append(span("log-gutter", ""), span("log-text", " "));
  return li;
}

const clocks = /\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?Z?|\b\d\d:\d\d:\d\d(?:[.,]\d+)?/g;

/**
 * What lines that only repeat each other have in common: all but the time that the program printed.
 * @param {Line} line
 */
export function sameness(line) {
  return line.binary || line.cut || line.text.length > longest ? "" : `${line.level || ""} ${line.text.replace(clocks, "")}`;
}
