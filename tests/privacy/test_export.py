"""A copy of all that we keep about somebody."""

import json
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.accounts.steps import add_authenticator, list_actions, log_in_by_form
from tests.factories import Account, Key, add_member, log_in, make_account, make_key, make_team, now, post_bell
from webapp.accounts.roles import Role
from webapp.metering.flush import flush

SECTIONS = [
    *("exportedAt", "profile", "sessions", "passkeys", "organisations", "memberships"),
    *("keys", "jobs", "usage", "ledger", "audit", "results"),
]


@pytest.fixture
def account(app: Flask) -> Account:
    with app.app_context():
        return make_account(email="ada@example.com")


@pytest.fixture
def key(app: Flask, account: Account, client: FlaskClient) -> Key:
    with app.app_context():
        key = make_key(account, name='a "key" </script>')
    assert post_bell(client, key, tags=["thesis"], metadata={"run": "7"}).status_code == 201
    with app.app_context():
        flush(at=now())
    return key


def export(client: FlaskClient) -> dict[str, Any]:
    answer = client.get("/console/settings/data/export.json")
    assert answer.status_code == 200
    assert answer.headers["Content-Disposition"] == 'attachment; filename="upcube-data.json"'
    document: dict[str, Any] = json.loads(answer.text)
    return document


def test_it_holds_everything_of_its_owner(app: Flask, client: FlaskClient, account: Account, key: Key) -> None:
    log_in_by_form(client)
    document = export(client)
    assert list(document) == SECTIONS
    assert document["profile"]["email"] == "ada@example.com"
    assert [each["name"] for each in document["keys"]] == ['a "key" </script>']
    assert (document["jobs"][0]["tags"], document["jobs"][0]["metadata"]) == (["thesis"], {"run": "7"})
    [result] = document["results"]
    assert (result["jobId"], result["circuit"]) == (document["jobs"][0]["id"], 0)
    assert result["counts"]
    assert document["usage"][0]["keyId"] == key.row.id
    assert len(document["ledger"]) == 2
    assert document["organisations"][0]["id"] == account.organisation_id
    assert {"user.signed_up", "login.succeeded", "data.exported"} <= {each["action"] for each in document["audit"]}
    assert len(document["sessions"]) == 1
    with app.app_context():
        assert list_actions()[-1] == "data.exported"


def test_it_holds_no_secret(app: Flask, client: FlaskClient, account: Account, key: Key) -> None:
    log_in_by_form(client)
    with client.session_transaction() as cookie:
        token = cookie["_user_id"]
    with app.app_context():
        secret, codes = add_authenticator(account)
    text = json.dumps(export(client))
    for kept_from_it in (key.raw[16:], token, secret, *codes, "$argon2"):
        assert kept_from_it not in text


@pytest.mark.usefixtures("key")
def test_it_holds_nothing_of_anybody_else(app: Flask) -> None:
    with app.app_context():
        make_account(email="eve@example.com")
    client = app.test_client()
    log_in_by_form(client, "eve@example.com")
    document = export(client)
    assert "ada@example.com" not in json.dumps(document)
    assert (document["keys"], document["jobs"], document["usage"]) == ([], [], [])


def test_it_holds_nothing_of_an_organisation_that_was_left(app: Flask, client: FlaskClient, account: Account) -> None:
    with app.app_context():
        organisation_id, users = make_team(owner=Role.OWNER)
        add_member(organisation_id, account, Role.DEVELOPER, by_id=users["owner"].user_id)
        make_key(replace(account, organisation_id=organisation_id), name="theirs")
    log_in_by_form(client)
    assert [each["name"] for each in export(client)["keys"]] == ["theirs"]
    owner = app.test_client()
    log_in(owner, users["owner"], organisation_id=organisation_id)
    removal = f"/console/organisation/members/{account.user_id}/remove"
    assert owner.post(removal, headers={"User-Agent": "the owner's browser"}).status_code == 302
    document = export(client)
    assert document["keys"] == []
    assert "the owner's browser" not in json.dumps(document)
