// Passkeys: a form with data-passkey asks the server for a challenge, the browser for an answer, and sends that.

const fromBase64Url = (text) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (character) => character.charCodeAt(0));

const toBase64Url = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replace(/=+$/, "");

// What the options hold in base64url, as the browser wants it; and the other way round for its answer.

function readOptions(options) {
  const readId = (each) => ({ ...each, id: fromBase64Url(each.id) });
  const read = { ...options, challenge: fromBase64Url(options.challenge) };
  if (options.user) read.user = readId(options.user);
  if (options.excludeCredentials) read.excludeCredentials = options.excludeCredentials.map(readId);
  if (options.allowCredentials) read.allowCredentials = options.allowCredentials.map(readId);
  return read;
}

function writeAnswer(credential) {
  const response = {};
  for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (credential.response[name]) response[name] = toBase64Url(credential.response[name]);
  }
  const { id, type } = credential;
  return JSON.stringify({ id, rawId: toBase64Url(credential.rawId), type, response, clientExtensionResults: {} });
}

async function fetchOptions(form) {
  const token = form.querySelector("[name=csrf_token]").value;
  const answer = await fetch(form.dataset.options, { method: "POST", headers: { "X-CSRFToken": token } });
  if (answer.redirected) {
    // The server asks to prove first who it is.
    location.assign(answer.url);
    return null;
  }
  if (!answer.ok) throw new Error(`The server answered ${answer.status}. Reload the page and try again.`);
  return readOptions(await answer.json());
}

function describe(error) {
  if (error.name === "NotAllowedError") return "No passkey was used: it was cancelled, or took too long.";
  if (error.name === "InvalidStateError") return "This device has a passkey for your account already.";
  return error.message;
}

async function run(form) {
  const report = form.querySelector("[data-passkey-error]");
  report.hidden = true;
  try {
    const publicKey = await fetchOptions(form);
    if (!publicKey) return;
    const credential = await navigator.credentials[form.dataset.passkey]({ publicKey });
    form.elements.response.value = writeAnswer(credential);
    form.submit();
  } catch (error) {
    report.textContent = describe(error);
    report.hidden = false;
  } finally {
    delete form.dataset.running;
  }
}

for (const form of document.querySelectorAll("[data-passkey]")) {
  if (!window.PublicKeyCredential) form.hidden = true;
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("[data-passkey]")) return;
  event.preventDefault();
  if (form.dataset.running) return;
  form.dataset.running = "true";
  run(form);
});
