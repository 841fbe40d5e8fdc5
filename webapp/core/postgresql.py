"""A connection to PostgreSQL on which nobody waits for ever. Imported where the database is one."""

from typing import Any, TypeVar

from psycopg import Connection, OperationalError
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus
from psycopg.rows import TupleRow

Answer = TypeVar("Answer")

# How often psycopg looks for signals, as by default.
LOOK_SECONDS = 0.1
# The server ends a request's statement before that (see POSTGRESQL_STATEMENT_SECONDS), unless it stands still: its
# system goes on to acknowledge what is sent to it, so that no time-out of TCP ends the wait.
ANSWER_SECONDS = 12.0


class ImpatientConnection(Connection[TupleRow]):
    """A connection that gives a server up which does not answer; what was asked of it may have been done."""

    def wait(self, gen: PQGen[Answer], interval: float = LOOK_SECONDS, timeout: float | None = None) -> Answer:
        """Wait for an answer. Raises OperationalError, and is closed, where none has come in time."""
        try:
            return super().wait(gen, interval, ANSWER_SECONDS if timeout is None else timeout)
        except OperationalError:
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                # The answer may still come, and must not be taken for the next statement's.
                self.pgconn.finish()
            raise


def is_pooled(connection: Connection[Any]) -> bool:
    """Tell whether a pooler such as PgBouncer stands between, and may give each transaction another server connection.

    The process id that a client is told, to cancel its statements by, is then the pooler's, and not the server's own.
    """
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    return row is None or row[0] != connection.info.backend_pid
