// Keeps times current: relative text, the moment itself in the reader's zone on hover, and clock times of log lines.

/**
 * How long ago a moment was; the same words as views.Ago.
 * @param {number} seconds
 * @returns {string}
 */
export function ago(seconds) {
  if (seconds < 5) return "just now";
  if (seconds < 60) return `${Math.floor(seconds)} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86400)} d ago`;
}

const full = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });

/**
 * The time of day in the reader's zone, 24 hours.
 * @param {Date} date
 */
export function clock(date) {
  const two = (/** @type {number} */ n) => String(n).padStart(2, "0");
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/**
 * Brings every time below root up to date.
 * @param {ParentNode} root
 */
export function refreshTimes(root) {
  const now = Date.now();
  for (const el of root.querySelectorAll("time[data-ago]")) {
    const time = /** @type {HTMLTimeElement} */ (el);
    const date = new Date(time.dateTime);
    if (Number.isNaN(date.getTime())) continue;
    const text = ago((now - date.getTime()) / 1000);
    if (time.textContent !== text) time.textContent = text;
    const title = full.format(date);
    if (time.title !== title) time.title = title;
  }
}

/**
 * Shows the clock times of log lines below root in the reader's zone.
 * @param {ParentNode} root
 */
export function localClocks(root) {
  for (const el of root.querySelectorAll("time[data-clock]")) {
    const time = /** @type {HTMLTimeElement} */ (el);
    const date = new Date(time.dateTime);
    if (!Number.isNaN(date.getTime())) time.textContent = clock(date);
    time.title = full.format(date);
    time.removeAttribute("data-clock");
  }
}

export function startTimes() {
  refreshTimes(document);
  setInterval(() => {
    if (!document.hidden) refreshTimes(document);
  }, 5000);
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) refreshTimes(document);
  });
}
