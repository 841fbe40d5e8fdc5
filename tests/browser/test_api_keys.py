"""The API keys page."""

from playwright.sync_api import Dialog, Page, expect

from tests.browser.conftest import NewContext
from tests.browser.steps import cell, create_key, key_row, return_to, sign_up, sign_up_by_form
from tests.live import call

HOSTILE_NAMES = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)> ' &amp;",
    "{{ 7 * 7 }} ${7*7}",
    "مفتاح الإنتاج",
    "\u202egnp.exe",
    "🔑 Schlüssel 鍵",
    "W" * 80,
]


def test_the_table_has_the_promised_columns(page: Page) -> None:
    sign_up(page)
    create_key(page, "laptop")
    headers = page.get_by_role("table", name="API keys").get_by_role("columnheader")
    expect(headers).to_have_text(["Name", "Key", "Created", "Last Used", "Calls", "Credits", "Status"])


def test_a_reload_neither_shows_the_key_again_nor_makes_another(page: Page) -> None:
    sign_up(page)
    raw_key = create_key(page, "laptop")
    expect(page.get_by_text("This is the only time it is shown.")).to_be_visible()
    page.reload()
    expect(key_row(page, "laptop")).to_have_count(1)
    assert raw_key not in page.content()


def test_a_double_click_makes_one_key(page: Page) -> None:
    sign_up(page)
    page.goto("/console/api-keys")
    page.get_by_label("Name of your first key").fill("laptop")
    page.get_by_role("button", name="Create key").dblclick()
    expect(page.locator("#new-key")).to_be_visible()
    page.goto("/console/api-keys")
    expect(key_row(page, "laptop")).to_have_count(1)


def test_a_key_s_name_is_shown_as_text_whatever_it_is(page: Page) -> None:
    alerts: list[str] = []

    def on_dialog(dialog: Dialog) -> None:
        alerts.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", on_dialog)
    page.set_viewport_size({"width": 360, "height": 800})
    sign_up(page)
    for name in HOSTILE_NAMES:
        create_key(page, name)
        newest = page.get_by_role("row").nth(1)
        assert cell(newest, "Name").inner_text() == name
        newest.get_by_role("button", name="Revoke").click()
        assert page.locator("[data-key-name]").inner_text() == name
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        page.get_by_role("button", name="Revoke key").click()
        expect(page.get_by_role("status").filter(has_text="is revoked")).to_contain_text(name)
    assert alerts == []


def test_a_key_without_a_name_is_refused_beside_the_field(page: Page) -> None:
    sign_up(page)
    page.goto("/console/api-keys")
    page.get_by_role("button", name="Create key").click()
    field = page.get_by_label("Name of your first key")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_accessible_description("A key's name has 1 to 80 characters.")


def test_a_preset_chooses_the_scopes_of_a_key(page: Page, live_server: str) -> None:
    sign_up(page)
    page.goto("/console/api-keys")
    page.get_by_label("Name of your first key").fill("reader")
    page.get_by_text("Scopes: Full").click()
    page.get_by_role("button", name="Run jobs").click()
    page.get_by_role("button", name="Create key").click()
    raw_key = page.locator("#new-key").inner_text()
    me = call("GET", f"{live_server}/api/quantum/v1/me", raw_key=raw_key).body
    assert me["scopes"] == ["templates:read", "backends:read", "jobs:read", "jobs:write"]


def test_a_key_without_scopes_is_refused_beside_them(page: Page) -> None:
    sign_up(page)
    page.goto("/console/api-keys")
    page.get_by_label("Name of your first key").fill("nothing")
    page.get_by_text("Scopes: Full").click()
    for box in page.get_by_role("checkbox").all():
        box.uncheck()
    page.get_by_role("button", name="Create key").click()
    expect(page.get_by_text("A key needs at least one scope.")).to_be_visible()
    expect(page.get_by_label("Name of your first key")).to_have_value("nothing")


def test_to_cancel_is_to_keep_the_key(page: Page, live_server: str) -> None:
    sign_up(page)
    raw_key = create_key(page, "laptop")
    page.get_by_role("button", name="Revoke laptop").click()
    expect(page.get_by_role("button", name="Cancel")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.get_by_role("button", name="Revoke laptop")).to_be_focused()
    assert call("GET", f"{live_server}/api/quantum/v1/me", raw_key=raw_key).status == 200


def test_the_question_before_a_revocation_offers_what_the_key_made(page: Page, live_server: str) -> None:
    sign_up(page)
    raw_key = create_key(page, "laptop")
    api = f"{live_server}/api/quantum/v1"
    made = call("POST", f"{api}/keys", raw_key=raw_key, body={"name": "child", "scopes": ["jobs:read"]})
    page.goto("/console/api-keys")
    page.get_by_role("button", name="Revoke child").click()
    expect(page.get_by_label("Revoke what it made as well")).to_be_hidden()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Revoke laptop").click()
    page.get_by_label("Revoke what it made as well: 1 key").check()
    page.get_by_role("button", name="Revoke key").click()
    expect(page.get_by_text("and so is 1 key that it made")).to_be_visible()
    assert call("GET", f"{api}/me", raw_key=made.body["key"]).status == 401


def test_a_row_that_appears_leaves_the_focus_on_its_own_key(page: Page) -> None:
    sign_up(page)
    create_key(page, "first")
    elsewhere = page.context.new_page()
    create_key(elsewhere, "second")
    page.get_by_role("button", name="Revoke first").focus()
    return_to(page)
    expect(key_row(page, "second")).to_be_visible()
    expect(page.get_by_role("button", name="Revoke first")).to_be_focused()


def test_everything_but_copying_works_without_scripts(new_context: NewContext, live_server: str) -> None:
    page = new_context(java_script_enabled=False).new_page()
    sign_up_by_form(page)
    raw_key = create_key(page, "laptop")
    # Without a script the browser sends the form again; it is known to have been sent.
    page.reload()
    expect(key_row(page, "laptop")).to_have_count(1)
    assert raw_key not in page.content()
    page.get_by_role("button", name="Revoke laptop").click()
    expect(page.get_by_text("stops working at once")).to_be_visible()
    page.get_by_role("button", name="Revoke key").click()
    expect(cell(key_row(page, "laptop"), "Status")).to_have_text("Revoked")
    assert call("GET", f"{live_server}/api/quantum/v1/me", raw_key=raw_key).status == 401
    page.locator("summary", has_text="@example.com").click()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("link", name="Get an API key")).to_be_visible()


def test_somebody_else_s_key_is_not_there(page: Page, new_context: NewContext) -> None:
    sign_up(page)
    create_key(page, "laptop")
    key_id = key_row(page, "laptop").get_attribute("id")
    stranger = new_context().new_page()
    sign_up(stranger)
    answer = stranger.goto(f"/console/api-keys/{key_id}/revoke")
    assert answer is not None
    assert answer.status == 404
