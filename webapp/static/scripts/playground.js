// The playground: what is typed is estimated as it is typed, by the same form that the button sends.

const PAUSE_MS = 400;
// Reading a longer program is work: its price comes when the button asks for it.
const MAX_SOURCE_LENGTH = 20000;

const form = document.getElementById("playground");
const outlook = document.getElementById("outlook");
let timer;
let asking;

function replaceChildren(id, page) {
  const before = document.getElementById(id);
  const after = page.getElementById(id);
  if (before && after) before.replaceChildren(...document.importNode(after, true).childNodes);
}

function showErrors(page) {
  for (const slot of form.querySelectorAll("[data-slot]")) {
    const text = page.getElementById(slot.id)?.textContent ?? "";
    slot.textContent = text;
    const field = document.getElementById(slot.id.replace(/-error$/, ""));
    if (text) {
      field.setAttribute("aria-invalid", "true");
      const folded = field.closest("details");
      if (folded) folded.open = true;
    } else field.removeAttribute("aria-invalid");
  }
}

function show(page) {
  const open = [...outlook.querySelectorAll("details")].map((details) => details.open);
  replaceChildren("outlook", page);
  outlook.querySelectorAll("details").forEach((details, index) => (details.open = open[index] ?? false));
  // Another template has other parameters; those of the same one are being typed in.
  const shown = form.elements.parameters_of?.value;
  if (shown && shown !== page.querySelector("[name=parameters_of]")?.value) replaceChildren("parameters", page);
  showErrors(page);
  const price = document.getElementById("price");
  document.getElementById("announcements").textContent = price ? `${price.textContent} credits.` : "";
}

async function estimate() {
  asking?.abort();
  const mine = (asking = new AbortController());
  const body = new FormData(form);
  body.set("action", "estimate");
  outlook.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(form.getAttribute("action"), { method: "POST", body, signal: mine.signal });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    // Anything else (the session is over, say) is for the button to find out.
    if (page.getElementById("outlook")) show(page);
  } catch {
    // Overtaken by the next one, or the server is away: the price that is shown is the one that counts.
  }
  if (asking === mine) outlook.removeAttribute("aria-busy");
}

function estimateSoon(event) {
  const isLong = (form.elements.source?.value.length ?? 0) > MAX_SOURCE_LENGTH;
  if (event.target.name === "name" || isLong) return;
  clearTimeout(timer);
  timer = setTimeout(estimate, event.type === "change" ? 0 : PAUSE_MS);
}

// What is wrong with a program has a place in it.
function goTo(line, column) {
  const { source } = form.elements;
  const lines = source.value.split("\n");
  const start = lines.slice(0, line - 1).reduce((sum, each) => sum + each.length + 1, 0) + column - 1;
  source.focus();
  source.setSelectionRange(start, start + (/^\w+|^./.exec(source.value.slice(start))?.[0].length ?? 0));
  source.scrollTop = parseFloat(getComputedStyle(source).lineHeight) * (line - 1) - source.clientHeight / 2;
}

outlook.addEventListener("click", (event) => {
  const place = event.target.closest("[data-line]");
  if (!place) return;
  event.preventDefault();
  goTo(Number(place.dataset.line), Number(place.dataset.column));
});

// A program that was typed is still there when its reader comes back from another page, in this tab until they log out.

// A session may end without this tab: the next to log in here is perhaps of the same organisation, and somebody else.
const reader = form.closest("[data-user]").dataset;
const shelf = `playground ${form.elements.kind.value} ${reader.organisation} ${reader.user}`;

function onShelf(act) {
  try {
    return act(sessionStorage);
  } catch {
    // Storage may be forbidden or full; the draft then lasts as long as the page.
    return null;
  }
}

function restoreDraft(source) {
  const kept = onShelf((storage) => storage.getItem(shelf));
  const isAsked = new URLSearchParams(location.search).has("job");
  if (!kept || isAsked || kept === source.value || !("example" in source.dataset)) return;
  source.value = kept;
  if (kept.length <= MAX_SOURCE_LENGTH) estimate();
}

const typed = form.elements.source;
if (typed) {
  typed.addEventListener("input", () => onShelf((storage) => storage.setItem(shelf, typed.value)));
  const again = form.querySelector("[data-start-again]");
  again.addEventListener("click", () => onShelf((storage) => storage.removeItem(shelf)));
  restoreDraft(typed);
}

form.addEventListener("input", estimateSoon);
form.addEventListener("change", estimateSoon);
form.addEventListener("submit", () => {
  clearTimeout(timer);
  asking?.abort();
});
// Where the address says #result, its reader wants to hear of it.
if (location.hash === "#result") document.getElementById("result")?.focus();
