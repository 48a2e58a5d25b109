// Passkeys: a form that needs one asks the browser for it when it is sent, and is sent with the answer. Where one signs in,
// the browser also offers passkeys in the field of the name.

/** What browsers call what went wrong, in words. */
const words = {
  NotAllowedError: "It was cancelled, took too long, or is not possible on this device. Try again.",
  InvalidStateError: "This device has a passkey of yours already.",
  NotSupportedError: "This device makes no passkeys that the console can use.",
  ConstraintError: "This device cannot check that it is you: set up a PIN, a fingerprint or a face, or use another one.",
  SecurityError: "The browser does not allow passkeys at this address.",
};

/** The request that is under way: a browser has only one. @type {AbortController | undefined} */
let under;

/**
 * Asks the console what to ask the browser for.
 * @param {HTMLFormElement} form
 * @returns {Promise<any>}
 */
async function options(form) {
  const body = new URLSearchParams(/** @type {any} */ (new FormData(form)));
  const answer = await fetch(form.dataset.passkeyUrl || "", { method: "POST", body, headers: { Accept: "application/json" } });
  const json = await answer.json();
  if (!answer.ok) throw new Error(json.detail || json.title);
  return json;
}

/**
 * Makes a passkey, or signs with one, and sends the form with the answer.
 * @param {HTMLFormElement} form
 * @param {CredentialMediationRequirement} [mediation] conditional: only when somebody picks one in a field
 */
async function send(form, mediation) {
  const json = await options(form);
  under?.abort();
  const mine = (under = new AbortController());
  const { signal } = mine;
  const credential = await (
    form.dataset.passkey === "create"
      ? navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(json), signal })
      : navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(json), signal, mediation })
  ).finally(() => {
    if (under === mine) under = undefined;
  });
  const answer = form.elements.namedItem("answer");
  const proof = form.elements.namedItem("proof");
  if (!(credential instanceof PublicKeyCredential) || !(answer instanceof HTMLInputElement)) return;
  answer.value = JSON.stringify(credential);
  if (proof instanceof HTMLInputElement) proof.disabled = true; // it has served
  form.requestSubmit();
}

/** @param {HTMLFormElement} form */
function start(form) {
  const button = form.querySelector("button");
  const problem = form.querySelector("[data-passkey-problem]");
  const answer = form.elements.namedItem("answer");
  if (!button || !(problem instanceof HTMLElement) || !(answer instanceof HTMLInputElement)) return;
  /** @param {string} text */
  const say = (text) => {
    problem.textContent = text;
    problem.hidden = text === "";
  };
  if (!window.PublicKeyCredential?.parseCreationOptionsFromJSON) {
    say(window.isSecureContext ? "This browser has no passkeys, or is too old for them." : "Browsers allow passkeys over HTTPS only.");
    return;
  }
  button.disabled = false;
  form.addEventListener("submit", (event) => {
    if (answer.value !== "") return;
    event.preventDefault();
    if (button.ariaBusy === "true") return;
    say("");
    button.ariaBusy = "true";
    send(form)
      .catch((error) => say(words[/** @type {keyof typeof words} */ (error.name)] || error.message))
      .finally(() => (button.ariaBusy = null));
  });
  window.addEventListener("pageshow", (event) => {
    if (!event.persisted) return; // back from the next page: an answer counts once
    answer.value = "";
    const proof = form.elements.namedItem("proof");
    if (proof instanceof HTMLInputElement) proof.disabled = false;
  });
}

/**
 * Has the browser offer passkeys in the field of the name. What it is asked for counts for five minutes.
 * @param {HTMLFormElement} form
 */
async function offer(form) {
  const field = document.querySelector("input[autocomplete~=webauthn]");
  if (!field || !(await window.PublicKeyCredential?.isConditionalMediationAvailable?.())) return;
  let asked = 0;
  const ask = () => {
    if ((under && Date.now() - asked < 240_000) || document.hidden) return;
    asked = Date.now();
    send(form, "conditional").catch(() => {}); // the button says what is wrong
  };
  field.addEventListener("focus", ask);
  ask();
}

export function startPasskeys() {
  for (const form of document.querySelectorAll("form[data-passkey]")) {
    if (!(form instanceof HTMLFormElement)) continue;
    start(form);
    if (form.dataset.passkey === "get") void offer(form);
  }
}
