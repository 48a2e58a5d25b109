// Applies pieces of HTML that the server rendered: an element that the page has is morphed, so that focus,
// selection and open parts stay; one that it does not have is inserted into the list that it names.
import { refreshTimes } from "../ui/times.js";

/**
 * @param {string} html
 * @returns {Element[]}
 */
export function parse(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return [...template.content.children];
}

/**
 * Makes old look like fresh. Attributes that the script set on purpose (times) are brought up to date afterwards.
 * @param {Element} old
 * @param {Element} fresh
 */
export function morph(old, fresh) {
  const idiomorph = /** @type {any} */ (window).Idiomorph;
  if (idiomorph) {
    idiomorph.morph(old, fresh, { ignoreActiveValue: true });
  } else {
    old.replaceWith(fresh);
  }
  const now = document.getElementById(fresh.id);
  if (now) refreshTimes(now.parentElement || document);
}

/**
 * @param {string} html
 * @param {(old: Element) => boolean} [may] whether an element may change now
 */
export function apply(html, may = () => true) {
  for (const fresh of parse(html)) {
    const old = fresh.id ? document.getElementById(fresh.id) : null;
    if (old) {
      if (may(old)) morph(old, fresh);
      continue;
    }
    const into = fresh.getAttribute("data-into");
    const home = into ? document.querySelector(into) : null;
    if (home) {
      home.prepend(fresh);
      refreshTimes(home);
    }
  }
}
