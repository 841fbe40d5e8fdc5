"""SQL locked, or cut off under load: a clear 503, nothing half done, and then it goes on by itself."""

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient

from config import Settings
from tests.factories import API, Key, body, count_jobs, make_account, make_key, now, post_bell
from tests.live import wait_until
from webapp.core import db as database
from webapp.metering.credits import get_credits
from webapp.metering.flush import flush
from webapp.metering.holds import end_overdue_holds
from webapp.metering.verify import verify

BELL_MICROCREDITS = 1_101


@pytest.fixture(autouse=True, scope="module")
def short_wait() -> Iterator[None]:
    """Wait for SQLite's lock a moment, not the 20 s that users are given."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "SQLITE_BUSY_SECONDS", 0.1)
        yield


@pytest.fixture
def environ() -> dict[str, str]:
    # Holds whose commit was lost wait for the worker to end them, and there is none here.
    return {"MAX_CONCURRENT_JOBS": "1000"}


@pytest.fixture
def key(app: Flask) -> Key:
    with app.app_context():
        return make_key(make_account(microcredits=1_000_000))


def test_a_locked_database_refuses_jobs_and_serves_reads(
    settings: Settings, app: Flask, client: FlaskClient, key: Key
) -> None:
    if not settings.database_url.startswith("sqlite"):
        pytest.skip("PostgreSQL has no lock on everything")
    assert post_bell(client, key).status_code == 201
    with closing(sqlite3.connect(settings.database_url.removeprefix("sqlite:///"))) as other:
        other.execute("BEGIN IMMEDIATE")
        refused = post_bell(client, key)
        assert (refused.status_code, body(refused)["error"]["code"]) == (503, "store_unavailable")
        assert int(refused.headers["Retry-After"]) >= 1
        for path in ("/templates", "/jobs", "/me"):
            assert client.get(API + path, headers=key.headers).status_code == 200
    assert post_bell(client, key).status_code == 201
    check_exact(app, key, jobs=2)


def test_connections_cut_under_load_leave_the_ledger_exact(settings: Settings, app: Flask, key: Key) -> None:
    if settings.database_url.startswith("sqlite"):
        pytest.skip("SQLite has no connections to cut")
    statuses: list[int] = []

    def load(_: int) -> None:
        client = app.test_client()
        for _ in range(15):
            statuses.append(post_bell(client, key).status_code)  # noqa: PERF401 - the main thread watches it grow

    url = settings.database_url.replace("postgresql+psycopg://", "postgresql://")
    with ThreadPoolExecutor(max_workers=4) as threads, psycopg.connect(url, autocommit=True) as operator:
        running = [threads.submit(load, number) for number in range(4)]
        for answered in range(5, 60, 5):
            wait_until(lambda answered=answered: len(statuses) >= answered)  # type: ignore[misc]  # it takes no argument
            operator.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        for future in running:
            future.result()
    assert set(statuses) <= {201, 503}
    with app.app_context():
        jobs = count_jobs(key.row.organisation_id)
    # An answer may be lost after its commit.
    assert statuses.count(201) <= jobs <= len(statuses)
    check_exact(app, key, jobs=jobs)


def check_exact(app: Flask, key: Key, *, jobs: int) -> None:
    """Check that so many jobs were stored and charged, and nothing else."""
    with app.app_context():
        end_overdue_holds(at=now())
        flush(at=now())
        assert verify() == []
        assert count_jobs(key.row.organisation_id) == jobs
        found = get_credits(key.row.organisation_id)
        assert (found.held, found.spent) == (0, jobs * BELL_MICROCREDITS)
