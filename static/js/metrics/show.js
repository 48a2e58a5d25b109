// The tab Metrics: its controls change the view of all charts, groups fill when they are opened, formulas make charts of one's own.
import { mistake } from "../charts/load.js";
import { kernels, notchOf, smoothingAt } from "../charts/view.js";

/** @typedef {import("../charts/board.js").Board} Board */

/**
 * @param {Board} board of the run
 * @param {HTMLElement} page
 */
export function startMetrics(board, page) {
  const form = /** @type {HTMLFormElement} */ (document.getElementById("metrics-view"));
  const reset = page.querySelector('[data-zoom="reset"]');
  board.options.press = (tool, chart) => tool === "remove" && removeOwn(board, chart);
  board.options.changed = (view) => reset?.toggleAttribute("disabled", view.from === null && view.to === null);
  board.options.changed(board.view);
  startControls(board, form, page);
  startFormulas(board, page);
  startGroups(board, page);
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
 * @param {Board} board
 * @param {HTMLElement} page
 */
function startFormulas(board, page) {
  const form = /** @type {HTMLFormElement} */ (page.querySelector("[data-formula-form]"));
  const input = /** @type {HTMLInputElement} */ (form.querySelector("input"));
  const message = /** @type {HTMLElement} */ (form.querySelector("[data-formula-message]"));
  form.addEventListener("submit", async (e) => {
    e.preventDefault();
    const text = input.value.trim().replace(/^=\s*/, "");
    if (!text) return;
    const formula = `=${text}`;
    const wrong = await mistake(board.source, formula);
    message.textContent = wrong;
    input.setAttribute("aria-invalid", String(wrong !== ""));
    if (wrong || board.view.formulas.includes(formula)) return;
    input.value = "";
    board.set({ formulas: [...board.view.formulas, formula] });
    const el = figure(formula);
    el.dataset.own = "";
    document.getElementById("own-charts")?.append(el);
    board.scan(el.parentElement || page);
    el.scrollIntoView({ block: "nearest" });
  });
}

/**
 * @param {Board} board
 * @param {import("../charts/chart.js").Chart} chart
 */
function removeOwn(board, chart) {
  board.set({ formulas: board.view.formulas.filter((f) => f !== chart.metrics[0]) });
  chart.el.remove();
  board.scan(document);
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
  const name = el.querySelector("h3");
  if (name) name.textContent = name.title = metric;
  return el;
}

/**
 * Groups get their charts when they are opened: those that the table below them lists.
 * @param {Board} board
 * @param {HTMLElement} page
 */
function startGroups(board, page) {
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
    document.getElementById("curated-charts")?.toggleAttribute("hidden", query !== "");
    board.scan(page);
  });
}
