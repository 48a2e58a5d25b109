// Banners on top: the live connection is lost; Nomad is not reachable; nobody is signed in any more.
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

/**
 * Whether a field of a form that is sent has another value than the page had.
 * @returns {boolean}
 */
function filledIn() {
  return [...document.querySelectorAll("form[method=post] :is(input, select, textarea)")].some((el) => {
    if (el instanceof HTMLSelectElement) {
      const before = [...el.options].findIndex((o) => o.defaultSelected);
      return el.selectedIndex !== Math.max(0, before);
    }
    if (el instanceof HTMLInputElement && (el.type === "checkbox" || el.type === "radio")) return el.checked !== el.defaultChecked;
    if (el instanceof HTMLInputElement && el.type === "hidden") return false;
    return (el instanceof HTMLInputElement || el instanceof HTMLTextAreaElement) && el.value !== el.defaultValue;
  });
}

/** @param {import("./live.js").Live} live */
export function startBanners(live) {
  let timer = 0;
  live.onConnection = (up) => {
    clearTimeout(timer);
    if (up) for (const id of ["connection-banner", "access-banner"]) banner(id, false);
    // A connection that is back within a moment is not worth a word.
    else timer = setTimeout(() => banner("connection-banner", true), 1000);
  };
  // To what one may still see, or to the log-in; but what was filled in stays here.
  live.onRefused = () => {
    if (filledIn()) banner("access-banner", true);
    else location.reload();
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
