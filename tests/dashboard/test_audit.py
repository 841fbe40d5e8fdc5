"""The audit trail's pages and files."""

import csv
import io
import json

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from tests.factories import API, PASSWORD, Account, log_in, make_account, make_key, make_team, now
from webapp.accounts.audit import OPERATOR, Actor, ActorType
from webapp.accounts.models import AuditEvent
from webapp.accounts.refusals import MAX_PER_HOUR, note_refusal
from webapp.accounts.roles import Role
from webapp.core.db import db
from webapp.dashboard import audit
from webapp.keys.operations import revoke_key


@pytest.fixture
def account(app: Flask, client: FlaskClient) -> Account:
    """Somebody who is logged in and has made three keys and revoked one."""
    with app.app_context():
        account = make_account(email="ada@example.com")
        for name in ("laptop", "=HYPERLINK(1)", "100%_sure"):
            key = make_key(account, name=name)
        revoke_key(organisation_id=account.organisation_id, key_id=key.row.id, actor=OPERATOR, at=now())
    log_in(client, account)
    return account


def read_json(client: FlaskClient, query: str = "") -> list[dict[str, object]]:
    answer = client.get(f"/console/audit.json{query}", buffered=True)
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    rows: list[dict[str, object]] = json.loads(answer.text)
    return rows


@pytest.mark.usefixtures("account")
class TestFilters:
    """What is found."""

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ("action=key.revoked", ["100%_sure"]),
            ("q=LAPTOP", ["laptop"]),
            ("q=%25_", ["100%_sure", "100%_sure"]),
            ("q=_", ["100%_sure", "100%_sure"]),
            ("actor=operator", ["laptop", "=HYPERLINK(1)", "100%_sure", "100%_sure"]),
            ("actor=nobody", []),
            ("from=2020-01-01&to=9999-12-31&action=key.created", ["laptop", "=HYPERLINK(1)", "100%_sure"]),
            ("to=2020-01-01", []),
            ("from=9999-12-31", []),
            ("q=%27%20OR%201%3D1%20--", []),
        ],
    )
    def test_a_filter_leaves_what_it_says(self, client: FlaskClient, query: str, found: list[str]) -> None:
        assert [row["target"] for row in read_json(client, f"?{query}")] == found
        page = client.get(f"/console/audit?{query}")
        assert page.status_code == 200
        assert page.text.count('<tr role="row" id="evt_') >= len(found)

    @pytest.mark.parametrize("query", ["from=yesterday", "to=2026-13-01", "action=key.eaten", "q=a%00b", "actor=%0a"])
    def test_a_filter_that_says_nothing_is_refused_and_exports_nothing(self, client: FlaskClient, query: str) -> None:
        assert client.get(f"/console/audit?{query}").status_code == 422
        assert client.get(f"/console/audit.csv?{query}").status_code == 422

    def test_pages_follow_one_another(self, client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(audit, "EVENTS_PER_PAGE", 2)
        seen: list[str] = []
        address = "/console/audit?actor=Operator"
        for _ in range(2):
            page = client.get(address).text
            seen += [row[:20] for row in page.split('id="evt_')[1:]]
            address = page.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
        assert address == ""
        assert seen == sorted(set(seen), reverse=True)
        assert len(seen) == 4


class TestFiles:
    """What is taken away."""

    def test_the_csv_file_has_no_formula_and_the_export_is_itself_an_event(
        self, client: FlaskClient, account: Account
    ) -> None:
        answer = client.get("/console/audit.csv", buffered=True)
        assert (answer.mimetype, "attachment" in answer.headers["Content-Disposition"]) == ("text/csv", True)
        header, *rows = csv.reader(io.StringIO(answer.text))
        cells = [dict(zip(header, row, strict=True)) for row in rows]
        assert cells[1]["target"] == "'=HYPERLINK(1)"
        assert json.loads(cells[0]["details"])["prefix"].startswith("upcube_sk_")
        assert (cells[-1]["action"], cells[-1]["actor"]) == ("audit.exported", account.email)

    def test_an_empty_file_is_still_json(self, client: FlaskClient, account: Account) -> None:
        assert account
        assert read_json(client, "?q=nothing-like-that") == []


def test_people_see_their_own_log_ins_and_nobody_elses(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        ada, eve = make_account(email="ada@example.com"), make_account(email="eve@example.com")
    client.post("/login", data={"email": ada.email, "password": "wrong password"})
    log_in(client, ada)
    log_in(app.test_client(), eve)
    rows = json.loads(client.get("/console/activity.json", buffered=True).text)
    assert [row["action"] for row in rows] == ["user.signed_up", "login.failed", "login.succeeded"]
    assert eve.email not in client.get("/console/activity").text


def test_what_a_member_does_is_under_their_name(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        organisation_id, users = make_team(ada=Role.OWNER, bob=Role.DEVELOPER)
    developer = app.test_client()
    log_in(developer, users["bob"], organisation_id=organisation_id)
    developer.post("/console/api-keys", data={"name": "bob's key", "scopes": ["jobs:read"]})
    log_in(client, users["ada"], organisation_id=organisation_id)
    [event] = read_json(client, "?action=key.created")
    assert (event["actor"], event["target"], event["address"]) == (users["bob"].email, "bob's key", "127.0.0.1")
    assert PASSWORD not in str(event)


def test_a_refusal_for_want_of_a_role_is_written_down_once_an_hour(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        organisation_id, users = make_team(ada=Role.OWNER, vic=Role.VIEWER)
    log_in(client, users["vic"], organisation_id=organisation_id)
    for _ in range(3):
        assert client.get("/console/audit").status_code == 403
        assert client.post("/console/api-keys", data={"name": "x"}).status_code == 403
    assert client.post("/logout").status_code == 302
    log_in(client, users["ada"], organisation_id=organisation_id)
    refused = read_json(client, "?action=permission.refused")
    assert [(event["actor"], event["details"]) for event in refused] == [
        (users["vic"].email, {"wanted": "audit:read"}),
        (users["vic"].email, {"wanted": "keys:manage"}),
    ]
    assert "permission.refused" in client.get("/console/audit").text


def test_a_key_that_asks_for_more_than_it_has_is_written_down(
    app: Flask, client: FlaskClient, account: Account
) -> None:
    with app.app_context():
        key = make_key(account, name="ci", scopes=("keys:write",))
    wide = {"name": "x", "scopes": ["jobs:write", "keys:write"], "budgets": []}
    for _ in range(3):
        assert client.post(f"{API}/keys", headers=key.headers, json=wide).status_code == 403
    [event] = read_json(client, "?action=permission.refused")
    assert (event["actor"], event["actorType"], event["details"]) == ("ci", "key", {"wanted": "scopes of a key"})


@pytest.mark.usefixtures("context")
def test_a_flood_of_refusals_leaves_few_events() -> None:
    account = make_account()
    actor = Actor(ActorType.USER, account.user_id, account.email)
    for number in range(MAX_PER_HOUR + 5):
        note_refusal(organisation_id=account.organisation_id, actor=actor, wanted=f"thing {number}", at=now())
    found = db.session.scalars(select(AuditEvent).where(AuditEvent.action == "permission.refused")).all()
    assert len(found) == MAX_PER_HOUR
