"""Rows over HTTP: what admission adds to a request, and how the peers do."""

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench.load import Client, FailedRequestsError, has_wrk, run_load
from bench.places import Place, place
from bench.processes import (
    NotStartedError,
    free_port,
    process_cpu_seconds,
    running,
    session_cpu_seconds,
    session_switches,
)
from bench.report import Aim, Report, Row, at_least, at_most, microseconds, middle, ratio_of, show
from bench.systems import KEYS, QUOTA, THREADS, System, list_our_systems, list_peers, rate_limits, read_headers

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
    switches: float


class Bench:
    """The servers that run, and what was measured of them."""

    def __init__(self, report: Report, home: Place, folder: Path, stack: ExitStack) -> None:
        self.report, self.home, self.folder, self.stack = report, home, folder, stack
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
        check_answer(port, keys[0], self.folder / "answer.json")
        if system.refused_status:
            self.report.say(f"{system.name} {check_refusals(port, unknown, limited, system.refused_status)}.")
        run_load(port, keys, seconds=WARM_UP_SECONDS, folder=self.folder)
        self.servers[system.name] = (port, pid, keys)
        self.samples[system.name] = []

    def measure(self, name: str, seconds: float) -> None:
        """Measure one server for a round."""
        port, pid, keys = self.servers[name]
        time.sleep(SETTLE_SECONDS)
        switched = session_switches(pid)
        cpu, valkey = session_cpu_seconds(pid), process_cpu_seconds(self.home.valkey_pid)
        load = run_load(port, keys, seconds=seconds, folder=self.folder)
        cpu, valkey = session_cpu_seconds(pid) - cpu, process_cpu_seconds(self.home.valkey_pid) - valkey
        switches = (session_switches(pid) - switched) / load.requests
        sample = Sample(cpu / load.requests, valkey / load.requests, load.per_second, load.p99_seconds, switches)
        self.samples[name].append(sample)

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


def measure_serving(report: Report, folder: Path, *, rounds: int, seconds: float, problems: Mapping[str, str]) -> None:
    """Measure every server in turn, but for the peers with problems, and add the rows."""
    folder.mkdir()
    with ExitStack() as stack:
        home = stack.enter_context(place(folder / "place", keys=KEYS + 1, **rate_limits()))
        bench = Bench(report, home, folder, stack)
        ports = [free_port() for _ in range(7)]
        ours = list_our_systems(home, ports[:4])
        # The full application first: its answer is what the others must give.
        for system, port in reversed(list(zip(ours, ports, strict=False))):
            bench.start(system, port)
        for system, port in zip(list_peers(folder, home.settings.redis_url, ports[4:]), ports[4:], strict=True):
            if problem := problems.get(system.name) or try_peer(bench, system, port):
                report.say(f"{system.name} is not in the table; it could not be set up: {problem}")
        for number in range(rounds):
            show(f"Serving, round {number + 1} of {rounds}")
            for name in bench.servers:
                bench.measure(name, seconds)
    add_rows(report, bench)


def try_peer(bench: Bench, system: System, port: int) -> str:
    """Start a peer; give one sentence if it does not do what it should."""
    try:
        bench.start(system, port)
    except (NotStartedError, FailedRequestsError, OSError) as error:
        return str(error)
    return ""


def check_answer(port: int, known: str, answer: Path) -> None:
    """Check that a known key gets the same answer from every server. Raises FailedRequestsError."""
    with Client(port) as client:
        status, body = client.send(known)
    if not answer.exists():
        answer.write_bytes(body)
    if status != OK or json.loads(body) != json.loads(answer.read_bytes()):
        raise FailedRequestsError(f"the answer to a known key was {status}: {body[:80]!r}")


def check_refusals(port: int, unknown: str, limited: str, refused_status: int) -> str:
    """Check that a server refuses whom it should, and say so. Raises FailedRequestsError."""
    with Client(port) as client:
        status, _ = client.send(unknown)
        if status != refused_status:
            raise FailedRequestsError(f"the answer to an unknown key was {status}")
        # A window may end on the way, and the next one be whole again.
        for admitted in range(2 * QUOTA + 1):
            status, _ = client.send(limited)
            if status == TOO_MANY and admitted >= QUOTA:
                return f"answers 200 to a known key, {refused_status} to an unknown one, and 429 after {admitted} calls"
            if status != OK:
                raise FailedRequestsError(f"the answer to call {admitted + 1} was {status}")
    raise FailedRequestsError(f"{2 * QUOTA + 1} calls in a row were not too many")


def add_rows(report: Report, bench: Bench) -> None:
    """Add what was measured."""
    names = ("bare Flask", "no admission", "no round trip", "ours")
    bare, open_view, without_trip, ours = (bench.cpu(name) for name in names)
    whole, code, trip = minus(ours, open_view), minus(without_trip, open_view), minus(ours, without_trip)
    switches = [middle([sample.switches for sample in bench.samples[name]]) for name in names]
    why = (
        f"{microseconds(middle(code))} are our Python code, and {microseconds(middle(trip))} the round trip to Valkey, "
        f"by difference from the same application with Valkey's answer at hand. In a loop on one processor, code and "
        f"round trip together take what the rows of admission by keys show. Here a thread that "
        f"waits is put to sleep, the other processor has to be woken, and the thread goes on with cold caches and when "
        f"another of {THREADS} threads lets go of the interpreter's lock: a request of ours has {switches[3]:.1f} "
        f"context switches, without the round trip {switches[2]:.1f}, without admission {switches[1]:.1f}, and one "
        f"of bare Flask {switches[0]:.1f}."
    )
    dispatch = "a bare Flask dispatch"
    report.add(cpu_row(bench, f"CPU that admission adds to a request ÷ {dispatch}", whole, bare, at_most(0.5)), why=why)
    report.add(cpu_row(bench, f"of that, our Python code ÷ {dispatch}", code, bare))
    report.add(cpu_row(bench, f"of that, the round trip to Valkey ÷ {dispatch}", trip, bare))
    report.add(cpu_row(bench, "CPU per admitted request ÷ our application without admission", ours, open_view))
    report.add(cpu_row(bench, "CPU per admitted request ÷ the same view in bare Flask", ours, bare))
    peers = [name for name in bench.servers if name not in names]
    for name in peers:
        row = cpu_row(
            bench, f"CPU per request of {name} ÷ ours", bench.cpu(name), ours, at_least(1), stores=(name, "ours")
        )
        report.add(row)
    if has_wrk():
        add_throughput(report, bench, peers)
    else:
        report.say(
            "wrk is not installed (Debian, Ubuntu: apt install wrk): our own client asked, which is too slow for rows "
            "of requests per second."
        )


def add_throughput(report: Report, bench: Bench, peers: Sequence[str]) -> None:
    """Add the requests per second."""
    for name in ("bare Flask", "no admission"):
        report.add(throughput_row(bench, "ours", name))
    for name in peers:
        ceiling = ratio_of(bench.per_second("bare Flask"), bench.per_second(name))
        why = (
            f"bare Flask without any admission serves {ceiling} times the requests of {name}, and what admission costs "
            f"comes on top of that."
        )
        report.add(throughput_row(bench, "ours", name, at_least(6 if name == "Flask-Limiter" else 1)), why=why)


def minus(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """Subtract round by round."""
    return [one - other for one, other in zip(above, below, strict=True)]


def cpu_row(
    bench: Bench,
    what: str,
    above: Sequence[float],
    below: Sequence[float],
    aim: Aim | None = None,
    *,
    stores: Sequence[str] = ("ours",),
) -> Row:
    """Compare CPU per request."""
    figures = f"{microseconds(middle(above))} / {microseconds(middle(below))}"
    return Row(what, ratio_of(above, below), figures, bench.valkey(*stores), aim)


def throughput_row(bench: Bench, name: str, other: str, aim: Aim | None = None) -> Row:
    """Compare the requests per second of two servers."""
    rates = [bench.per_second(each) for each in (name, other)]
    p99 = [middle([sample.p99_seconds or 0 for sample in bench.samples[each]]) * 1000 for each in (name, other)]
    figures = f"{middle(rates[0]):,.0f} / {middle(rates[1]):,.0f} per second; p99 {p99[0]:.0f} / {p99[1]:.0f} ms"
    return Row(f"Requests per second of {name} ÷ {other}", ratio_of(*rates), figures, aim=aim)
