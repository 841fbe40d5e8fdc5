"""SQL locked, or cut off under load: a clear 503, nothing half done, and then it goes on by itself."""

import os
import signal
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from flask import Flask, Response
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from config import Settings
from tests import stores
from tests.factories import API, Key, body, count_jobs, now, post_bell
from tests.faults.service import BELL_MICROCREDITS
from tests.live import wait_until
from tests.stores import END_CONNECTIONS
from webapp import create_app
from webapp.core import db as database
from webapp.core import postgresql
from webapp.core.db import db
from webapp.core.driver import DriverConnection
from webapp.core.errors import StoreAwayError
from webapp.metering.credits import get_credits
from webapp.metering.flush import flush
from webapp.metering.holds import end_overdue_holds
from webapp.metering.reconcile import peek_account
from webapp.metering.verify import verify


@pytest.fixture(autouse=True, scope="module")
def short_wait() -> Iterator[None]:
    """Wait for locks and slow statements a moment, not the 20 s, 5 s and 10 s that users are given."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "SQLITE_BUSY_SECONDS", 0.5)
        patch.setattr(database, "POSTGRESQL_LOCK_SECONDS", 0.5)
        patch.setattr(database, "POSTGRESQL_STATEMENT_SECONDS", 1)
        yield


@pytest.fixture
def environ() -> dict[str, str]:
    # Holds whose commit was lost wait for the worker to end them, and there is none here.
    return {"MAX_CONCURRENT_JOBS": "1000"}


@contextmanager
def locked_for_writing(settings: Settings) -> Iterator[None]:
    """Let another program hold what every writer needs."""
    if settings.database_url.startswith("sqlite"):
        with closing(sqlite3.connect(settings.database_url.removeprefix("sqlite:///"))) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
    else:
        with psycopg.connect(plain_url(settings)) as other_server:
            other_server.execute(f"LOCK TABLE {', '.join(db.metadata.tables)} IN EXCLUSIVE MODE".encode())
            yield
            other_server.rollback()


def plain_url(settings: Settings) -> str:
    """Give DATABASE_URL as psycopg takes it."""
    return settings.database_url.replace("postgresql+psycopg://", "postgresql://")


def check_refusal(answer: TestResponse) -> None:
    """Check that the answer says that it is not the caller's fault, and when to come back."""
    assert (answer.status_code, body(answer)["error"]["code"]) == (503, "store_unavailable")
    assert int(answer.headers["Retry-After"]) >= 1


def test_a_locked_database_refuses_jobs_and_serves_reads(
    settings: Settings, app: Flask, client: FlaskClient, key: Key
) -> None:
    assert post_bell(client, key).status_code == 201
    with locked_for_writing(settings):
        check_refusal(post_bell(client, key))
        # Nothing was committed, so nothing stays held: an account is not told that it has too many jobs instead.
        assert peek_account(key.raw[-12:-6]).holds == {}
        for path in ("/templates", "/jobs", "/me"):
            assert client.get(API + path, headers=key.headers).status_code == 200
        with app.app_context(), pytest.raises(StoreAwayError):
            flush(at=now())
    assert post_bell(client, key).status_code == 201
    check_exact(app, key, jobs=2)


def test_a_lock_that_is_let_go_in_time_is_waited_for(
    settings: Settings, app: Flask, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "SQLITE_BUSY_SECONDS", 20)
    monkeypatch.setattr(database, "POSTGRESQL_LOCK_SECONDS", 20)
    monkeypatch.setattr(database, "POSTGRESQL_STATEMENT_SECONDS", 20)
    # With a connection that knows of it.
    patient = create_app(settings)
    with ThreadPoolExecutor(max_workers=1) as thread:
        with locked_for_writing(settings):
            waiting = thread.submit(post_bell, patient.test_client(), key)
            with pytest.raises(TimeoutError):
                waiting.result(timeout=1)
        assert waiting.result().status_code == 201
    with patient.app_context():
        db.engine.dispose()
    check_exact(app, key, jobs=1)


def test_a_statement_that_takes_too_long_is_ended(
    settings: Settings, app: Flask, client: FlaskClient, key: Key
) -> None:
    if settings.database_url.startswith("sqlite"):
        pytest.skip("SQLite is read and written by this process itself")
    with app.app_context():
        # Connections that were not made by a request have no limit.
        db.engine.dispose()
    with psycopg.connect(plain_url(settings), autocommit=True) as operator:
        operator.execute(
            "CREATE FUNCTION doze() RETURNS trigger AS $$BEGIN PERFORM pg_sleep(60); RETURN NEW; END$$ LANGUAGE plpgsql"
        )
        operator.execute("CREATE TRIGGER doze BEFORE INSERT ON jobs FOR EACH ROW EXECUTE FUNCTION doze()")
        check_refusal(post_bell(client, key))
        assert client.get(f"{API}/jobs", headers=key.headers).status_code == 200
        operator.execute("DROP TRIGGER doze ON jobs")
    assert post_bell(client, key).status_code == 201
    check_exact(app, key, jobs=1)


def test_a_server_that_stands_still_is_given_up(
    settings: Settings, app: Flask, client: FlaskClient, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "postgresql" not in stores.DATABASES or settings.database_url.startswith("sqlite"):
        pytest.skip("there is no server that is ours to stop")
    monkeypatch.setattr(postgresql, "ANSWER_SECONDS", 0.3)
    with app.app_context():
        # Connections that were not made by a request wait for as long as it takes.
        db.engine.dispose()
    commit, stopped = DriverConnection.commit, []

    def commit_late(connection: DriverConnection) -> None:
        """Have the server stand still before it reads this."""
        server: Any = connection._pooled.dbapi_connection  # noqa: SLF001 - nobody else asks
        stopped.append(server.info.backend_pid)
        os.kill(stopped[0], signal.SIGSTOP)
        monkeypatch.setattr(DriverConnection, "commit", commit)
        commit(connection)

    monkeypatch.setattr(DriverConnection, "commit", commit_late)
    with ThreadPoolExecutor(max_workers=1) as thread:
        answer = thread.submit(post_bell, client, key)
        try:
            check_refusal(answer.result(timeout=10))
        finally:
            os.kill(stopped[0], signal.SIGCONT)
    with psycopg.connect(plain_url(settings), autocommit=True) as operator:
        wait_until(lambda: not operator.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", stopped).fetchone())
    # It read it all the same.
    check_exact(app, key, jobs=1)
    assert post_bell(client, key).status_code == 201


def test_a_connection_that_is_lost_when_all_is_said_does_the_answer_no_harm(
    settings: Settings, app: Flask, key: Key
) -> None:
    if settings.database_url.startswith("sqlite"):
        pytest.skip("SQLite has no connections to cut")

    @app.after_request
    def cut(answer: Response) -> Response:
        assert db.session.scalar(sa.select(sa.func.pg_backend_pid()))
        with psycopg.connect(plain_url(settings), autocommit=True) as operator:
            operator.execute(END_CONNECTIONS)
        return answer

    client = app.test_client()
    # The second has a session of its own, and not what the first has left.
    assert [post_bell(client, key).status_code for _ in range(2)] == [201, 201]
    with app.app_context():
        assert "Checked out connections: 0" in db.engine.pool.status()
    check_exact(app, key, jobs=2)


def test_connections_cut_under_load_leave_the_ledger_exact(settings: Settings, app: Flask, key: Key) -> None:
    if settings.database_url.startswith("sqlite"):
        pytest.skip("SQLite has no connections to cut")
    statuses: list[int] = []

    def load(_: int) -> None:
        client = app.test_client()
        for _ in range(15):
            statuses.append(post_bell(client, key).status_code)  # noqa: PERF401 - the main thread watches it grow

    with (
        ThreadPoolExecutor(max_workers=4) as threads,
        psycopg.connect(plain_url(settings), autocommit=True) as operator,
    ):
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
