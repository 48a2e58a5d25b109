// What is asked of the log: it is in the fields of the bar, and in the address of the page.

const filters = ["worker", "stream", "level", "machine", "hide"];
const searched = ["q", "regexp", "case"];
const given = ["since", "until"]; // these have no field

export class State {
  /** @param {HTMLFormElement} bar */
  constructor(bar) {
    this.bar = bar;
    const q = new URL(location.href).searchParams;
    this.line = q.get("line") || "";
    this.given = new URLSearchParams(given.flatMap((n) => (q.get(n) ? [[n, q.get(n) || ""]] : [])));
    /** @type {number[]} workers side by side */
    this.side = (q.get("side") || "").split(",").filter((s) => /^\d{1,6}$/.test(s)).map(Number);
    const wrap = this.field("wrap");
    if (wrap instanceof HTMLInputElement) wrap.checked = q.has("wrap") ? q.get("wrap") === "1" : innerWidth < 640;
    this.wrapped = q.has("wrap");
    for (const box of this.sides()) box.checked = this.side.includes(Number(box.value));
  }

  /** @param {string} name */
  field(name) {
    return this.bar.elements.namedItem(name);
  }

  sides() {
    return /** @type {HTMLInputElement[]} */ ([...this.bar.querySelectorAll("[data-log-side]")]);
  }

  /** @param {string} name */
  value(name) {
    const el = this.field(name);
    if (el instanceof HTMLInputElement && el.type === "checkbox") return el.checked ? el.value : "";
    return el instanceof HTMLInputElement || el instanceof HTMLSelectElement ? el.value : "";
  }

  /** @param {string[]} names */
  take(names) {
    const q = new URLSearchParams();
    for (const n of names) if (this.value(n)) q.set(n, this.value(n));
    return q;
  }

  /** The pattern that is sought, empty for none. */
  get pattern() {
    return this.value("q") ? this.take(searched) : new URLSearchParams();
  }

  /** Which lines are shown. */
  get filter() {
    const q = new URLSearchParams([...this.take(filters), ...this.given]);
    if (this.value("only")) for (const [k, v] of this.pattern) q.set(k, v);
    return q;
  }

  /** What is searched: the shown lines, by the pattern. */
  get search() {
    return new URLSearchParams([...this.take(filters), ...this.given, ...this.pattern]);
  }

  /** All of it, as the page reads it. */
  get query() {
    const q = this.search;
    if (this.value("only") && q.has("q")) q.set("only", "1");
    if (this.side.length > 0) q.set("side", this.side.join(","));
    if (this.wrapped) q.set("wrap", this.value("wrap") || "0");
    return q;
  }

  /**
   * The address of a line, or of a range of lines.
   * @param {string|number} line
   */
  href(line) {
    const q = this.query;
    if (line) q.set("line", String(line));
    const text = q.toString();
    return location.pathname + (text ? `?${text}` : "");
  }

  write() {
    history.replaceState(history.state, "", this.href(this.line));
  }
}
