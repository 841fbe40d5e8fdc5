"""A job cancelled at each moment of its life, with a worker that is held at that moment: it ends once."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from config import Settings
from tests import stores
from tests.factories import API, Account, Key, make_account, make_holds_overdue, now, queue_bell
from tests.faults.service import BELL_MICROCREDITS
from tests.live import is_stopped, job_worker, wait_until
from webapp.core.db import db
from webapp.jobs.models import Job
from webapp.metering.credits import get_credits
from webapp.metering.holds import end_overdue_holds
from webapp.metering.verify import verify

GRANTED = 1_000_000


# One kind of database: it is processes that are tested here.
pytestmark = pytest.mark.parametrize("database_url", stores.DATABASES[-1:], indirect=True)


@pytest.fixture
def account(app: Flask) -> Account:
    with app.app_context():
        return make_account(microcredits=GRANTED)


def cancel(app: Flask, key: Key, job_id: str) -> TestResponse:
    return app.test_client().post(f"{API}/jobs/{job_id}/cancel", headers=key.headers)


def check_end(app: Flask, account: Account, job_id: str, status: str) -> None:
    """Check that the job has ended like this, and is paid for only if it was completed."""
    with app.app_context():
        make_holds_overdue()
        end_overdue_holds(at=now())
        job = db.session.get_one(Job, job_id)
        is_done = status == "completed"
        assert (job.status, job.charged_microcredits, job.result_bytes is not None) == (
            status,
            is_done * BELL_MICROCREDITS,
            is_done,
        )
        spent = sum(db.session.scalars(select(Job.charged_microcredits)))
        found = get_credits(account.organisation_id)
        assert (found.available, found.held, found.spent) == (GRANTED - spent, 0, spent)
        assert verify() == []


@pytest.mark.parametrize(
    ("point", "status"),
    [
        ("job_after_claim", "cancelled"),
        ("job_before_result", "cancelled"),
        ("job_before_end", "completed"),
        ("job_after_end", "completed"),
    ],
)
def test_a_job_ends_once_whenever_it_is_cancelled(  # noqa: PLR0917 - fixtures
    settings: Settings, app: Flask, client: FlaskClient, account: Account, key: Key, point: str, status: str
) -> None:
    job_id = queue_bell(client, key)
    with job_worker(settings, UPCUBE_FAULT=f"{point}:stop") as worker, ThreadPoolExecutor(max_workers=1) as threads:
        wait_until(lambda: is_stopped(worker.process.pid))
        cancelling = threads.submit(cancel, app, key, job_id)
        if status == "cancelled":
            # Nothing keeps it. With results written and not committed, it waits for the worker instead.
            cancelling.result()
        os.kill(worker.process.pid, signal.SIGCONT)
        answer = cancelling.result()
        if status == "cancelled":
            assert (answer.status_code, answer.get_json()["status"]) == (200, "cancelled")
        else:
            assert (answer.status_code, answer.get_json()["error"]["jobStatus"]) == (409, "completed")
        # The worker is done with the job once it has taken the next one.
        next_id = queue_bell(client, key)
        wait_until(lambda: read_status(app, next_id) != "queued")
    cancel(app, key, next_id)
    assert cancel(app, key, job_id).status_code == answer.status_code
    check_end(app, account, job_id, status)


def read_status(app: Flask, job_id: str) -> str:
    with app.app_context():
        return db.session.get_one(Job, job_id).status
