// A tab of a run, live: the headline and what the tab shows arrive as fragments, logs as lines, and charts ask for their curves. What the tab
// does not show is not looked at.
import { apply, morph, parse } from "../live/fragments.js";
import { paced } from "../live/pace.js";
import { startCurves } from "./curves.js";
import { startEvents } from "./events.js";
import { startLogs } from "./logs.js";
import { startMachines } from "./machines.js";
import { startTimeline } from "../mesh/timeline.js";
import { Status } from "./status.js";
import { at } from "../ui/base.js";
import { refreshTimes } from "../ui/times.js";

const queueEvery = 10000;
const rereadEvery = 2000;

/** Which messages are news for what a tab reads anew, as no fragment has it. */
const news = {
  checkpoints: (/** @type {any} */ m) => m.type === "html" && m.data.includes('data-event-kind="checkpoint'),
  events: (/** @type {any} */ m) => m.type === "html" && m.data.includes('data-event-kind="state"'), // an attempt began or ended
  mesh: (/** @type {any} */ m) => m.type === "samples",
};

/**
 * Starts a part of the page. One that fails says so, and the others go on.
 * @template T
 * @param {(page: HTMLElement) => T} start
 * @param {HTMLElement} page
 * @returns {T|null}
 */
function part(start, page) {
  try {
    return start(page);
  } catch (err) {
    reportError(err);
    return null;
  }
}

/**
 * @param {import("../live/live.js").Live} live
 * @param {HTMLElement} page
 */
export function startRunPage(live, page) {
  const charts = part(startCurves, page);
  const logs = part(startLogs, page);
  const events = part(startEvents, page);
  part(startMachines, page);
  const timeline = part(startTimeline, page);
  const status = new Status(page);
  const url = page.dataset.liveUrl || "";
  const isNews = news[/** @type {keyof news} */ (page.dataset.tab)];

  /** Brings all live parts of the tab up to date, and returns the sequence that they are of. */
  async function parts() {
    const response = await fetch(url, { headers: { Accept: "text/html" } });
    if (response.status === 404) {
      location.assign(at("/"));
      return Number.MAX_SAFE_INTEGER;
    }
    if (!response.ok) throw new Error(`live: ${response.status}`);
    const fresh = parse(await response.text())[0];
    if (!(fresh instanceof HTMLElement)) throw new Error("live: not in the answer");
    const seq = Number(fresh.dataset.seq);
    events?.join(fresh);
    for (const part of [...fresh.children]) {
      const old = part.id ? document.getElementById(part.id) : null;
      if (old) morph(old, part);
    }
    refreshTimes(page);
    status.update();
    return seq;
  }

  async function reread() {
    const seq = await parts();
    charts?.news();
    timeline?.news();
    await logs?.catchUp();
    return seq;
  }

  const rereadSoon = paced(async () => void (await parts()), rereadEvery);

  live.follow(page.dataset.topic || "", Number(page.dataset.seq), {
    message: (m) => {
      if (isNews?.(m)) rereadSoon();
      switch (m.type) {
        case "html":
          apply(m.data);
          status.update();
          events?.trim();
          charts?.news();
          break;
        case "samples":
          charts?.news();
          timeline?.news();
          break;
        case "log":
          logs?.receive(m.data);
          break;
        case "deleted":
          location.assign(at("/"));
          break;
      }
    },
    reread,
  });

  // A place in the queue changes without a message to those behind.
  setInterval(() => {
    const waits = document.querySelector("#run-headline [data-run-line]");
    if (waits && !document.hidden) parts().catch(() => {}); // the next time may do
  }, queueEvery);
}
