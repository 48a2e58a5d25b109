// One sweep's page, live: what has changed is read again, at most every second; the runs' curves at most every four.
import { morph } from "./fragments.js";
import { SweepChart } from "./sweep_chart.js";
import { refreshTimes } from "./times.js";

const readEvery = 1000; // milliseconds
const curvesEvery = 4000;

/**
 * Calls work soon, never twice at the same time, and not more often than every so many milliseconds. A failure is tried
 * again: the banner already says that the server is away.
 * @param {() => Promise<void>} work
 * @param {number} every
 * @returns {() => void}
 */
function paced(work, every) {
  let timer = 0;
  let last = -Infinity;
  let busy = false;
  let again = false;
  function soon() {
    if (busy) {
      again = true;
      return;
    }
    clearTimeout(timer);
    timer = setTimeout(run, Math.max(0, last + every - performance.now()));
  }
  async function run() {
    busy = true;
    again = false;
    try {
      await work();
    } catch {
      again = true;
    }
    last = performance.now();
    busy = false;
    if (again) soon();
  }
  return soon;
}

/**
 * @param {import("./socket.js").Live} live
 * @param {HTMLElement} page
 */
export function startSweepPage(live, page) {
  const figure = page.querySelector("[data-sweep-chart]");
  const chart = figure instanceof HTMLElement ? new SweepChart(figure) : null;

  async function read() {
    const response = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (response.status === 404) {
      location.assign("/sweeps");
      return Number.MAX_SAFE_INTEGER;
    }
    if (!response.ok) throw new Error(`sweep: ${response.status}`);
    const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
    let seq = 0;
    for (const id of ["sweep-live", "stop-dialog", "delete-dialog"]) {
      const part = fresh.getElementById(id);
      const old = document.getElementById(id);
      if (!part || !old) throw new Error("sweep: not in the answer");
      if (id === "sweep-live") seq = Number(part.dataset.seq);
      if (!(old instanceof HTMLDialogElement && old.open)) morph(old, part);
    }
    refreshTimes(page);
    return seq;
  }

  const curves = paced(async () => {
    const response = await fetch(page.dataset.pointsUrl || "", { headers: { Accept: "application/json" } });
    if (response.ok) chart?.show(await response.json());
    else if (response.status !== 404) throw new Error(`curves: ${response.status}`);
  }, curvesEvery);
  const changed = paced(async () => {
    await read();
    curves();
  }, readEvery);

  live.follow(page.dataset.topic || "", Number(document.getElementById("sweep-live")?.dataset.seq ?? -1), {
    message: (m) => {
      if (m.type === "deleted") location.assign("/sweeps");
      else changed();
    },
    reread: async () => {
      const seq = await read();
      curves();
      return seq;
    },
  });
  curves();
  // Progress within a run is no change of its state, so it is read now and then while anything runs.
  setInterval(() => {
    const running = document.getElementById("sweep-live")?.dataset.done === "false";
    if (running && !document.hidden) changed();
  }, 5 * readEvery);
}
