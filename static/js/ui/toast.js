// Short messages in the corner that leave by themselves.
import { at } from "./base.js";

/**
 * @param {"info"|"success"|"danger"} kind
 * @param {string} text
 * @param {string} [help] where the console explains it, "" for nowhere
 */
export function toast(kind, text, help = "") {
  const home = document.getElementById("toasts");
  if (!home) return;
  const el = document.createElement("div");
  el.className = `toast toast-${kind}`;
  const words = document.createElement("span");
  words.textContent = text;
  const close = document.createElement("button");
  close.type = "button";
  close.className = "button button-quiet button-small";
  close.textContent = "Dismiss";
  close.dataset.dismiss = "";
  el.append(words);
  if (help.startsWith("/")) {
    const more = document.createElement("a");
    more.href = at(help);
    more.textContent = "Troubleshooting";
    el.append(more);
  }
  el.append(close);
  while (home.children.length >= 4) home.firstElementChild?.remove();
  home.append(el);
  setTimeout(() => el.remove(), 8000);
}
