"""The transition table, and the one function that applies it."""

import itertools

import pytest
from flask import Flask
from flask.testing import FlaskClient

from config import ROOT
from tests.factories import make_account, make_key, queue_bell
from webapp.core.db import db, transaction
from webapp.jobs.models import Job, JobStatus
from webapp.jobs.states import TRANSITIONS, move_job, move_new_job

ALLOWED = {
    ("queued", "running"),
    ("queued", "cancelled"),
    ("running", "completed"),
    ("running", "failed"),
    ("running", "cancelled"),
    ("running", "queued"),
}


def test_the_table_is_what_was_written_down() -> None:
    assert {(source, target) for source, targets in TRANSITIONS.items() for target in targets} == ALLOWED
    assert set(TRANSITIONS) == set(JobStatus)


def test_a_stored_job_moves_along_the_table_and_nowhere_else(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        key = make_key(make_account())
    job_id = queue_bell(client, key)
    with app.app_context():
        for source, target in itertools.product(JobStatus, JobStatus):
            with transaction() as session:
                # Put there by force: what the table refuses is what is tested.
                session.get_one(Job, job_id).status = source
            with transaction() as session:
                assert move_job(session, job_id, target) == ((source, target) in ALLOWED)
            expected = target if (source, target) in ALLOWED else source
            assert db.session.get_one(Job, job_id, populate_existing=True).status == expected


def test_a_job_of_another_attempt_is_not_moved(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        key = make_key(make_account())
    job_id = queue_bell(client, key)
    with app.app_context(), transaction() as session:
        assert not move_job(session, job_id, JobStatus.RUNNING, attempt=7)
        assert move_job(session, job_id, JobStatus.RUNNING, attempt=0)


@pytest.mark.parametrize(("source", "target"), list(itertools.product(JobStatus, JobStatus)))
def test_a_new_job_moves_along_the_table_and_nowhere_else(source: JobStatus, target: JobStatus) -> None:
    job = Job(status=source)
    if (source, target) in ALLOWED:
        move_new_job(job, target, charged_microcredits=5)
        assert (job.status, job.charged_microcredits) == (target, 5)
    else:
        with pytest.raises(ValueError, match=f"is {source} cannot become {target}"):
            move_new_job(job, target)


def test_no_other_module_changes_a_jobs_state() -> None:
    changes = ("job.status = ", ".values(status=", "status=target")
    found = [
        str(path.relative_to(ROOT))
        for folder in ("webapp", "worker")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if "saved" not in path.name and any(change in path.read_text() for change in changes)
    ]
    # The saved answers have a status too: that of HTTP.
    assert found == ["webapp/jobs/idempotency.py", "webapp/jobs/states.py"]
