"""The operator's command line."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from flask.testing import FlaskClient

from tests.accounts.steps import make_code
from tests.factories import API, body, make_account, make_key, make_key_by, make_team, now
from webapp.accounts.audit import OPERATOR
from webapp.accounts.queries import get_user_by_email
from webapp.accounts.roles import Role
from webapp.accounts.second_factors import confirm_authenticator, has_authenticator, start_authenticator
from webapp.core import redis_names as names
from webapp.core.db import db
from webapp.core.redis import store
from webapp.keys.scopes import SCOPES

EMAIL = "ada@example.com"

Run = Callable[..., Result]


@pytest.fixture
def run(app: Flask) -> Run:
    def run(*arguments: str, stdin: str = "") -> Result:
        return app.test_cli_runner().invoke(args=arguments, input=stdin)

    return run


@pytest.fixture
def ada(run: Run) -> None:
    assert run("users", "create", EMAIL, "--password-stdin", stdin="correct horse battery\n").exit_code == 0


def balance(run: Run) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("credits", "balance", EMAIL, "--json").stdout)
    return found


@pytest.mark.usefixtures("ada")
class TestWithAUser:
    """One user is there."""

    def test_a_user_gets_the_starting_credits(self, run: Run) -> None:
        assert balance(run)["granted"] == "100"

    def test_users_are_listed(self, run: Run) -> None:
        [user] = json.loads(run("users", "list", "--json").stdout)
        assert (user["email"], user["status"]) == (EMAIL, "active")
        assert EMAIL in run("users", "list").stdout

    def test_a_disabled_user_is_listed_so(self, run: Run) -> None:
        assert run("users", "disable", EMAIL).exit_code == 0
        assert json.loads(run("users", "list", "--json").stdout)[0]["status"] == "disabled"

    def test_somebody_who_lost_their_app_is_let_in_with_their_password(self, app: Flask, run: Run) -> None:
        with app.app_context():
            user = get_user_by_email(EMAIL)
            secret = start_authenticator(user_id=user.id, at=now())
            confirm_authenticator(user=user, code=make_code(secret), actor=OPERATOR, at=now())
            assert has_authenticator(user.id)
        assert run("users", "remove-authenticator", EMAIL).exit_code == 0
        with app.app_context():
            assert not has_authenticator(user.id)
        assert run("users", "remove-authenticator", "nobody@example.com").exit_code == 1

    def test_a_key_is_made_printed_once_and_works(self, run: Run, client: FlaskClient) -> None:
        made = json.loads(run("keys", "create", EMAIL, "--name", "ci", "--json").stdout)
        assert set(made) == {"id", "name", "prefix", "scopes", "key"}
        assert made["scopes"] == list(SCOPES)
        headers = {"Authorization": f"Bearer {made['key']}"}
        assert body(client.get(f"{API}/me", headers=headers))["id"] == made["id"]
        assert made["key"] not in run("keys", "list", EMAIL, "--json").stdout
        _, child = make_key_by(client, {"Authorization": f"Bearer {made['key']}"}, name="child")
        revoked = run("keys", "revoke", made["id"], "--descendants")
        assert (revoked.exit_code, revoked.output.count("Revoked")) == (0, 2)
        assert client.get(f"{API}/me", headers=child).status_code == 401
        assert client.get(f"{API}/me", headers=headers).status_code == 401

    def test_without_json_the_raw_key_alone_is_printed(self, run: Run, client: FlaskClient) -> None:
        raw = run("keys", "create", EMAIL, "--name", "ci", "--scope", "jobs:read").stdout.strip()
        answer = client.get(f"{API}/me", headers={"Authorization": f"Bearer {raw}"})
        assert body(answer)["scopes"] == ["jobs:read"]

    def test_a_grant_is_spendable_and_its_reference_counts_once(self, run: Run) -> None:
        arguments = ["credits", "grant", EMAIL, "2.5", "--reason", "a gift", "--reference", "gift-1"]
        assert run(*arguments).exit_code == 0
        assert balance(run)["available"] == "102.5"
        again = run(*arguments)
        assert again.exit_code == 1
        assert "gift-1" in again.stderr
        assert balance(run)["granted"] == "102.5"

    def test_a_key_with_an_unknown_scope_is_refused(self, run: Run) -> None:
        refused = run("keys", "create", EMAIL, "--name", "ci", "--scope", "moon:read")
        assert refused.exit_code == 1
        assert "moon:read" in refused.stderr


def test_an_organisation_is_named_by_its_id(run: Run, app: Flask) -> None:
    with app.app_context():
        organisation_id, _ = make_team(owner=Role.OWNER)
    assert run("credits", "grant", organisation_id, "2.5", "--reason", "a gift").exit_code == 0
    assert json.loads(run("credits", "balance", organisation_id, "--json").stdout)["available"] == "2.5"
    refused = run("credits", "balance", "org_nothing")
    assert (refused.exit_code, "no organisation org_nothing" in refused.stderr) == (1, True)


def test_a_user_can_start_with_exactly_this_much(run: Run) -> None:
    run("users", "create", EMAIL, "--password-stdin", "--credits", "0.000001", stdin="correct horse battery")
    assert balance(run)["granted"] == "0.000001"


def test_a_user_can_start_with_nothing(run: Run) -> None:
    run("users", "create", EMAIL, "--password-stdin", "--credits", "0", stdin="correct horse battery")
    assert balance(run) == {
        **dict.fromkeys(["granted", "available", "held", "unflushed", "spent", "expired"], "0"),
        "expiring": [],
    }


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["users", "create", "not an address", "--password-stdin"], "not an e-mail address"),
        (["users", "create", EMAIL, "--password-stdin", "--credits", "-1"], "not an amount"),
        (["users", "create", EMAIL, "--password-stdin", "--credits", "1e-9"], "6 decimal places"),
        (["users", "disable", "nobody@example.com"], "No user has the address"),
        (["keys", "create", "nobody@example.com", "--name", "x"], "No user has the address"),
        (["keys", "list", "nobody@example.com"], "No user has the address"),
        (["keys", "revoke", "key_nothing"], "no such key"),
        (["credits", "balance", "nobody@example.com"], "No user has the address"),
        (["credits", "grant", "nobody@example.com", "1", "--reason", "x"], "No user has the address"),
        (["credits", "grant", EMAIL, "many", "--reason", "x"], "not an amount"),
        (["credits", "grant", EMAIL, "nan", "--reason", "x"], "not an amount"),
    ],
)
def test_a_mistake_is_one_clear_line_and_a_failure(run: Run, arguments: list[str], words: str) -> None:
    refused = run(*arguments, stdin="correct horse battery\n")
    assert refused.exit_code != 0
    assert words in refused.stderr
    assert "Traceback" not in refused.output


def test_a_short_password_is_refused(run: Run) -> None:
    refused = run("users", "create", EMAIL, "--password-stdin", stdin="short\n")
    assert refused.exit_code == 1
    assert "8 to 256 characters" in refused.stderr


def test_an_address_is_taken_once(run: Run) -> None:
    for email in (EMAIL, f" {EMAIL.upper()} "):
        answer = run("users", "create", email, "--password-stdin", stdin="correct horse battery\n")
    assert answer.exit_code == 1
    assert "already has an account" in answer.stderr


def test_verify_says_ok_and_shows_what_differs(run: Run, app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        account = make_account(microcredits=1_000_000)
        key = make_key(account)
    client.get(f"{API}/me", headers=key.headers)
    assert run("ledger", "verify").stdout == "ok\n"
    assert json.loads(run("ledger", "verify", "--json").stdout) == {"ok": True, "differences": []}
    store.client.hincrby(names.account_record(account.shard_tag), "available", 5)
    wrong = run("ledger", "verify")
    assert wrong.exit_code == 1
    assert "expected 1, found 1.000005 (difference 0.000005 credits)" in wrong.stdout
    assert json.loads(run("ledger", "verify", "--json").stdout)["ok"] is False
    assert run("metering", "rebuild").stdout == "Rebuilt 1 accounts and 1 keys.\n"
    assert run("ledger", "verify").exit_code == 0


def test_flush_says_what_it_did(run: Run, app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        key = make_key(make_account())
    client.get(f"{API}/me", headers=key.headers)
    assert run("metering", "flush").stdout == "Flushed 1 calls of 1 keys in 1 batches, 0 credits.\n"


def test_a_store_that_is_away_is_told_with_its_reason(run: Run) -> None:
    store.connect("unix:///nowhere/valkey.sock")
    refused = run("metering", "flush")
    assert refused.exit_code == 1
    answer, reason = refused.stderr.splitlines()
    assert "The metering store does not answer" in answer
    assert reason.startswith("The reason: Error 2 connecting to /nowhere/valkey.sock")


def test_a_database_without_its_tables_is_told_with_its_reason(run: Run, app: Flask) -> None:
    with app.app_context():
        db.drop_all()
    refused = run("users", "list")
    assert refused.exit_code == 1
    assert refused.stderr.splitlines()[1] == "The reason: no such table: users."


@pytest.mark.usefixtures("ada")
class TestBudgets:
    """Budgets from the command line."""

    def test_they_are_set_listed_and_removed(self, run: Run) -> None:
        key_id = json.loads(run("keys", "create", EMAIL, "--name", "ci", "--json").stdout)["id"]
        assert run("budgets", "set", EMAIL, "10", "--period", "month").exit_code == 0
        assert run("budgets", "set", EMAIL, "0.5", "--period", "day", "--key", key_id, "--alert-only").exit_code == 0
        listed = json.loads(run("budgets", "list", EMAIL, "--json").stdout)
        assert listed == [
            {"keyId": None, "period": "month", "limit": "10", "used": "0", "percent": 0, "effect": "refuses"},
            {"keyId": key_id, "period": "day", "limit": "0.5", "used": "0", "percent": 0, "effect": "alerts"},
        ]
        assert run("budgets", "remove", EMAIL, "--period", "month").exit_code == 0
        assert "no such budget" in run("budgets", "remove", EMAIL, "--period", "month").stderr

    def test_a_wrong_one_is_refused_in_a_line(self, run: Run) -> None:
        assert run("budgets", "set", EMAIL, "10", "--period", "year").exit_code == 2
        unknown = run("budgets", "set", EMAIL, "10", "--period", "day", "--key", "key_none")
        assert (unknown.exit_code, unknown.stderr) == (1, "Error: This account has no such key.\n")
