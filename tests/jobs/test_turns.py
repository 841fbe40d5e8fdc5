"""Whose turn it is: accounts take turns, whatever each of them has queued."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from tests.factories import API, Key, make_account, make_key, now, queue_bell
from tests.live import wait_until
from webapp.core.db import db
from webapp.jobs.models import Job, JobStatus
from webapp.jobs.running import claim_job, complete_job, list_lost_jobs, return_job
from webapp.jobs.turns import count_jobs, find_place, list_turns
from webapp.quantum.engines import RunResult

RESULT = RunResult({"00": 100}, None, "odd", "1", 0.0)


@pytest.fixture
def environ() -> dict[str, str]:
    return {"MAX_CONCURRENT_JOBS": "1000", "KEY_RATE_LIMITS": "100000/60", "ACCOUNT_RATE_LIMITS": "100000/60"}


@pytest.fixture
def keys(app: Flask) -> list[Key]:
    """Keys of three accounts."""
    with app.app_context():
        return [make_key(make_account()) for _ in range(3)]


def run_all(app: Flask) -> list[str]:
    """Run every queued job, one after the other, and give their ids."""
    ran = []
    with app.app_context():
        while assignment := claim_job(at=now()):
            ran.append(assignment.job.id)
            assert complete_job(assignment, [RESULT], at=now())
    return ran


def test_one_accounts_many_jobs_do_not_delay_anothers_first(app: Flask, client: FlaskClient, keys: list[Key]) -> None:
    greedy, modest, _ = keys
    many = [queue_bell(client, greedy) for _ in range(50)]
    first, second = queue_bell(client, modest), queue_bell(client, modest)
    ran = run_all(app)
    assert ran[:5] == [many[0], first, many[1], second, many[2]]
    assert ran[5:] == many[3:]


def test_who_has_a_job_running_comes_after_who_has_none(app: Flask, client: FlaskClient, keys: list[Key]) -> None:
    early, late, _ = keys
    first, second = queue_bell(client, early), queue_bell(client, early)
    other = queue_bell(client, late)
    with app.app_context():
        claimed = [claim_job(at=now()) for _ in range(4)]
    assert [found.job.id if found else None for found in claimed] == [first, other, second, None]


def test_a_position_is_how_many_jobs_start_before(app: Flask, client: FlaskClient, keys: list[Key]) -> None:
    job_ids = [queue_bell(client, key) for key in (keys[0], keys[0], keys[0], keys[1], keys[2], keys[2])]
    with app.app_context():
        told = {}
        for job_id in job_ids:
            place = find_place(db.session.get_one(Job, job_id), workers=1, at=now())
            assert place is not None
            told[place.position] = job_id
    assert [told[position] for position in range(1, 7)] == run_all(app)


def test_a_place_and_an_estimate_are_told_while_a_job_waits(app: Flask, client: FlaskClient, keys: list[Key]) -> None:
    queue_bell(client, keys[0])
    job_id = queue_bell(client, keys[0], templateId="ghz-state", shots=104)
    told = client.get(f"{API}/jobs/{job_id}", headers=keys[0].headers).get_json()
    assert told["queue"]["position"] == 2
    with app.app_context():
        job = db.session.get_one(Job, job_id)
        at = now()
        one, two = (find_place(job, workers=workers, at=at) for workers in (1, 2))
        assert one is not None
        assert two is not None
        # The mean of both jobs' prices, one credit being one core-second.
        assert one.estimated_start_at - at == timedelta(microseconds=(1_101 + 1_105) / 2)
        assert two.estimated_start_at - at == (one.estimated_start_at - at) / 2
    run_all(app)
    assert client.get(f"{API}/jobs/{job_id}", headers=keys[0].headers).get_json()["queue"] is None


def test_a_job_that_was_put_back_is_first_among_its_accounts(app: Flask, client: FlaskClient, keys: list[Key]) -> None:
    first, second = queue_bell(client, keys[0]), queue_bell(client, keys[0])
    with app.app_context():
        assignment = claim_job(at=now())
        assert assignment is not None
        assert return_job(assignment)
    assert run_all(app) == [first, second]


def test_queue_depth_is_on_the_backends(app: Flask, client: FlaskClient, keys: list[Key]) -> None:
    queue_bell(client, keys[0])
    queue_bell(client, keys[1], backend="qulacs")

    def depths() -> dict[str, int]:
        listed = client.get(f"{API}/backends", headers=keys[0].headers).get_json()["backends"]
        return {backend["id"]: backend["queueDepth"] for backend in listed}

    assert (depths()["local-simulator"], depths()["qulacs"], depths()["ionq-forte"]) == (1, 1, 0)
    run_all(app)
    wait_until(lambda: set(depths().values()) == {0})


def test_workers_look_for_jobs_in_the_index_of_open_ones(app: Flask) -> None:
    with app.app_context():
        if db.engine.dialect.name != "sqlite":
            pytest.skip("PostgreSQL plans by what is in the table, which is empty here")
        statements: list[str] = []

        def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
            statements.append(statement)

        sa.event.listen(db.engine, "before_cursor_execute", note)
        count_jobs(JobStatus.QUEUED)
        list_turns(db.session())
        list_lost_jobs(at=now())
        sa.event.remove(db.engine, "before_cursor_execute", note)
        for statement in [found for found in statements if "FROM jobs" in found]:
            explanation = sa.text(f"EXPLAIN QUERY PLAN {statement.replace('?', 'NULL')}")
            plan = " ".join(row.detail for row in db.session.execute(explanation))
            assert "ix_jobs_open" in plan, (statement, plan)
