// Paths of shared storage in fields that name some: the browser's own list of suggestions, filled while typing.
import { at } from "../ui/base.js";

/** How long to wait for the next key, in milliseconds. */
const pause = 120;

/** The field, its pending question, and what its list holds. */
const states = new WeakMap();

/** @param {HTMLInputElement} input */
function stateOf(input) {
  let state = states.get(input);
  if (!state) {
    state = { timer: 0, asked: null, controller: null };
    states.set(input, state);
  }
  return state;
}

/**
 * The list of a field. One that the page made keeps its own entries, behind those of the storage.
 * @param {HTMLInputElement} input
 */
function listOf(input) {
  if (input.list) return input.list;
  const list = document.createElement("datalist");
  list.id = `${input.id || "f"}-paths`;
  input.after(list);
  input.setAttribute("list", list.id);
  return list;
}

/**
 * In a list with commas only the last item is completed.
 * @param {string} value
 * @returns {[string, string]} what stays, and what is completed
 */
export function split(value) {
  const comma = value.lastIndexOf(",");
  if (comma < 0) return ["", value.trimStart()];
  const rest = value.slice(comma + 1);
  const item = rest.trimStart();
  return [value.slice(0, comma + 1) + rest.slice(0, rest.length - item.length), item];
}

/** @param {HTMLInputElement} input */
async function ask(input) {
  const state = stateOf(input);
  const [kept, prefix] = split(input.value);
  if (state.asked === kept + prefix) return;
  state.asked = kept + prefix;
  state.controller?.abort();
  state.controller = new AbortController();
  try {
    const query = new URLSearchParams({ prefix });
    const project = input.form?.querySelector("[name=in_project]");
    if ((project instanceof HTMLInputElement || project instanceof HTMLSelectElement) && project.value) query.set("project", project.value);
    const answer = await fetch(`${at("/storage/complete")}?${query}`, {
      signal: state.controller.signal,
      headers: { Accept: "application/json" },
    });
    if (!answer.ok) return;
    const { items } = await answer.json();
    show(input, kept, items);
  } catch {
    state.asked = null; // aborted by the next key, or the server is away: the field works without
  }
}

/**
 * @param {HTMLInputElement} input
 * @param {string} kept
 * @param {string[]} items
 */
function show(input, kept, items) {
  const list = listOf(input);
  for (const old of list.querySelectorAll("[data-path]")) old.remove();
  const fresh = items.map((item) => {
    const option = document.createElement("option");
    option.value = kept + item;
    option.dataset.path = "";
    return option;
  });
  list.prepend(...fresh);
}

/** @param {EventTarget | null} target */
function field(target) {
  return target instanceof HTMLInputElement && target.dataset.complete === "storage" ? target : null;
}

export function startComplete() {
  document.addEventListener("input", (event) => {
    const input = field(event.target);
    if (!input) return;
    const state = stateOf(input);
    clearTimeout(state.timer);
    state.timer = setTimeout(() => void ask(input), pause);
  });
  document.addEventListener("focusin", (event) => {
    const input = field(event.target);
    if (input) void ask(input);
  });
  document.addEventListener("focusout", (event) => {
    const input = field(event.target);
    if (!input) return;
    const state = stateOf(input);
    clearTimeout(state.timer);
    state.controller?.abort();
    state.asked = null; // what is there may have changed until the next time
  });
}
