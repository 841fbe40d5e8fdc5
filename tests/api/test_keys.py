"""Keys managed by programs: a key gives no more than it has."""

import threading
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from tests.api.helpers import read_error
from tests.factories import API, Account, Key, body, make_account, make_key, now
from webapp.accounts.audit import OPERATOR
from webapp.accounts.models import AuditEvent
from webapp.core.clock import format_time
from webapp.core.db import db, transaction
from webapp.keys.operations import update_key
from webapp.keys.queries import list_keys
from webapp.keys.settings import RateLimit, settings_of
from webapp.metering import delegation
from webapp.metering.budgets import set_budget

KEYS = f"{API}/keys"
MANAGING = ("keys:read", "keys:write", "jobs:read")
NEW = {"name": "a new key", "scopes": ["jobs:read"]}


@pytest.fixture
def manager(app: Flask, account: Account) -> Key:
    with app.app_context():
        return make_key(account, name="manager", scopes=MANAGING)


def put_day_budget(account: Account, key: Key, *, credits_: int = 5) -> None:
    set_budget(
        organisation_id=account.organisation_id,
        key_id=key.row.id,
        period="day",
        microcredits=credits_ * 1_000_000,
        refuses=True,
        actor=OPERATOR,
        at=now(),
    )


def beyond(answer: object) -> list[str]:
    error = read_error(answer, 403, "beyond_own_key")  # type: ignore[arg-type]  # a test's answer
    return [detail["path"] for detail in error["details"]]


class TestLife:
    """From creation to revocation."""

    def test_a_key_is_made_read_changed_rotated_and_revoked(
        self, app: Flask, client: FlaskClient, account: Account, manager: Key
    ) -> None:
        made = client.post(KEYS, headers=manager.headers, json=NEW | {"tags": ["ci"], "description": "For CI"})
        assert made.status_code == 201
        new = body(made)
        assert made.headers["Location"] == f"{KEYS}/{new['id']}"
        bearer = {"Authorization": f"Bearer {new['key']}"}
        assert client.get(f"{API}/jobs", headers=bearer).status_code == 200
        found = body(client.get(f"{KEYS}/{new['id']}", headers=manager.headers))
        assert found == {name: value for name, value in new.items() if name != "key"}
        assert (found["createdByKeyId"], found["status"], found["tags"]) == (manager.row.id, "active", ["ci"])
        changed = client.patch(f"{KEYS}/{new['id']}", headers=manager.headers, json={"name": "b", "disabled": True})
        assert (body(changed)["name"], body(changed)["status"]) == ("b", "disabled")
        assert client.get(f"{API}/jobs", headers=bearer).status_code == 401
        client.patch(f"{KEYS}/{new['id']}", headers=manager.headers, json={"disabled": False})
        rotated = body(client.post(f"{KEYS}/{new['id']}/rotate", headers=manager.headers, json={"graceSeconds": 60}))
        assert client.get(f"{API}/jobs", headers=bearer).status_code == 200
        fresh = {"Authorization": f"Bearer {rotated['key']}"}
        assert body(client.post(f"{KEYS}/{new['id']}/rotate", headers=manager.headers))["key"] != rotated["key"]
        assert client.get(f"{API}/jobs", headers=fresh).status_code == 401
        assert body(client.delete(f"{KEYS}/{new['id']}", headers=manager.headers))["status"] == "revoked"
        read_error(client.post(f"{KEYS}/{new['id']}/rotate", headers=manager.headers), 409, "key_revoked")
        listed = body(client.get(KEYS, headers=manager.headers))["keys"]
        assert [each["id"] for each in listed] == [new["id"], manager.row.id]
        assert new["key"][16:] not in str(listed)
        with app.app_context():
            assert list_keys(account.organisation_id)[0].created_by_id == account.user_id
            trail = db.session.scalars(sa.select(AuditEvent).where(AuditEvent.actor_id == manager.row.id))
            assert sorted(event.action for event in trail) == [
                "key.changed",
                "key.created",
                "key.disabled",
                "key.enabled",
                "key.revoked",
                "key.rotated",
                "key.rotated",
            ]

    def test_pages_follow_one_another(self, client: FlaskClient, manager: Key) -> None:
        made = [body(client.post(KEYS, headers=manager.headers, json=NEW))["id"] for _ in range(2)]
        first = body(client.get(f"{KEYS}?limit=2", headers=manager.headers))
        rest = body(client.get(f"{KEYS}?limit=2&cursor={first['nextCursor']}", headers=manager.headers))
        assert [each["id"] for each in first["keys"] + rest["keys"]] == [*reversed(made), manager.row.id]
        assert rest["nextCursor"] is None

    def test_everything_wrong_is_named_at_once(self, client: FlaskClient, manager: Key) -> None:
        for sent, paths in (
            ({}, ["name", "scopes"]),
            ({"name": 1, "scopes": "x", "mode": "y", "expiresAt": "soon", "colour": "red"}, None),
            (NEW | {"name": "", "addresses": ["x"], "tags": ["!"]}, ["name", "addresses", "tags"]),
            (NEW | {"expiresAt": "2030-01-01T00:00:00"}, ["expiresAt"]),
            (NEW | {"expiresAt": "2020-01-01T00:00:00Z"}, ["expiresAt"]),
            (NEW | {"rateLimits": [{"calls": 0, "seconds": 1}]}, ["rateLimits[0].calls"]),
        ):
            error = read_error(client.post(KEYS, headers=manager.headers, json=sent), 422, "invalid_fields")
            if paths is None:
                assert {detail["path"] for detail in error["details"]} == set(sent)
            else:
                assert [detail["path"] for detail in error["details"]] == paths, sent
        for grace in (-1, 604_801, "1", 1.5):
            read_error(
                client.post(f"{KEYS}/{manager.row.id}/rotate", headers=manager.headers, json={"graceSeconds": grace}),
                422,
                "invalid_fields",
            )


class TestBounds:
    """A key never grants what it does not have."""

    def test_scopes_and_everything_else_are_bounded(self, app: Flask, client: FlaskClient, account: Account) -> None:
        until = now() + timedelta(days=5)
        with app.app_context():
            narrow = make_key(
                account,
                scopes=MANAGING,
                expires_at=until,
                rate_limits=(RateLimit(10, 60),),
                addresses=("127.0.0.0/8",),
                mode="test",
            )
        everything = ["scopes", "mode", "expiresAt", "rateLimits", "addresses"]
        wide = NEW | {"scopes": ["jobs:write"], "rateLimits": [{"calls": 11, "seconds": 60}]}
        assert beyond(client.post(KEYS, headers=narrow.headers, json=wide)) == everything
        wider = wide | {
            "expiresAt": format_time(until + timedelta(days=1)),
            "rateLimits": [{"calls": 11, "seconds": 60}],
            "addresses": ["127.0.0.1", "0.0.0.0/0"],
        }
        assert beyond(client.post(KEYS, headers=narrow.headers, json=wider)) == everything
        within = NEW | {
            "mode": "test",
            "expiresAt": format_time(until - timedelta(days=1)),
            "rateLimits": [{"calls": 10, "seconds": 3600}],
            "addresses": ["127.0.0.1"],
        }
        made = client.post(KEYS, headers=narrow.headers, json=within)
        assert made.status_code == 201
        key_id = body(made)["id"]
        limits = [{"calls": 11, "seconds": 60}]
        changes = {"scopes": ["usage:read"], "expiresAt": None, "rateLimits": limits, "addresses": []}
        answer = client.patch(f"{KEYS}/{key_id}", headers=narrow.headers, json=changes)
        assert beyond(answer) == ["scopes", "expiresAt", "rateLimits", "addresses"]

    def test_no_new_token_is_given_of_a_key_that_has_more(
        self, app: Flask, client: FlaskClient, account: Account, manager: Key
    ) -> None:
        with app.app_context():
            mighty = make_key(account)
        for path, sent in (("/rotate", {}), ("", {"name": "mine now"}), ("", {"disabled": False})):
            method = client.post if path else client.patch
            answer = method(f"{KEYS}/{mighty.row.id}{path}", headers=manager.headers, json=sent)
            assert beyond(answer) == ["scopes"]
        assert client.get(f"{API}/me", headers=mighty.headers).status_code == 200

    def test_budgets_are_bounded_and_shown(
        self, app: Flask, client: FlaskClient, account: Account, manager: Key
    ) -> None:
        with app.app_context():
            free = make_key(account, scopes=("jobs:read",))
            put_day_budget(account, manager)
        wide = NEW | {"budgets": [{"period": "total", "limit": "9"}, {"period": "day", "limit": "5.000001"}]}
        assert beyond(client.post(KEYS, headers=manager.headers, json=wide)) == ["budgets[1].limit"]
        chosen = [
            {"period": "day", "limit": "4.5", "refuses": True},
            {"period": "total", "limit": "9", "refuses": False},
        ]
        made = body(client.post(KEYS, headers=manager.headers, json=NEW | {"budgets": chosen}))
        assert made["budgets"] == chosen
        changed = body(client.patch(f"{KEYS}/{made['id']}", headers=manager.headers, json={"budgets": chosen[:1]}))
        assert changed["budgets"] == chosen[:1]
        assert body(client.get(f"{KEYS}/{made['id']}", headers=manager.headers))["budgets"] == chosen[:1]
        listed = body(client.get(KEYS, headers=manager.headers))["keys"]
        assert {each["id"]: each["budgets"] for each in listed} == {
            made["id"]: chosen[:1],
            free.row.id: [],
            manager.row.id: [{"period": "day", "limit": "5", "refuses": True}],
        }
        assert client.post(f"{KEYS}/{made['id']}/rotate", headers=manager.headers).status_code == 201
        # A new token of a key that draws on other budgets would be a way around its own.
        assert beyond(client.post(f"{KEYS}/{free.row.id}/rotate", headers=manager.headers)) == ["budgets"]
        assert beyond(client.patch(f"{KEYS}/{free.row.id}", headers=manager.headers, json={"name": "x"})) == ["budgets"]

    def test_wrong_budgets_are_named(self, client: FlaskClient, manager: Key) -> None:
        day = {"period": "day", "limit": "1"}
        for wrong, paths in (
            ([{"period": "week", "limit": "-1"}], ["budgets[0].period", "budgets[0].limit"]),
            ([{"limit": 1.5, "refuses": "no"}], ["budgets[0].period", "budgets[0].limit", "budgets[0].refuses"]),
            ([day, day], ["budgets"]),
            ("5", ["budgets"]),
        ):
            for answer in (
                client.post(KEYS, headers=manager.headers, json=NEW | {"budgets": wrong}),
                client.patch(f"{KEYS}/{manager.row.id}", headers=manager.headers, json={"budgets": wrong}),
            ):
                error = read_error(answer, 422, "invalid_fields")
                assert [detail["path"] for detail in error["details"]] == paths

    def test_a_key_cannot_change_what_bounds_itself(self, app: Flask, client: FlaskClient, account: Account) -> None:
        with app.app_context():
            first = make_key(account, scopes=MANAGING, rate_limits=(RateLimit(100, 60),))
            put_day_budget(account, first)
        made = body(client.post(KEYS, headers=first.headers, json=NEW | {"scopes": list(MANAGING)}))
        bearer = {"Authorization": f"Bearer {made['key']}"}
        for key_id, headers in ((first.row.id, first.headers), (first.row.id, bearer), (made["id"], bearer)):
            looser = {"budgets": [], "rateLimits": [{"calls": 50, "seconds": 60}]}
            answer = client.patch(f"{KEYS}/{key_id}", headers=headers, json=looser)
            assert beyond(answer) == ["budgets", "rateLimits"]
            assert client.patch(f"{KEYS}/{key_id}", headers=headers, json={"name": "mine"}).status_code == 200

    def test_a_line_of_keys_has_an_end(self, client: FlaskClient, manager: Key) -> None:
        headers = manager.headers
        for _ in range(4):
            made = client.post(KEYS, headers=headers, json=NEW | {"scopes": list(MANAGING)})
            assert made.status_code == 201
            headers = {"Authorization": f"Bearer {body(made)['key']}"}
        assert beyond(client.post(KEYS, headers=headers, json=NEW)) == ["createdByKeyId"]

    def test_a_change_is_made_whole_or_not_at_all(
        self, app: Flask, client: FlaskClient, account: Account, manager: Key
    ) -> None:
        with app.app_context():
            mighty = make_key(account)
        sent = {"name": "other", "disabled": True}
        assert beyond(client.patch(f"{KEYS}/{mighty.row.id}", headers=manager.headers, json=sent)) == ["scopes"]
        assert client.get(f"{API}/me", headers=mighty.headers).status_code == 200
        assert (
            client.patch(f"{KEYS}/{mighty.row.id}", headers=manager.headers, json={"disabled": True}).status_code == 200
        )
        assert client.get(f"{API}/me", headers=mighty.headers).status_code == 401

    def test_another_account_s_keys_are_not_there(self, app: Flask, client: FlaskClient, manager: Key) -> None:
        with app.app_context():
            theirs = make_key(make_account())
        for key_id in (theirs.row.id, "key_nothing", "%27"):
            for answer in (
                client.get(f"{KEYS}/{key_id}", headers=manager.headers),
                client.patch(f"{KEYS}/{key_id}", headers=manager.headers, json={"name": "x"}),
                client.post(f"{KEYS}/{key_id}/rotate", headers=manager.headers),
                client.delete(f"{KEYS}/{key_id}", headers=manager.headers),
            ):
                read_error(answer, 404, "not_found")
        assert client.get(f"{API}/me", headers=theirs.headers).status_code == 200

    def test_each_call_needs_its_scope(self, app: Flask, client: FlaskClient, account: Account) -> None:
        with app.app_context():
            reader = make_key(account, scopes=("keys:read",))
            writer = make_key(account, scopes=("keys:write",))
        assert client.get(KEYS, headers=reader.headers).status_code == 200
        read_error(client.get(KEYS, headers=writer.headers), 403, "insufficient_scope")
        for answer in (
            client.post(KEYS, headers=reader.headers, json=NEW),
            client.patch(f"{KEYS}/{reader.row.id}", headers=reader.headers, json={}),
            client.post(f"{KEYS}/{reader.row.id}/rotate", headers=reader.headers),
            client.delete(f"{KEYS}/{reader.row.id}", headers=reader.headers),
        ):
            read_error(answer, 403, "insufficient_scope")


def test_a_change_undoes_nothing_that_was_changed_meanwhile(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with app.app_context():
        account = make_account()
        manager, key = make_key(account), make_key(account)
        stay = settings_of(key.row)
    # Redis knows it, so that its next call asks SQL for nothing but the change.
    assert client.get(f"{API}/me", headers=manager.headers).status_code == 200

    def narrow() -> None:
        with app.app_context():
            update_key(
                organisation_id=account.organisation_id,
                key_id=key.row.id,
                settings=replace(stay, scopes=("jobs:read",)),
                actor=OPERATOR,
                at=now(),
            )

    def narrow_first() -> AbstractContextManager[Session]:
        """Let an admin narrow the key just before the change's transaction begins."""
        monkeypatch.undo()
        thread = threading.Thread(target=narrow)
        thread.start()
        thread.join()
        return transaction()

    monkeypatch.setattr(delegation, "transaction", narrow_first)
    answer = client.patch(f"{KEYS}/{key.row.id}", headers=manager.headers, json={"name": "another name"})
    assert (answer.status_code, body(answer)["name"], body(answer)["scopes"]) == (200, "another name", ["jobs:read"])
