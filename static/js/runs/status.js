// What the tab of a browser shows of a run: state and progress in the title and the icon, and a notification when the run ends.
import { parse } from "../live/fragments.js";
import { toast } from "../ui/toast.js";

const steps = 8; // of progress in the icon
const askEvery = 15000; // milliseconds between looks at a run whose end is awaited while the page is hidden
const glanceEvery = 4; // of them, one is for a run whose end is not
const icons = /** @type {Record<string, string>} */ ({ dispatching: "queued", pending: "queued", queued: "queued", paused: "paused", succeeded: "succeeded", failed: "failed", stopped: "stopped" });

export class Status {
  /** @param {HTMLElement} page */
  constructor(page) {
    this.page = page;
    this.key = `cotrain-notify-${page.dataset.runId}`;
    this.title = document.title;
    this.icon = /** @type {HTMLLinkElement|null} */ (document.querySelector('link[rel="icon"]'));
    this.images = (this.icon?.href || "").replace(/favicon\.svg$/, "run/");
    this.ended = this.headline?.dataset.runTerminal === "true";
    if (this.ended) this.await(false);
    page.addEventListener("click", (event) => {
      if (event.target instanceof Element && event.target.closest("[data-notify]")) void this.toggle();
    });
    addEventListener("storage", (event) => event.key === this.key && this.update());
    let looks = 0;
    setInterval(() => {
      if (document.hidden && !this.ended && (this.awaited || ++looks % glanceEvery === 0)) this.ask().catch(() => {}); // the next time may do
    }, askEvery);
    this.update();
  }

  get headline() {
    return document.getElementById("run-headline");
  }

  /** Whether the reader wants to know when the run ends. */
  get awaited() {
    return localStorage.getItem(this.key) !== null && "Notification" in window && Notification.permission === "granted";
  }

  /** @param {boolean} on */
  await(on) {
    if (on) localStorage.setItem(this.key, "1");
    else localStorage.removeItem(this.key);
  }

  /** Shows what the page shows. */
  update() {
    if (this.headline) this.show(this.headline);
    for (const b of this.page.querySelectorAll("[data-notify]")) b.setAttribute("aria-pressed", String(this.awaited));
  }

  /** Shows in title and icon what the page does not, as nobody looks at it. */
  async ask() {
    const response = await fetch(this.page.dataset.liveUrl || "", { headers: { Accept: "text/html" } });
    const fresh = response.ok ? parse(await response.text())[0]?.querySelector("#run-headline") : null;
    if (fresh instanceof HTMLElement) this.show(fresh);
  }

  /** @param {HTMLElement} headline */
  show(headline) {
    const state = headline.dataset.runState || "";
    const share = Number(headline.querySelector("progress")?.getAttribute("value")) || 0;
    const name = icons[state] || `running-${Math.floor(Math.min(1, share) * steps)}`;
    const words = icons[state] ? state : headline.querySelector('[data-metric="progress"]')?.textContent?.trim() || state;
    const title = `${words} · ${this.title}`;
    if (document.title !== title) document.title = title;
    const href = `${this.images}${name}.svg`;
    if (this.icon && this.icon.href !== href) this.icon.href = href;
    if (headline.dataset.runTerminal === "true" && !this.ended) this.end(headline, state);
    this.ended = headline.dataset.runTerminal === "true";
  }

  /**
   * @param {HTMLElement} headline
   * @param {string} state
   */
  end(headline, state) {
    if (!this.awaited) return;
    this.await(false);
    const name = headline.querySelector("h1")?.textContent || "";
    const why = headline.querySelector("[data-run-reason]")?.textContent?.trim() || "";
    const n = new Notification(`${name} ${state}`, { body: why, tag: this.key, icon: `${this.images}${state}.svg` });
    n.onclick = () => {
      window.focus();
      n.close();
    };
  }

  async toggle() {
    if (this.awaited) {
      this.await(false);
    } else {
      const answer = "Notification" in window ? await Notification.requestPermission() : "denied";
      if (answer === "granted") this.await(true);
      else toast("danger", "The browser does not allow notifications here. Allow them for this site, then try again.");
    }
    this.update();
  }
}
