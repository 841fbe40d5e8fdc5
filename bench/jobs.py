"""Rows of a whole job: a Bell state from the request to its result, against the bare work, and against RQ."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from redis import Redis
from rq import Queue
from rq.job import JobStatus

from bench.apps.bell import QUEUE_NAME, run_bell
from bench.load import Call, Client, Load, has_wrk, run_load
from bench.places import Place, place
from bench.processes import free_port, process_cpu_seconds, running, session_cpu_seconds
from bench.report import Report, Row, at_least, at_most, microseconds, middle, ratio_of, show
from bench.systems import granian
from webapp import hooks
from webapp.api import jobs as views
from webapp.core.driver import DriverConnection
from webapp.core.redis_wire import Wire
from webapp.jobs import operations
from webapp.metering.holds import AskedHold

SHOTS = 1024
BELL = Call("/api/quantum/v1/jobs", f'{{"templateId":"bell-state","shots":{SHOTS}}}')
QUEUED_BELL = Call("/queued", BELL.body)
CREATED = 201
KEYS = 1000
MANY = 16
SETTLE_SECONDS = 0.2
POLL_SECONDS = 0.001
ROUND_TRIPS = 30
PROFILED = 300

# No limit is what is measured: only that there are limits, which are looked at.
LIMITS = {"KEY_RATE_LIMITS": "1000000/60", "ACCOUNT_RATE_LIMITS": "1000000/60", "MAX_CONCURRENT_JOBS": "64"}

# Where the time of a request of ours goes, in the order of the work.
STAGES: Mapping[str, tuple[object, str]] = {
    "admission": (hooks, "authenticate_key"),
    "reading the body": (views, "read_request"),
    "the plan, its price and its gates": (operations, "make_plan"),
    "asking for the hold": (operations, "ask_for_price"),
    "the engine meanwhile": (operations, "run_inline"),
    "waiting for the hold": (AskedHold, "get"),
    "the transaction": (operations, "store_finished"),
    "settling the hold": (operations, "end_hold"),
    "writing the answer": (views, "answer_job"),
}


@dataclass(frozen=True)
class Sample:
    """One round of one server: CPU and time for each job on one connection, and the jobs per second on many."""

    cpu_seconds: float
    valkey_seconds: float
    seconds: float
    per_second: float


def measure_jobs(report: Report, folder: Path, *, rounds: int, seconds: float) -> None:
    """Run Bell states on our server, on the bare one and through RQ, in turns, and add the rows."""
    folder.mkdir()
    with ExitStack() as stack:
        home = stack.enter_context(place(folder / "place", keys=KEYS, **LIMITS))
        servers = {
            name: start_server(stack, home, folder / name, app)
            for name, app in (("bare", "bench.apps.bare_job:app"), ("ours", "wsgi:app"))
        }
        trips = stack.enter_context(rq_worker(home, folder / "rq"))
        queued, _ = start_server(stack, home, folder / "queued", "bench.apps.queued_job:app", QUEUED_BELL)
        samples: dict[str, list[Sample]] = {name: [] for name in servers}
        forked: list[float] = []
        through_rq: list[float] = []
        for number in range(rounds):
            show(f"Jobs, round {number + 1} of {rounds}")
            for name, (port, pid) in servers.items():
                samples[name].append(measure_server(home, folder, port, pid, seconds))
            forked.append(middle([trips() for _ in range(ROUND_TRIPS)]))
            load = run_load(queued, headers_of(home), seconds=seconds, folder=folder, call=QUEUED_BELL, connections=1)
            through_rq.append(typical_seconds(load))
        why = profile_jobs(home)
    add_rows(report, samples["ours"], samples["bare"], why)
    add_queue_rows(report, samples["ours"], samples["bare"], forked, through_rq)


def start_server(stack: ExitStack, home: Place, folder: Path, app: str, call: Call = BELL) -> tuple[int, int]:
    """Start a server, check its answer and warm it up; give its port and its process."""
    folder.mkdir()
    port = free_port()
    pid = stack.enter_context(
        running(granian(sys.executable, app, port), port=port, environ=environ_of(home), folder=folder)
    )
    with Client(port) as client:
        status, body = client.send(headers_of(home)[0], call)
    if status != CREATED or b'"counts"' not in body:
        raise RuntimeError(f"a Bell state was answered {status}: {body[:200]!r}")
    run_load(port, headers_of(home), seconds=1, folder=folder, call=call)
    return port, pid


def environ_of(home: Place) -> dict[str, str]:
    """Give the settings of a server."""
    settings = home.settings
    return {
        "DATA_DIR": str(settings.data_dir),
        "REDIS_URL": settings.redis_url,
        "SECRET_KEY": settings.secret_key,
        "OMP_NUM_THREADS": "1",
        **LIMITS,
    }


def headers_of(home: Place) -> list[str]:
    """Give the header of each key."""
    return [f"Authorization: Bearer {raw}" for raw in home.raw_keys]


def measure_server(home: Place, folder: Path, port: int, pid: int, seconds: float) -> Sample:
    """Send jobs one after the other, and then many at a time."""
    headers = headers_of(home)
    time.sleep(SETTLE_SECONDS)
    cpu, valkey = session_cpu_seconds(pid), process_cpu_seconds(home.valkey_pid)
    one = run_load(port, headers, seconds=seconds, folder=folder, call=BELL, connections=1)
    cpu, valkey = session_cpu_seconds(pid) - cpu, process_cpu_seconds(home.valkey_pid) - valkey
    many = run_load(port, headers, seconds=seconds, folder=folder, call=BELL, connections=MANY)
    return Sample(cpu / one.requests, valkey / one.requests, typical_seconds(one), many.per_second)


def typical_seconds(load: Load) -> float:
    """Give the median time of a request; of our own client, whose time is its own work as well, the mean."""
    return load.p50_seconds or load.seconds / load.requests


@contextmanager
def rq_worker(home: Place, folder: Path) -> Iterator[Callable[[], float]]:
    """Run RQ's own worker as it comes; give what makes a round trip: enqueued, run in a fork, result polled."""
    folder.mkdir()
    url = home.settings.redis_url
    command = [sys.executable, "-m", "rq.cli", "worker", "--url", url, "--quiet", QUEUE_NAME]
    with Redis.from_url(url) as client, running(command, port=None, environ=environ_of(home), folder=folder):
        queue = Queue(QUEUE_NAME, connection=client)

        def make_trip() -> float:
            start = time.perf_counter()
            job = queue.enqueue(run_bell, SHOTS)
            while (status := job.get_status()) not in {JobStatus.FINISHED, JobStatus.FAILED}:
                time.sleep(POLL_SECONDS)
            if status is JobStatus.FAILED or job.return_value() is None:
                raise RuntimeError("RQ's job failed")
            return time.perf_counter() - start

        make_trip()
        yield make_trip


def profile_jobs(home: Place) -> str:
    """Say where a job's time goes: each stage timed in this process, one request after the other."""
    seconds = dict.fromkeys(STAGES, 0.0)
    with home.used():
        whole = time_jobs(home)
        with counting() as counted, ExitStack() as stack:
            for stage, (owner, function) in STAGES.items():
                stack.enter_context(timing(owner, function, seconds, stage))
            time_jobs(home)
    parts = ", ".join(f"{stage} {microseconds(spent / PROFILED)}" for stage, spent in seconds.items())
    sums = ", ".join(f"{number / PROFILED:g} {what}" for what, number in counted.items())
    return (
        f"in one process without a socket a job of ours takes {microseconds(whole)}: {parts}; the rest is Flask's and "
        f"the hooks'. There are {sums}; in the bare work one statement, one commit and nothing of Valkey."
    )


def time_jobs(home: Place) -> float:
    """Send jobs to our application in this process, and give the seconds for each."""
    client = home.app.test_client()
    name, _, value = headers_of(home)[0].partition(": ")
    start = time.perf_counter()
    for _ in range(PROFILED):
        client.post(BELL.path, data=BELL.body, content_type="application/json", headers={name: value})
    return (time.perf_counter() - start) / PROFILED


@contextmanager
def counting() -> Iterator[dict[str, int]]:
    """Count what goes to the stores."""
    counted = {"SQL statements with BEGIN": 0, "commits": 0, "commands to Valkey": 0, "waits for its answer": 0}

    def count(name: str) -> Callable[[], None]:
        def counter() -> None:
            counted[name] += 1

        return counter

    statements, commits, commands, waits = map(count, counted)
    with (
        calling_first(DriverConnection, "exec_driver_sql", statements),
        calling_first(DriverConnection, "commit", commits),
        calling_first(Wire, "send", commands),
        calling_first(Wire, "read", waits),
    ):
        yield counted


@contextmanager
def timing(owner: object, function: str, seconds: dict[str, float], stage: str) -> Iterator[None]:
    """Add up the time that a function takes."""
    original = getattr(owner, function)

    def timed(*args: object, **kwargs: object) -> object:
        start = time.perf_counter()
        try:
            return original(*args, **kwargs)
        finally:
            seconds[stage] += time.perf_counter() - start

    setattr(owner, function, timed)
    yield
    setattr(owner, function, original)


@contextmanager
def calling_first(owner: object, function: str, first: Callable[[], None]) -> Iterator[None]:
    """Have something called before each call of a function."""
    original = getattr(owner, function)

    def called(*args: object, **kwargs: object) -> object:
        first()
        return original(*args, **kwargs)

    setattr(owner, function, called)
    yield
    setattr(owner, function, original)


def add_rows(report: Report, ours: Sequence[Sample], bare: Sequence[Sample], why: str) -> None:
    """Add how ours and the bare work compare."""
    whole = [sample.cpu_seconds + sample.valkey_seconds for sample in ours]
    bare_cpu = [sample.cpu_seconds for sample in bare]
    valkey = microseconds(middle([sample.valkey_seconds for sample in ours]))
    times = [[sample.seconds for sample in samples] for samples in (ours, bare)]
    rates = [[sample.per_second for sample in samples] for samples in (ours, bare)]
    work = "the same in bare Flask, with Qulacs and one inserted row"
    cpu = Row(
        f"CPU of a Bell job, server and Valkey together ÷ {work}",
        ratio_of(whole, bare_cpu),
        f"{microseconds(middle(whole))} / {microseconds(middle(bare_cpu))}",
        valkey,
        at_most(2),
    )
    report.add(cpu, why=why)
    report.add(
        Row(
            f"Time of a Bell job, POST to result, on one connection ÷ {work}",
            ratio_of(*times),
            " / ".join(microseconds(middle(each)) for each in times),
            valkey,
            at_most(2),
        ),
        why="it is made of the parts above." if cpu.is_missed else why,
    )
    if has_wrk():
        figures = " / ".join(f"{middle(each):,.0f}" for each in rates) + " per second"
        report.add(Row(f"Bell jobs per second on {MANY} connections ÷ {work}", ratio_of(*rates), figures, valkey))


def add_queue_rows(
    report: Report,
    ours: Sequence[Sample],
    bare: Sequence[Sample],
    forked: Sequence[float],
    through_rq: Sequence[float],
) -> None:
    """Add how ours compares with a queue that forks for each job, over HTTP as ours is, and without."""
    seconds, least = [sample.seconds for sample in ours], [sample.seconds for sample in bare]
    for what, theirs in (
        ("POST to result of a Bell state in bare Flask, which has RQ's worker run it in a fork", through_rq),
        ("Round trip of a Bell state through RQ alone, without HTTP and without a row", forked),
    ):
        figures = f"{microseconds(middle(theirs))} / {microseconds(middle(seconds))}"
        row = Row(f"{what} ÷ POST to result of ours", ratio_of(theirs, seconds), figures, "", at_least(10))
        report.add(
            row, why=f"the bare work is {ratio_of(theirs, least)} times as quick, and no job is quicker than that."
        )
