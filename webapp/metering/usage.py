"""Usage rows: one for each key, hour and operation, and one for each key, day and operation once that is long ago."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import delete, select, text, tuple_
from sqlalchemy.engine import Dialect

from webapp.core.db import AnyConnection, UtcDateTime, transaction
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
INSERT INTO usage (key_id, hour, operation, calls, microcredits, last_used_at, last_address, hours)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (key_id, hour, operation) DO UPDATE SET
    calls = usage.calls + excluded.calls,
    microcredits = usage.microcredits + excluded.microcredits,
    last_address = CASE
        WHEN usage.last_used_at IS NULL OR excluded.last_used_at > usage.last_used_at THEN excluded.last_address
        ELSE usage.last_address
    END,
    last_used_at = CASE
        WHEN usage.last_used_at IS NULL OR excluded.last_used_at > usage.last_used_at THEN excluded.last_used_at
        ELSE usage.last_used_at
    END,
    hours = CASE WHEN excluded.hours > usage.hours THEN excluded.hours ELSE usage.hours END
"""


class UsageChange(NamedTuple):
    """What to add to one key's hour; a tuple, because a flush makes many.

    `last_used_at` is None where the key's last call was another, or where it was only charged.
    """

    key_id: str
    hour: datetime
    operation: str = ""
    calls: int = 0
    microcredits: int = 0
    last_used_at: datetime | None = None
    last_address: str = ""
    hours: int = 1


def start_of_hour(at: datetime) -> datetime:
    """Give the moment at which this hour began."""
    return at.replace(minute=0, second=0, microsecond=0)


def start_of_day(at: datetime) -> datetime:
    """Give the moment at which this day began."""
    return at.replace(hour=0, minute=0, second=0, microsecond=0)


def add_usage(connection: AnyConnection, changes: Sequence[UsageChange]) -> None:
    """Add calls and micro-credits to usage rows; each key, hour and operation may come once."""
    if changes:
        statement = UPSERT.replace("?", "%s") if connection.dialect.name == "postgresql" else UPSERT
        # In one order, so that two of these at once wait for each other and cannot deadlock.
        connection.exec_driver_sql(statement, list(each_row(sorted(changes), connection.dialect)))


def each_row(changes: Sequence[UsageChange], dialect: Dialect) -> Iterator[tuple[Any, ...]]:
    """Give the parameters of the upsert. Many rows name few moments, so each is written for the driver once."""
    moments = {moment for change in changes for moment in (change.hour, change.last_used_at)}
    write = MOMENT.dialect_impl(dialect).bind_processor(dialect)
    written = {moment: write(moment) if write else moment for moment in moments}
    for key_id, hour, operation, calls, microcredits, last_used_at, last_address, hours in changes:
        yield key_id, written[hour], operation, calls, microcredits, written[last_used_at], last_address, hours


def roll_up_usage(*, before: datetime) -> int:
    """Merge the hours of the days before this moment's into days; give how many rows it were.

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
    identity = (Usage.key_id, Usage.hour, Usage.operation)
    some = (
        select(*identity)
        .where(Usage.key_id >= from_key_id, Usage.hours == 1, Usage.hour < before)
        .order_by(*identity)
        .limit(HOURS_AT_A_TIME)
    )
    with transaction() as session:
        # A day's row comes before its hours, which are locked first: beside a writer of both that would be a deadlock.
        # So other writers wait for this transaction, as they do on SQLite in any case.
        if session.connection().dialect.name == "postgresql":
            session.execute(text("LOCK TABLE usage IN SHARE ROW EXCLUSIVE MODE"))
        rows = session.execute(
            delete(Usage)
            .where(tuple_(*identity).in_(some))
            .returning(*identity, Usage.calls, Usage.microcredits, Usage.last_used_at, Usage.last_address)
        )
        taken = [UsageChange(*row) for row in rows]
        add_usage(session.connection(), merge_by_day(taken))
        fault("roll_up_before_commit")
    return taken


def merge_by_day(hours: Iterable[UsageChange]) -> list[UsageChange]:
    """Add up the hours of each key, day and operation."""
    days: dict[tuple[str, datetime, str], list[UsageChange]] = defaultdict(list)
    for change in hours:
        days[change.key_id, start_of_day(change.hour), change.operation].append(change)
    return [add_up(UsageChange(*day, hours=HOURS_PER_DAY), changes) for day, changes in days.items()]


def add_up(day: UsageChange, changes: Sequence[UsageChange]) -> UsageChange:
    """Add hours to an empty day; where the key was used from is what the last use says."""
    used = [change for change in changes if change.last_used_at]
    last = max(used, key=lambda change: change.last_used_at or day.hour, default=day)
    return day._replace(
        calls=sum(change.calls for change in changes),
        microcredits=sum(change.microcredits for change in changes),
        last_used_at=last.last_used_at,
        last_address=last.last_address,
    )
