"""A connection to PostgreSQL on which nobody waits for ever."""

import psycopg
import pytest

from config import Settings
from webapp.core import postgresql
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
