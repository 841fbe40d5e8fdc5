"""Usage rows: one for each key and hour."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from sqlalchemy import Executable, case
from sqlalchemy.orm import Session

from webapp.core.db import insert_for
from webapp.metering.models import Usage


@dataclass(frozen=True)
class UsageChange:
    """What to add to one key's hour. `last_used_at` is None where the key was not used, only charged."""

    key_id: str
    hour: datetime
    calls: int = 0
    microcredits: int = 0
    last_used_at: datetime | None = None
    last_address: str = ""
    last_operation: str = ""


def start_of_hour(at: datetime) -> datetime:
    """Give the moment at which this hour began."""
    return at.replace(minute=0, second=0, microsecond=0)


def add_usage(session: Session, changes: Sequence[UsageChange]) -> None:
    """Add calls and micro-credits to the usage rows of these keys and hours; each pair may come once."""
    if changes:
        connection = session.connection()
        # In one order, so that two of these at once wait for each other and cannot deadlock.
        ordered = sorted(changes, key=lambda change: (change.key_id, change.hour))
        connection.execute(usage_upsert(connection.dialect.name), [vars(change) for change in ordered])


@cache
def usage_upsert(dialect_name: str) -> Executable:
    """Build the statement once for each database: building it takes several times as long as running it."""
    table = Usage.__table__
    statement = insert_for(dialect_name)(table)
    new = statement.excluded
    is_later = table.c.last_used_at.is_(None) | (new.last_used_at > table.c.last_used_at)
    upsert: Executable = statement.on_conflict_do_update(
        index_elements=[table.c.key_id, table.c.hour],
        set_={
            "calls": table.c.calls + new.calls,
            "microcredits": table.c.microcredits + new.microcredits,
            **{
                name: case((is_later, getattr(new, name)), else_=table.c[name])
                for name in ("last_used_at", "last_address", "last_operation")
            },
        },
    )
    return upsert
