// Regions that keep themselves up to date: <div id="…" data-live="address">. While the page is visible, its address is
// fetched every few seconds, and what differs is changed in place, so that focus, selection and open menus survive.

const INTERVAL_MS = 5000;

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

async function refresh(address) {
  // The organisation that this page shows: in another tab its reader may have gone on to another one.
  const organisation = document.querySelector("[data-organisation]").dataset.organisation;
  const answer = await fetch(address, { headers: { Accept: "text/html", "X-Upcube-Organisation": organisation } });
  // Redirected: the session is over. Refused: see above. The page stays as it is until the reader does something.
  if (!answer.ok || answer.redirected) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  // A question is open, and what it is about must not change behind it.
  if (document.querySelector("dialog[open]")) return;
  for (const region of document.querySelectorAll("[data-live]")) {
    const fresh = page.getElementById(region.id);
    if (fresh && region.dataset.live === address) sync(region, fresh);
  }
}

async function refreshAll() {
  if (document.hidden) return;
  // Regions of one address are fetched together.
  const addresses = new Set([...document.querySelectorAll("[data-live]")].map((region) => region.dataset.live));
  for (const address of addresses) {
    try {
      await refresh(address);
    } catch {
      // The server may be away for a moment; the next round tries again.
    }
  }
}

async function keepFresh() {
  await refreshAll();
  setTimeout(keepFresh, INTERVAL_MS);
}

setTimeout(keepFresh, INTERVAL_MS);
document.addEventListener("visibilitychange", refreshAll);
