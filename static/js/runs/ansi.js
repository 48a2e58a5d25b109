// Colours of terminals in log lines. Only the text and its colours are kept; every other sequence is dropped.

const names = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];
// CSI sequences (the first group has the parameters of colours), OSC sequences, any other escape, control characters.
const escapes = /\x1b\[([0-9;:]*)m|\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*.?|[\x00-\x08\x0a-\x1f\x7f-\x9f]/gs;

const longest = 4096;

/**
 * What a terminal would show of a line: what a carriage return overwrote is gone.
 * @param {string} text
 */
export function visible(text) {
  const line = text.replace(/\r+$/, "");
  const shown = line.slice(line.lastIndexOf("\r") + 1);
  return shown.length > longest ? `${shown.slice(0, longest)} … (cut)` : shown;
}

/**
 * Puts a line's text into an element, coloured.
 * @param {Element} home
 * @param {string} text
 */
export function paint(home, text) {
  const line = visible(text);
  home.textContent = "";
  /** @type {Set<string>} */
  let classes = new Set();
  let from = 0;
  const emit = (/** @type {string} */ piece) => {
    if (!piece) return;
    if (classes.size === 0) {
      home.append(piece);
      return;
    }
    const span = document.createElement("span");
    span.className = [...classes].join(" ");
    span.textContent = piece;
    home.append(span);
  };
  for (const match of line.matchAll(escapes)) {
    emit(line.slice(from, match.index));
    from = match.index + match[0].length;
    if (match[1] !== undefined) classes = restyle(classes, match[1]);
  }
  emit(line.slice(from));
}

/**
 * @param {Set<string>} classes
 * @param {string} parameters
 * @returns {Set<string>}
 */
function restyle(classes, parameters) {
  const next = new Set(classes);
  const codes = parameters.split(/[;:]/).map(Number);
  for (let i = 0; i < codes.length; i++) {
    const code = codes[i];
    const colour = code >= 90 ? code - 90 : code - 30;
    if (code === 0) next.clear();
    else if (code === 1) next.add("ansi-bold");
    else if (code === 2) next.add("ansi-dim");
    else if (code === 3) next.add("ansi-italic");
    else if (code === 4) next.add("ansi-underline");
    else if (code === 22) ["ansi-bold", "ansi-dim"].forEach((c) => next.delete(c));
    else if (code === 23) next.delete("ansi-italic");
    else if (code === 24) next.delete("ansi-underline");
    else if (code === 38 || code === 48) i += codes[i + 1] === 5 ? 2 : 4; // 256 colours and true colour: skipped
    else if (code === 39 || (colour >= 0 && colour < 8)) {
      names.forEach((n) => next.delete(`ansi-${n}`));
      if (code !== 39) next.add(`ansi-${names[colour]}`);
    }
  }
  return next;
}
