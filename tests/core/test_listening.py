"""Clients that take nothing of their answer."""

import errno
import socket
from pathlib import Path

import pytest

from webapp.core import listening
from webapp.core.listening import STALLED_SECONDS, drop_stalled_clients


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
