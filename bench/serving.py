"""Rows over HTTP: what admission adds to a request, and how the peers do."""

import json
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench.load import Client, FailedRequestsError, has_wrk, run_load
from bench.places import Place, place
from bench.processes import NotStartedError, free_port, process_cpu_seconds, running, session_cpu_seconds
from bench.report import Aim, Ratio, Report, Row, at_least, at_most, microseconds, middle, ratio_of, show
from bench.systems import KEYS, QUOTA, System, install, list_our_systems, list_peers, rate_limits, read_headers

OK, TOO_MANY = 200, 429
SETTLE_SECONDS = 0.2
WARM_UP_SECONDS = 1


@dataclass(frozen=True)
class Sample:
    """One round of one system, per request."""

    cpu_seconds: float
    valkey_seconds: float
    per_second: float
    p99_seconds: float | None


class Bench:
    """The servers that run, and what was measured of them."""

    def __init__(self, home: Place, folder: Path, stack: ExitStack) -> None:
        self.home, self.folder, self.stack = home, folder, stack
        self.servers: dict[str, tuple[int, int, list[str]]] = {}
        self.samples: dict[str, list[Sample]] = {}

    def start(self, system: System, port: int) -> None:
        """Start a server, check it and warm it up. Raises NotStartedError or FailedRequestsError."""
        folder = self.folder / system.name
        folder.mkdir()
        pid = self.stack.enter_context(
            running(system.command, port=port, environ=system.environ, folder=folder, cwd=system.cwd)
        )
        headers = read_headers(system, folder)
        *keys, limited, unknown = headers
        if system.name in {"bare Flask", "no admission"}:
            check_open(port, self.folder)
        else:
            show(f"{system.name}: {check_admission(system, port, keys[0], limited, unknown, self.folder)}")
        run_load(port, keys, seconds=WARM_UP_SECONDS, folder=self.folder)
        self.servers[system.name] = (port, pid, keys)
        self.samples[system.name] = []

    def measure(self, name: str, seconds: float) -> None:
        """Measure one server for a round."""
        port, pid, keys = self.servers[name]
        time.sleep(SETTLE_SECONDS)
        cpu, valkey = session_cpu_seconds(pid), process_cpu_seconds(self.home.valkey_pid)
        load = run_load(port, keys, seconds=seconds, folder=self.folder)
        cpu, valkey = session_cpu_seconds(pid) - cpu, process_cpu_seconds(self.home.valkey_pid) - valkey
        self.samples[name].append(
            Sample(cpu / load.requests, valkey / load.requests, load.per_second, load.p99_seconds)
        )

    def cpu(self, name: str) -> list[float]:
        """Give the CPU seconds per request of each round."""
        return [sample.cpu_seconds for sample in self.samples[name]]

    def per_second(self, name: str) -> list[float]:
        """Give the requests per second of each round."""
        return [sample.per_second for sample in self.samples[name]]

    def valkey(self, *names: str) -> str:
        """Write Valkey's CPU per request for these servers."""
        return " / ".join(
            microseconds(middle([sample.valkey_seconds for sample in self.samples[name]])) for name in names
        )


def measure_serving(report: Report, folder: Path, *, rounds: int, seconds: float) -> None:
    """Measure every server in turn, and add the rows."""
    folder.mkdir()
    with ExitStack() as stack:
        home = stack.enter_context(place(folder / "place", keys=KEYS + 1, **rate_limits()))
        bench = Bench(home, folder, stack)
        ports = [free_port() for _ in range(6)]
        ours = list_our_systems(home, ports[:3])
        # The full application first: its answer is what the others must give.
        for system, port in reversed(list(zip(ours, ports, strict=False))):
            bench.start(system, port)
        for system, port in zip(list_peers(folder, home.settings.redis_url, ports[3:]), ports[3:], strict=True):
            if problem := try_peer(bench, system, port):
                report.say(f"{system.name} is not in the table; it could not be set up: {problem}")
        for number in range(rounds):
            show(f"Serving, round {number + 1} of {rounds}")
            for name in bench.servers:
                bench.measure(name, seconds)
    add_rows(report, bench)


def try_peer(bench: Bench, system: System, port: int) -> str:
    """Install and start a peer; give one sentence if that is not to be had."""
    try:
        if not (problem := install(system)):
            bench.start(system, port)
    except (NotStartedError, FailedRequestsError, OSError) as error:
        problem = str(error)
    return problem


def check_open(port: int, folder: Path) -> None:
    """Check that a server gives our answer to anybody. Raises FailedRequestsError."""
    with Client(port) as client:
        status, body = client.get("Accept: */*")
    if status != OK or json.loads(body) != json.loads((folder / "answer.json").read_text()):
        raise FailedRequestsError(f"the answer was {status}: {body[:80]!r}")


def check_admission(system: System, port: int, known: str, limited: str, unknown: str, folder: Path) -> str:
    """Check that a server lets in whom it should, and no others, and say so. Raises FailedRequestsError."""
    answer = folder / "answer.json"
    with Client(port) as client:
        status, body = client.get(known)
        if not answer.exists():
            answer.write_bytes(body)
        if status != OK or json.loads(body) != json.loads(answer.read_bytes()):
            raise FailedRequestsError(f"the answer to a known key was {status}: {body[:80]!r}")
        refused, _ = client.get(unknown)
        if refused != system.refused_status:
            raise FailedRequestsError(f"the answer to an unknown key was {refused}")
        # A window may end on the way, and the next one be whole again.
        for admitted in range(2 * QUOTA + 1):
            status, _ = client.get(limited)
            if status == TOO_MANY and admitted >= QUOTA:
                return f"a known key is answered 200, an unknown one {refused}, and 429 after {admitted} calls"
            if status != OK:
                raise FailedRequestsError(f"the answer to call {admitted + 1} was {status}")
    raise FailedRequestsError(f"{2 * QUOTA + 1} calls in a row were not too many")


def add_rows(report: Report, bench: Bench) -> None:
    """Add what was measured."""
    bare, open_view, ours = (bench.cpu(name) for name in ("bare Flask", "no admission", "ours"))
    added = [one - other for one, other in zip(ours, open_view, strict=True)]
    report.rows += [
        cpu_row(bench, "CPU that admission adds to a request ÷ a bare Flask dispatch", added, bare, at_most(0.5)),
        cpu_row(bench, "CPU per admitted request ÷ our application without admission", ours, open_view),
        cpu_row(bench, "CPU per admitted request ÷ the same view in bare Flask", ours, bare),
    ]
    peers = [name for name in bench.servers if name not in {"bare Flask", "no admission", "ours"}]
    for name in peers:
        report.rows.append(
            Row(
                f"CPU per request of {name} ÷ ours",
                ratio_of(bench.cpu(name), ours),
                f"{microseconds(middle(bench.cpu(name)))} / {microseconds(middle(ours))}",
                bench.valkey(name, "ours"),
                at_least(1),
            )
        )
    if not has_wrk():
        report.say("wrk is not installed (Debian, Ubuntu: apt install wrk), so the rows of requests per second are left out.")
        return
    report.rows += [throughput_row(bench, name, None) for name in ("bare Flask", "no admission")]
    report.rows += [throughput_row(bench, name, at_least(6 if name == "Flask-Limiter" else 1)) for name in peers]


def cpu_row(bench: Bench, what: str, above: Sequence[float], below: Sequence[float], aim: Aim | None = None) -> Row:
    """Compare CPU per request."""
    figures = f"{microseconds(middle(above))} / {microseconds(middle(below))}"
    return Row(what, ratio_of(above, below), figures, bench.valkey("ours"), aim)


def throughput_row(bench: Bench, name: str, aim: Aim | None) -> Row:
    """Compare our requests per second with another's."""
    ours, other = bench.per_second("ours"), bench.per_second(name)
    p99 = [middle([sample.p99_seconds or 0 for sample in bench.samples[each]]) * 1000 for each in ("ours", name)]
    figures = f"{middle(ours):,.0f} / {middle(other):,.0f} per second; p99 {p99[0]:.0f} / {p99[1]:.0f} ms"
    return Row(f"Requests per second ÷ {name}", Ratio(ratio_of(ours, other).rounds), figures, aim=aim)
