"""Rows of the flush: against bare upserts, and against the number of calls that were counted."""

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import make_url

from bench.places import Place, place, request_id
from bench.report import Report, Row, at_least, middle, ratio_of, show
from bench.sizes import UNLIMITED
from webapp.core import clock
from webapp.core.db import db, transaction
from webapp.core.redis import store
from webapp.core.redis_names import live_counters
from webapp.extensions import runtime
from webapp.metering.admission import Verdict, admit
from webapp.metering.flush import flush
from webapp.metering.groups import GROUPS
from webapp.metering.models import Usage
from webapp.metering.usage import UPSERT, UsageChange, add_usage

FLUSHED_KEYS = 10_000
COUNTED_KEYS = 1_000
COUNTED_CALLS = (10**3, 10**4, 10**5, 10**6)


def measure_flush(report: Report, folder: Path, *, rounds: int) -> None:
    """Flush keys of which each was used, and upsert the same rows bare, in turn."""
    folder.mkdir()
    times: dict[str, list[tuple[float, float]]] = {"flush": [], "driver": [], "SQLAlchemy": []}
    with place(folder / "place", keys=FLUSHED_KEYS, **UNLIMITED) as home, home.used():
        for number in range(rounds + 1):
            show(f"Flush, round {number} of {rounds}" if number else "Flush, warming up")
            count_calls(home, 1)
            times["flush"].append(timed(lambda: flush_all(FLUSHED_KEYS)))
            rows = list_usage()
            times["driver"].append(timed(lambda rows=rows: upsert_bare(home, rows)))  # type: ignore[misc]
            times["SQLAlchemy"].append(timed(lambda rows=rows: upsert_with_sqlalchemy(rows)))  # type: ignore[misc]
    # The first round inserts what the others update.
    keys_per_second = {name: [FLUSHED_KEYS / wall for wall, _ in found[1:]] for name, found in times.items()}
    cpu = {name: middle([seconds for _, seconds in found[1:]]) * 1e6 / FLUSHED_KEYS for name, found in times.items()}
    converting, rest = cpu["SQLAlchemy"] - cpu["driver"], cpu["flush"] - cpu["SQLAlchemy"]
    why = (
        f"of {cpu['flush']:.1f} µs CPU per key, the database and its driver take {cpu['driver']:.1f}; SQLAlchemy's "
        f"executemany of the same statement adds {converting:.1f}, mostly to convert two moments per row; the rest, "
        f"{rest:.1f}, reads the counters of {len(GROUPS)} groups, parses them and adds them up."
    )
    for name, whose, aim in (("driver", "sqlite3's bare", at_least(0.5)), ("SQLAlchemy", "SQLAlchemy's", None)):
        figures = f"{middle(keys_per_second['flush']):,.0f} / {middle(keys_per_second[name]):,.0f} keys per second; "
        figures += f"CPU {cpu['flush']:.1f} / {cpu[name]:.1f} µs per key"
        ratio = ratio_of(keys_per_second["flush"], keys_per_second[name])
        row = Row(f"Keys flushed per second ÷ {whose} executemany upserts of the same rows", ratio, figures, aim=aim)
        report.add(row, why=why)


def measure_flush_sizes(report: Report, folder: Path, *, rounds: int) -> None:
    """Flush more and more calls of the same keys."""
    folder.mkdir()
    cpu: dict[int, list[float]] = {calls: [] for calls in COUNTED_CALLS}
    with place(folder / "place", keys=COUNTED_KEYS, **UNLIMITED) as home, home.used():
        for number in range(rounds + 1):
            show(f"Flush by calls, round {number} of {rounds}" if number else "Flush by calls, warming up")
            for calls in COUNTED_CALLS:
                count_calls(home, calls // COUNTED_KEYS)
                cpu[calls].append(timed(lambda calls=calls: flush_all(COUNTED_KEYS, calls))[1])  # type: ignore[misc]
    smallest = cpu[COUNTED_CALLS[0]][1:]
    for calls in COUNTED_CALLS[1:]:
        figures = f"{middle(cpu[calls][1:]) * 1e3:.1f} / {middle(smallest) * 1e3:.1f} ms CPU"
        what = f"Flush of {calls:,} calls ÷ of {COUNTED_CALLS[0]:,}, over the same {COUNTED_KEYS:,} keys"
        report.add(Row(what, ratio_of(cpu[calls][1:], smallest), figures))


def timed(work: Callable[[], None]) -> tuple[float, float]:
    """Give the seconds and the CPU seconds of this process that the work takes."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def count_calls(home: Place, times: int) -> None:
    """Have every key admitted once, and then its counter raised as if that had happened so many times."""
    policy = runtime().policy
    for token in home.tokens:
        admission = admit(token=token, scope=None, price_microcredits=0, request_id=request_id(), policy=policy)
        if admission.verdict is not Verdict.ADMITTED:
            raise RuntimeError(f"a call was not admitted: {admission.verdict}")
    if times == 1:
        return
    pipeline = store.client.pipeline(transaction=False)
    for group in GROUPS:
        names: Any = store.client.hkeys(live_counters(group))
        for name in names:
            if name.startswith(b"calls:"):
                pipeline.hincrby(live_counters(group), name, times - 1)
    pipeline.execute()


def flush_all(keys: int, calls: int | None = None) -> None:
    """Flush, and insist that it moved what was counted."""
    done = flush(at=clock.now())
    if done.keys != keys or done.calls != (calls or keys):
        raise RuntimeError(f"the flush moved something else: {done}")


def list_usage() -> list[UsageChange]:
    """Read the rows as the flush wrote them, of the newest hour should one have ended on the way."""
    columns = (Usage.key_id, Usage.hour, Usage.operation, Usage.calls, Usage.microcredits)
    rows = db.session.execute(select(*columns, Usage.last_used_at, Usage.last_address)).all()
    newest = {row.key_id: UsageChange(*row)._replace(calls=1) for row in sorted(rows)}
    db.session.rollback()
    return list(newest.values())


def upsert_bare(home: Place, rows: list[UsageChange]) -> None:
    """Upsert the rows with the driver alone, in one transaction, with the settings of our connections."""
    values = [
        (
            *(row.key_id, str(row.hour), row.operation, row.calls, row.microcredits),
            *(row.last_used_at and str(row.last_used_at), row.last_address, row.hours),
        )
        for row in rows
    ]
    database = make_url(home.settings.database_url).database
    with closing(sqlite3.connect(str(database), isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(UPSERT, values)
        connection.execute("COMMIT")


def upsert_with_sqlalchemy(rows: list[UsageChange]) -> None:
    """Upsert the rows with the statement of the flush, in one transaction."""
    with transaction() as session:
        add_usage(session.connection(), rows)
