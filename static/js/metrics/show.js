// The tab Metrics: its controls change the view of all charts, groups fill when they are opened, formulas make charts of one's own.
import { mistake } from "../charts/load.js";
import { kernels, layoutOf, notchOf, smoothingAt } from "../charts/view.js";
import { Numbers } from "./numbers.js";
import { toast } from "../ui/toast.js";

/** @typedef {import("../charts/board.js").Board} Board */

const notAxes = /^(=|system\/|(step|tokens|time|elapsed)$)/; // no metrics, without steps, and those whose names mean another axis

/**
 * @param {Board} board of the run
 * @param {HTMLElement} page
 */
export function startMetrics(board, page) {
  const form = /** @type {HTMLFormElement} */ (document.getElementById("metrics-view"));
  const reset = page.querySelector('[data-zoom="reset"]');
  const layout = /** @type {HTMLInputElement} */ (page.querySelector("[data-layout-view]"));
  const row = page.querySelector("#first-charts");
  const numbers = new Numbers(page, () => board.view);
  board.options.changed = (view) => {
    numbers.changed();
    reset?.toggleAttribute("disabled", view.from === null && view.to === null);
    layout.value = layoutOf(view);
  };
  param("done", ""); // it was said
  if (page.dataset.layout) board.set({}); // the address says what is shown
  else board.options.changed(board.view);
  startControls(board, form, page);
  if (!(row instanceof HTMLElement)) return; // no metrics yet
  startRow(board, row, form);
  startFormulas(board, page, row);
  startGroups(board, page, row);
}

/**
 * @param {Board} board
 * @param {HTMLFormElement} form
 * @param {HTMLElement} page
 */
function startControls(board, form, page) {
  const kernel = /** @type {HTMLSelectElement} */ (form.querySelector("[data-kernel]"));
  const slider = /** @type {HTMLInputElement} */ (form.querySelector("[data-notch]"));
  const words = /** @type {HTMLElement} */ (form.querySelector("[data-smoothing]"));
  const at = notchOf(board.view.smooth);
  kernel.value = at.kernel;
  slider.value = String(at.notch);
  let smooth = board.view.smooth; // as written in the address, until the slider is moved
  const say = () => {
    words.textContent = smooth ? smooth.slice(smooth.indexOf(":") + 1) : "off";
    words.title = smooth ? kernels[/** @type {keyof typeof kernels} */ (kernel.value)].hint : "";
    slider.setAttribute("aria-valuetext", words.textContent);
  };
  const slide = () => {
    smooth = smoothingAt(kernel.value, Number(slider.value));
    say();
    board.set({ smooth });
  };
  kernel.addEventListener("change", slide);
  slider.addEventListener("input", slide);
  say();
  form.addEventListener("submit", (e) => e.preventDefault());
  form.addEventListener("change", (e) => {
    const el = e.target;
    if (!(el instanceof HTMLInputElement || el instanceof HTMLSelectElement)) return;
    switch (el.name) {
      case "x":
      case "workers":
        board.set({ [el.name]: el.value });
        break;
      case "replaced":
        board.set({ replaced: Number(el.value) });
        break;
      case "clip":
      case "logx":
        board.set({ [el.name]: /** @type {HTMLInputElement} */ (el).checked });
        break;
      case "table":
        param("table", /** @type {HTMLInputElement} */ (el).checked ? "1" : "");
        location.reload();
    }
  });
  page.addEventListener("click", (e) => {
    const way = e.target instanceof Element ? e.target.closest("[data-zoom]")?.getAttribute("data-zoom") : null;
    if (way === "reset") board.zoom(null);
    else if (way) board.scale(way === "in" ? 0.5 : 2);
  });
}

/**
 * Sets a parameter of the address that is not of the charts' view.
 * @param {string} name
 * @param {string} value
 */
function param(name, value) {
  const url = new URL(location.href);
  if (value) url.searchParams.set(name, value);
  else url.searchParams.delete(name);
  history.replaceState(history.state, "", url);
}

/**
 * The first row: which charts it has, and in which order.
 * @param {Board} board
 * @param {HTMLElement} row
 * @param {HTMLFormElement} form
 */
function startRow(board, row, form) {
  board.options.tools = ({ el, metrics }) => [...(notAxes.test(metrics[0]) ? [] : ["x"]), ...(el.parentElement === row ? ["earlier", "later", "remove"] : ["pin"])];
  board.options.press = (tool, { el, metrics: [metric], title }) => {
    const [before, after] = [el.previousElementSibling, el.nextElementSibling];
    switch (tool) {
      case "x":
        chooseAxis(board, form, metric);
        return;
      case "pin":
        toast("info", inRow(row, metric) ? `${title} is in the first row already` : `${title} is in the first row now`);
        if (!inRow(row, metric)) append(board, row, metric);
        return;
      case "earlier": // the other one moves: this one keeps the focus
        if (before) el.after(before);
        break;
      case "later":
        if (after) el.before(after);
        break;
      case "remove":
        el.remove();
        board.scan(document);
    }
    sayRow(board, row);
  };
}

/** @param {HTMLElement} row */
const keysOf = (row) => [...row.children].map((el) => /** @type {HTMLElement} */ (el).dataset.key || "");

/**
 * @param {HTMLElement} row
 * @param {string} key
 */
const inRow = (row, key) => keysOf(row).includes(key);

/**
 * Puts the charts of the first row into the view, unless they are the usual ones.
 * @param {Board} board
 * @param {HTMLElement} row
 */
function sayRow(board, row) {
  const keys = keysOf(row);
  board.set({ charts: JSON.stringify(keys) === row.dataset.usual ? [] : keys, formulas: [] });
}

/**
 * @param {Board} board
 * @param {HTMLElement} row
 * @param {string} metric
 */
function append(board, row, metric) {
  const el = figure(metric);
  el.dataset.own = "";
  el.dataset.key = metric;
  row.hidden = false;
  row.append(el);
  board.scan(row);
  sayRow(board, row);
  return el;
}

/**
 * @param {Board} board
 * @param {HTMLFormElement} form
 * @param {string} metric
 */
function chooseAxis(board, form, metric) {
  const select = /** @type {HTMLSelectElement} */ (form.elements.namedItem("x"));
  if (![...select.options].some((o) => o.value === metric)) select.add(new Option(metric, metric));
  select.value = metric;
  board.set({ x: metric });
}

/**
 * @param {Board} board
 * @param {HTMLElement} page
 * @param {HTMLElement} row
 */
function startFormulas(board, page, row) {
  const form = /** @type {HTMLFormElement} */ (page.querySelector("[data-formula-form]"));
  const input = /** @type {HTMLInputElement} */ (form.querySelector("input"));
  const message = /** @type {HTMLElement} */ (form.querySelector("[data-formula-message]"));
  /** @param {string} words */
  const say = (words) => {
    message.textContent = words;
    input.setAttribute("aria-invalid", String(words !== ""));
  };
  form.addEventListener("submit", async (e) => {
    e.preventDefault();
    const formula = `=${input.value.trim().replace(/^=\s*/, "")}`;
    const wrong = inRow(row, formula) ? `${formula.slice(1)} has a chart already` : await mistake(board.source, formula);
    say(wrong);
    if (wrong) return;
    input.value = "";
    append(board, row, formula).scrollIntoView({ block: "nearest" });
  });
}

/**
 * The place of a chart of one metric.
 * @param {string} metric
 * @returns {HTMLElement}
 */
function figure(metric) {
  const template = /** @type {HTMLTemplateElement} */ (document.getElementById("chart-figure"));
  const el = /** @type {HTMLElement} */ (/** @type {Element} */ (template.content.firstElementChild).cloneNode(true));
  el.dataset.metrics = JSON.stringify([metric]);
  el.dataset.title = metric;
  const name = /** @type {HTMLElement} */ (el.querySelector(".chart-name"));
  name.textContent = name.title = metric;
  return el;
}

/**
 * Groups get their charts when they are opened: those that the table below them lists.
 * @param {Board} board
 * @param {HTMLElement} page
 * @param {HTMLElement} row
 */
function startGroups(board, page, row) {
  page.addEventListener("toggle", (e) => {
    const group = e.target;
    if (!(group instanceof HTMLDetailsElement) || !group.open) return;
    const place = group.querySelector("[data-group-charts]");
    if (!place || place.childElementCount > 0) return;
    place.append(...[...group.querySelectorAll("tr[data-metric]")].map((row) => {
      const el = figure(row.getAttribute("data-metric") || "");
      const derived = row.querySelector(".tag");
      if (derived) el.querySelector("figcaption")?.append(derived.cloneNode(true));
      return el;
    }));
    board.scan(group);
  }, true);
  document.addEventListener("htmx:afterSettle", () => {
    const query = /** @type {HTMLInputElement} */ (page.querySelector('[name="q"]')).value;
    param("q", query);
    row.hidden = query !== "";
    board.scan(page);
    page.dispatchEvent(new Event("rows"));
  });
}
