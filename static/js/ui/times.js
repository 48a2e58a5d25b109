// Keeps times current: relative text, the moment itself in the reader's zone on hover, and clock times of log lines.
import { duration } from "./numbers.js";

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
 * A moment in the reader's zone.
 * @param {Date} date
 */
export function fullTime(date) {
  return full.format(date);
}

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
    write(time, ago((now - date.getTime()) / 1000), full.format(date));
  }
  countDown(root);
}

/**
 * @param {HTMLTimeElement} time
 * @param {string} text
 * @param {string} title
 */
function write(time, text, title) {
  if (time.textContent !== text) time.textContent = text;
  if (time.title !== title) time.title = title;
}

/**
 * Brings the times that are to come up to date; the same words as views.In.
 * @param {ParentNode} root
 */
function countDown(root) {
  for (const el of root.querySelectorAll("time[data-until]")) {
    const time = /** @type {HTMLTimeElement} */ (el);
    const date = new Date(time.dateTime);
    const seconds = Math.ceil((date.getTime() - Date.now()) / 1000);
    if (!Number.isNaN(seconds)) write(time, seconds > 0 ? `in ${duration(seconds)}` : "now", full.format(date));
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
  setInterval(() => {
    if (!document.hidden) countDown(document);
  }, 1000);
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) refreshTimes(document);
  });
}
