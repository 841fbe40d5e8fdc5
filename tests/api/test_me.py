"""GET /me."""

from flask import Flask
from flask.testing import FlaskClient

from tests.api.helpers import Service
from tests.factories import API, make_account, make_key
from webapp.keys.scopes import SCOPES


def test_a_key_learns_about_itself_and_not_its_secret(refusing: Service) -> None:
    answer = refusing.get("/me")
    me = answer.get_json()
    assert (me["id"], me["name"], me["budget"]) == (refusing.key.row.id, "a key", [])
    assert me["prefix"] == refusing.key.raw[:16]
    assert me["organisationId"] == refusing.account.organisation_id
    assert me["scopes"] == list(SCOPES)
    assert [limit["name"] for limit in me["limits"]] == ["key", "account"]
    assert refusing.key.raw not in answer.text


def test_any_scope_may_ask_and_names_come_back_as_they_were_given(app: Flask, client: FlaskClient) -> None:
    for name in ("Ключ 🔑", "  padded ", '"; DROP TABLE api_keys; --', "<script>", "a\u00a0b", "x" * 80):
        with app.app_context():
            key = make_key(make_account(), name=name, scopes=("keys:read",))
        me = client.get(f"{API}/me", headers=key.headers).get_json()
        assert (me["name"], me["scopes"]) == (name.strip(), ["keys:read"])
