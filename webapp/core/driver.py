"""A writing transaction on the driver's own connection, for the few rows that every job inserts."""

from collections.abc import Sequence
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
        self._error = engine.dialect.loaded_dbapi.Error
        try:
            self._pooled = engine.raw_connection()
        except self._error as error:
            raise self._wrap(error) from error
        try:
            self._cursor = self._pooled.cursor()
            # Other drivers begin by themselves.
            if self.dialect.name == "sqlite":
                self.exec_driver_sql(BEGIN_TO_WRITE, [()])
        except BaseException:
            self._pooled.close()
            raise

    def exec_driver_sql(self, statement: str, parameters: Parameters) -> None:
        """Run a statement as the driver takes it, once for each of these parameters. Raises SQLAlchemy's errors."""
        try:
            if len(parameters) == 1:
                self._cursor.execute(statement, parameters[0])
            else:
                self._cursor.executemany(statement, parameters)
        except self._error as error:
            raise self._wrap(error) from error

    def commit(self) -> None:
        """Commit. Raises SQLAlchemy's errors."""
        try:
            self._pooled.commit()
        except self._error as error:
            raise self._wrap(error) from error

    def _wrap(self, error: Exception) -> BaseException:
        """Give SQLAlchemy's error for the driver's; what a statement was run with stays out of it."""
        return DBAPIError.instance(None, None, error, self._error, dialect=self.dialect)

    def rollback(self) -> None:
        """Undo what was not committed; a connection that cannot is given up."""
        try:
            self._pooled.rollback()
        except self._error:
            self._pooled.invalidate()

    def __enter__(self) -> Self:
        """Be closed in the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Give the connection back to the pool, which rolls back what is left."""
        self._pooled.close()
