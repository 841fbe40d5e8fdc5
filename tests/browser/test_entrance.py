"""Signing up, logging in and logging out."""

from playwright.sync_api import Page, expect

from tests.browser.conftest import NewContext
from tests.browser.steps import PASSWORD, create_key, log_in, sign_up


def test_a_wrong_password_is_refused_without_saying_what_was_wrong(page: Page, new_context: NewContext) -> None:
    email = sign_up(page)
    other = new_context().new_page()
    log_in(other, email, "not the password")
    expect(other.get_by_role("alert")).to_have_text("The e-mail address or the password is wrong.")
    expect(other.get_by_label("E-mail address")).to_have_value(email)
    expect(other.get_by_label("Password", exact=True)).to_have_value("")
    log_in(other, "nobody@example.com")
    expect(other.get_by_role("alert")).to_have_text("The e-mail address or the password is wrong.")


def test_a_taken_address_is_refused_beside_the_field(page: Page, new_context: NewContext) -> None:
    email = sign_up(page)
    other = new_context().new_page()
    other.goto("/signup")
    other.get_by_label("E-mail address").fill(email.upper())
    other.get_by_label("Password", exact=True).fill(PASSWORD)
    other.get_by_role("button", name="Create account").click()
    expect(other.get_by_label("E-mail address")).to_have_accessible_description(
        "This address already has an account. Log in instead."
    )
    expect(other.get_by_role("alert")).to_be_focused()


def test_everything_wrong_with_a_sign_up_is_said_at_once(page: Page) -> None:
    page.goto("/signup")
    page.get_by_label("E-mail address").fill("nobody")
    page.get_by_label("Password", exact=True).fill("short")
    page.get_by_role("button", name="Create account").click()
    expect(page.get_by_role("alert").get_by_role("link")).to_have_text(
        ["This is not an e-mail address.", "A password has 8 to 256 characters."]
    )
    page.get_by_role("link", name="This is not an e-mail address.").click()
    expect(page.get_by_label("E-mail address")).to_be_focused()


def test_a_password_can_be_looked_at(page: Page) -> None:
    page.goto("/login")
    field = page.get_by_label("Password", exact=True)
    expect(field).to_have_attribute("type", "password")
    page.get_by_role("button", name="Show password").click()
    expect(field).to_have_attribute("type", "text")
    page.get_by_role("button", name="Hide password").click()
    expect(field).to_have_attribute("type", "password")


def test_a_log_in_leads_to_the_page_that_was_asked_for(page: Page, new_context: NewContext) -> None:
    email = sign_up(page)
    other = new_context().new_page()
    other.goto("/console/jobs?status=failed")
    other.get_by_label("E-mail address").fill(email)
    other.get_by_label("Password", exact=True).fill(PASSWORD)
    other.get_by_role("button", name="Log in").click()
    expect(other).to_have_url("/console/jobs?status=failed")


def test_a_log_out_ends_the_session_on_the_server(page: Page) -> None:
    email = sign_up(page)
    page.goto("/console")
    cookies = page.context.cookies()
    page.get_by_label(f"Account: {email}").click()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("link", name="Get an API key")).to_be_visible()
    page.context.clear_cookies()
    page.context.add_cookies([{"name": each["name"], "value": each["value"], "url": page.url} for each in cookies])
    page.goto("/console")
    expect(page).to_have_url("/login?next=/console")


def test_a_form_without_its_token_is_refused(page: Page) -> None:
    sign_up(page)
    page.goto("/console/api-keys")
    page.get_by_label("Name of your first key").fill("forged")
    page.locator("form:has(#name) [name=csrf_token]").evaluate("field => field.remove()")
    with page.expect_response(lambda response: response.request.method == "POST") as answered:
        page.get_by_role("button", name="Create key").click()
    assert answered.value.status == 400
    expect(page.get_by_role("heading", level=1)).to_have_text("That page is out of date")
    create_key(page, "honest")
    page.goto("/console/api-keys")
    expect(page.get_by_role("row")).to_have_count(2)


def test_a_form_is_never_sent_for_somebody_else(page: Page) -> None:
    email = sign_up(page)
    page.goto("/console/api-keys")
    page.get_by_label("Name of your first key").fill("of the first")
    second = page.context.new_page()
    second.goto("/console/organisations/new")
    second.get_by_label("Name").fill("Of the first")
    other = page.context.new_page()
    other.goto("/console")
    other.get_by_label(f"Account: {email}").click()
    other.get_by_role("button", name="Log out").click()
    expect(other.get_by_role("link", name="Get an API key")).to_be_visible()
    page.get_by_role("button", name="Create key").click()
    expect(page.get_by_role("alert")).to_contain_text("You were logged out, so what you sent was not done.")
    sign_up(other)
    second.get_by_role("button", name="Create organisation").click()
    expect(second.get_by_role("heading", level=1)).to_have_text("That page is out of date")
    other.goto("/console")
    expect(other.get_by_text("Of the first")).to_have_count(0)
