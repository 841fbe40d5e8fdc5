// Regions that keep themselves up to date: <div id="…" data-live="address">. While the page is visible, its address is
// fetched every few seconds, and what differs is changed in place, so that focus, selection and open menus survive.
// A page that says how it may be recognised (ETag) is sent again only when it has changed. With data-live-quick something
// is about to happen: it is asked for soon, and then ever less often until it has.

const INTERVAL_MS = 5000;
const FIRST_MS = 400;
const LAST_MS = 10000;
const GROWTH = 1.4;
// One alone may be a page that is being left, or a restart.
const FAILURES_TOLD = 2;

const tags = new Map();
let pause = INTERVAL_MS;
let failures = 0;

function sync(before, after) {
  for (const { name } of [...before.attributes]) {
    // An open <details> is the reader's own doing.
    if (name !== "open" && !after.hasAttribute(name)) before.removeAttribute(name);
  }
  for (const { name, value } of after.attributes) {
    if (before.getAttribute(name) !== value) before.setAttribute(name, value);
  }
  syncChildren(before, after);
}

function isSame(before, after) {
  return before.nodeType === after.nodeType && before.nodeName === after.nodeName && before.id === after.id;
}

function syncChildren(before, after) {
  let place = before.firstChild;
  for (const wanted of [...after.childNodes]) {
    // A child with an id is found wherever it has moved to: a new row must not take over another row's button.
    const known = wanted.id && [...before.children].find((child) => child.id === wanted.id);
    if (known && known !== place) before.insertBefore(known, place);
    const found = known || (place && isSame(place, wanted) ? place : null);
    if (!found) {
      before.insertBefore(document.importNode(wanted, true), place);
      continue;
    }
    if (!found.isEqualNode(wanted)) {
      if (found.nodeType === Node.ELEMENT_NODE) sync(found, wanted);
      else found.nodeValue = wanted.nodeValue;
    }
    place = found.nextSibling;
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

// Gives whether there was anything new.
async function refresh(address) {
  // The organisation that this page shows: in another tab its reader may have gone on to another one.
  const organisation = document.querySelector("[data-organisation]").dataset.organisation;
  const tag = tags.get(address);
  const answer = await fetch(address, {
    headers: { Accept: "text/html", "X-Upcube-Organisation": organisation, ...(tag && { "If-None-Match": tag }) },
  });
  if (answer.status >= 500) throw new Error(`The server answered ${answer.status}.`);
  // Redirected: the session is over. Refused: see above. The page stays as it is until the reader does something.
  document.getElementById("is-outdated").hidden = !(answer.redirected || answer.status === 409);
  if (!answer.ok || answer.redirected) return false;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  // A question is open, and what it is about must not change behind it.
  if (document.querySelector("dialog[open]")) return false;
  for (const region of document.querySelectorAll("[data-live]")) {
    const fresh = page.getElementById(region.id);
    if (fresh && region.dataset.live === address) sync(region, fresh);
  }
  tags.set(address, answer.headers.get("ETag"));
  return true;
}

async function refreshAll() {
  if (document.hidden) return false;
  // Regions of one address are fetched together.
  const addresses = new Set([...document.querySelectorAll("[data-live]")].map((region) => region.dataset.live));
  let isNew = false;
  for (const address of addresses) {
    try {
      isNew = (await refresh(address)) || isNew;
      failures = 0;
    } catch {
      // The server may be away for a moment; the next round tries again.
      failures += 1;
    }
  }
  document.getElementById("is-away").hidden = failures < FAILURES_TOLD;
  return isNew;
}

async function keepFresh() {
  const isNew = await refreshAll();
  schedule(isNew ? FIRST_MS : Math.min(pause * GROWTH, LAST_MS));
}

function schedule(quickPause) {
  pause = document.querySelector("[data-live-quick]") ? quickPause : INTERVAL_MS;
  // Not all pages in step.
  setTimeout(keepFresh, pause * (0.8 + 0.4 * Math.random()));
}

schedule(FIRST_MS);
document.addEventListener("visibilitychange", refreshAll);
