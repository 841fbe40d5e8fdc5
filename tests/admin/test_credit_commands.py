"""The operator's commands about credits, usage and their backlog."""

import json
from datetime import timedelta

import pytest
from click.testing import Result
from flask import Flask
from flask.testing import FlaskClient

from tests.factories import API, Account, body, make_account, make_key, now, post_bell
from webapp.ledger.queries import list_transfers
from webapp.metering.credits import Credits, get_credits, grant_credits
from webapp.metering.reconcile import peek_account


@pytest.fixture
def account(app: Flask) -> Account:
    with app.app_context():
        return make_account(microcredits=10_000_000)


def run(app: Flask, *arguments: str) -> Result:
    return app.test_cli_runner().invoke(args=arguments)


def credits_of(app: Flask, account: Account) -> Credits:
    with app.app_context():
        return get_credits(account.organisation_id)


@pytest.mark.parametrize(
    ("expires", "moment"),
    [
        ("2099-12-31", "2100-01-01T00:00:00.000Z"),
        ("2099-12-31T12:00:00Z", "2099-12-31T12:00:00.000Z"),
        ("2099-12-31T12:00:00+02:00", "2099-12-31T10:00:00.000Z"),
    ],
)
def test_a_grant_may_expire(app: Flask, account: Account, expires: str, moment: str) -> None:
    granted = run(app, "credits", "grant", account.email, "5", "--reason", "a workshop", "--expires", expires)
    assert granted.stdout == f"Granted 5 credits to {account.email} until {moment}.\n"
    shown = json.loads(run(app, "credits", "balance", account.email, "--json").stdout)
    assert shown["expiring"] == [{"amount": "5", "expiresAt": moment}]
    assert f"expiring\t5\t{moment}" in run(app, "credits", "balance", account.email).stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["grant", "EMAIL", "5", "--reason", "x", "--expires", "tomorrow"], "not a time"),
        (["grant", "EMAIL", "5", "--reason", "x", "--expires", "2099-02-30"], "not a time"),
        (["grant", "EMAIL", "5", "--reason", "x", "--expires", "2099-12-31T12:00:00"], "not a time"),
        (["grant", "EMAIL", "5", "--reason", "x", "--expires", "9999-12-31"], "not a time"),
        (["grant", "EMAIL", "5", "--reason", "x", "--expires", "2020-01-01"], "in the future"),
        (["adjust", "EMAIL", "-11", "--reason", "x"], "10 are available"),
        (["adjust", "EMAIL", "0", "--reason", "x"], "more or less than 0"),
        (["adjust", "EMAIL", "--5", "--reason", "x"], "not an amount"),
        (["adjust", "EMAIL", "-5"], "--reason"),
        (["refund", "EMAIL", "job_nothing", "--reason", "x"], "no such job"),
        (["refund", "EMAIL", "job_nothing", "--amount", "-1", "--reason", "x"], "not an amount"),
    ],
)
def test_a_mistake_is_one_clear_line_and_changes_nothing(
    app: Flask, account: Account, arguments: list[str], words: str
) -> None:
    refused = run(app, "credits", *(account.email if word == "EMAIL" else word for word in arguments))
    assert refused.exit_code != 0
    assert words in refused.stderr
    assert "Traceback" not in refused.output
    assert credits_of(app, account).available == 10_000_000


def test_credits_are_adjusted_both_ways(app: Flask, account: Account) -> None:
    down = run(app, "credits", "adjust", account.email, "-2.5", "--reason", "granted twice", "--reference", "t-1")
    assert down.stdout == f"Adjusted the credits of {account.email} by -2.5.\n"
    assert run(app, "credits", "adjust", account.email, "+1", "--reason", "too much").exit_code == 0
    assert credits_of(app, account).granted == 8_500_000
    again = run(app, "credits", "adjust", account.email, "-2.5", "--reason", "granted twice", "--reference", "t-1")
    assert (again.exit_code, "t-1" in again.stderr) == (1, True)


def test_a_job_is_refunded_in_parts_up_to_its_charge(app: Flask, client: FlaskClient, account: Account) -> None:
    with app.app_context():
        key = make_key(account)
    job_id = body(post_bell(client, key))["id"]
    refund = ["credits", "refund", account.email, job_id, "--reason", "it was slow"]
    assert "Refunded 0.001 credits" in run(app, *refund, "--amount", "0.001").stdout
    assert "Refunded 0.000101 credits" in run(app, *refund).stdout
    refused = run(app, *refund)
    assert (refused.exit_code, "0 credits of this charge are left" in refused.stderr) == (1, True)
    with app.app_context():
        line = list_transfers(account.organisation_id, limit=1).rows[0]
        assert (line.kind, line.reason) == ("refund", f"Job {job_id}: it was slow")
        assert peek_account(account.shard_tag).available == 10_000_000
    assert run(app, "ledger", "verify").stdout == "ok\n"


def test_what_is_past_its_date_is_taken_at_once_on_demand(app: Flask, account: Account) -> None:
    with app.app_context():
        grant_credits(
            organisation_id=account.organisation_id,
            microcredits=3_000_000,
            reason="",
            reference=None,
            at=now() - timedelta(days=2),
            expires_at=now() - timedelta(days=1),
        )
    assert run(app, "ledger", "expire").stdout == "Expired 3 credits.\n"
    assert run(app, "ledger", "expire").stdout == "Expired 0 credits.\n"


def test_the_status_says_what_waits_and_when_the_last_flush_was(
    app: Flask, client: FlaskClient, account: Account
) -> None:
    with app.app_context():
        key = make_key(account)
    assert "lastFlushAt\t-" in run(app, "metering", "status").stdout
    client.get(f"{API}/me", headers=key.headers)
    waiting = json.loads(run(app, "metering", "status", "--json").stdout)
    assert (waiting["liveBatches"], waiting["sealedBatches"], waiting["calls"]) == (1, 0, 1)
    assert waiting["oldestAgeSeconds"] is not None
    run(app, "metering", "flush")
    flushed = json.loads(run(app, "metering", "status", "--json").stdout)
    assert (flushed["liveBatches"], flushed["calls"], flushed["oldestAgeSeconds"]) == (0, 0, None)
    assert flushed["lastFlushAgeSeconds"] is not None
