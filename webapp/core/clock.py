"""The one clock. Operations take the time as an argument; edges and tasks read it here."""

from datetime import UTC, datetime


def now() -> datetime:
    """Give the time, in UTC."""
    return datetime.now(UTC)


def format_time(moment: datetime) -> str:
    """Write a time as RFC 3339 in UTC, to the millisecond: 2026-01-31T09:30:00.000Z."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
