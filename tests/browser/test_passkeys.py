"""Passkeys and codes in a real browser, with a virtual authenticator (the WebAuthn domain of the DevTools protocol)."""

from urllib.parse import parse_qs

import pytest
from playwright.sync_api import CDPSession, Page, expect

from tests.accounts.steps import make_code
from tests.browser.conftest import NewContext
from tests.browser.steps import PASSWORD, new_email

AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


@pytest.fixture
def site(live_server: str) -> str:
    """The server under a name, as passkeys have it."""
    return live_server.replace("127.0.0.1", "localhost")


class Device:
    """A browser with an authenticator built in."""

    def __init__(self, page: Page, site: str) -> None:
        self.page = page
        self.site = site
        self.devtools: CDPSession = page.context.new_cdp_session(page)
        self.devtools.send("WebAuthn.enable")
        added = self.devtools.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
        self.authenticator_id = added["authenticatorId"]

    def let_user_be(self, *, verified: bool) -> None:
        """Let the fingerprint be right from now on, or wrong."""
        self.devtools.send(
            "WebAuthn.setUserVerified", {"authenticatorId": self.authenticator_id, "isUserVerified": verified}
        )

    def open(self, path: str) -> None:
        self.page.goto(self.site + path)

    def sign_up(self) -> str:
        email = new_email()
        self.open("/signup")
        self.page.get_by_label("E-mail address").fill(email)
        self.page.get_by_label("Password", exact=True).fill(PASSWORD)
        self.page.get_by_role("button", name="Create account").click()
        expect(self.page).to_have_url(f"{self.site}/console")
        return email

    def add_passkey(self, name: str) -> None:
        self.open("/console/settings/second-factors")
        self.page.get_by_label("Name of the new passkey").fill(name)
        self.page.get_by_role("button", name="Add a passkey").click()

    def log_out(self) -> None:
        self.open("/console")
        self.page.locator("summary", has_text="@example.com").click()
        self.page.get_by_role("button", name="Log out").click()
        expect(self.page.get_by_role("link", name="Get an API key")).to_be_visible()

    def log_in_with_passkey(self) -> None:
        self.open("/login")
        self.page.get_by_role("button", name="Log in with a passkey").click()


@pytest.fixture
def device(page: Page, site: str) -> Device:
    return Device(page, site)


def test_a_passkey_is_made_logs_in_without_a_password_is_named_and_removed(device: Device) -> None:
    page = device.page
    device.sign_up()
    device.add_passkey("laptop")
    expect(page.get_by_role("status").filter(has_text="is added")).to_contain_text("laptop")
    device.log_out()
    device.log_in_with_passkey()
    expect(page).to_have_url(f"{device.site}/console")
    device.open("/console/settings/second-factors")
    expect(page.locator(".passkey")).to_contain_text("last used")
    page.locator(".passkey summary").click()
    page.get_by_label("Name", exact=True).fill("<b>phone</b>")
    page.get_by_role("button", name="Rename").click()
    expect(page.locator(".passkey bdi")).to_have_text("<b>phone</b>")
    page.locator(".passkey summary").click()
    page.get_by_role("button", name="Remove <b>phone</b>").click()
    expect(page.get_by_role("status").filter(has_text="The passkey is removed here")).to_be_visible()
    device.log_out()
    device.log_in_with_passkey()
    expect(page.get_by_role("alert")).to_contain_text("We do not know that passkey")


def test_a_device_makes_one_passkey_for_an_account(device: Device) -> None:
    device.sign_up()
    device.add_passkey("laptop")
    expect(device.page.get_by_role("status").filter(has_text="is added")).to_be_visible()
    device.add_passkey("again")
    expect(device.page.get_by_role("alert")).to_have_text("This device has a passkey for your account already.")


def test_a_passkey_whose_user_is_not_verified_logs_nobody_in(device: Device) -> None:
    device.sign_up()
    device.add_passkey("laptop")
    expect(device.page.get_by_role("status").filter(has_text="is added")).to_be_visible()
    device.log_out()
    device.let_user_be(verified=False)
    device.log_in_with_passkey()
    expect(device.page.get_by_role("alert")).to_contain_text("No passkey was used")
    device.let_user_be(verified=True)
    device.log_in_with_passkey()
    expect(device.page).to_have_url(f"{device.site}/console")


def test_an_answer_that_was_overheard_is_worth_nothing(device: Device, new_context: NewContext) -> None:
    page = device.page
    device.sign_up()
    device.add_passkey("laptop")
    expect(page.get_by_role("status").filter(has_text="is added")).to_be_visible()
    device.log_out()
    device.open("/login")
    with page.expect_request(f"{device.site}/login/passkey") as sent:
        page.get_by_role("button", name="Log in with a passkey").click()
    expect(page).to_have_url(f"{device.site}/console")
    answer = parse_qs(sent.value.post_data or "")["response"][0]
    thief = new_context().new_page()
    thief.goto(f"{device.site}/login")
    # The thief has a challenge of its own, and the victim's answer to another.
    token = thief.locator("[data-passkey] [name=csrf_token]").input_value()
    headers = {"X-CSRFToken": token, "Referer": f"{device.site}/login"}
    assert thief.request.post(f"{device.site}/login/passkey/options", headers=headers).ok
    refused = thief.request.post(
        f"{device.site}/login/passkey", form={"response": answer, "csrf_token": token}, max_redirects=0
    )
    assert refused.status == 422
    assert "could not be checked" in refused.text()


def test_a_passkey_proves_again_who_one_is(device: Device) -> None:
    page = device.page
    device.sign_up()
    device.add_passkey("laptop")
    expect(page.get_by_role("status").filter(has_text="is added")).to_be_visible()
    device.open("/console/confirm?next=/console/settings/email")
    page.get_by_role("button", name="Use a passkey").click()
    expect(page).to_have_url(f"{device.site}/console/settings/email")


def test_an_app_and_its_recovery_codes_are_asked_for_at_the_next_log_in(device: Device) -> None:
    page = device.page
    email = device.sign_up()
    device.open("/console/settings/second-factors")
    page.get_by_role("button", name="Set up an app").click()
    expect(page.get_by_role("img")).to_be_visible()
    page.get_by_label("Code").fill(make_code(page.locator("#secret").inner_text()))
    page.get_by_role("button", name="Turn it on").click()
    codes = page.locator("#codes").inner_text().split()
    assert len(codes) == 10
    device.log_out()
    device.open("/login")
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Log in", exact=True).click()
    page.get_by_label("Code").fill("000000")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_label("Code")).to_have_accessible_description("That code is wrong, too old, or was used before.")
    page.get_by_label("Code").fill(codes[0])
    page.get_by_role("button", name="Log in").click()
    expect(page).to_have_url(f"{device.site}/console")


def test_somebody_who_forgot_their_password_chooses_another(device: Device) -> None:
    page = device.page
    email = device.sign_up()
    device.log_out()
    device.open("/login")
    page.get_by_role("link", name="Forgot your password?").click()
    page.get_by_label("E-mail address").fill(email)
    page.get_by_role("button", name="Send the link").click()
    expect(page.get_by_role("status").filter(has_text="Look at your mail")).to_be_visible()


def test_by_a_number_passkeys_are_explained_and_not_offered(page: Page, site: str) -> None:
    numbered = Device(page, site.replace("localhost", "127.0.0.1"))
    numbered.open("/login")
    expect(page.get_by_role("button", name="Log in with a passkey")).to_have_count(0)
    numbered.sign_up()
    numbered.open("/console/settings/second-factors")
    expect(page.get_by_text("Passkeys belong to a name")).to_be_visible()
    expect(page.get_by_role("link", name="it on localhost")).to_have_attribute(
        "href", f"{site}/console/settings/second-factors"
    )
