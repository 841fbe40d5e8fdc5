"""Usage: who called what how often, and what it cost, over the last days."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from flask import render_template, request

from webapp.accounts.roles import Permission
from webapp.authentication import permission_required
from webapp.core import clock
from webapp.dashboard import dashboard
from webapp.dashboard.visitor import get_asked_key, get_own_organisation
from webapp.keys.models import ApiKey
from webapp.metering.queries import HourlyUsage, list_hourly_usage

# What the lines can be grouped by; the first is what is shown unasked.
GROUPINGS = ("day", "hour", "endpoint")
SHOWN_DAYS = 7
DAY = timedelta(days=1)


@dataclass
class UsageLine:
    """One key's calls and micro-credits in one day or hour, which began at `start`; no key's are the console's."""

    start: datetime
    key: ApiKey | None
    calls: int = 0
    microcredits: int = 0


@dataclass
class UsageEndpoint:
    """All keys' calls of one endpoint, and what they were charged for, by its operationId."""

    operation: str
    calls: int = 0
    microcredits: int = 0


@dataclass
class UsageDay:
    """All keys' calls and micro-credits in one day."""

    start: datetime
    calls: int = 0
    microcredits: int = 0


@dashboard.get("/console/usage")
@permission_required(Permission.USAGE_READ)
def usage() -> str:
    """Show the last days of all keys, or of one, by key and day or hour, or by endpoint."""
    by = request.args.get("by", "")
    by = by if by in GROUPINGS else GROUPINGS[0]
    since = start_of_day(clock.now()) - (SHOWN_DAYS - 1) * DAY
    key = get_asked_key()
    rows = list_hourly_usage(get_own_organisation().id, since=since, key_id=key.id if key else None)
    days = add_days(rows, since=since)
    return render_template(
        "usage.html",
        by=by,
        key=key,
        groupings=GROUPINGS,
        lines=add_endpoints(rows) if by == "endpoint" else add_lines(rows, by_hour=by == "hour"),
        days=days,
        most_calls=max(day.calls for day in days),
        calls=sum(day.calls for day in days),
        microcredits=sum(day.microcredits for day in days),
    )


def start_of_day(at: datetime) -> datetime:
    """Give the moment at which this day began, in UTC."""
    return at.replace(hour=0, minute=0, second=0, microsecond=0)


def add_lines(rows: Sequence[HourlyUsage], *, by_hour: bool) -> list[UsageLine]:
    """Add the rows up by key and day or hour; newest first, as they come."""
    lines: dict[tuple[datetime, str | None], UsageLine] = {}
    for row in rows:
        start = row.hour if by_hour else start_of_day(row.hour)
        line = lines.setdefault((start, row.key.id if row.key else None), UsageLine(start, row.key))
        line.calls += row.calls
        line.microcredits += row.microcredits
    return list(lines.values())


def add_endpoints(rows: Sequence[HourlyUsage]) -> list[UsageEndpoint]:
    """Add the rows up by endpoint, the one that is called most first."""
    lines: dict[str, UsageEndpoint] = {}
    for row in rows:
        line = lines.setdefault(row.operation, UsageEndpoint(row.operation))
        line.calls += row.calls
        line.microcredits += row.microcredits
    return sorted(lines.values(), key=lambda line: (-line.calls, line.operation))


def add_days(rows: Sequence[HourlyUsage], *, since: datetime) -> list[UsageDay]:
    """Add the rows up by day, oldest first; a day without a call counts 0."""
    days = [UsageDay(since + index * DAY) for index in range(SHOWN_DAYS)]
    by_start = {day.start: day for day in days}
    for row in rows:
        # A clock that passes midnight between our reading it and the query's would give a day that is not here yet.
        if day := by_start.get(start_of_day(row.hour)):
            day.calls += row.calls
            day.microcredits += row.microcredits
    return days
