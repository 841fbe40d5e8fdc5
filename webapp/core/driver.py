"""A writing transaction on the driver's own connection, for the few rows that every job inserts."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

# Of several runs of one statement: a tuple or a dictionary of each, as the driver has it.
Parameters = Sequence[tuple[Any, ...]] | Sequence[dict[str, Any]]

# A transaction that will write takes SQLite's write lock at once: one that reads first and then writes fails without
# waiting when another has written in between.
BEGIN_TO_WRITE = "BEGIN IMMEDIATE"


class DriverConnection:
    """A connection from the engine's pool in a transaction that writes, to be committed or else rolled back.

    To a connection, a transaction and four statements SQLAlchemy adds as much time as SQLite takes for them. It does
    what SQLAlchemy's does as far as it goes, and raises the same errors.
    """

    def __init__(self, engine: sa.Engine) -> None:
        """Begin. Raises SQLAlchemy's errors."""
        self.dialect = engine.dialect
        with self._raising():
            self._pooled = engine.raw_connection()
        self._cursor = self._pooled.cursor()
        # Other drivers begin by themselves.
        if self.dialect.name == "sqlite":
            try:
                self.exec_driver_sql(BEGIN_TO_WRITE, [()])
            except DBAPIError:
                self._pooled.close()
                raise

    @contextmanager
    def _raising(self) -> Iterator[None]:
        """Raise SQLAlchemy's error in place of the driver's; what a statement was run with stays out of it."""
        driver_error = self.dialect.loaded_dbapi.Error
        try:
            yield
        except driver_error as error:
            raise DBAPIError.instance(
                None, None, error, driver_error, hide_parameters=True, dialect=self.dialect
            ) from error

    def exec_driver_sql(self, statement: str, parameters: Parameters) -> None:
        """Run a statement as the driver takes it, once for each of these parameters. Raises SQLAlchemy's errors."""
        with self._raising():
            if len(parameters) == 1:
                self._cursor.execute(statement, parameters[0])
            else:
                self._cursor.executemany(statement, parameters)

    def commit(self) -> None:
        """Commit. Raises SQLAlchemy's errors."""
        with self._raising():
            self._pooled.commit()

    def rollback(self) -> None:
        """Undo what was not committed; a connection that cannot is given up."""
        try:
            self._pooled.rollback()
        except self.dialect.loaded_dbapi.Error:
            self._pooled.invalidate()

    def __enter__(self) -> Self:
        """Be closed in the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Give the connection back to the pool, which rolls back what is left."""
        self._pooled.close()
