"""The way of a newcomer, from the landing page to a revoked key."""

from playwright.sync_api import Page, expect

from tests.browser.conftest import Flush
from tests.browser.steps import PASSWORD, cell, create_key, key_row, return_to, run_bell, sign_up
from tests.live import call


def test_a_newcomer_makes_a_key_calls_with_it_sees_it_counted_and_revokes_it(
    page: Page, live_server: str, flush: Flush
) -> None:
    page.goto("/")
    page.get_by_role("link", name="Get an API key").click()
    page.get_by_label("E-mail address").fill("newcomer@example.com")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()
    page.get_by_role("link", name="Create a key").click()

    page.get_by_label("Name of your first key").fill("laptop")
    page.get_by_role("button", name="Create key").click()
    raw_key = page.locator("#new-key").inner_text()
    page.get_by_role("button", name="Copy the key").click()
    expect(page.get_by_role("button", name="Copy the key")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == raw_key

    row = key_row(page, "laptop")
    expect(cell(row, "Key")).to_have_text(f"{raw_key[:16]}...")
    expect(cell(row, "Last Used")).to_have_text("Never")
    assert run_bell(live_server, raw_key).status == 201
    flush()
    # The page was not touched since: the row fetches itself.
    expect(cell(row, "Calls")).to_have_text("1")
    expect(cell(row, "Credits")).to_have_text("0.002025")
    expect(cell(row, "Last Used")).to_contain_text("ago")

    row.get_by_role("button", name="Revoke laptop").click()
    dialog = page.get_by_role("dialog", name="Revoke this key?")
    expect(dialog).to_contain_text("laptop")
    dialog.get_by_role("button", name="Revoke key").click()
    expect(cell(row, "Status")).to_have_text("Revoked")
    for header in ("Name", "Key", "Created", "Calls"):
        expect(cell(row, header)).to_have_css("text-decoration-line", "line-through")
    assert call("GET", f"{live_server}/api/quantum/v1/me", raw_key=raw_key).status == 401


def test_the_command_beside_a_new_key_is_the_call_that_works(page: Page, live_server: str) -> None:
    sign_up(page)
    raw_key = create_key(page, "laptop")
    page.get_by_role("button", name="Copy the command").click()
    command = page.evaluate("navigator.clipboard.readText()")
    assert f"{live_server}/api/quantum/v1/jobs" in command
    assert f"Authorization: Bearer {raw_key}" in command
    assert '{"templateId": "bell-state", "shots": 1024}' in command


def test_the_guide_ticks_itself_off_without_a_reload(page: Page, live_server: str) -> None:
    sign_up(page)
    page.goto("/console")
    expect(page.get_by_text("0 of 3 done")).to_be_visible()
    raw_key = create_key(page, "laptop")
    page.goto("/console")
    expect(page.get_by_text("1 of 3 done")).to_be_visible()
    run_bell(live_server, raw_key)
    return_to(page)
    expect(page.get_by_role("heading", name="Recent jobs")).to_be_visible()
    expect(page.get_by_role("link", name="bell-state")).to_be_visible()


def test_the_example_on_the_landing_page_answers_as_it_says(page: Page, live_server: str) -> None:
    sign_up(page)
    raw_key = create_key(page, "laptop")
    answer = run_bell(live_server, raw_key, seed=7).body
    page.goto("/")
    shown = page.get_by_role("region", name="The answer").inner_text()
    assert f'"counts": {{"00": {answer["counts"]["00"]}, "11": {answer["counts"]["11"]}}}' in shown
    assert f'"charged": "{answer["cost"]["charged"]}"' in shown
