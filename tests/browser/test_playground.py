"""The playground: what is typed is priced as it is typed, and run with one press; and all of it without a script."""

import re

from playwright.sync_api import Page, expect

from config import Settings
from tests.browser.conftest import NewContext
from tests.browser.steps import log_in, sign_up
from tests.live import run_command

RUN = re.compile("^Run for")


def test_a_circuit_is_priced_while_it_is_typed_and_run(page: Page, live_settings: Settings) -> None:
    sign_up(page)
    page.goto("/console/playground")
    price = page.locator("#price")
    first = price.inner_text()
    page.get_by_label("Shots").fill("5000")
    expect(price).not_to_have_text(first)
    page.get_by_label("Template").select_option("grover-search")
    page.get_by_label("Marked").fill("110")
    expect(page.locator("#draft-curl")).to_contain_text('"marked": "110"')
    expect(page.locator(".circuit-drawing")).to_be_visible()
    page.get_by_role("button", name=RUN).click()
    expect(page.get_by_role("heading", name="Your run")).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("^110"))).to_contain_text("94.5%")
    # What was typed is still there, and the press was one job.
    expect(page.get_by_label("Marked")).to_have_value("110")
    page.reload()
    page.goto("/console/jobs")
    expect(page.locator("tbody tr")).to_have_count(1)
    answer = run_command(live_settings, "ledger", "verify")
    assert (answer.returncode, answer.stdout) == (0, "ok\n")


def test_a_mistake_leads_to_its_place_and_what_was_typed_outlives_the_page(page: Page) -> None:
    sign_up(page)
    page.goto("/console/playground?kind=openqasm3")
    source = page.get_by_label("OpenQASM 3", exact=True)
    source.fill('include "stdgates.inc";\nqubit[2] q;\ncnot q[0], q[1];')
    page.get_by_role("button", name="Estimate again").click()
    page.locator("#outlook").get_by_role("link", name="Line 3, column 1").click()
    expect(source).to_be_focused()
    expect(source).to_have_attribute("aria-invalid", "true")
    assert source.evaluate("each => each.value.slice(each.selectionStart, each.selectionEnd)") == "cnot"
    page.keyboard.type("cz")
    page.goto("/console/jobs")
    page.goto("/console/playground?kind=openqasm3")
    expect(source).to_have_value(re.compile("cz"))
    expect(page.locator("#draft-curl")).to_contain_text("cz")
    # Another member of the organisation, who logs in where this session ended, does not find it.
    user = page.locator("[data-user]").get_attribute("data-user")
    assert [key.split()[-1] for key in page.evaluate("Object.keys(sessionStorage)")] == [user]
    page.get_by_role("link", name="Start again from the example").click()
    expect(source).not_to_have_value(re.compile("cz"))


def test_a_program_is_run_without_a_script(page: Page, new_context: NewContext) -> None:
    email = sign_up(page)
    plain = new_context(java_script_enabled=False).new_page()
    log_in(plain, email)
    plain.goto("/console/playground?kind=openqasm3")
    plain.get_by_label("OpenQASM 3").fill('OPENQASM 3.0; include "stdgates.inc"; qubit[2] q; x q[0];')
    plain.get_by_label("Shots").fill("77")
    plain.get_by_role("button", name=RUN).click()
    # Another price than the page had shown: it is shown first.
    expect(plain.get_by_role("alert")).to_contain_text("nothing has run yet")
    plain.get_by_role("button", name=RUN).click()
    expect(plain.get_by_role("row", name=re.compile("^01"))).to_contain_text("77")
