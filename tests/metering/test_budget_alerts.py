"""Thresholds of budgets: each is told once in a period, however often a budget is changed."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask

from tests.factories import Key, make_key, make_team, now
from tests.metering.steps import CALL_MICROCREDITS, call, counted_statements, put_budget
from webapp.accounts.audit import OPERATOR
from webapp.accounts.roles import Role
from webapp.keys.operations import revoke_key
from webapp.ledger.budgets import list_alerts
from webapp.mail.queries import list_letters
from webapp.metering.budget_alerts import record_alerts
from webapp.metering.budgets import list_spent_budgets, unset_budget
from webapp.metering.credits import grant_credits
from webapp.metering.flush import flush

pytestmark = pytest.mark.usefixtures("context")


@pytest.fixture
def environ() -> dict[str, str]:
    return {"CALL_PRICE_CREDITS": "0.0001", "OPERATION_PRICES": "create_job=0"}


def test_each_threshold_is_told_once(app: Flask, key: Key) -> None:
    client = app.test_client()
    put_budget(key, 4 * CALL_MICROCREDITS, refuses=False)
    told = []
    for _ in range(4):
        call(client, key)
        flush(at=now())
        told.append([alert.threshold_percent for alert in record_alerts(at=now())])
        with counted_statements(app) as statements:
            assert record_alerts(at=now()) == []
        # Nobody waits for a look that finds nothing.
        assert {statement.split()[0] for statement in statements} <= {"BEGIN", "SELECT"}
    assert told == [[], [50], [75], [90, 100]]


def test_who_answers_for_the_credits_is_written_to_once(app: Flask) -> None:
    organisation_id, users = make_team(
        ada=Role.OWNER, adam=Role.ADMIN, dev=Role.DEVELOPER, bill=Role.BILLING, vic=Role.VIEWER
    )
    grant_credits(
        organisation_id=organisation_id,
        microcredits=1_000_000,
        reason="test",
        reference=None,
        actor=OPERATOR,
        at=now(),
    )
    key = make_key(replace(users["dev"], organisation_id=organisation_id), name="nightly")
    put_budget(key, 4 * CALL_MICROCREDITS)
    told = []
    for calls in (1, 1, 2):
        assert [call(app.test_client(), key) for _ in range(calls)] == [200] * calls
        flush(at=now())
        for _ in range(2):
            record_alerts(at=now())
        told.append([letter for letter in list_letters() if "budget" in letter.subject])
    assert [len(letters) for letters in told] == [0, 3, 6]
    assert {letter.recipient for letter in told[1]} == {users[name].email for name in ("ada", "adam", "bill")}
    # 75, 90 and 100 % were reached at once.
    assert [letter.subject for letter in told[2][:3]] == ["100 % of a budget are used"] * 3
    text = told[2][0].body or ""
    assert "daily budget of the API key nightly is 0.0004 credits; 0.0004 are used" in text
    assert "refused until" in text


def test_nobody_is_written_to_of_a_budget_of_which_nothing_was_used(key: Key) -> None:
    put_budget(key, 0)
    put_budget(key, 0, period="total")
    revoke_key(organisation_id=key.row.organisation_id, key_id=key.row.id, actor=OPERATOR, at=now())
    assert [record_alerts(at=now() + timedelta(days=days)) for days in range(3)] == [[], [], []]
    assert [letter for letter in list_letters() if "budget" in letter.subject] == []


def test_two_workers_write_of_a_threshold_once(app: Flask, key: Key) -> None:
    put_budget(key, CALL_MICROCREDITS)
    call(app.test_client(), key)
    flush(at=now())

    def record(_: int) -> int:
        with app.app_context():
            return len(record_alerts(at=now()))

    with ThreadPoolExecutor(max_workers=4) as threads:
        assert sorted(threads.map(record, range(4))) == [0, 0, 0, 4]
    assert len([letter for letter in list_letters() if "budget" in letter.subject]) == 1


def test_a_budget_that_is_changed_back_and_forth_or_removed_tells_nothing_again(app: Flask, key: Key) -> None:
    call(app.test_client(), key)
    flush(at=now())
    told = []
    for calls in (1, 4, 1, 2, 1):
        put_budget(key, calls * CALL_MICROCREDITS)
        told.append([alert.threshold_percent for alert in record_alerts(at=now())])
    assert told == [[50, 75, 90, 100], [], [], [], []]
    unset_budget(organisation_id=key.row.organisation_id, key_id=key.row.id, period="day", actor=OPERATOR, at=now())
    assert list_alerts(key.row.organisation_id, limit=5) == []
    put_budget(key, CALL_MICROCREDITS)
    assert record_alerts(at=now()) == []
    assert len(list_alerts(key.row.organisation_id, limit=5)) == 4
    assert len([letter for letter in list_letters() if "budget" in letter.subject]) == 1


def test_a_raised_budget_tells_when_its_thresholds_are_reached(app: Flask, key: Key) -> None:
    told = []
    for limit in (1, 4, 4, 4):
        put_budget(key, limit * CALL_MICROCREDITS)
        call(app.test_client(), key)
        flush(at=now())
        told.append([alert.threshold_percent for alert in record_alerts(at=now())])
        assert record_alerts(at=now()) == []
    assert told == [[50, 75, 90, 100], [50], [75], [90, 100]]
    last = {alert.threshold_percent: alert.microcredits for alert in list_alerts(key.row.organisation_id, limit=5)}
    assert last == {50: 200, 75: 300, 90: 400, 100: 400}


def test_a_lowered_budget_tells_of_what_was_not_reached_before(app: Flask, key: Key) -> None:
    call(app.test_client(), key)
    flush(at=now())
    told = []
    for microcredits in (200, 130, 100):
        put_budget(key, microcredits)
        told.append([alert.threshold_percent for alert in record_alerts(at=now())])
    assert told == [[50], [75], [90, 100]]


def test_the_next_period_tells_again(app: Flask, key: Key) -> None:
    put_budget(key, CALL_MICROCREDITS, period="total")
    put_budget(key, CALL_MICROCREDITS, period="day")
    call(app.test_client(), key)
    flush(at=now())
    assert len(record_alerts(at=now())) == 8
    tomorrow = now() + timedelta(days=1)
    assert record_alerts(at=tomorrow) == []
    assert [spent.percent for spent in list_spent_budgets(key.row.organisation_id, at=tomorrow)] == [0, 100]
