"""Processes that the benchmark starts, and the CPU time that they take."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from redis import Redis

from config import ROOT
from worker.reaper import kill_session, list_session

START_SECONDS = 60.0
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class NotStartedError(Exception):
    """A server did not come up; the message is the end of what it said."""


@contextmanager
def running(
    command: Sequence[str], *, port: int | None, environ: Mapping[str, str], folder: Path, cwd: Path = ROOT
) -> Iterator[int]:
    """Run a server, or with no port a worker, in a session of its own; give its process id. Raises NotStartedError."""
    log = folder / "log"
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=cwd, env={**inherited, **environ}, stdout=output, stderr=output, start_new_session=True
        )
    try:
        if port is not None:
            wait_for_port(process, port, log)
        yield process.pid
    finally:
        kill_session(process.pid)
        process.wait()


def wait_for_port(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Return when somebody listens."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None or time.monotonic() > deadline:
            raise NotStartedError(" ".join(log.read_text(errors="replace").split())[-300:])
        time.sleep(0.05)


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def session_cpu_seconds(session: int) -> float:
    """Add up the user and system time of a session's processes, with all their threads."""
    return sum(map(process_cpu_seconds, list_session(session)))


def process_cpu_seconds(pid: int) -> float:
    """Give the user and system time of a process, from proc(5): the 14th and 15th fields, in ticks."""
    stat = Path(f"/proc/{pid}/stat").read_bytes()
    fields = stat[stat.rindex(b")") + 2 :].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


def session_switches(session: int) -> int:
    """Add up the context switches of a session's live threads, from proc(5)."""
    lines = [
        line
        for pid in list_session(session)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for line in (task / "status").read_text().splitlines()
    ]
    return sum(int(line.split()[1]) for line in lines if "ctxt_switches" in line)


@contextmanager
def on_one_cpu(*pids: int) -> Iterator[None]:
    """Keep processes on one processor together: waking the other one costs more, and never the same."""
    before = {pid: os.sched_getaffinity(pid) for pid in pids}
    for pid in pids:
        os.sched_setaffinity(pid, {min(before[pid])})
    yield
    for pid in pids:
        os.sched_setaffinity(pid, before[pid])


def valkey_process(url: str) -> int:
    """Give the process id of the Valkey at this address."""
    with Redis.from_url(url) as client:
        pid: int = client.info("server")["process_id"]
    return pid
