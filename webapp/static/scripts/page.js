// What any page may have: copy buttons, forms that send once, passwords that can be shown, the scheme toggle.

const root = document.documentElement;

function announce(text) {
  const region = document.getElementById("announcements");
  if (region) region.textContent = text;
}

// Copying

function selectText(element) {
  const range = document.createRange();
  range.selectNodeContents(element);
  const selection = getSelection();
  selection.removeAllRanges();
  selection.addRange(range);
}

async function copyText(element) {
  try {
    await navigator.clipboard.writeText(element.textContent);
    return true;
  } catch {
    // No clipboard API outside a secure context: the older way, and failing that the text is at least selected.
    selectText(element);
    return document.execCommand("copy");
  }
}

async function copy(button) {
  const done = await copyText(document.getElementById(button.dataset.copy));
  button.textContent = done ? "Copied" : "Press Ctrl+C";
  button.classList.toggle("is-done", done);
  announce(done ? "Copied to the clipboard." : "Selected. Press Control and C to copy.");
  clearTimeout(button.timer);
  button.timer = setTimeout(() => {
    button.textContent = "Copy";
    button.classList.remove("is-done");
    announce("");
  }, 2500);
}

// The colour scheme

function toggleTheme() {
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  try {
    localStorage.setItem("theme", root.dataset.theme);
  } catch {
    // The choice then lasts as long as the page.
  }
  announce(dark ? "Light colours." : "Dark colours.");
}

function togglePassword(button) {
  const input = document.getElementById(button.getAttribute("aria-controls"));
  const shown = input.type === "text";
  input.type = shown ? "password" : "text";
  button.textContent = shown ? "Show" : "Hide";
  button.setAttribute("aria-label", `${shown ? "Show" : "Hide"} ${button.dataset.label}`);
  input.focus();
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button?.dataset.copy) copy(button);
  else if (button?.matches(".theme-toggle")) toggleTheme();
  else if (button?.matches(".password-toggle")) togglePassword(button);
});

// Menus close when their reader goes on to something else, or with Escape.

function closeMenusBut(element) {
  for (const menu of document.querySelectorAll("details.account[open]")) {
    if (!menu.contains(element)) menu.open = false;
  }
}

document.addEventListener("click", (event) => closeMenusBut(event.target));
document.addEventListener("focusin", (event) => closeMenusBut(event.target));

document.addEventListener("keydown", (event) => {
  const menu = document.querySelector("details.account[open]");
  if (event.key === "Escape" && menu) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

// Nothing that was typed waits for whoever logs in next.

function forgetDrafts() {
  try {
    sessionStorage.clear();
  } catch {
    // Storage may be forbidden; then there is nothing in it.
  }
}

// Forms that send once: a second click while the first is on its way does nothing.

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.matches("[data-leaves]")) forgetDrafts();
  if (!form.matches("[data-once]")) return;
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "true";
  form.querySelector("[type=submit]")?.setAttribute("aria-disabled", "true");
});

addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  for (const form of document.querySelectorAll("[data-sent]")) {
    delete form.dataset.sent;
    form.querySelector("[type=submit]")?.removeAttribute("aria-disabled");
  }
});

document.getElementById("error-summary")?.focus();
// On a narrow screen the navigation and tabs are strips that scroll sideways. Not scrollIntoView: browsers take what it
// shows for where the keyboard is, and Tab would not begin at the top of the page.
for (const link of document.querySelectorAll(".shell-nav [aria-current], .tabs [aria-current]")) {
  const strip = link.closest(".shell-nav, .tabs");
  const [shown, around] = [link.getBoundingClientRect(), strip.getBoundingClientRect()];
  strip.scrollLeft += shown.left - around.left - (strip.clientWidth - shown.width) / 2;
}
// And of a long table in a box of its own, the row that the page is about may be below.
const current = document.querySelector(".table-scroll [aria-current]");
if (current) {
  const box = current.closest(".table-scroll");
  box.scrollTop = current.offsetTop - box.clientHeight / 2;
}
