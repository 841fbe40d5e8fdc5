"""How the stores are: whether they answer, how quickly, and which versions they are."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import text

from webapp.core.db import AWAY, db
from webapp.core.errors import StoreAwayError
from webapp.core.redis import asking_redis, store


@dataclass(frozen=True)
class StoreHealth:
    """One store. `milliseconds` are those of one round trip, and None where it does not answer."""

    name: str
    version: str
    milliseconds: float | None


def check_stores() -> list[StoreHealth]:
    """Ask each store for its version, and then for nothing, which is what is timed."""
    dialect = db.engine.dialect.name
    return [
        check(dialect.replace("postgresql", "PostgreSQL").replace("sqlite", "SQLite"), read_sql_version, ask_sql),
        check("Redis", read_redis_version, ask_redis),
    ]


def check(name: str, read_version: Callable[[], str], ask: Callable[[], None]) -> StoreHealth:
    """Ask one store."""
    try:
        version = read_version()
        start = time.perf_counter()
        ask()
    except (*AWAY, StoreAwayError):
        return StoreHealth(name, "", None)
    return StoreHealth(name, version, (time.perf_counter() - start) * 1000)


def read_sql_version() -> str:
    """Give the version of the database's server or library."""
    found = db.session.connection().dialect.server_version_info or ()
    return ".".join(map(str, found))


def ask_sql() -> None:
    """Ask the database for nothing."""
    db.session.execute(text("SELECT 1"))


def read_redis_version() -> str:
    """Give the version of the servers, by one of them: Valkey tells its own beside the one that it stands for."""
    with asking_redis():
        store.servers.ping()
        info = next((server.client.info("server") for server in store.servers.list_known()), {})
    return f"Valkey {info['valkey_version']}" if "valkey_version" in info else str(info.get("redis_version", ""))


def ask_redis() -> None:
    """Ask Redis for nothing."""
    with asking_redis():
        store.servers.ping()


def read_schema_revision() -> str:
    """Give the newest migration that the database has."""
    return str(db.session.execute(text("SELECT version_num FROM alembic_version")).scalar_one())


def list_redis_risks() -> list[str]:
    """Say what in the servers' settings would lose what only Redis has. Raises StoreAwayError."""
    risks = []
    with asking_redis():
        store.servers.ping()
        for server in store.servers.list_known():
            memory, persistence = server.client.info("memory"), server.client.info("persistence")
            policy = memory.get("maxmemory_policy", "noeviction")
            if policy != "noeviction":
                risks.append(f"when memory is short it forgets balances and usage: maxmemory-policy is {policy}")
            if not persistence.get("aof_enabled", 1):
                risks.append("a restart loses the usage that waits to be flushed: appendonly is off")
    return risks
