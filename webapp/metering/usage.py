"""Usage rows: one for each key and hour, and for each key and day once that is long ago."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, text, tuple_
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import Session

from webapp.core.db import UtcDateTime, transaction
from webapp.core.faults import fault
from webapp.metering.models import Usage

# One for all, because SQLAlchemy works out and keeps what a type does on each kind of database.
MOMENT = UtcDateTime()
HOURS_PER_DAY = 24
# How many hours one transaction rolls up: others may write in between.
HOURS_AT_A_TIME = 2_000

# Written out and given to the driver as it stands: SQLAlchemy's own executemany takes twice as long, mostly to convert
# the two moments of every row. `?` is a parameter.
UPSERT = """
INSERT INTO usage (key_id, hour, calls, microcredits, last_used_at, hours) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (key_id, hour) DO UPDATE SET
    calls = usage.calls + excluded.calls,
    microcredits = usage.microcredits + excluded.microcredits,
    last_used_at = CASE
        WHEN usage.last_used_at IS NULL OR excluded.last_used_at > usage.last_used_at THEN excluded.last_used_at
        ELSE usage.last_used_at
    END,
    hours = CASE WHEN excluded.hours > usage.hours THEN excluded.hours ELSE usage.hours END
"""


@dataclass(frozen=True)
class UsageChange:
    """What to add to one key's hour. `last_used_at` is None where the key was not used, only charged."""

    key_id: str
    hour: datetime
    calls: int = 0
    microcredits: int = 0
    last_used_at: datetime | None = None
    hours: int = 1


def start_of_hour(at: datetime) -> datetime:
    """Give the moment at which this hour began."""
    return at.replace(minute=0, second=0, microsecond=0)


def start_of_day(at: datetime) -> datetime:
    """Give the moment at which this day began."""
    return at.replace(hour=0, minute=0, second=0, microsecond=0)


def add_usage(session: Session, changes: Sequence[UsageChange]) -> None:
    """Add calls and micro-credits to the usage rows of these keys and hours; each pair may come once."""
    if changes:
        connection = session.connection()
        statement = UPSERT.replace("?", "%s") if connection.dialect.name == "postgresql" else UPSERT
        # In one order, so that two of these at once wait for each other and cannot deadlock.
        ordered = sorted(changes, key=lambda change: (change.key_id, change.hour))
        connection.exec_driver_sql(statement, list(each_row(ordered, connection.dialect)))


def each_row(changes: Sequence[UsageChange], dialect: Dialect) -> Iterator[tuple[Any, ...]]:
    """Give the parameters of the upsert. Many rows name few moments, so each is written for the driver once."""
    moments = {moment for change in changes for moment in (change.hour, change.last_used_at)}
    write = MOMENT.dialect_impl(dialect).bind_processor(dialect)
    written = {moment: write(moment) if write else moment for moment in moments}
    return (
        (
            change.key_id,
            written[change.hour],
            change.calls,
            change.microcredits,
            written[change.last_used_at],
            change.hours,
        )
        for change in changes
    )


def roll_up_usage(*, before: datetime) -> int:
    """Merge the hours of the days before this moment's into one row for each key and day; give how many hours it were.

    Nothing that was counted changes. It may run twice, die between transactions, and meet a flush that adds to the same
    hours: what comes late is merged by the next run.
    """
    rolled_up, key_id = 0, ""
    while taken := roll_up_some(before=start_of_day(before), from_key_id=key_id):
        rolled_up += len(taken)
        key_id = max(change.key_id for change in taken)
    return rolled_up


def roll_up_some(*, before: datetime, from_key_id: str) -> list[UsageChange]:
    """Merge some hours of this key and those after it in one transaction, and give them."""
    some = (
        select(Usage.key_id, Usage.hour)
        .where(Usage.key_id >= from_key_id, Usage.hours == 1, Usage.hour < before)
        .order_by(Usage.key_id, Usage.hour)
        .limit(HOURS_AT_A_TIME)
    )
    with transaction() as session:
        # A day's row comes before its hours, which are locked first: beside a writer of both that would be a deadlock.
        # So other writers wait for this transaction, as they do on SQLite in any case.
        if session.connection().dialect.name == "postgresql":
            session.execute(text("LOCK TABLE usage IN SHARE ROW EXCLUSIVE MODE"))
        rows = session.execute(
            delete(Usage)
            .where(tuple_(Usage.key_id, Usage.hour).in_(some))
            .returning(Usage.key_id, Usage.hour, Usage.calls, Usage.microcredits, Usage.last_used_at)
        )
        taken = [UsageChange(*row) for row in rows]
        add_usage(session, merge_by_day(taken))
        fault("roll_up_before_commit")
    return taken


def merge_by_day(hours: Iterable[UsageChange]) -> list[UsageChange]:
    """Add up the hours of each key and day."""
    days: dict[tuple[str, datetime], list[UsageChange]] = defaultdict(list)
    for change in hours:
        days[change.key_id, start_of_day(change.hour)].append(change)
    return [
        UsageChange(
            key_id=key_id,
            hour=day,
            calls=sum(change.calls for change in changes),
            microcredits=sum(change.microcredits for change in changes),
            last_used_at=max((change.last_used_at for change in changes if change.last_used_at), default=None),
            hours=HOURS_PER_DAY,
        )
        for (key_id, day), changes in days.items()
    ]
