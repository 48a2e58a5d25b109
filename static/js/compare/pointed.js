// Which line of the charts is pointed at in a table or a figure, by pointer or focus.

/**
 * Tells of the line and the run that are pointed at, "" for none, at most once a frame: a pointer that crosses a table passes many rows.
 * @param {HTMLElement} page  whose elements name their line in data-line or data-of, and their run in data-run or data-parallel-run
 * @param {(line: string, run: string) => void} lit
 */
export function followPointer(page, lit) {
  let frame = 0;
  let now = "";
  /** @param {EventTarget|null} target */
  const point = (target) => {
    const el = target instanceof Element ? target.closest("[data-line], [data-of]") : null;
    const line = el?.getAttribute("data-line") || el?.getAttribute("data-of") || "";
    const run = el?.getAttribute("data-run") || el?.getAttribute("data-parallel-run") || "";
    if (line === now) return;
    now = line;
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(() => lit(line, run));
  };
  for (const type of ["pointerover", "focusin"]) page.addEventListener(type, (e) => point(e.target));
  for (const type of ["pointerleave", "focusout"]) page.addEventListener(type, () => point(null));
}
