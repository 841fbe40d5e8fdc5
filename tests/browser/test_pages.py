"""What every page keeps to."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import NewContext
from tests.browser.steps import create_key, run_bell, sign_up

PUBLIC_PAGES = {
    "/": "Upcube Quantum: quantum circuits over HTTP",
    "/docs": "Quickstart · Upcube Quantum",
    "/login": "Log in · Upcube Quantum",
    "/signup": "Sign up · Upcube Quantum",
    "/reset": "Reset your password · Upcube Quantum",
    "/reset/nothing": "That link is over · Upcube Quantum",
    "/outbox": "Outbox · Upcube Quantum",
    "/nowhere": "Nothing to observe here · Upcube Quantum",
}
CONSOLE_PAGES = {
    "/console": "Overview · Upcube Quantum",
    "/console/api-keys": "API keys · Upcube Quantum",
    "/console/playground": "Playground · Upcube Quantum",
    "/console/playground?kind=openqasm3": "Playground · Upcube Quantum",
    "/console/jobs": "Jobs · Upcube Quantum",
    "/console/jobs?status=failed": "Jobs · Upcube Quantum",
    "/console/usage": "Usage · Upcube Quantum",
    "/console/usage?by=hour": "Usage · Upcube Quantum",
    "/console/usage?by=endpoint": "Usage · Upcube Quantum",
    "/console/credits": "Credits · Upcube Quantum",
    "/console/price-confirmation": "Confirmation · Upcube Quantum",
    "/console/templates": "Templates · Upcube Quantum",
    "/console/organisation": "Organisation · Upcube Quantum",
    "/console/organisations/new": "New organisation · Upcube Quantum",
    "/console/audit": "Audit trail · Upcube Quantum",
    "/console/audit?action=key.created": "Audit trail · Upcube Quantum",
    "/console/activity": "Your activity · Upcube Quantum",
    "/console/settings": "Profile · Upcube Quantum",
    "/console/settings/email": "Change address · Upcube Quantum",
    "/console/settings/password": "Password · Upcube Quantum",
    "/console/settings/second-factors": "Second factors · Upcube Quantum",
    "/console/settings/sessions": "Sessions · Upcube Quantum",
    "/console/settings/data": "Your data · Upcube Quantum",
    "/console/settings/data/deletion": "Delete account · Upcube Quantum",
    "/console/confirm": "Is it you? · Upcube Quantum",
}
NARROW = {"width": 360, "height": 740}

# Names, structure and contrast that a page must have for everyone; gives what is wrong.
FIND_FAULTS = """() => {
  const faults = [];
  const one = (selector) => {
    if (document.querySelectorAll(selector).length !== 1) faults.push(`not one ${selector}`);
  };
  one("h1");
  one("main");
  one("html[lang=en]");
  one("meta[name=viewport]");
  if (document.querySelector("[style]")) faults.push("a style attribute");
  const ids = [...document.querySelectorAll("[id]")].map((each) => each.id);
  if (new Set(ids).size !== ids.length) faults.push("an id twice");
  for (const input of document.querySelectorAll("input:not([type=hidden])")) {
    if (!input.labels.length) faults.push(`no label for ${input.name}`);
  }
  for (const button of document.querySelectorAll("button, a[href], summary")) {
    if (!(button.getAttribute("aria-label") || button.textContent).trim()) faults.push(`no name: ${button.outerHTML}`);
  }
  for (const attribute of ["aria-describedby", "aria-labelledby", "aria-controls"]) {
    for (const each of document.querySelectorAll(`[${attribute}]`)) {
      for (const id of each.getAttribute(attribute).split(" ")) {
        if (!document.getElementById(id)) faults.push(`${attribute} of nothing: ${id}`);
      }
    }
  }
  const width = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  if (width > 0) faults.push(`${width} pixels too wide`);
  for (const card of document.querySelectorAll(".prose .card")) {
    if (card.scrollWidth > card.clientWidth) faults.push(`a table to scroll sideways: ${card.innerText.slice(0, 40)}`);
  }

  // WCAG 2.2, relative luminance and contrast ratio. A canvas turns any CSS colour into bytes.
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const bytes = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return canvas.getImageData(0, 0, 1, 1).data;
  };
  const luminance = (color) => {
    const [red, green, blue] = [...bytes(color)].map((byte) => {
      const part = byte / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const ground = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const color = getComputedStyle(each).backgroundColor;
      if (bytes(color)[3] > 250) return color;
    }
    return "white";
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = texts.nextNode(); text; text = texts.nextNode()) {
    const element = text.parentElement;
    if (!text.nodeValue.trim() || !element.checkVisibility() || element.closest(".visually-hidden")) continue;
    const both = [luminance(getComputedStyle(element).color), luminance(ground(element))];
    const contrast = (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
    if (contrast < 4.5) faults.push(`contrast ${contrast.toFixed(2)} of ${text.nodeValue.trim().slice(0, 30)}`);
  }
  return faults;
}"""


def check_page(page: Page, path: str, title: str) -> None:
    page.goto(path)
    expect(page).to_have_title(title)
    assert page.evaluate(FIND_FAULTS) == [], path


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_public_pages_are_sound_and_fit_a_narrow_screen(new_context: NewContext, scheme: str) -> None:
    page = new_context(viewport=NARROW, color_scheme=scheme).new_page()
    for path, title in PUBLIC_PAGES.items():
        check_page(page, path, title)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_console_pages_are_sound_and_fit_a_narrow_screen_empty_or_full(
    new_context: NewContext, live_server: str, scheme: str
) -> None:
    page = new_context(viewport=NARROW, color_scheme=scheme).new_page()
    sign_up(page)
    for path, title in CONSOLE_PAGES.items():
        check_page(page, path, title)
    raw_key = create_key(page, "W" * 80)
    assert page.evaluate(FIND_FAULTS) == []
    job = run_bell(live_server, raw_key, name="W" * 80).body
    for path, title in CONSOLE_PAGES.items():
        check_page(page, path, title)
    check_page(page, f"/console/jobs/{job['id']}", f"{'W' * 80} · Jobs · Upcube Quantum")
    page.goto("/console/api-keys")
    key = page.get_by_role("link", name="W" * 80).get_attribute("href")
    check_page(page, str(key), f"{'W' * 80} · API keys · Upcube Quantum")
    page.goto("/console/organisations/new")
    page.get_by_label("Name").fill("W" * 80)
    page.get_by_role("button", name="Create organisation").click()
    page.get_by_label("E-mail address").fill(f"{'w' * 60}@example.com")
    page.get_by_role("button", name="Invite").click()
    check_page(page, "/console/organisation", "Organisation · Upcube Quantum")
    check_page(page, "/console/organisation/leave", "Leave the organisation · Upcube Quantum")


def test_a_job_s_page_shows_what_was_measured_and_what_it_cost(page: Page, live_server: str) -> None:
    sign_up(page)
    raw_key = create_key(page, "laptop")
    job = run_bell(live_server, raw_key, seed=7).body
    page.goto("/console/jobs")
    page.get_by_role("link", name="bell-state").click()
    rows = page.get_by_role("table").get_by_role("row")
    expect(rows.nth(1).get_by_role("cell")).to_have_text(["00", "", str(job["counts"]["00"]), "51.5%", "50.0%"])
    expect(rows.nth(2).get_by_role("cell")).to_have_text(["11", "", str(job["counts"]["11"]), "48.5%", "50.0%"])
    expect(page.get_by_text("0.002025 credits", exact=True)).to_have_count(2)
    expect(page.get_by_role("img", name="Circuit of bell-state: 2 qubits, 2 gates")).to_be_visible()
    page.get_by_text("The circuit as OpenQASM 3").click()
    expect(page.locator("#program")).to_contain_text("cx q[0], q[1];")
    with page.expect_download() as downloaded:
        page.get_by_role("link", name="Download the result as JSON").click()
    assert downloaded.value.suggested_filename == f"{job['id']}.json"


def test_somebody_else_s_job_is_not_there(page: Page, new_context: NewContext, live_server: str) -> None:
    sign_up(page)
    job = run_bell(live_server, create_key(page, "laptop")).body
    stranger = new_context().new_page()
    sign_up(stranger)
    answer = stranger.goto(f"/console/jobs/{job['id']}")
    assert answer is not None
    assert answer.status == 404
    expect(stranger.get_by_role("link", name="To the console")).to_be_visible()


def test_the_ledger_has_a_line_for_every_movement(page: Page, live_server: str) -> None:
    sign_up(page)
    job = run_bell(live_server, create_key(page, "laptop")).body
    page.goto("/console/credits")
    rows = page.get_by_role("table").get_by_role("row")
    expect(rows.nth(1)).to_contain_text(f"Job {job['id']}")
    expect(rows.nth(1)).to_contain_text("\N{MINUS SIGN}0.002025")
    expect(rows.nth(2)).to_contain_text("+100")
    expect(page.locator("#credits")).to_contain_text("99.997975")


def test_the_chosen_colours_are_there_before_the_first_paint_of_the_next_page(new_context: NewContext) -> None:
    page = new_context(color_scheme="light").new_page()
    page.goto("/")
    page.get_by_role("button", name="Switch between light and dark colours").click()
    expect(page.locator("html")).to_have_css("color-scheme", "dark")
    # Nothing but the script in the head has run by then.
    page.route("**/page.js", lambda route: route.fulfill(body="", content_type="text/javascript"))
    page.goto("/docs")
    expect(page.locator("html")).to_have_css("color-scheme", "dark")


def test_a_keyboard_reaches_the_content_first_and_leaves_the_account_menu(page: Page) -> None:
    email = sign_up(page)
    page.goto("/console")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    menu = page.get_by_label(f"Account: {email}")
    menu.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Log out")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Log out")).to_be_hidden()
    expect(menu).to_be_focused()
    page.keyboard.press("Enter")
    page.get_by_role("navigation", name="Console").get_by_role("link", name="Jobs").focus()
    expect(page.get_by_role("button", name="Log out")).to_be_hidden()
