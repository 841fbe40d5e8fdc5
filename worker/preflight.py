"""What must hold before anything is started, each failure told in one sentence."""

import fcntl
import os
import re
import socket
import sqlite3
import sys
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from config import ROOT, is_cluster, split_cluster_url

REVISIONS = ROOT / "webapp" / "migrations" / "versions"
CONNECT_SECONDS = 5
# How long the reaper of a killed launcher may take: both its stages.
LOCK_SECONDS = 20.0
POLL_SECONDS = 0.1


class PreflightError(Exception):
    """Something outside this program prevents the start; the message is one sentence for the operator."""


def lock_data_dir(data_dir: Path) -> int:
    """Take DATA_DIR for this instance and give the lock's file descriptor.

    The lock lasts until the last process that holds the descriptor ends. The reaper and Valkey hold it too, so that no
    second Valkey can ever write to the same append-only file.
    """
    descriptor = os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + LOCK_SECONDS
    while not _try_lock(descriptor):
        owner = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
        # A launcher that is gone has left its reaper to clean up, which takes a moment.
        if _is_running(owner) or time.monotonic() > deadline:
            os.close(descriptor)
            raise PreflightError(
                f"DATA_DIR {data_dir} is in use by another running instance (process {owner or 'unknown'});"
                " stop that one, or choose another DATA_DIR and PORT."
            )
        time.sleep(POLL_SECONDS)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_running(owner: str) -> bool:
    if not owner.isdecimal():
        return True  # it has just taken the lock, and is about to write its name
    try:
        os.kill(int(owner), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def reserve_port(host: str, port: int) -> tuple[str, socket.socket]:
    """Give the IP address to bind, and a socket that keeps other instances off it for as long as it lives.

    Raises PreflightError.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        reservation = socket.socket(family, kind, protocol)
        # As the server itself does: connections of a previous run that linger are no obstacle.
        reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reservation.bind(address)
    except socket.gaierror as error:
        raise PreflightError(f"HOST {host} is not an address of this machine.") from error
    except PermissionError as error:
        raise PreflightError(f"PORT {port} needs privileges; choose another, as in PORT=8001 make run.") from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise PreflightError(
            f"PORT {port} on {host} cannot be used ({reason}); choose another, as in PORT={port % 65535 + 1} make run."
        ) from error
    share_with_server(reservation)
    return str(address[0]), reservation


def share_with_server(reservation: socket.socket) -> None:
    """Let the server bind the reserved port too, and nobody else's reservation.

    Granian binds with SO_REUSEPORT, so that two instances started at the same moment would both succeed and share the
    requests between two databases. On Linux the flags count at the time of the other's bind: the server sets both, a
    reservation only SO_REUSEADDR. A bound socket that does not listen is given no connections. Elsewhere, where this is
    not so, the port is let go.
    """
    if sys.platform == "linux":
        reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    else:
        reservation.close()


def get_url_host(host: str) -> str:
    """Give a host as a URL on this machine names it."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # nosec B104  # read, not bound
    return f"[{host}]" if ":" in host else host


def check_redis(name: str, url: str) -> None:
    """Check that a Redis of the operator's answers, one node if it is a cluster. Raises PreflightError."""
    *some, last = split_cluster_url(url) if is_cluster(url) else [url]
    for node in some:
        with suppress(PreflightError):
            check_redis_server(name, node, is_node=True)
            return
    check_redis_server(name, last, is_node=is_cluster(url))


def check_redis_server(name: str, url: str, *, is_node: bool) -> None:
    """Check that a server answers, and that it is a node of a cluster where it should be. Raises PreflightError."""
    import redis  # noqa: PLC0415  # an eighth of a second, which the embedded Valkey does not need

    where = describe_server(url)
    try:
        with redis.Redis.from_url(
            url, socket_connect_timeout=CONNECT_SECONDS, socket_timeout=CONNECT_SECONDS
        ) as client:
            is_found_node = bool(client.info("cluster").get("cluster_enabled"))
    except (redis.RedisError, ValueError, TypeError, OSError) as error:
        reason = first_line(error)
        if "HELLO must be called" in reason:
            reason = "it wants a password, as in redis://:password@host:6379/0"
        raise PreflightError(f"{name} cannot be reached at {where}: {reason}.") from error
    if is_found_node != is_node:
        found, right = ("a node of a cluster", "redis+cluster://") if is_found_node else ("no cluster", "redis://")
        raise PreflightError(f"{name}: {where} is {found}; write {right} before its address.")


def needs_migration(database_url: str) -> bool:
    """Tell whether the database is behind the newest migration. Raises PreflightError when it cannot be reached.

    Asking Alembic costs a second: it loads the whole application. This reads what Alembic reads, and anything unusual
    (two heads, an unknown revision) counts as behind, so that Alembic explains it.
    """
    get_revision = get_sqlite_revision if database_url.startswith("sqlite:") else get_postgresql_revision
    return get_revision(database_url) != get_newest_revision()


def get_newest_revision(folder: Path = REVISIONS) -> str | None:
    """Give the one migration that no other builds on; None when there is none, or more than one."""
    revisions: set[str] = set()
    replaced: set[str] = set()
    for path in folder.glob("*.py"):
        text = path.read_text()
        revisions.update(re.findall(r"^revision(?:\s*:[^=]+)?\s*=\s*['\"]([^'\"]+)", text, re.MULTILINE))
        for value in re.findall(r"^down_revision(?:\s*:[^=]+)?\s*=\s*(.*)$", text, re.MULTILINE):
            replaced.update(re.findall(r"['\"]([^'\"]+)", value))
    heads = revisions - replaced
    return heads.pop() if len(heads) == 1 else None


def get_sqlite_revision(database_url: str) -> str | None:
    """Give the revision of a SQLite file; None when it is new."""
    path = Path(database_url.removeprefix("sqlite:///").partition("?")[0])
    if not database_url.startswith("sqlite:///") or path.name in {"", ":memory:"}:
        raise PreflightError("DATABASE_URL must name a SQLite file, as web and worker cannot share one in memory.")
    try:
        connection = sqlite3.connect(path, timeout=CONNECT_SECONDS)
        try:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        finally:
            connection.close()
    except sqlite3.Error as error:
        if "no such table" in str(error):
            return None
        raise PreflightError(f"DATABASE_URL cannot be opened at {path}: {first_line(error)}.") from error
    return str(row[0]) if row else None


def get_postgresql_revision(database_url: str) -> str | None:
    """Give the revision of a PostgreSQL database; None when it is new."""
    import psycopg  # noqa: PLC0415  # an eighth of a second, which the embedded SQLite does not need

    url = database_url.replace("postgresql+psycopg://", "postgresql://", 1)
    try:
        with psycopg.connect(url, connect_timeout=CONNECT_SECONDS) as connection:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except psycopg.errors.UndefinedTable:
        return None
    except psycopg.Error as error:
        where = describe_server(url)
        raise PreflightError(f"DATABASE_URL cannot be reached at {where}: {first_line(error)}.") from error
    return str(row[0]) if row else None


def describe_server(url: str) -> str:
    """Give the part of a URL that may be shown: never its password."""
    parts = urlsplit(url)
    return f"{parts.netloc.rpartition('@')[2]}{parts.path}" or "an address that cannot be read"


def first_line(error: Exception) -> str:
    """Give the first line of an error's message, without the full stop."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
