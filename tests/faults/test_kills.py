"""Real processes killed with SIGKILL at the worst moments; the ledger must come out exact."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException

import pytest
from flask import Flask

from config import Settings
from tests.factories import Account, Key, count_jobs, make_account, make_holds_overdue, make_key, now
from tests.faults.service import BELL, BELL_MICROCREDITS, CALL_MICROCREDITS
from tests.live import call, is_stopped, run_command, wait_until, web_process, web_server
from webapp.accounts.audit import OPERATOR
from webapp.keys.queries import list_keys
from webapp.metering.budgets import set_budget
from webapp.metering.credits import get_credits
from webapp.metering.flush import flush
from webapp.metering.holds import end_overdue_holds
from webapp.metering.queries import list_keys_with_usage
from webapp.metering.reconcile import peek_account
from webapp.metering.verify import verify
from worker.reaper import list_session

GRANTED = 10_000


@pytest.fixture
def environ() -> dict[str, str]:
    return {"CALL_PRICE_CREDITS": "0.0001"}


@pytest.fixture
def account(app: Flask) -> Account:
    with app.app_context():
        return make_account(microcredits=GRANTED)


def check_ledger(app: Flask) -> None:
    """Check what `ledger verify` checks."""
    with app.app_context():
        assert verify() == []


@pytest.mark.parametrize("point", ["flush_after_seal", "flush_before_commit", "flush_after_commit"])
def test_a_flusher_killed_anywhere_loses_and_doubles_nothing(
    settings: Settings, app: Flask, key: Key, point: str
) -> None:
    client = app.test_client()
    for _ in range(3):
        assert client.get("/api/quantum/v1/me", headers=key.headers).status_code == 200
    assert run_command(settings, "metering", "flush", UPCUBE_FAULT=point).returncode == -signal.SIGKILL
    check_ledger(app)
    assert client.get("/api/quantum/v1/me", headers=key.headers).status_code == 200
    with app.app_context():
        for _ in range(2):
            flush(at=now())
            assert verify() == []
        assert get_credits(key.row.organisation_id).spent == 4 * CALL_MICROCREDITS
        [usage] = list_keys_with_usage(key.row.organisation_id)
        assert (usage.calls, usage.microcredits) == (4, 4 * CALL_MICROCREDITS)


@pytest.mark.parametrize(("point", "jobs"), [("job_after_hold", 0), ("job_after_commit", 1)])
def test_a_web_process_killed_around_a_job_charges_exactly_what_it_stored(
    settings: Settings, app: Flask, key: Key, point: str, jobs: int
) -> None:
    with (
        web_process(settings, CALL_PRICE_CREDITS="0.0001", UPCUBE_FAULT=point) as api,
        pytest.raises((OSError, HTTPException)),
    ):
        call("POST", f"{api}/jobs", raw_key=key.raw, body=BELL)
    check_ledger(app)
    tag = key.raw[-12:-6]
    with app.app_context():
        assert count_jobs(key.row.organisation_id) == jobs
        assert len(peek_account(tag).holds) == 1
        make_holds_overdue()
        assert end_overdue_holds(at=now()) == 1
        assert peek_account(tag).available == GRANTED - CALL_MICROCREDITS - jobs * BELL_MICROCREDITS
    check_ledger(app)


@pytest.mark.parametrize("prefer", ["", "respond-async"])
def test_a_web_process_that_slept_past_its_hold_gets_no_job_and_no_charge(
    settings: Settings, app: Flask, key: Key, prefer: str
) -> None:
    tag = key.raw[-12:-6]
    with (
        web_server(settings, CALL_PRICE_CREDITS="0.0001", UPCUBE_FAULT="job_after_hold:stop") as server,
        ThreadPoolExecutor(max_workers=1) as threads,
    ):
        asking = threads.submit(call, "POST", f"{server.api}/jobs", raw_key=key.raw, body=BELL, prefer=prefer)
        wait_until(lambda: any(map(is_stopped, list_session(server.session))))
        with app.app_context():
            assert len(peek_account(tag).holds) == 1
            make_holds_overdue()
            assert end_overdue_holds(at=now()) == 1
            assert peek_account(tag).available == GRANTED - CALL_MICROCREDITS
        for pid in list_session(server.session):
            os.kill(pid, signal.SIGCONT)
        answer = asking.result()
    assert (answer.status, answer.body["error"]["code"]) == (503, "store_unavailable")
    check_ledger(app)
    with app.app_context():
        assert count_jobs(key.row.organisation_id) == 0
        found = peek_account(tag)
        assert (found.available, found.holds) == (GRANTED - CALL_MICROCREDITS, {})


def test_a_hundred_parallel_jobs_in_two_processes_spend_what_is_there(settings: Settings, app: Flask) -> None:
    with app.app_context():
        key = make_key(make_account(microcredits=10 * BELL_MICROCREDITS))
    with (
        web_process(settings, CALL_PRICE_CREDITS="0") as first,
        web_process(settings, CALL_PRICE_CREDITS="0") as second,
    ):

        def post(number: int) -> int:
            return call("POST", f"{(first, second)[number % 2]}/jobs", raw_key=key.raw, body=BELL).status

        with ThreadPoolExecutor(max_workers=16) as threads:
            statuses = list(threads.map(post, range(100)))
    assert statuses.count(201) == 10
    assert statuses.count(402) == 90
    check_ledger(app)
    with app.app_context():
        found = get_credits(key.row.organisation_id)
        assert (found.available, found.held, found.spent) == (0, 0, 10 * BELL_MICROCREDITS)


def test_a_web_process_killed_while_a_key_makes_another_leaves_none_and_its_budget_as_it_was(
    settings: Settings, app: Flask, key: Key
) -> None:
    organisation_id, client = key.row.organisation_id, app.test_client()
    with app.app_context():
        set_budget(
            organisation_id=organisation_id,
            key_id=key.row.id,
            period="day",
            microcredits=3 * CALL_MICROCREDITS,
            refuses=True,
            actor=OPERATOR,
            at=now(),
        )
    assert client.get("/api/quantum/v1/me", headers=key.headers).status_code == 200
    with (
        web_process(settings, CALL_PRICE_CREDITS="0.0001", UPCUBE_FAULT="delegation_before_commit") as api,
        pytest.raises((OSError, HTTPException)),
    ):
        call("POST", f"{api}/keys", raw_key=key.raw, body={"name": "made", "scopes": ["jobs:read"]})
    # The call that made none was admitted, and counts.
    statuses = [client.get("/api/quantum/v1/me", headers=key.headers).status_code for _ in range(2)]
    assert statuses == [200, 402]
    with app.app_context():
        assert [each.id for each in list_keys(organisation_id)] == [key.row.id]
    check_ledger(app)
