"""The page of a job that waits and runs keeps itself up to date, with a script and without."""

import re

from playwright.sync_api import Page, expect

from config import Settings
from tests.browser.conftest import NewContext
from tests.browser.steps import create_key, sign_up
from tests.live import call, job_worker

BODY = {"templateId": "bell-state", "shots": 100, "seed": 1, "name": "watched"}


def queue(page: Page, live_server: str) -> str:
    """Queue a job with a new key, and give the path of its page."""
    raw = create_key(page, "queues")
    answer = call("POST", f"{live_server}/api/quantum/v1/jobs", raw_key=raw, body=BODY, prefer="respond-async")
    assert answer.status == 202
    return f"/console/jobs/{answer.body['id']}"


def test_a_watched_job_turns_from_queued_to_completed_without_a_reload(
    page: Page, live_server: str, live_settings: Settings
) -> None:
    sign_up(page)
    page.goto(queue(page, live_server))
    expect(page.get_by_role("heading", name="Next to start")).to_be_visible()
    page.evaluate("window.isSamePage = true")
    with job_worker(live_settings):
        expect(page.locator("#job-head")).to_contain_text("Completed")
        expect(page.get_by_role("heading", name="Result")).to_be_visible()
    expect(page.get_by_role("button", name="Cancel the job")).to_have_count(0)
    assert page.evaluate("window.isSamePage")


def test_a_job_is_cancelled_by_its_button(page: Page, live_server: str) -> None:
    sign_up(page)
    page.goto(queue(page, live_server))
    page.get_by_role("button", name="Cancel the job").click()
    expect(page.get_by_text("The job was cancelled. It cost nothing.")).to_be_visible()
    expect(page.locator("#job-head")).to_contain_text("Cancelled")


def test_without_a_script_the_page_asks_to_be_loaded_again(new_context: NewContext, live_server: str) -> None:
    page = new_context().new_page()
    sign_up(page)
    path = queue(page, live_server)
    source = page.request.get(path).text()
    assert re.search(r'<noscript><meta http-equiv="refresh" content="5"></noscript>', source)
