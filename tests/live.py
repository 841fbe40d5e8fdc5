"""Our programs as real processes, for tests that kill them or look at them from outside."""

import json
import os
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config import Settings
from tests.forks import Process
from worker.reaper import kill_session, list_session

DEADLINE_SECONDS = 30.0


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: Any


def environment(settings: Settings, **more: str) -> dict[str, str]:
    """Give the variables that make a process of ours work on these stores."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {
        **inherited,
        "DATA_DIR": str(settings.data_dir),
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "QUEUE_REDIS_URL": settings.queue_redis_url,
        "SECRET_KEY": settings.secret_key,
        **more,
    }


def run_command(settings: Settings, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run one of the operator's commands in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        output, errors = Path(folder, "output"), Path(folder, "errors")
        command = ("--app", "wsgi", *arguments)
        process = Process("flask", command, environ=environment(settings, **environ), output=output, errors=errors)
        try:
            status = process.wait(DEADLINE_SECONDS)
        finally:
            kill_session(process.pid)
        return subprocess.CompletedProcess(command, status, output.read_text(), errors.read_text())


@contextmanager
def worker_process(settings: Settings, role: str, **environ: str) -> Iterator[None]:
    """Run a worker (`work`) or a clock (`clock`), killed at the end."""
    process = Process("worker", [role], environ=environment(settings, **environ))
    try:
        yield
        assert process.poll() is None, f"the {role} process has died"
    finally:
        kill_session(process.pid)
        process.wait()


@dataclass(frozen=True)
class WebServer:
    """A running web server: the address of its API, and the session of its processes."""

    api: str
    session: int

    def read_memory(self, name: str) -> int:
        """Sum a figure of its processes' memory, in bytes: VmRSS is what they have now, VmHWM the most they had."""
        return sum(read_memory(pid, name) for pid in list_session(self.session))


@contextmanager
def web_process(settings: Settings, *, log: Path | None = None, **environ: str) -> Iterator[str]:
    """Run the web process, killed at the end, and give the address of its API; what it says goes to `log`."""
    with web_server(settings, log=log, **environ) as server:
        yield server.api


@contextmanager
def web_server(settings: Settings, *, log: Path | None = None, **environ: str) -> Iterator[WebServer]:
    """Run the web process as `web_process` does, and give the server."""
    port = free_port()
    arguments = ["--interface", "wsgi", "--port", str(port), "--blocking-threads", "16", "wsgi:app"]
    process = Process("granian", arguments, environ=environment(settings, **environ), output=log)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: answers(address))
        yield WebServer(f"{address}/api/quantum/v1", process.pid)
    finally:
        kill_session(process.pid)
        process.wait()


class WorkerProcess:
    """A worker of jobs, with the odd engine unless it is the real one, in a session of its own."""

    def __init__(self, settings: Settings, module: str, **environ: str) -> None:
        self.log = settings.data_dir / "worker.log"
        self.process = Process(module, ["jobs"], environ=environment(settings, **environ), output=self.log)

    def list_engines(self) -> list[int]:
        """List the live processes that the worker has started."""
        return [pid for pid in list_session(self.process.pid) if pid != self.process.pid]

    def kill_engine(self) -> None:
        """Kill the process that runs the engine."""
        for pid in self.list_engines():
            os.kill(pid, signal.SIGKILL)

    def kill_parent(self) -> None:
        """Kill the worker, and not its engine."""
        self.process.kill()
        self.process.wait()

    def kill_all(self) -> None:
        """Kill the worker and all that it has started."""
        kill_session(self.process.pid)
        self.process.wait()


@contextmanager
def job_worker(settings: Settings, *, module: str = "tests.jobs.odd_worker", **environ: str) -> Iterator[WorkerProcess]:
    """Run a worker of jobs, killed at the end."""
    worker = WorkerProcess(settings, module, **environ)
    try:
        yield worker
    finally:
        worker.kill_all()


def read_memory(pid: int, name: str) -> int:
    """Read a figure of a process's memory, in bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def is_stopped(pid: int) -> bool:
    """Tell whether a process stands still at a point where it is to stop."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def answers(address: str) -> bool:
    """Tell whether the server is up."""
    try:
        return call("GET", f"{address}/healthz").status == 200
    except OSError:
        return False


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for a condition that must come true."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def call(
    method: str, url: str, *, raw_key: str = "", body: object = None, prefer: str = "", idempotency_key: str = ""
) -> Answer:
    """Call the API over HTTP. Raises OSError when the server dies meanwhile."""
    headers = {"Authorization": f"Bearer {raw_key}"} if raw_key else {}
    if prefer:
        headers["Prefer"] = prefer
    if idempotency_key:
        headers["Idempotency-Key"] = idempotency_key
    data = None
    if body is not None:
        data = json.dumps(body).encode()
        headers["Content-Type"] = "application/json"
    request = urllib.request.Request(url, data=data, headers=headers, method=method)  # noqa: S310 - loopback only
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE_SECONDS) as response:  # noqa: S310 - loopback only
            return Answer(response.status, dict(response.headers), json.loads(response.read()))
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, dict(error.headers), json.loads(error.read()))
