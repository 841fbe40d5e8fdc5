// The API keys page: the question before a key is revoked, presets of scopes, and a reload that posts nothing again.

// The page that shows a new key answered a POST. From here on a reload is a plain GET, which no longer has the key.
if (document.getElementById("new-key")) {
  history.replaceState(null, "", location.pathname.replace(/\/rotate$/, ""));
  document.getElementById("reveal-title").focus();
}

// Revoking

const dialog = document.getElementById("revoke-dialog");

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("[data-revoke]")) return;
  event.preventDefault();
  dialog.querySelector("form").action = form.action;
  dialog.querySelector("[data-key-name]").textContent = form.dataset.revoke;
  dialog.querySelector("[data-key-prefix]").textContent = form.dataset.prefix;
  const made = Number(form.dataset.made);
  const withMade = dialog.querySelector("[data-with-made]");
  withMade.hidden = made === 0;
  withMade.querySelector("input").checked = false;
  withMade.querySelector("[data-made-count]").textContent = made === 1 ? "1 key" : `${made} keys`;
  dialog.showModal();
});

dialog?.addEventListener("click", (event) => {
  if (event.target === dialog || event.target.closest("[data-close]")) dialog.close();
});

// Scopes

// Absent for a reader who may not make or change keys.
const scopes = document.getElementById("scopes");
const boxes = [...(scopes?.querySelectorAll("input[type=checkbox]") ?? [])];
const presets = [...(scopes?.querySelectorAll("[data-scopes]") ?? [])];

function showScopes() {
  const chosen = boxes.filter((box) => box.checked).map((box) => box.value);
  for (const preset of presets) {
    preset.setAttribute("aria-pressed", String(preset.dataset.scopes === chosen.join(" ")));
  }
  const preset = presets.find((button) => button.getAttribute("aria-pressed") === "true");
  const count = `${chosen.length} of ${boxes.length} scopes`;
  document.getElementById("scope-summary").textContent = preset ? `${preset.textContent.trim()} (${count})` : count;
}

scopes?.addEventListener("change", showScopes);
scopes?.addEventListener("click", (event) => {
  const preset = event.target.closest("[data-scopes]");
  if (!preset) return;
  const wanted = preset.dataset.scopes.split(" ");
  for (const box of boxes) box.checked = wanted.includes(box.value);
  showScopes();
});
if (scopes) showScopes();
