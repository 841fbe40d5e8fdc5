"""A web process killed while it answers a request with an Idempotency-Key: a repeat comes to the same one job."""

from http.client import HTTPException

import pytest
from flask import Flask
from sqlalchemy import select

from config import Settings
from tests import stores
from tests.factories import Account, Key, make_account, make_holds_overdue, now
from tests.faults.service import BELL_MICROCREDITS
from tests.live import Answer, call, job_worker, wait_until, web_process
from webapp.core.db import db
from webapp.core.redis import store
from webapp.core.redis_names import unanswered_request
from webapp.jobs.idempotency import NOTE_SECONDS
from webapp.jobs.models import Job
from webapp.metering.credits import get_credits
from webapp.metering.holds import end_overdue_holds
from webapp.metering.verify import verify

BELL = {"templateId": "bell-state", "shots": 100}
GRANTED = 1_000_000


# One kind of database: it is processes that are tested here.
pytestmark = pytest.mark.parametrize("database_url", stores.DATABASES[:1], indirect=True)


@pytest.fixture
def account(app: Flask) -> Account:
    with app.app_context():
        return make_account(microcredits=GRANTED)


def send(api: str, key: Key, prefer: str) -> Answer:
    return call("POST", f"{api}/jobs", raw_key=key.raw, body=BELL, prefer=prefer, idempotency_key="order-1")


def check_one_job(app: Flask, account: Account, *, spent: int = BELL_MICROCREDITS) -> str:
    """Check that there is one job, and that its charge is all that is missing; give its id."""
    with app.app_context():
        make_holds_overdue()
        end_overdue_holds(at=now())
        [job_id] = db.session.scalars(select(Job.id))
        found = get_credits(account.organisation_id)
        assert (found.available + found.held, found.spent) == (GRANTED - spent, spent)
        assert verify() == []
        return job_id


@pytest.mark.parametrize(
    ("prefer", "point", "status"), [("", "job_after_commit", 201), ("wait=30", "job_after_queued", 202)]
)
def test_a_repeat_is_given_the_answer_of_the_process_that_was_killed_before_it_gave_it(  # noqa: PLR0917 - fixtures
    settings: Settings, app: Flask, account: Account, key: Key, prefer: str, point: str, status: int
) -> None:
    with web_process(settings, UPCUBE_FAULT=point) as api, pytest.raises((OSError, HTTPException)):
        send(api, key, prefer and f"respond-async, {prefer}")
    note = unanswered_request(account.shard_tag, account.organisation_id, "order-1")
    assert store.client.exists(note)
    with web_process(settings) as api:
        again, thrice = (send(api, key, prefer and f"respond-async, {prefer}") for _ in range(2))
    assert (again.status, again.headers["idempotency-replayed"]) == (status, "true")
    assert (thrice.status, thrice.body) == (again.status, again.body)
    if status == 202:
        with job_worker(settings):
            wait_until(lambda: read_status(app, again.body["id"]) == "completed")
    assert check_one_job(app, account) == again.body["id"]


def read_status(app: Flask, job_id: str) -> str:
    with app.app_context():
        return db.session.get_one(Job, job_id).status


def test_a_repeat_runs_what_was_killed_before_it_was_stored(
    settings: Settings, app: Flask, account: Account, key: Key
) -> None:
    with web_process(settings, UPCUBE_FAULT="job_after_hold") as api, pytest.raises((OSError, HTTPException)):
        send(api, key, "")
    note = unanswered_request(account.shard_tag, account.organisation_id, "order-1")
    with web_process(settings) as api:
        # For all that is known, the first one still runs.
        early = send(api, key, "")
        assert (early.status, early.body["error"]["code"]) == (409, "idempotency_in_progress")
        assert 0 < store.client.ttl(note) <= NOTE_SECONDS
        store.client.pexpire(note, 1)
        wait_until(lambda: not store.client.exists(note))
        first, again = send(api, key, ""), send(api, key, "")
    assert (first.status, again.status, again.body) == (201, 201, first.body)
    assert "idempotency-replayed" not in first.headers
    assert check_one_job(app, account) == first.body["id"]
