"""Old results are deleted some at a time, and their jobs stay."""

import signal
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import pairwise

import pytest
import sqlalchemy as sa
from flask import Flask

from config import Settings
from tests.factories import make_account, make_key, now, post_bell
from tests.forks import Process
from tests.live import environment
from webapp.core.db import db
from webapp.jobs import pruning
from webapp.jobs.models import Job, JobResult
from webapp.jobs.pruning import each_batch, prune_results

JOBS = 5


@pytest.fixture
def job_ids(app: Flask) -> list[str]:
    """Completed jobs, the oldest first."""
    with app.app_context():
        key = make_key(make_account())
    client = app.test_client()
    return [str(post_bell(client, key).get_json()["id"]) for _ in range(JOBS)]


def list_results() -> tuple[list[str], list[str]]:
    """Give the jobs that say that they have a result, and those that have one."""
    saying = db.session.scalars(sa.select(Job.id).where(Job.result_bytes.is_not(None), Job.result_deleted_at.is_(None)))
    having = db.session.scalars(sa.select(JobResult.job_id).distinct())
    return sorted(saying), sorted(having)


def test_old_ones_go_and_younger_ones_stay(app: Flask, job_ids: list[str]) -> None:
    with app.app_context():
        middle = db.session.get_one(Job, job_ids[2]).completed_at
        assert middle is not None
        assert prune_results(before=middle) == 2
        assert list_results() == (job_ids[2:], job_ids[2:])
        assert prune_results(before=middle) == 0
        assert prune_results(before=now() + timedelta(seconds=1)) == 3
        assert list_results() == ([], [])
        assert db.session.query(Job).count() == JOBS


@pytest.mark.parametrize(("limit", "value"), [("RESULTS_AT_A_TIME", 2), ("BYTES_AT_A_TIME", 2.5)])
def test_a_transaction_deletes_a_few_results_and_few_bytes(
    app: Flask, job_ids: list[str], monkeypatch: pytest.MonkeyPatch, limit: str, value: float
) -> None:
    with app.app_context():
        if limit == "BYTES_AT_A_TIME":
            value *= db.session.get_one(Job, job_ids[0]).result_bytes or 0
        monkeypatch.setattr(pruning, limit, int(value))
        before = now() + timedelta(seconds=1)
        assert next(each_batch(before=before)) == job_ids[:2]
        assert prune_results(before=before) == JOBS
        moments = [db.session.get_one(Job, job_id, populate_existing=True).result_deleted_at for job_id in job_ids]
        assert [one == other for one, other in pairwise(moments)] == [True, False, True, False]


def test_a_result_larger_than_a_transaction_goes_alone(
    app: Flask, job_ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "BYTES_AT_A_TIME", 1)
    with app.app_context():
        before = now() + timedelta(seconds=1)
        assert next(each_batch(before=before)) == job_ids[:1]
        assert prune_results(before=before) == JOBS


def test_two_at_once_delete_each_result_once(app: Flask, job_ids: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "RESULTS_AT_A_TIME", 2)

    def prune(_: int) -> int:
        with app.app_context():
            return prune_results(before=now() + timedelta(seconds=1))

    with ThreadPoolExecutor(max_workers=3) as threads:
        assert sum(threads.map(prune, range(3))) == len(job_ids)
    with app.app_context():
        assert list_results() == ([], [])


def test_it_can_be_killed_and_run_again(settings: Settings, app: Flask, job_ids: list[str]) -> None:
    killed = Process("tests.jobs.pruner", [], environ=environment(settings, UPCUBE_FAULT="prune_before_commit"))
    assert killed.wait(30) == -signal.SIGKILL
    with app.app_context():
        assert list_results() == (job_ids, job_ids)
        db.session.rollback()
        assert prune_results(before=now()) == JOBS
        assert list_results() == ([], [])
