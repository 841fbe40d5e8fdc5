"""Workers and engines killed in the middle of a batch or a sweep: all of it is done and paid once, or none of it."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from config import Settings
from tests import stores
from tests.factories import API, Account, Key, make_account, make_holds_overdue, now, queue_bell
from tests.jobs.odd_engine import WAITING_QUBITS
from tests.live import job_worker, wait_until
from webapp.core.db import db
from webapp.jobs.models import Job, JobResult
from webapp.jobs.running import LEASE, recover_jobs
from webapp.ledger.models import Transfer
from webapp.metering.credits import get_credits
from webapp.metering.holds import end_overdue_holds
from webapp.metering.models import OpenHold
from webapp.metering.reconcile import hold_reference
from webapp.metering.verify import verify

GRANTED = 1_000_000
# The one in the middle waits, when the first has run and the last has not.
WIDTHS = [1, WAITING_QUBITS, 1]
BATCH: dict[str, Any] = {
    "templateId": None,
    "circuits": [{"format": "openqasm3", "source": f"qubit[{width}] q;"} for width in WIDTHS],
}
SWEEP: dict[str, Any] = {"templateId": "ghz-state", "parameters": {"qubits": [2, WAITING_QUBITS, 3]}}


# One kind of database: it is processes that are tested here.
pytestmark = pytest.mark.parametrize("database_url", stores.DATABASES[-1:], indirect=True)


@pytest.fixture
def account(app: Flask) -> Account:
    with app.app_context():
        return make_account(microcredits=GRANTED)


def read_job(app: Flask, job_id: str) -> Job:
    with app.app_context():
        return db.session.get_one(Job, job_id)


def wait_for_middle(settings: Settings) -> None:
    """Wait until the second of the three circuits runs."""
    wait_until((settings.data_dir / "waiting").exists)


def recover(app: Flask) -> None:
    """Recover lost jobs as if every worker had been silent for too long."""
    with app.app_context():
        recover_jobs(at=now() + 2 * LEASE)


def check_all_or_nothing(app: Flask, client: FlaskClient, account: Account, key: Key, job_id: str) -> dict[str, Any]:
    """Check that the job has ended, with all of its results and one charge, or with none; give it as the API does."""
    with app.app_context():
        make_holds_overdue()
        end_overdue_holds(at=now())
        job = db.session.get_one(Job, job_id)
        is_done = job.status == "completed"
        assert job.charged_microcredits == is_done * job.held_microcredits
        charges = select(func.count()).where(Transfer.reference == hold_reference(job_id))
        stored = select(func.count()).where(JobResult.job_id == job_id)
        assert (db.session.scalar(charges), db.session.scalar(stored)) == (is_done, is_done * len(WIDTHS))
        assert db.session.scalar(select(func.count(OpenHold.hold_id))) == 0
        found, spent = get_credits(account.organisation_id), job.charged_microcredits
        assert (found.available, found.held, found.spent) == (GRANTED - spent, 0, spent)
        assert verify() == []
    answer: dict[str, Any] = client.get(f"{API}/jobs/{job_id}", headers=key.headers).get_json()
    assert len(answer["results"] or []) == is_done * len(WIDTHS)
    return answer


@pytest.mark.parametrize(("kill", "body"), [("kill_parent", BATCH), ("kill_all", SWEEP)], ids=["parent", "all"])
def test_a_worker_killed_in_the_middle_leaves_all_of_it_to_another(  # noqa: PLR0917 - fixtures
    settings: Settings,
    app: Flask,
    client: FlaskClient,
    account: Account,
    key: Key,
    kill: str,
    body: dict[str, object],
) -> None:
    job_id = queue_bell(client, key, backend="qulacs", **body)
    with job_worker(settings) as worker:
        wait_for_middle(settings)
        getattr(worker, kill)()
        wait_until(lambda: worker.list_engines() == [])
    recover(app)
    assert read_job(app, job_id).status == "queued"
    (settings.data_dir / "go").touch()
    with job_worker(settings):
        wait_until(lambda: read_job(app, job_id).status == "completed")
    assert read_job(app, job_id).attempt == 2
    check_all_or_nothing(app, client, account, key, job_id)


def test_an_engine_killed_in_the_middle_fails_all_of_it(
    settings: Settings, app: Flask, client: FlaskClient, account: Account, key: Key
) -> None:
    job_id = queue_bell(client, key, backend="qulacs", **BATCH)
    with job_worker(settings) as worker:
        wait_for_middle(settings)
        worker.kill_engine()
        wait_until(lambda: read_job(app, job_id).status == "failed")
    answer = check_all_or_nothing(app, client, account, key, job_id)
    assert (answer["error"]["code"], answer["results"]) == ("engine_crashed", None)


def test_a_worker_killed_before_it_has_stored_the_results_leaves_none_of_them(
    settings: Settings, app: Flask, client: FlaskClient, account: Account, key: Key
) -> None:
    job_id = queue_bell(client, key, backend="qulacs", **SWEEP)
    (settings.data_dir / "go").touch()
    with job_worker(settings, UPCUBE_FAULT="job_before_end") as worker:
        worker.process.wait(timeout=30)
    recover(app)
    assert read_job(app, job_id).status == "queued"
    with job_worker(settings):
        wait_until(lambda: read_job(app, job_id).status == "completed")
    check_all_or_nothing(app, client, account, key, job_id)
