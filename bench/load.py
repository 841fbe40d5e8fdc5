"""Requests on connections that stay open: wrk, or a client of our own where it is not installed."""

import http.client
import shutil
import subprocess
import threading
import time
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Self

SCRIPT = Path(__file__).with_name("load.lua")
CONNECTIONS = 16
CLIENT_THREADS = 4


@dataclass(frozen=True)
class Call:
    """What is asked for, beside the key: with a body it is a POST of JSON."""

    path: str
    body: str = ""


READ_TEMPLATE = Call("/api/quantum/v1/templates/bell-state")


@dataclass(frozen=True)
class Load:
    """What a stretch of requests came to. The percentiles are None where the client is too slow to tell."""

    requests: int
    seconds: float
    p50_seconds: float | None = None
    p99_seconds: float | None = None

    @property
    def per_second(self) -> float:
        """The throughput."""
        return self.requests / self.seconds


class FailedRequestsError(Exception):
    """Some requests were refused: what was measured is not what was asked for."""


def has_wrk() -> bool:
    """Tell whether wrk is installed."""
    return shutil.which("wrk") is not None


def run_load(
    port: int,
    headers: list[str],
    *,
    seconds: float,
    folder: Path,
    call: Call = READ_TEMPLATE,
    connections: int = CONNECTIONS,
) -> Load:
    """Send requests for so long, each with the next of these headers. Raises FailedRequestsError."""
    if not has_wrk():
        return run_own_client(port, headers, seconds=seconds, call=call, threads=min(connections, CLIENT_THREADS))
    keys = folder / "headers.txt"
    keys.write_text("\n".join(headers))
    command = ["wrk", "--threads", "1", "--connections", str(connections), "--duration", f"{seconds:.0f}s"]
    # SQLite lets a writer wait: longer than the 2 s after which wrk gives up by itself.
    command += ["--timeout", "30s"]
    command += ["--script", str(SCRIPT), f"http://127.0.0.1:{port}{call.path}", "--", str(keys), call.body]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    line = next(line for line in printed.splitlines() if line.startswith("result "))
    requests, duration_us, failed, p50_us, p99_us = map(int, line.split()[1:])
    if failed:
        raise FailedRequestsError(f"{failed} of {requests} requests failed")
    return Load(requests, duration_us / 1e6, p50_us / 1e6, p99_us / 1e6)


def run_own_client(port: int, headers: list[str], *, seconds: float, call: Call, threads: int) -> Load:
    """Do the same with threads of this program: slower than the servers, so good for their CPU alone."""
    deadline = time.monotonic() + seconds
    counts, failed = [0] * threads, [0] * threads

    def send(number: int) -> None:
        with Client(port) as client:
            for header in cycle(headers[number::threads]):
                if time.monotonic() > deadline:
                    return
                counts[number] += 1
                failed[number] += client.send(header, call)[0] >= http.client.BAD_REQUEST

    running = [threading.Thread(target=send, args=(number,)) for number in range(threads)]
    start = time.monotonic()
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    if any(failed):
        raise FailedRequestsError(f"{sum(failed)} of {sum(counts)} requests failed")
    return Load(sum(counts), time.monotonic() - start)


class Client:
    """One open connection."""

    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def send(self, header: str, call: Call = READ_TEMPLATE) -> tuple[int, bytes]:
        """Send one request with this header and give the status and the body."""
        name, _, value = header.partition(": ")
        headers = {name: value} | ({"Content-Type": "application/json"} if call.body else {})
        self.connection.request("POST" if call.body else "GET", call.path, call.body or None, headers)
        answer = self.connection.getresponse()
        return answer.status, answer.read()
