"""The database: base class, column types, and the one place that commits."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Any, Final, TypeVar, cast

import sqlalchemy as sa
from flask_sqlalchemy import SQLAlchemy
from flask_sqlalchemy.session import Session as FlaskSession
from sqlalchemy import event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import DeclarativeBase, Session, configure_mappers
from sqlalchemy.pool import ConnectionPoolEntry

from webapp.core.driver import BEGIN_TO_WRITE, DriverConnection
from webapp.core.errors import StoreAwayError

# A writer waits this long for another one before SQLite gives up.
SQLITE_BUSY_SECONDS = 20
POSTGRESQL_CONNECT_SECONDS = 5
# A statement waits this long for the lock of another one before it is answered 503.
POSTGRESQL_LOCK_SECONDS = 5
# A request's statement may run this long. Tasks and commands may take their time.
POSTGRESQL_STATEMENT_SECONDS = 10
# A host that is gone without a goodbye is given up after this long.
POSTGRESQL_SILENT_SECONDS = 10

# A connection for each of the web process's threads (see Procfile), kept open for the usual few.
# What a statement was run with stays out of logs: it may be an address or a password's hash. The connection that was
# used last is used next: SQLite drops what a connection has read of the file once another one has written, and reading
# it anew is a sixth of the CPU of a job.
POOL: dict[str, Any] = {
    "pool_size": 8,
    "max_overflow": 24,
    "pool_timeout": 5,
    "pool_use_lifo": True,
    "hide_parameters": True,
}

# Errors that say that the database is not there for us now: it failed, or all our connections to it stayed in use.
AWAY = (sa.exc.OperationalError, sa.exc.TimeoutError)

# SQLite has one writer. Those of this process stand in line for it here: SQLite's own wait asks again now and then, and
# who asks at the right moment comes first. Of 16 threads that did so, some waited for 2 s, and now for 0.2.
WRITERS = threading.Lock()

# What writes a value as the driver takes it.
Writer = Callable[[Any], Any]

# What tells that a connection will write.
WRITES: Final[dict[str, Any]] = {"upcube_writes": True}

Begun = TypeVar("Begun", Session, DriverConnection)
AnyConnection = Connection | DriverConnection
Row = TypeVar("Row", bound="Base")


class Writing(threading.local):
    """What each thread knows of its own writing."""

    # Whether it is in a transaction.
    is_under_way = False


WRITING = Writing()


class CommitLostError(StoreAwayError):
    """The database went away during a commit: what was written may stand, or not. Any other failure undoes it."""


class Base(DeclarativeBase):
    """The base of every model; constraint names follow one pattern so that migrations can name them."""

    metadata = sa.MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class ForgivingSession(FlaskSession):
    """A session that ends without an error where its connection was lost: what it wrote is committed, or lost, by then.

    A request ends its session when it has been answered. An error there would take the place of the answer, and leave
    the session to whichever later request happened to get the same id.
    """

    def close(self) -> None:
        """Give the connection back, or give it up."""
        try:
            super().close()
        except DBAPIError:
            self.invalidate()


# expire_on_commit is off: a view may render what an operation returned without reading it again.
db = SQLAlchemy(model_class=Base, session_options={"class_": ForgivingSession, "expire_on_commit": False})


# How a row is locked that others refer to, such as a user or an organisation: its writers wait for one another, and
# whoever adds a row that refers to it does not wait (PostgreSQL: FOR NO KEY UPDATE). With a plain FOR UPDATE they
# would, and we may be waiting for them. Where one transaction locks several: users, then organisations by their ids,
# then keys by theirs, then usage, then balances.
ROW_LOCK: Final[dict[str, Any]] = {"key_share": True}


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """A moment in UTC, stored without a zone because SQLite has none; a naive value is refused."""

    impl = sa.DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Store the moment as naive UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment needs a time zone")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Give the moment back with its zone."""
        return None if value is None else value.replace(tzinfo=UTC)


def engine_options(url: str) -> dict[str, Any]:
    """Give the engine options for this database: short waits for a server, a long one for SQLite's single writer."""
    if url.startswith("sqlite"):
        return POOL | {"connect_args": {"timeout": SQLITE_BUSY_SECONDS}}
    connect_args = {
        "connect_timeout": POSTGRESQL_CONNECT_SECONDS,
        "keepalives_idle": POSTGRESQL_SILENT_SECONDS // 2,
        "keepalives_interval": 1,
        "keepalives_count": POSTGRESQL_SILENT_SECONDS // 2,
        "tcp_user_timeout": POSTGRESQL_SILENT_SECONDS * 1000,
    }
    return POOL | {"connect_args": connect_args, "pool_pre_ping": True}


def limit_waits(engine: sa.Engine, *, is_request: Callable[[], bool]) -> None:
    """Let PostgreSQL end what takes too long: any wait for a lock, and any statement on connections made by requests.

    A server that stands still ends nothing: those connections give it up by themselves. SQLite needs no such thing:
    nothing there waits longer than SQLITE_BUSY_SECONDS.
    """
    if engine.dialect.name != "postgresql":
        return
    # Not needed with SQLite, and large.
    from webapp.core.postgresql import ImpatientConnection, is_pooled  # noqa: PLC0415 - see above

    def connect(_: Dialect, _entry: ConnectionPoolEntry, arguments: list[str], named: dict[str, Any]) -> object:
        # None leaves it to SQLAlchemy.
        return ImpatientConnection.connect(*arguments, **named) if is_request() else None

    def set_limits(connection: Any, _entry: ConnectionPoolEntry) -> None:  # noqa: ANN401 - psycopg's connection
        limits = f"SET lock_timeout = {int(POSTGRESQL_LOCK_SECONDS * 1000)}"
        # Not among the parameters of the start, which poolers such as PgBouncer refuse.
        connection.autocommit = True
        if is_pooled(connection):
            # What is prepared or set here may stay with a server's connection that others get, tasks among them.
            connection.prepare_threshold = None
        elif is_request():
            limits += f"; SET statement_timeout = {int(POSTGRESQL_STATEMENT_SECONDS * 1000)}"
        connection.execute(limits)
        connection.autocommit = False

    event.listen(engine, "do_connect", connect)
    event.listen(engine, "connect", set_limits)


@event.listens_for(sa.Engine, "connect")
def prepare_sqlite(connection: Any, _entry: ConnectionPoolEntry) -> None:  # noqa: ANN401 - a DB-API connection of any driver
    """Make SQLite safe to share between processes: write-ahead log, foreign keys, and transactions that we begin."""
    if not type(connection).__module__.startswith("sqlite3"):
        return
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    # Every commit reaches the disk: Redis drops what SQL has taken over, so SQL must not lose it to a power cut.
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    # In KiB for each of the 20 connections: rows with large programs had each keep the usual 2 MB.
    cursor.execute("PRAGMA cache_size = -512")
    cursor.close()


@event.listens_for(sa.Engine, "begin")
def begin_sqlite(connection: Connection) -> None:
    """Begin SQLite's transactions ourselves."""
    if connection.dialect.name == "sqlite":
        writes = connection.get_execution_options().get("upcube_writes", False)
        connection.exec_driver_sql(BEGIN_TO_WRITE if writes else "BEGIN")


@contextmanager
def transaction() -> Iterator[Session]:
    """Run one writing transaction and commit it.

    What was read before it began is forgotten, so that decisions inside rest on what the write lock protects. Raises
    StoreAwayError when the database does not answer or its lock is not to be had: nothing was written then, unless it
    is a CommitLostError.
    """
    session = db.session()
    check_unwritten(session)
    session.rollback()
    # A rollback forgets only what was read in the transaction that it ends, and there may have been none.
    session.expire_all()

    @contextmanager
    def begin() -> Iterator[Session]:
        session.connection(execution_options=WRITES)
        yield session

    with committing(begin, session.get_bind().dialect):
        yield session


@contextmanager
def bare_transaction() -> Iterator[DriverConnection]:
    """Run one writing transaction as `transaction` does, on the driver's own connection: half as long, if it is short.

    For rows that are only inserted. Raises what `transaction` does.
    """
    session = db.session() if db.session.registry.has() else None
    check_unwritten(session)
    if session is not None:
        # Its connection is given back before another is taken: there are as many as threads.
        session.rollback()
    engine = db.engine
    with committing(lambda: DriverConnection(engine), engine.dialect) as connection:
        yield connection


def check_unwritten(session: Session | None) -> None:
    """Refuse to begin what would undo other writing of this thread, or wait for it, and to forget what was to come."""
    if WRITING.is_under_way:
        raise RuntimeError("one transaction inside another would roll the outer one back, or wait for it for ever")
    if session and (session.new or session.dirty or session.deleted):
        raise RuntimeError("write inside transaction(), not before it")


@contextmanager
def committing(begin: Callable[[], AbstractContextManager[Begun]], dialect: Dialect) -> Iterator[Begun]:
    """Begin a transaction in the turn of its writer, and commit it: the only place that commits."""
    error_class = StoreAwayError
    WRITING.is_under_way = True
    try:
        with turn_to_write(dialect), begin() as begun:
            try:
                yield begun
                error_class = CommitLostError
                begun.commit()
            except BaseException:
                begun.rollback()
                raise
    except AWAY as error:
        raise error_class("The database does not answer; try again shortly.") from error
    finally:
        WRITING.is_under_way = False


@contextmanager
def turn_to_write(dialect: Dialect) -> Iterator[None]:
    """Wait for the other writers of this process where the database has only one. Raises StoreAwayError."""
    if dialect.name != "sqlite":
        yield
        return
    if not WRITERS.acquire(timeout=SQLITE_BUSY_SECONDS):
        raise StoreAwayError("The database is busy; try again shortly.")
    try:
        yield
    finally:
        WRITERS.release()


def is_violation_of(error: DBAPIError, name: str) -> bool:
    """Tell whether the database refused because of this constraint, trigger or column, by its name."""
    return name in str(error.orig)


def insert_rows(connection: AnyConnection, model: type[Base], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows of one model now, each given by its attributes. What is not given becomes NULL, whatever its default.

    Raises TypeError for an attribute that the model does not have.

    Every job adds the same few rows, so their statements are compiled once and given to the driver as they stand:
    `session.add` and a flush take eight times the CPU, and SQLAlchemy's own insert three times.
    """
    insert = compile_insert(model, connection.dialect)
    connection.exec_driver_sql(insert.statement, [insert.write(row) for row in rows])


@dataclass(frozen=True)
class Insert:
    """The statement that inserts a row, and how a row is written for it."""

    statement: str
    # Of each column, in their order.
    names: Sequence[str]
    attributes: Sequence[str]
    # These, and what SQLAlchemy keeps in the attributes of a row.
    known: frozenset[str]
    # By the place of the column: what writes its values as the driver takes them.
    writers: Sequence[tuple[int, Writer]]
    is_positional: bool

    def write(self, row: Mapping[str, Any]) -> Any:  # noqa: ANN401 - a tuple or a dictionary, as the driver has it
        """Give the parameters of a row."""
        if not row.keys() <= self.known:
            raise TypeError(f"there is no {', '.join(sorted(row.keys() - self.known))} in {self.statement}")
        values = [row.get(attribute) for attribute in self.attributes]
        for place, write in self.writers:
            if values[place] is not None:
                values[place] = write(values[place])
        return tuple(values) if self.is_positional else dict(zip(self.names, values, strict=True))


@lru_cache(maxsize=64)
def compile_insert(model: type[Base], dialect: Dialect) -> Insert:
    """Write the statement that inserts a row of this model."""
    columns = sa.inspect(model).columns
    names = [column.name for column in columns]
    found = [column.type.dialect_impl(dialect).bind_processor(dialect) for column in columns]
    statement = sa.insert(cast("sa.Table", model.__table__)).compile(dialect=dialect, column_keys=names)
    return Insert(
        str(statement),
        names,
        columns.keys(),
        frozenset({*columns.keys(), "_sa_instance_state"}),
        [(place, write) for place, write in enumerate(found) if write],
        is_positional=dialect.positional,
    )


def new_row(model: type[Row], **values: Any) -> Row:  # noqa: ANN401 - as different as the columns are
    """Make a row that no session keeps, as SQLAlchemy makes one that it reads: without a history of what was set.

    It takes a tenth of the time that the constructor does. What is not given is None.
    """
    blank = blank_row(model)
    columns = {**blank, **values}
    if len(columns) != len(blank):
        raise TypeError(f"{model.__name__} has no {', '.join(columns.keys() - blank.keys())}")
    row = cast("Row", sa.inspect(model).class_manager.new_instance())
    vars(row).update(columns)
    return row


@cache
def blank_row(model: type[Base]) -> Mapping[str, None]:
    """Give a row of which nothing is known, and have its class prepared as the constructor would."""
    configure_mappers()
    return dict.fromkeys(sa.inspect(model).columns.keys())


def insert_for(dialect_name: str) -> Any:  # noqa: ANN401 - the two dialects' insert() share no type
    """Give the insert() that knows ON CONFLICT on this kind of database."""
    return postgresql.insert if dialect_name == "postgresql" else sqlite.insert
