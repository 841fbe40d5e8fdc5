"""What people do on the pages, for tests to read like them."""

import itertools
import re
from http import HTTPStatus

from playwright.sync_api import Locator, Page, expect

from tests.live import Answer, call

PASSWORD = "correct horse battery"

numbers = itertools.count(1)


def new_email() -> str:
    """Make up an address that nobody has."""
    return f"person{next(numbers)}@example.com"


def sign_up(page: Page) -> str:
    """Sign up somebody new, without looking at the form, and give their address."""
    email = new_email()
    form = page.request.get("/signup").text()
    token = re.search(r'name="csrf_token"[^>]* value="([^"]+)"', form)
    assert token
    fields = {"email": email, "password": PASSWORD, "csrf_token": token[1]}
    assert page.request.post("/signup", form=fields, max_redirects=0).status == HTTPStatus.FOUND
    return email


def sign_up_by_form(page: Page) -> str:
    """Sign up somebody new as a person does, and give their address."""
    email = new_email()
    page.goto("/signup")
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()
    expect(page).to_have_url("/console")
    return email


def log_in(page: Page, email: str, password: str = PASSWORD) -> None:
    """Send the log-in form."""
    page.goto("/login")
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Log in").click()


def create_key(page: Page, name: str) -> str:
    """Create a key through the form and give the raw key that the page shows."""
    page.goto("/console/api-keys")
    page.get_by_label("Name of").fill(name)
    page.get_by_role("button", name="Create key").click()
    return page.locator("#new-key").inner_text()


def key_row(page: Page, name: str) -> Locator:
    """Find a key's row by its name."""
    return page.get_by_role("row").filter(has=page.get_by_text(name, exact=True))


def cell(row: Locator, header: str) -> Locator:
    """Find a row's cell by the header of its column."""
    headers = ["Name", "Key", "Created", "Last Used", "Calls", "Credits", "Status"]
    return row.get_by_role("cell").nth(headers.index(header))


def return_to(page: Page) -> None:
    """Come back to a page that was in the background: it brings itself up to date at once."""
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def run_bell(live_server: str, raw_key: str, **more: object) -> Answer:
    """Run the example job as a program would."""
    body = {"templateId": "bell-state", "shots": 1024, **more}
    return call("POST", f"{live_server}/api/quantum/v1/jobs", raw_key=raw_key, body=body)
