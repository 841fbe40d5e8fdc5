"""The organisation's pages, as a browser uses them."""

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.accounts.steps import list_subjects
from tests.factories import API, PASSWORD, Account, log_in, make_account, make_key, make_team, queue_bell
from webapp.accounts.queries import list_members
from webapp.accounts.roles import Role
from webapp.keys.queries import list_keys


def test_somebody_makes_an_organisation_invites_and_renames(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        ada = make_account()
    log_in(client, ada)
    assert "starts with 0 credits" in client.get("/console/organisations/new").text
    assert client.post("/console/organisations/new", data={"name": ""}).status_code == 422
    assert client.post("/console/organisations/new", data={"name": "<b>Lab</b>"}).status_code == 302
    page = client.get("/console/organisation").text
    assert "&lt;b&gt;Lab&lt;/b&gt;" in page
    assert "<b>Lab" not in page
    assert client.post("/console/organisation/invitations", data={"email": "x", "role": "y"}).status_code == 422
    client.post("/console/organisation/invitations", data={"email": "bob@example.com", "role": "viewer"})
    assert "bob@example.com" in client.get("/console/organisation").text
    assert client.post("/console/organisation", data={"name": "Laboratory"}).status_code == 302
    assert "Laboratory" in client.get("/console/organisation").text


def test_a_page_made_for_another_organisation_does_nothing(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        organisation_id, users = make_team(ada=Role.OWNER)
    ada = users["ada"]
    log_in(client, ada)
    form = {"name": "a key", "scopes": ["jobs:read"], "organisation_id": ada.organisation_id}
    # In another tab:
    client.post("/console/organisations/switch", data={"to": organisation_id})
    assert client.post("/console/api-keys", data=form).status_code == 409
    rows = client.get("/console/api-keys/rows", headers={"X-Upcube-Organisation": ada.organisation_id})
    assert rows.status_code == 409
    with app.app_context():
        assert list_keys(organisation_id) == list_keys(ada.organisation_id) == []
    assert client.post("/console/api-keys", data=form | {"organisation_id": organisation_id}).status_code == 200


def test_who_is_removed_sees_nothing_from_the_next_page_on(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        organisation_id, users = make_team(ada=Role.OWNER, bob=Role.DEVELOPER)
        bob = users["bob"]
        key = make_key(Account(bob.email, bob.user_id, organisation_id, ""), name="bob's key")
    his = app.test_client()
    log_in(his, bob, organisation_id=organisation_id)
    assert "bob&#39;s key" in his.get("/console/api-keys").text
    assert client.get(f"{API}/me", headers=key.headers).status_code == 200
    log_in(client, users["ada"], organisation_id=organisation_id)
    question = client.get(f"/console/organisation/members/{bob.user_id}/remove").text
    assert "bob&#39;s key" in question
    client.post(f"/console/organisation/members/{bob.user_id}/remove", data={"revoke_keys": "1"})
    assert client.get(f"{API}/me", headers=key.headers).status_code == 401
    assert "bob&#39;s key" not in his.get("/console/api-keys").text
    assert "Personal account" in his.get("/console").text
    answer = his.post("/console/api-keys", data={"name": "mine", "scopes": ["jobs:read"]})
    assert answer.status_code == 200
    with app.app_context():
        assert [found.name for found in list_keys(bob.organisation_id)] == ["mine"]


def test_a_member_leaves_and_the_last_owner_cannot(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        organisation_id, users = make_team(ada=Role.OWNER, bob=Role.BILLING)
    log_in(client, users["bob"], organisation_id=organisation_id)
    assert client.get("/console/organisation/leave").status_code == 200
    assert client.post("/console/organisation/leave").headers["Location"] == "/console"
    assert "You have left" in client.get("/console").text
    assert "a team" not in client.get("/console/organisation").text
    owner = app.test_client()
    log_in(owner, users["ada"], organisation_id=organisation_id)
    refused = owner.post("/console/organisation/leave")
    assert (refused.status_code, "at least one owner" in refused.text) == (409, True)
    assert owner.post(f"/console/organisation/members/{users['ada'].user_id}/remove").status_code == 302
    with app.app_context():
        assert [member.user_id for member in list_members(organisation_id)] == [users["ada"].user_id]


def test_jobs_are_hidden_from_who_does_the_bills(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        organisation_id, users = make_team(ada=Role.OWNER, bob=Role.BILLING)
    log_in(client, users["bob"], organisation_id=organisation_id)
    assert "No jobs yet" not in client.get("/console").text
    log_in_again = app.test_client()
    log_in(log_in_again, users["ada"], organisation_id=organisation_id)
    assert "Your first call" in log_in_again.get("/console").text


def test_an_owner_that_cannot_be_is_not_found(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        organisation_id, users = make_team(ada=Role.OWNER)
    log_in(client, users["ada"], organisation_id=organisation_id)
    assert client.post("/console/organisation/owner", data={"user_id": "user_\0"}).status_code == 404


def test_every_form_about_an_organisation_says_which(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        account = make_account()
        key = make_key(account)
        job_id = queue_bell(client, key)
    log_in(client, account)
    for page in (
        "api-keys",
        f"api-keys/{key.row.id}",
        "budgets",
        "price-confirmation",
        "organisation",
        f"jobs/{job_id}",
    ):
        forms = re.findall(r'<form[^>]*method="post".*?</form>', client.get(f"/console/{page}").text, re.DOTALL)
        own = [form for form in forms if not re.search('action="/(logout|console/organisations/switch)"', form)]
        assert own, page
        assert [form for form in own if f'value="{account.organisation_id}"' not in form] == [], page


class TestUnverified:
    """Strangers' mailboxes are not written to for somebody who has shown none of their own."""

    @pytest.fixture
    def environ(self) -> dict[str, str]:
        return {"REQUIRE_VERIFIED_EMAIL": "1"}

    def test_they_invite_nobody(self, app: Flask, client: FlaskClient) -> None:
        client.post("/signup", data={"email": "eve@example.com", "password": PASSWORD})
        client.post("/console/organisations/new", data={"name": "Buy now"})
        answer = client.post(
            "/console/organisation/invitations", data={"email": "ada@example.com", "role": "developer"}
        )
        assert answer.status_code == 403
        assert "Confirm your e-mail address first" in answer.text
        with app.app_context():
            assert list_subjects("ada@example.com") == []
