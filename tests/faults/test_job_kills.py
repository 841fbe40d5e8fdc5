"""Workers of jobs, engines and Redis killed at every bad moment: each job ends once, and is paid once or not at all."""

import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from http.client import HTTPException
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select, update

from config import Settings
from tests.factories import API, Account, Key, make_account, make_holds_overdue, now, post_bell, queue_bell
from tests.faults.own_valkey import OwnValkey
from tests.faults.service import BELL_MICROCREDITS
from tests.jobs.odd_engine import Seed
from tests.jobs.steps import read_job, wait_for_status
from tests.live import call, job_worker, wait_until, web_process
from tests.stores import make_settings
from webapp.core.db import db, transaction
from webapp.core.redis import store
from webapp.jobs import running
from webapp.jobs.ending import Failure, end_stored_job, identify
from webapp.jobs.models import Job, JobStatus
from webapp.jobs.operations import cancel_job
from webapp.jobs.running import (
    LEASE,
    MAX_LOSSES,
    Assignment,
    RecoveryReport,
    claim_job,
    complete_job,
    fail_job,
    recover_jobs,
    renew_assignment,
    return_job,
)
from webapp.ledger.models import Transfer
from webapp.metering.credits import get_credits
from webapp.metering.holds import end_overdue_holds
from webapp.metering.models import OpenHold
from webapp.metering.reconcile import hold_reference, peek_account
from webapp.metering.verify import verify
from webapp.quantum.engines import RunResult

GRANTED = 1_000_000


@pytest.fixture
def environ() -> dict[str, str]:
    return {"MAX_CONCURRENT_JOBS": "1000"}


@pytest.fixture
def account(app: Flask) -> Account:
    with app.app_context():
        return make_account(microcredits=GRANTED)


def let_go(settings: Settings) -> None:
    """Let the runs that wait go on."""
    (settings.data_dir / "go").touch()


def recover(app: Flask) -> None:
    """Recover lost jobs as if every worker had been silent for too long, and end the holds that nobody ended."""
    with app.app_context():
        recover_jobs(at=now() + 2 * LEASE)
        make_holds_overdue()
        end_overdue_holds(at=now())


def check_paid_once(app: Flask, account: Account, charged: dict[str, bool]) -> None:
    """Check that each of the account's jobs was charged once or not at all, and that nothing is held any more."""
    with app.app_context():
        if peek_account(account.shard_tag).holds:
            make_holds_overdue()
            end_overdue_holds(at=now())
        for job_id, is_charged in charged.items():
            job = db.session.get_one(Job, job_id)
            assert (job.status == "completed", job.charged_microcredits) == (
                is_charged,
                is_charged * BELL_MICROCREDITS,
            )
            charges = select(func.count()).where(Transfer.reference == hold_reference(job_id))
            assert db.session.scalar(charges) == is_charged
        assert db.session.scalar(select(func.count(OpenHold.hold_id))) == 0
        spent = sum(charged.values()) * BELL_MICROCREDITS
        found = get_credits(account.organisation_id)
        assert (found.available, found.held, found.spent) == (GRANTED - spent, 0, spent)
        assert verify() == []


def test_a_web_process_killed_after_it_has_queued_a_job_has_queued_it(
    settings: Settings, app: Flask, account: Account, key: Key
) -> None:
    with web_process(settings, UPCUBE_FAULT="job_after_queued") as api, pytest.raises((OSError, HTTPException)):
        call(
            "POST", f"{api}/jobs", raw_key=key.raw, body={"templateId": "ghz-state", "shots": 1}, prefer="respond-async"
        )
    with app.app_context():
        [job_id] = db.session.scalars(select(Job.id))
    recover(app)
    assert read_job(app, job_id).status == "queued"
    with app.app_context():
        cancel_job(organisation_id=account.organisation_id, job_id=job_id, at=now())
    check_paid_once(app, account, {job_id: False})


@pytest.mark.parametrize(
    ("point", "is_ended"),
    [
        ("job_after_claim", False),
        ("job_before_result", False),
        ("job_before_end", False),
        ("job_after_end", True),
    ],
)
def test_a_worker_killed_at_any_point_ends_the_job_once(  # noqa: PLR0917 - fixtures
    settings: Settings, app: Flask, client: FlaskClient, account: Account, key: Key, point: str, *, is_ended: bool
) -> None:
    job_id = queue_bell(client, key)
    with job_worker(settings, UPCUBE_FAULT=point) as worker:
        worker.process.wait(timeout=30)
        # The engine dies with its worker.
        wait_until(lambda: worker.list_engines() == [])
    assert (read_job(app, job_id).status == "completed") == is_ended
    with app.app_context():
        assert verify() == []
    recover(app)
    if not is_ended:
        assert read_job(app, job_id).status == "queued"
        with job_worker(settings):
            assert wait_for_status(app, job_id, "completed").attempt == 2
    check_paid_once(app, account, {job_id: True})


@pytest.mark.parametrize("kill", ["kill_parent", "kill_all"])
def test_a_worker_killed_while_its_engine_runs_leaves_the_job_to_another(  # noqa: PLR0917 - fixtures
    settings: Settings, app: Flask, client: FlaskClient, account: Account, key: Key, kill: str
) -> None:
    job_id = queue_bell(client, key, seed=Seed.WAIT)
    with job_worker(settings) as worker:
        wait_until(lambda: read_job(app, job_id).status == "running" and len(worker.list_engines()) == 1)
        getattr(worker, kill)()
        wait_until(lambda: worker.list_engines() == [])
        recover(app)
        assert read_job(app, job_id).status == "queued"
    let_go(settings)
    with job_worker(settings):
        assert wait_for_status(app, job_id, "completed").attempt == 2
    check_paid_once(app, account, {job_id: True})


def test_an_engine_that_is_killed_fails_its_job_and_the_worker_goes_on(
    settings: Settings, app: Flask, client: FlaskClient, account: Account, key: Key
) -> None:
    killed = queue_bell(client, key, seed=Seed.WAIT)
    with job_worker(settings) as worker:
        wait_until(lambda: read_job(app, killed).status == "running" and len(worker.list_engines()) == 1)
        worker.kill_engine()
        failed = wait_for_status(app, killed, "failed")
        assert failed.error is not None
        assert failed.error["code"] == "engine_crashed"
        after = queue_bell(client, key)
        wait_for_status(app, after, "completed")
    check_paid_once(app, account, {killed: False, after: True})


def test_a_job_whose_workers_all_die_is_given_up(
    settings: Settings, app: Flask, client: FlaskClient, account: Account, key: Key
) -> None:
    job_id = queue_bell(client, key)
    for _ in range(3):
        with job_worker(settings, UPCUBE_FAULT="job_after_claim") as worker:
            worker.process.wait(timeout=30)
        recover(app)
    job = read_job(app, job_id)
    assert (job.status, job.attempt, (job.error or {})["code"]) == ("failed", 3, "worker_lost")
    check_paid_once(app, account, {job_id: False})


def test_a_worker_that_is_told_to_stop_puts_its_job_back(
    settings: Settings, app: Flask, client: FlaskClient, account: Account, key: Key
) -> None:
    job_id = queue_bell(client, key, seed=Seed.WAIT)
    with job_worker(settings) as worker:
        wait_for_status(app, job_id, "running")
        worker.process.terminate()
        assert worker.process.wait(timeout=30) == 0
        assert worker.list_engines() == []
    job = read_job(app, job_id)
    assert (job.status, job.losses) == ("queued", 0)
    let_go(settings)
    with job_worker(settings):
        wait_for_status(app, job_id, "completed")
    check_paid_once(app, account, {job_id: True})


def test_a_worker_that_only_slept_cannot_end_the_job_of_its_successor(
    app: Flask, client: FlaskClient, account: Account, key: Key
) -> None:
    job_id = queue_bell(client, key)
    with app.app_context():
        first = claim(app)
        assert recover_jobs(at=now() + 2 * LEASE).returned == 1
        second = claim(app)
        assert (first.attempt, second.attempt) == (1, 2)
        assert not complete_job(first, [RESULT], at=now())
        assert not fail_job(first, Failure.TIMEOUT.error, at=now())
        assert complete_job(second, [RESULT], at=now())
        assert not complete_job(second, [RESULT], at=now())
    check_paid_once(app, account, {job_id: True})


RESULT = RunResult({"00": 100}, None, "odd", "1", 0.0)


def claim(app: Flask) -> Assignment:
    with app.app_context():
        assignment = claim_job(at=now())
    assert assignment is not None
    return assignment


@pytest.mark.parametrize("losses", [0, MAX_LOSSES - 1])
@pytest.mark.parametrize("happens", ["beats", "another_claims"])
def test_a_worker_that_speaks_up_while_it_is_being_given_up_keeps_its_job(  # noqa: PLR0917 - fixtures
    app: Flask,
    client: FlaskClient,
    account: Account,
    key: Key,
    monkeypatch: pytest.MonkeyPatch,
    happens: str,
    losses: int,
) -> None:
    job_id = queue_bell(client, key)
    with app.app_context():
        assignment = claim(app)
        with transaction() as session:
            session.execute(update(Job).values(losses=losses))
        later = now() + 2 * LEASE
        list_lost = running.list_lost_jobs

        def list_too_early(*, at: datetime) -> list[running.LostJob]:
            """List the lost jobs, and let something happen before anything is done about them."""
            nonlocal assignment
            lost = list_lost(at=at)
            if happens == "another_claims":
                assert return_job(assignment)
                assignment = claim(app)
            renew_assignment(assignment, at=at)
            return lost

        monkeypatch.setattr(running, "list_lost_jobs", list_too_early)
        assert recover_jobs(at=later) == RecoveryReport(returned=0, failed=0)
        assert db.session.get_one(Job, job_id, populate_existing=True).losses == losses
        assert complete_job(assignment, [RESULT], at=later)
    check_paid_once(app, account, {job_id: True})


@pytest.mark.parametrize("rival", ["cancel", "time_out", "complete"])
def test_of_two_that_would_end_a_job_at_once_one_does(
    app: Flask, client: FlaskClient, account: Account, key: Key, rival: str
) -> None:
    charged = {}
    for _ in range(10):
        job_id = queue_bell(client, key)
        assignment = claim(app)
        together = threading.Barrier(2)
        ends: dict[str, Callable[[], bool]] = {
            "cancel": lambda job_id=job_id: try_to_cancel(job_id),  # type: ignore[misc]
            "time_out": lambda assignment=assignment: fail_job(assignment, Failure.TIMEOUT.error, at=now()),  # type: ignore[misc]
            "complete": lambda assignment=assignment: complete_job(assignment, [RESULT], at=now()),  # type: ignore[misc]
        }

        def end(name: str, together: threading.Barrier = together, ends: dict[str, Callable[[], bool]] = ends) -> bool:
            with app.app_context():
                together.wait(timeout=10)
                return ends[name]()

        with ThreadPoolExecutor(max_workers=2) as threads:
            won = list(threads.map(end, ["complete", rival]))
        assert sorted(won) == [False, True]
        charged[job_id] = won[0] or rival == "complete"
    check_paid_once(app, account, charged)


def try_to_cancel(job_id: str) -> bool:
    """Cancel as the API does, and tell whether it did."""
    job = db.session.get_one(Job, job_id)
    return end_stored_job(identify(job), JobStatus.CANCELLED, at=now())


def test_jobs_cancelled_while_workers_run_them_are_cancelled_or_completed(
    settings: Settings, app: Flask, account: Account, key: Key
) -> None:
    with app.app_context():
        client = app.test_client()
    job_ids = [queue_bell(client, key) for _ in range(30)]
    with job_worker(settings), job_worker(settings):
        wait_until(lambda: read_job(app, job_ids[0]).status != "queued")
        for job_id in job_ids[::-1]:
            assert client.post(f"{API}/jobs/{job_id}/cancel", headers=key.headers).status_code in {200, 409}
        wait_until(lambda: {read_job(app, job_id).status for job_id in job_ids} <= {"completed", "cancelled"})
    check_paid_once(app, account, {job_id: read_job(app, job_id).status == "completed" for job_id in job_ids})


class TestRedisRestarts:
    """Redis with its queue of calls and its holds is killed, with its file or without."""

    @pytest.fixture
    def settings(self, tmp_path: Path, database_url: str, valkey: OwnValkey) -> Settings:
        return make_settings(tmp_path, DATABASE_URL=database_url, REDIS_URL=f"unix://{valkey.socket}")

    @pytest.mark.parametrize("keeps_file", [True, False])
    def test_queued_jobs_survive_and_stay_paid_for(
        self,
        settings: Settings,
        app: Flask,
        account: Account,
        key: Key,
        valkey: OwnValkey,
        *,
        keeps_file: bool,
    ) -> None:
        client = app.test_client()
        job_ids = [queue_bell(client, key) for _ in range(3)]
        valkey.kill()
        if not keeps_file:
            shutil.rmtree(valkey.folder / "valkey")
        valkey.start()
        wait_until(lambda: client.get(f"{API}/me", headers=key.headers).status_code == 200)
        with app.app_context():
            # Every hold is back, so that nothing that is promised to these jobs can be spent on others.
            found = get_credits(account.organisation_id)
            assert (found.available, found.held) == (GRANTED - 3 * BELL_MICROCREDITS, 3 * BELL_MICROCREDITS)
            assert peek_account(account.shard_tag).available == found.available
            assert verify() == []
        with job_worker(settings):
            for job_id in job_ids:
                wait_for_status(app, job_id, "completed")
        check_paid_once(app, account, dict.fromkeys(job_ids, True))

    def test_a_worker_outlives_redis(self, settings: Settings, app: Flask, key: Key, valkey: OwnValkey) -> None:
        client = app.test_client()
        with job_worker(settings):
            wait_for_status(app, queue_bell(client, key), "completed")
            valkey.restart()
            wait_until(lambda: post_bell(client, key).status_code == 201)
            wait_for_status(app, queue_bell(client, key), "completed")
        store.close()
