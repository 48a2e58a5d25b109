// The theme switch: the form works alone (the server keeps the choice in a cookie); the script saves the reload.
import { at } from "./base.js";

/** @param {string} theme */
function remember(theme) {
  document.cookie = `theme=${theme}; Path=${at("/").slice(0, -1) || "/"}; Max-Age=31536000; SameSite=Lax`;
}

export function startTheme() {
  const form = document.querySelector("[data-theme-switch]");
  if (!form) return;
  form.addEventListener("submit", (event) => {
    const button = /** @type {SubmitEvent} */ (event).submitter;
    if (!(button instanceof HTMLButtonElement)) return;
    event.preventDefault();
    document.documentElement.dataset.theme = button.value;
    for (const b of form.querySelectorAll("button")) b.setAttribute("aria-pressed", String(b === button));
    remember(button.value);
    document.dispatchEvent(new CustomEvent("themechange"));
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    document.dispatchEvent(new CustomEvent("themechange"));
  });
}

/**
 * The colour that a token stands for right now, as the canvas understands it.
 * @param {string} token such as "--accent"
 * @returns {string}
 */
export function tokenColour(token) {
  const probe = document.createElement("span");
  probe.hidden = true;
  probe.style.color = `var(${token})`;
  document.body.append(probe);
  const colour = getComputedStyle(probe).color;
  probe.remove();
  return colour;
}
