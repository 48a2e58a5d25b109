// Banners on top: the live connection is lost; Nomad is not reachable.
import { at } from "../ui/base.js";

/**
 * @param {string} id
 * @param {boolean} show
 * @param {string} [text]
 */
function banner(id, show, text) {
  const el = document.getElementById(id);
  if (!el) return;
  const words = el.querySelector("[data-banner-text]");
  if (words && text && words.textContent !== text) words.textContent = text;
  el.hidden = !show;
}

/** @param {import("./socket.js").Live} live */
export function startBanners(live) {
  let timer = 0;
  live.onConnection = (up) => {
    clearTimeout(timer);
    if (up) banner("connection-banner", false);
    // A connection that is back within a moment is not worth a word.
    else timer = setTimeout(() => banner("connection-banner", true), 1000);
  };
  live.follow("system", Number(document.body.dataset.systemSeq || -1), {
    message: (m) => {
      if (m.type === "system") banner("system-banner", Boolean(m.data.message), m.data.message);
    },
    reread: async () => {
      const response = await fetch(at("/system"), { headers: { Accept: "application/json" } });
      if (!response.ok) throw new Error(`system: ${response.status}`);
      const { seq, message } = await response.json();
      banner("system-banner", Boolean(message), message);
      return seq;
    },
  });
}
