// Terminal output in log lines: the text that is seen, its colours, and what carriage returns overwrote. Other sequences are dropped.

const names = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];
// CSI sequences (the first group has the parameters of colours), OSC sequences, any other escape: the same as Go's logarchive.
const escapes = /\x1b\[([0-9;:]*)m|\x1b\[[^@-~]*[@-~]?|\x1b\][\s\S]*?(?:\x07|\x1b\\|$)|\x1b[ -/]*[\s\S]?/g;
const controls = /[\x00-\x08\x0a-\x1f\x7f-\x9f]/g;

/**
 * How text is written: an index into the colours of a terminal, or "r, g, b".
 * @typedef {{bold?: boolean, dim?: boolean, italic?: boolean, underline?: boolean, strike?: boolean, inverse?: boolean, fg?: number|string, bg?: number|string}} Style
 * Text of one style, that begins at a place in what is visible of the line.
 * @typedef {{at: number, text: string, style: Style}} Piece
 * What carriage returns left standing one after the other, each from a place to another.
 * @typedef {{pieces: Piece[], states: [number, number][]}} Parsed
 */

/**
 * @param {string} line
 * @returns {Parsed}
 */
export function parse(line) {
  /** @type {Piece[]} */
  const pieces = [];
  /** @type {Style} */
  let style = {};
  let from = 0;
  let at = 0;
  const emit = (/** @type {string} */ text) => {
    if (text) pieces.push({ at, text, style });
    at += text.length;
  };
  if (line.includes("\x1b")) {
    for (const match of line.matchAll(escapes)) {
      emit(line.slice(from, match.index));
      from = match.index + match[0].length;
      if (match[1] !== undefined) style = restyle(style, match[1]);
    }
  }
  emit(line.slice(from));
  /** @type {[number, number][]} */
  const states = [];
  let begin = 0;
  if (line.includes("\r")) {
    for (const p of pieces) {
      for (let i = p.text.indexOf("\r"); i >= 0; i = p.text.indexOf("\r", i + 1)) {
        if (p.at + i > begin) states.push([begin, p.at + i]);
        begin = p.at + i + 1;
      }
    }
  }
  if (at > begin || states.length === 0) states.push([begin, at]);
  return { pieces, states };
}

/**
 * Appends a stretch of a line to an element, coloured, with the marks of a pattern.
 * @param {Element} home
 * @param {Parsed} line
 * @param {[number, number]} stretch
 * @param {[number, number][]} [marks]
 */
export function paint(home, line, [from, to], marks = []) {
  for (const p of line.pieces) {
    const begin = Math.max(from, p.at);
    const end = Math.min(to, p.at + p.text.length);
    if (begin >= end) continue;
    const into = styled(home, p.style);
    let done = begin;
    const add = (/** @type {Element} */ el, /** @type {number} */ until) => {
      const text = p.text.slice(done - p.at, until - p.at).replace(controls, "");
      if (text) el.append(text);
      done = until;
    };
    for (const [a, b] of marks) {
      if (b <= done || a >= end) continue;
      add(into, Math.max(a, done));
      const mark = document.createElement("mark");
      into.append(mark);
      add(mark, Math.min(b, end));
    }
    add(into, end);
  }
}

/**
 * @param {Element} home
 * @param {Style} s
 * @returns {Element} where text of the style goes
 */
function styled(home, s) {
  const { fg, bg } = s.inverse ? { fg: s.bg, bg: s.fg ?? 7 } : s;
  const classes = /** @type {const} */ (["bold", "dim", "italic", "underline", "strike"]).filter((c) => s[c]).map((c) => `ansi-${c}`);
  if (typeof fg === "number") classes.push(`ansi-${names[fg]}`);
  if (typeof bg === "number") classes.push("ansi-back", `ansi-back-${names[bg]}`);
  if (typeof fg === "string") classes.push("ansi-rgb");
  if (typeof bg === "string") classes.push("ansi-back-rgb");
  if (classes.length === 0) return home;
  const span = document.createElement("span");
  span.className = classes.join(" ");
  if (typeof fg === "string") span.style.setProperty("--fg", `rgb(${fg})`);
  if (typeof bg === "string") span.style.setProperty("--bg-rgb", `rgb(${bg})`);
  home.append(span);
  return span;
}

const switches = /** @type {Record<number, keyof Style>} */ ({ 1: "bold", 2: "dim", 3: "italic", 4: "underline", 7: "inverse", 9: "strike" });

/**
 * @param {Style} style
 * @param {string} parameters
 * @returns {Style}
 */
function restyle(style, parameters) {
  /** @type {any} */
  let next = { ...style };
  const codes = parameters.split(/[;:]/).map(Number);
  for (let i = 0; i < codes.length; i++) {
    const code = codes[i];
    if (code === 0) next = {};
    else if (code in switches) next[switches[code]] = true;
    else if (code === 22) next.bold = next.dim = false;
    else if (code > 22 && code < 30 && code - 20 in switches) next[switches[code - 20]] = false;
    else if (code === 38 || code === 48) {
      const [colour, taken] = extended(codes.slice(i + 1));
      next[code === 38 ? "fg" : "bg"] = colour;
      i += taken;
    } else if (code === 39) delete next.fg;
    else if (code === 49) delete next.bg;
    else if ((code >= 30 && code < 38) || (code >= 90 && code < 98)) next.fg = code % 10;
    else if ((code >= 40 && code < 48) || (code >= 100 && code < 108)) next.bg = code % 10;
  }
  return next;
}

/**
 * One of 256 colours, or any.
 * @param {number[]} codes what follows 38 or 48
 * @returns {[number|string|undefined, number]} the colour, and how many codes it takes
 */
function extended([kind, ...values]) {
  const byte = (/** @type {number|undefined} */ v) => Math.min(255, Math.max(0, Math.trunc(v || 0)));
  if (kind === 2) {
    return [values.slice(0, 3).map(byte).join(", "), 4];
  }
  if (kind !== 5) return [undefined, 1];
  const n = byte(values[0]);
  if (n < 16) return [n % 8, 2];
  if (n >= 232) return [Array(3).fill(8 + (n - 232) * 10).join(", "), 2];
  const level = (/** @type {number} */ v) => (v === 0 ? 0 : 55 + 40 * v);
  const c = n - 16;
  return [[Math.floor(c / 36), Math.floor(c / 6) % 6, c % 6].map(level).join(", "), 2];
}
