"""How many jobs are queued, for requests that run no SQL for it."""

import threading

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from tests.factories import API, Key, make_account, make_key, queue_bell
from tests.live import wait_until
from webapp.core.db import db
from webapp.jobs import queue_depths
from webapp.jobs.queue_depths import PATIENCE_SECONDS, QueueDepths


def read_depth(client: FlaskClient, key: Key) -> int | None:
    answer = client.get(f"{API}/backends/local-simulator", headers=key.headers)
    assert answer.status_code == 200
    depth: int | None = answer.get_json()["queueDepth"]
    return depth


def test_it_is_null_while_the_database_does_not_say(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        key = make_key(make_account())
        engine = db.engine
        db.session.remove()
    queue_bell(client, key)
    with engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE jobs RENAME TO lost_jobs"))
    assert read_depth(client, key) is None
    with engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE lost_jobs RENAME TO jobs"))
    wait_until(lambda: read_depth(client, key) == 1)


def test_many_that_ask_at_once_have_it_counted_once(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        queue_bell(client, make_key(make_account()))
        engine, found, statements = db.engine, [], []
    sa.event.listen(engine, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))
    depths = QueueDepths()
    readers = [threading.Thread(target=lambda: found.append(depths.read(engine))) for _ in range(8)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert found == [{"local-simulator": 1}] * 8
    assert len([statement for statement in statements if "FROM jobs" in statement]) == 1


def test_nobody_waits_long_for_a_database_that_hangs(app: Flask) -> None:
    with app.app_context():
        engine = db.engine
    goes_on = threading.Event()
    depths = QueueDepths()

    def hang(*_: object) -> None:
        goes_on.wait(60 * PATIENCE_SECONDS)

    sa.event.listen(engine, "before_cursor_execute", hang)
    # The first waits its while and goes; for the next ones that is over.
    assert [depths.read(engine) for _ in range(100)] == [None] * 100
    assert not goes_on.is_set()
    goes_on.set()
    wait_until(lambda: depths.read(engine) == {})


def test_it_is_null_while_no_thread_can_be_started(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with app.app_context():
        key = make_key(make_account())
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse_to_start)
        assert read_depth(client, key) is None
    wait_until(lambda: read_depth(client, key) == 0)


def refuse_to_start(_: threading.Thread) -> None:
    """Fail as Python does where the system gives no more threads."""
    raise RuntimeError("can't start new thread")


def test_a_count_has_the_limits_of_a_request(app: Flask) -> None:
    """Its connection goes back to the pool, where a request may find it."""
    with app.app_context():
        if db.engine.dialect.name == "sqlite":
            pytest.skip("SQLite has no limits for a connection")
        db.engine.dispose()
        seen: list[object] = []
        sa.event.listen(db.engine, "before_cursor_execute", lambda *arguments: seen.append(read_timeout(arguments[0])))
        with app.test_request_context():
            queue_depths.read_queue_depths()
        assert set(seen) == {"10s"}


def read_timeout(connection: sa.Connection) -> object:
    """Read a connection's limit without noting that."""
    cursor = connection.connection.cursor()
    cursor.execute("SHOW statement_timeout")
    return (cursor.fetchone() or [None])[0]
