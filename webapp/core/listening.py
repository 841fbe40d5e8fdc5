"""The connections that this process takes, as far as the system looks after them for us."""

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import ExitStack
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
    with ExitStack() as stack:
        found = [stack.enter_context(each) for each in list_sockets()]
        entrances = {
            each.getsockname()[1] for each in found if each.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        }
        for each in found:
            if each.getsockname()[1] in entrances:
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, STALLED_SECONDS * 1000)


def list_sockets() -> Iterator[socket.socket]:
    """Give the TCP sockets of this process, each under a descriptor of its own."""
    for descriptor in [int(each.name) for each in _DESCRIPTORS.iterdir()]:
        try:
            copy = os.dup(descriptor)
        except OSError:
            # Others open and close theirs meanwhile.
            continue
        if not stat.S_ISSOCK(os.fstat(copy).st_mode):
            os.close(copy)
            continue
        found = socket.socket(fileno=copy)
        if found.family in {socket.AF_INET, socket.AF_INET6} and found.type == socket.SOCK_STREAM:
            yield found
        else:
            found.close()
