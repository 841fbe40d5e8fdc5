"""Clients that take nothing of their answer."""

import errno
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from webapp.core import listening
from webapp.core.listening import STALLED_SECONDS, drop_stalled_clients

# What another process does.
WRITE = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('BEGIN IMMEDIATE')"


def read_timeout(connection: socket.socket) -> int:
    """Read after how many milliseconds without progress the system closes it."""
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)


def count_descriptors() -> int:
    """Count what this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def test_connections_to_us_are_looked_after_and_ours_to_others_left_alone() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as entrance,
        socket.create_connection(entrance.getsockname()) as client,
        entrance.accept()[0] as taken,
    ):
        before = count_descriptors()
        drop_stalled_clients()
        assert count_descriptors() == before
        with socket.create_connection(entrance.getsockname()), entrance.accept()[0] as later:
            assert [read_timeout(each) for each in (taken, later)] == [STALLED_SECONDS * 1000] * 2
        assert read_timeout(client) == 0


def test_the_locks_that_this_process_has_on_files_stay(tmp_path: Path) -> None:
    # Any descriptor of a file that is closed takes all of them away.
    path = tmp_path / "locked.sqlite3"
    with sqlite3.connect(path, isolation_level=None) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("BEGIN IMMEDIATE")
        drop_stalled_clients()
        wrote = subprocess.run([sys.executable, "-c", WRITE, path], capture_output=True, text=True, check=False)
        connection.execute("ROLLBACK")
    assert "database is locked" in wrote.stderr


def test_a_client_that_stalls_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "STALLED_SECONDS", 1)
    with (
        socket.create_server(("127.0.0.1", 0)) as entrance,
        socket.create_connection(entrance.getsockname()),
        entrance.accept()[0] as taken,
    ):
        drop_stalled_clients()
        taken.settimeout(60)
        # More than the system keeps for a client that reads nothing.
        with pytest.raises(OSError, match="timed out") as raised:
            taken.sendall(bytes(64 * 1024 * 1024))
        assert raised.value.errno == errno.ETIMEDOUT
