// The list of runs, live: rows show what their runs are; whatever may change which rows belong here (a new run, another
// state, a deletion) reads the list again, at most every second, and for what is folded into a sweep every ten.
import { morph } from "../live/fragments.js";
import { paced } from "../live/pace.js";
import { Rows } from "../live/rows.js";
import { keepSelection, selecting, startSelection } from "./select.js";

const readEvery = 1000; // milliseconds
const foldedEvery = 10000;

/** @param {import("../live/live.js").Live} live */
export function startListPage(live) {
  const selection = startSelection();

  /** Whether rows stay where they are until asked: in another order than newest first, and while runs are selected. */
  const steady = () => document.getElementById("run-list")?.dataset.steady === "true" || selecting();

  async function read() {
    const before = location.href;
    const response = await fetch(before, { headers: { Accept: "text/html" } });
    if (!response.ok) throw new Error(`list: ${response.status}`);
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const fresh = page.getElementById("run-list");
    const old = document.getElementById("run-list");
    if (!fresh || !old) throw new Error("list: not in the answer");
    if (location.href !== before) return Number(fresh.dataset.seq); // the filter changed meanwhile
    // A form that is being sent leads to another page, and to reload this one would cancel that.
    if (document.querySelector("form[data-sending]")) return Number(fresh.dataset.seq);
    // The first run brings the filters; the last one takes them away. Another project may have been selected in another tab.
    if (Boolean(page.getElementById("filters")) !== Boolean(document.getElementById("filters")) || fresh.dataset.topic !== old.dataset.topic) location.reload();
    keepSelection(fresh);
    morph(old, fresh);
    rows.watch();
    selection();
    return Number(fresh.dataset.seq);
  }
  const now = paced(async () => void (await read()), readEvery);
  const soon = () => {
    const changed = document.querySelector("[data-list-changed]");
    if (changed instanceof HTMLElement && steady()) changed.hidden = false;
    else now();
  };
  document.addEventListener("click", (e) => {
    if (e.target instanceof Element && e.target.closest('[data-action="show-changes"]')) now();
  });
  const later = paced(async () => void (await read()), foldedEvery);

  const rows = new Rows("#run-list tr[data-run-id]", soon);
  document.addEventListener("htmx:afterSettle", () => rows.watch());

  const list = document.getElementById("run-list");
  live.follow(list?.dataset.topic ?? "runs", Number(list?.dataset.seq ?? -1), {
    message: (m) => {
      if (m.type === "rows") {
        rows.receive(m.data);
        if (m.data.some((/** @type {import("../live/rows.js").Row} */ r) => r.sweep && document.getElementById(`sweep-${r.sweep}`))) later();
      } else if (m.type === "deleted") {
        soon();
      }
    },
    reread: read,
  });
}
