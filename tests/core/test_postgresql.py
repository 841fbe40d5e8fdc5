"""A connection to PostgreSQL on which nobody waits for ever."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
import sqlalchemy as sa

from config import Settings
from webapp.core import postgresql
from webapp.core.db import limit_waits
from webapp.core.postgresql import ImpatientConnection


def test_a_connection_that_was_not_answered_is_asked_nothing_more(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    if settings.database_url.startswith("sqlite"):
        pytest.skip("SQLite has no connections")
    with ImpatientConnection.connect(settings.database_url.replace("+psycopg", "")) as connection:
        connection.execute("SET LOCAL statement_timeout = 10")
        # An answer, though an OperationalError as well.
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute("SELECT pg_sleep(2)")
        connection.rollback()
        assert not connection.closed
        monkeypatch.setattr(postgresql, "ANSWER_SECONDS", 0.05)
        with pytest.raises(psycopg.OperationalError, match="timeout"):
            connection.execute("SELECT pg_sleep(2)")
        assert connection.closed


# The head of the message that tells a client the process id and secret that its statements are cancelled by.
BACKEND_KEY_DATA = b"K\x00\x00\x00\x0c"


@contextmanager
def pooler(server: str) -> Iterator[str]:
    """Pass one connection on to a server's Unix socket, and make up a process as poolers do; give an address."""

    def answer() -> None:
        client, _ = listener.accept()
        with client, socket.socket(socket.AF_UNIX) as upstream:
            upstream.connect(server)
            requests = threading.Thread(target=pass_on, args=(client, upstream))
            requests.start()
            with contextlib.suppress(OSError):  # Either end may hang up first: a connection ends no other way.
                while received := upstream.recv(65_536):
                    head, found, rest = received.partition(BACKEND_KEY_DATA)
                    client.sendall(head + found + (b"\x7f\x00\x00\x01" + rest[4:] if found else rest))
                client.shutdown(socket.SHUT_RDWR)
            requests.join()

    def pass_on(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while received := source.recv(65_536):
                target.sendall(received)
            target.shutdown(socket.SHUT_WR)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


def count_prepared(url: sa.URL) -> tuple[int, str]:
    """Give how many statements are prepared after one was run often, and the limit of a request's statements."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    limit_waits(engine, is_request=lambda: True)
    with engine.connect() as connection:
        for number in range(10):
            connection.execute(sa.text("SELECT :number + 1"), {"number": number})
        found = connection.execute(
            sa.text("SELECT count(*), current_setting('lock_timeout') FROM pg_prepared_statements")
        )
        count, waits = found.one()
        assert waits == "5s"
        return count, str(connection.execute(sa.text("SHOW statement_timeout")).scalar_one())


def test_nothing_is_left_with_a_connection_that_a_pooler_gives_to_others(settings: Settings) -> None:
    if settings.database_url.startswith("sqlite"):
        pytest.skip("SQLite has no connections")
    url = sa.make_url(settings.database_url)
    with psycopg.connect(settings.database_url.replace("+psycopg", "")) as connection:
        server = f"{connection.info.host}/.s.PGSQL.{connection.info.port}"
    if not server.startswith("/"):
        pytest.skip("this server has no Unix socket")
    prepared, limit = count_prepared(url)
    assert (prepared > 0, limit) == (True, "10s")
    with pooler(server) as address:
        host, _, port = address.partition(":")
        assert count_prepared(url.set(host=host, port=int(port), query={"sslmode": "disable"})) == (0, "0")
