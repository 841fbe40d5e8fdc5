"""Workers of jobs: what a run may take, what becomes of one that takes more, and that the worker lives on."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update

from config import Settings
from tests import stores
from tests.clusters import ValkeyCluster
from tests.factories import API, Account, Key, make_account, make_key, queue_bell
from tests.jobs.odd_engine import Seed
from tests.jobs.steps import wait_for_end
from tests.live import job_worker, wait_until
from webapp.core.db import transaction
from webapp.jobs.models import Job
from webapp.metering.credits import get_credits
from webapp.metering.verify import verify

GRANTED = 1_000_000
BELL_MICROCREDITS = 1_101


@pytest.fixture
def environ() -> dict[str, str]:
    return {"JOB_TIMEOUT_SECONDS": "1", "JOB_MEMORY_MIB": "768"}


# One kind of database: it is processes that are tested here.
pytestmark = pytest.mark.parametrize("database_url", stores.DATABASES[:1], indirect=True)


@pytest.fixture
def account(app: Flask) -> Account:
    with app.app_context():
        return make_account(microcredits=GRANTED)


def test_each_way_to_fail_has_its_code_costs_nothing_and_leaves_the_worker_alive(  # noqa: PLR0917 - fixtures
    settings: Settings, app: Flask, client: FlaskClient, account: Account, key: Key, environ: dict[str, str]
) -> None:
    expected = {
        Seed.WAIT: "timeout",
        Seed.SPIN: "timeout",
        Seed.BREED: "timeout",
        Seed.EAT: "out_of_memory",
        Seed.ABORT: "engine_crashed",
        Seed.SHOUT: "engine_failed",
        Seed.FAIL: "engine_failed",
        Seed.FLOOD: "result_too_large",
    }
    job_ids = {seed: queue_bell(client, key, seed=seed) for seed in expected}
    with job_worker(settings, **environ) as worker:
        found = {seed: (wait_for_end(app, job_id).error or {}).get("code") for seed, job_id in job_ids.items()}
        assert found == expected
        assert wait_for_end(app, queue_bell(client, key)).status == "completed"
        # What a run has started is gone with it: one warm engine is left, and no children of any.
        assert len(worker.list_engines()) == 1
    answer = client.get(f"{API}/jobs/{job_ids[Seed.FAIL]}", headers=key.headers)
    assert "corrupted" not in answer.text
    assert "Nothing was charged" in answer.get_json()["error"]["message"]
    with app.app_context():
        assert get_credits(account.organisation_id).spent == BELL_MICROCREDITS
        assert verify() == []


def test_a_job_that_cannot_even_be_handed_to_an_engine_fails_and_leaves_the_worker_alive(
    settings: Settings, app: Flask, client: FlaskClient, key: Key
) -> None:
    poison = queue_bell(client, key)
    deep: list[object] = []
    for _ in range(600):
        deep = [deep]
    with app.app_context(), transaction() as session:
        session.execute(
            update(Job).where(Job.id == poison).values(circuit={"format": "ionq.circuit.v1", "source": deep})
        )
    with job_worker(settings) as worker:
        job = wait_for_end(app, poison)
        assert (job.status, job.attempt, (job.error or {}).get("code")) == ("failed", 1, "engine_failed")
        assert wait_for_end(app, queue_bell(client, key)).status == "completed"
        assert worker.process.poll() is None


def test_an_engine_is_kept_warm_for_the_next_job(settings: Settings, app: Flask, client: FlaskClient, key: Key) -> None:
    with job_worker(settings) as worker:
        engines = []
        for _ in range(3):
            assert wait_for_end(app, queue_bell(client, key)).status == "completed"
            engines += worker.list_engines()
    assert len(engines) == 3
    assert len(set(engines)) == 1


def test_an_engine_that_died_between_jobs_costs_no_job(
    settings: Settings, app: Flask, client: FlaskClient, key: Key
) -> None:
    with job_worker(settings) as worker:
        assert wait_for_end(app, queue_bell(client, key)).status == "completed"
        worker.kill_engine()
        assert wait_for_end(app, queue_bell(client, key)).status == "completed"


def test_a_running_job_that_is_cancelled_stops_at_once_and_costs_nothing(
    settings: Settings, app: Flask, client: FlaskClient, account: Account, key: Key
) -> None:
    job_id = queue_bell(client, key, seed=Seed.BREED)
    with job_worker(settings) as worker:
        wait_until(lambda: len(worker.list_engines()) == 2)
        answer = client.post(f"{API}/jobs/{job_id}/cancel", headers=key.headers)
        assert (answer.status_code, answer.get_json()["status"]) == (200, "cancelled")
        wait_until(lambda: worker.list_engines() == [])
        assert wait_for_end(app, queue_bell(client, key)).status == "completed"
    with app.app_context():
        found = get_credits(account.organisation_id)
        assert (found.held, found.spent) == (0, BELL_MICROCREDITS)


def test_the_same_seed_gives_the_same_counts_inline_and_on_a_worker(settings: Settings, app: Flask) -> None:
    """The real engine, in its own process."""
    with app.app_context():
        key = make_key(make_account())
    client = app.test_client()
    body = {"templateId": "ghz-state", "shots": 1000, "seed": 7, "parameters": {"qubits": 5}}
    inline = client.post(f"{API}/jobs", json=body, headers=key.headers).get_json()
    job_id = queue_bell(client, key, **body)
    with job_worker(settings, module="worker"):
        assert wait_for_end(app, job_id).status == "completed"
    on_worker = client.get(f"{API}/jobs/{job_id}", headers=key.headers).get_json()
    for name in ("counts", "probabilities", "engine", "engineVersion", "seed"):
        assert on_worker[name] == inline[name]
    assert (inline["lane"], on_worker["lane"]) == ("inline", "worker")


def test_an_engine_has_neither_the_workers_connections_nor_its_limits_off(
    settings: Settings, app: Flask, client: FlaskClient, key: Key
) -> None:
    with job_worker(settings) as worker:
        wait_for_end(app, queue_bell(client, key))
        [pid] = worker.list_engines()
        sockets = [link for link in links_of(pid) if link.startswith("socket:")]
        limits = Path(f"/proc/{pid}/limits").read_text()
    # Its pipe to the worker, and nothing else.
    assert len(sockets) == 1
    assert f"Max address space         {4096 * 1024 * 1024}" in limits
    assert "Max core file size        0" in limits


def links_of(pid: int) -> list[str]:
    """Give what a process's open files are."""
    return [str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir()]


class TestOnACluster:
    """Workers whose Redis is a cluster."""

    @pytest.fixture
    def redis_url(self, cluster: ValkeyCluster) -> Iterator[str]:
        yield cluster.url
        for node in cluster.nodes:
            node.client.flushdb()

    def test_they_run_what_is_queued_and_hear_of_it_at_once(
        self, settings: Settings, app: Flask, client: FlaskClient, key: Key
    ) -> None:
        with job_worker(settings) as worker:
            for _ in range(3):
                assert wait_for_end(app, queue_bell(client, key)).status == "completed"
            assert "Traceback" not in worker.log.read_text()
        with app.app_context():
            assert verify() == []
