"""A key's page, as a browser uses it."""

from datetime import UTC, datetime, timedelta
from importlib import import_module

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.factories import API, Account, Key, body, make_key, make_key_by, now
from webapp.dashboard.key_forms import last_day
from webapp.keys.queries import get_own_key
from webapp.metering.flush import flush
from webapp.metering.queries import list_keys_with_usage

FORM = {
    "name": "renamed",
    "scopes": ["jobs:read", "usage:read"],
    "description": "For the lab",
    "tags": "ci, team:physics",
    "rate_limits": "10/1, 5000/86400",
    "addresses": "203.0.113.0/24\n2001:db8::1",
}


@pytest.fixture
def key(app: Flask, account: Account) -> Key:
    with app.app_context():
        return make_key(account, name="laptop")


def test_everything_that_is_chosen_is_kept_and_shown(
    app: Flask, client: FlaskClient, account: Account, key: Key
) -> None:
    page = f"/console/api-keys/{key.row.id}"
    last = now().date() + timedelta(days=30)
    assert client.post(page, data=FORM | {"expires": last.isoformat()}).status_code == 302
    with app.app_context():
        kept = get_own_key(organisation_id=account.organisation_id, key_id=key.row.id)
        expires_at = kept.expires_at
    assert expires_at == datetime(last.year, last.month, last.day, tzinfo=UTC) + timedelta(days=1)
    assert last_day(expires_at) == last
    shown = client.get(page).text
    for text in ("renamed", "For the lab", "team:physics", "10/1, 5000/86400", "203.0.113.0/24", "2001:db8::1/128"):
        assert text in shown
    assert (kept.scopes, kept.rate_limits) == ("jobs:read usage:read", [[10, 1], [5000, 86_400]])


def test_what_is_wrong_is_said_beside_the_fields_and_nothing_is_changed(
    app: Flask, client: FlaskClient, account: Account, key: Key
) -> None:
    page = f"/console/api-keys/{key.row.id}"
    for field, wrong, said in (
        ("name", "", "1 to 80 characters"),
        ("tags", "!", "Tags are at most"),
        ("addresses", "nowhere", "neither an address nor a network"),
        ("rate_limits", "often", "Write calls/seconds"),
        ("expires", "2020-01-01", "expires in the future"),
        ("expires", "someday", "Not a valid date"),
    ):
        answer = client.post(page, data=FORM | {field: wrong})
        assert (answer.status_code, said in answer.text) == (422, True), field
    with app.app_context():
        assert get_own_key(organisation_id=account.organisation_id, key_id=key.row.id).name == "laptop"


def test_a_new_token_is_shown_once_however_often_the_form_is_sent(client: FlaskClient, key: Key) -> None:
    page = f"/console/api-keys/{key.row.id}"
    form = {"grace": "3600", "form_id": "abc"}
    shown = client.post(f"{page}/rotate", data=form)
    assert 'id="new-key"' in shown.text
    assert "works until" in shown.text
    assert client.post(f"{page}/rotate", data=form).headers["Location"] == page
    assert 'id="new-key"' not in client.get(page).text
    assert client.get(page).text.count("works until") == 1
    assert client.post(f"{page}/rotate", data={"grace": "12"}).status_code == 302
    assert client.get(f"{API}/me", headers=key.headers).status_code == 200


def test_a_key_is_switched_off_and_on(client: FlaskClient, key: Key) -> None:
    page = f"/console/api-keys/{key.row.id}"
    client.post(f"{page}/disable")
    assert client.get(f"{API}/me", headers=key.headers).status_code == 401
    assert "Disabled" in client.get(page).text
    client.post(f"{page}/enable")
    assert client.get(f"{API}/me", headers=key.headers).status_code == 200


def test_a_key_is_revoked_with_what_it_made_where_that_is_chosen(client: FlaskClient, key: Key) -> None:
    page = f"/console/api-keys/{key.row.id}"
    assert "It has made" not in client.get(f"{page}/revoke").text
    _, made = make_key_by(client, key.headers, name="child <b>")
    make_key_by(client, made)
    assert 'data-made="2"' in client.get("/console/api-keys").text
    assert 'data-made="2"' in client.get(page).text
    asked = client.get(f"{page}/revoke").text
    assert "It has made 2 keys that still work" in asked
    assert "child &lt;b&gt;" in asked
    answer = client.post(f"{page}/revoke", data={"with_made": "1"}, follow_redirects=True)
    assert "is revoked, and so are 2 keys that it made" in answer.text
    assert client.get(f"{API}/me", headers=made).status_code == 401


def test_of_many_revoked_keys_the_newest_are_listed(
    app: Flask, client: FlaskClient, account: Account, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_module("webapp.dashboard.api_keys"), "REVOKED_SHOWN", 2)
    with app.app_context():
        ids = [make_key(account).row.id for _ in range(3)]
    for key_id in ids:
        client.post(f"/console/api-keys/{key_id}/revoke")
    page = client.get("/console/api-keys").text
    assert [f'id="{each}"' in page for each in [key.row.id, *ids]] == [True, False, True, True]
    assert "1 more that was revoked" in page


def test_a_key_that_nobody_uses_is_said_to_be_so(app: Flask, client: FlaskClient, account: Account, key: Key) -> None:
    with app.app_context():
        [usage] = list_keys_with_usage(account.organisation_id)
        assert not usage.is_unused(now() + timedelta(days=29))
        assert usage.is_unused(now() + timedelta(days=31))
    assert body(client.get(f"{API}/me", headers=key.headers))["mode"] == "live"
    with app.app_context():
        flush(at=now())
    shown = client.get(f"/console/api-keys/{key.row.id}").text
    assert "GET /me" in shown
    assert "from 127.0.0.1" in shown
