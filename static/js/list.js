// The list of runs, live: rows are replaced as their runs change; anything that may change which rows belong here
// (a new run, another state, a deletion) reads the list again, at most every half second.
import { apply, morph, parse } from "./fragments.js";

/** @param {import("./socket.js").Live} live */
export function startListPage(live) {
  let timer = 0;
  let again = false;
  let reading = false;

  async function read() {
    const before = location.href;
    const response = await fetch(before, { headers: { Accept: "text/html" } });
    if (!response.ok) throw new Error(`list: ${response.status}`);
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const fresh = page.getElementById("run-list");
    const old = document.getElementById("run-list");
    if (!fresh || !old) throw new Error("list: not in the answer");
    if (location.href !== before) return Number(fresh.dataset.seq); // the filter changed meanwhile
    // The first run brings the filters; the last one takes them away.
    if (Boolean(page.getElementById("filters")) !== Boolean(document.getElementById("filters"))) location.reload();
    morph(old, fresh);
    return Number(fresh.dataset.seq);
  }

  async function soon() {
    if (reading) {
      again = true;
      return;
    }
    reading = true;
    try {
      await read();
    } catch {
      again = true; // the banner already says that the server is away
    }
    reading = false;
    if (again) {
      again = false;
      schedule();
    }
  }

  function schedule() {
    clearTimeout(timer);
    timer = setTimeout(() => void soon(), 500);
  }

  const list = document.getElementById("run-list");
  live.follow("runs", Number(list?.dataset.seq ?? -1), {
    message: (m) => {
      if (m.type === "html") {
        const fresh = parse(m.data)[0];
        const old = fresh?.id ? document.getElementById(fresh.id) : null;
        if (!old || old.getAttribute("data-run-state") !== fresh.getAttribute("data-run-state")) schedule();
        if (old) apply(m.data);
      } else if (m.type === "deleted") {
        schedule();
      }
    },
    reread: read,
  });
}
