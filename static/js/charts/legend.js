// The legend of a chart with several curves: which is which, its value at the crosshair; a press hides a curve, pointing at one shows it
// before the others.
import { number } from "../ui/numbers.js";
import { swatchOf } from "./palette.js";

export class Legend {
  /**
   * @param {HTMLElement} list
   * @param {{toggle: (key: string) => void, highlight: (key: string|null) => void}} on
   */
  constructor(list, on) {
    this.list = list;
    this.on = on;
    this.keys = "";
    /** @type {HTMLElement[]} */
    this.values = [];
  }

  /** @param {import("./curve.js").Curve[]} curves */
  show(curves) {
    if (curves.some((c) => c.thin)) curves = []; // too many to list: a table names them
    const keys = curves.map((c) => `${c.key}\n${c.slot}\n${c.name}`).join("\n\n");
    this.list.hidden = curves.length < 2;
    if (keys !== this.keys) {
      this.keys = keys;
      this.values = [];
      this.list.replaceChildren(...curves.map((c) => this.entry(c)));
    }
    this.list.querySelectorAll("button").forEach((b, i) => b.setAttribute("aria-pressed", String(!curves[i].hidden)));
  }

  /** @param {import("./curve.js").Curve} c */
  entry(c) {
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.className = "chart-key";
    button.title = c.name;
    const swatch = document.createElement("span");
    swatch.className = swatchOf(c.slot);
    const name = document.createElement("span");
    name.className = "chart-key-name";
    name.textContent = c.name;
    const value = document.createElement("span");
    value.className = "chart-key-value num";
    button.append(swatch, name, value);
    button.addEventListener("click", () => this.on.toggle(c.key));
    for (const type of ["pointerenter", "focus"]) button.addEventListener(type, () => this.on.highlight(c.key));
    for (const type of ["pointerleave", "blur"]) button.addEventListener(type, () => this.on.highlight(null));
    item.append(button);
    this.values.push(value);
    return item;
  }

  /** @param {(number|null|undefined)[]} values at the crosshair, or the newest */
  read(values) {
    this.values.forEach((el, i) => {
      const v = values[i];
      const text = typeof v === "number" ? number(v) : "–";
      if (el.textContent !== text) el.textContent = text;
    });
  }
}
