"""The connections that this process takes, as far as the system looks after them for us."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# A client that takes nothing of its answer for so long has gone, or means us ill: a thread waits for it.
STALLED_SECONDS = 60

_DESCRIPTORS = Path("/proc/self/fd")


def drop_stalled_clients() -> None:
    """Have the system close connections to us on which nothing is taken for too long; where it cannot, they stay.

    The server writes to them without a limit of its own. Linux counts a window that stays closed (tcp(7),
    TCP_USER_TIMEOUT), and connections to come inherit this from the socket that listens. The server opens that after
    it has loaded us: so this is called when there is something large to send, and again does no harm.
    """
    if not hasattr(socket, "TCP_USER_TIMEOUT") or not _DESCRIPTORS.is_dir():
        return
    with borrow_sockets() as found:
        entrances = set()
        for each in found:
            with suppress(OSError):
                if each.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                    entrances.add(each.getsockname()[1])
        for each in found:
            # Their owners close them meanwhile.
            with suppress(OSError):
                if each.getsockname()[1] in entrances:
                    each.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, STALLED_SECONDS * 1000)


@contextmanager
def borrow_sockets() -> Iterator[list[socket.socket]]:
    """Give the TCP sockets of this process, under their owners' own descriptors.

    No descriptor is duplicated to be looked at, and none closed: what looks like a socket may be a file by then, and
    closing any descriptor of a file takes away all the locks that the process has on it (fcntl(2)). Of SQLite's file,
    that let others write in the middle of our transactions, and the database was destroyed.
    """
    borrowed = []
    try:
        for descriptor in _DESCRIPTORS.iterdir():
            # What is no socket, or is closed by now, makes none.
            with suppress(OSError):
                borrowed.append(socket.socket(fileno=int(descriptor.name)))
        yield [
            each
            for each in borrowed
            if each.family in {socket.AF_INET, socket.AF_INET6} and each.type == socket.SOCK_STREAM
        ]
    finally:
        for each in borrowed:
            each.detach()
