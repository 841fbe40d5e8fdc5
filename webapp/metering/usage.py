"""Usage rows: one for each key and hour."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import case
from sqlalchemy.orm import Session

from webapp.core.db import upsert
from webapp.metering.models import Usage

# Rows in one INSERT … ON CONFLICT: PostgreSQL allows 65,535 parameters, SQLite 32,766.
ROWS_PER_STATEMENT = 1000


@dataclass(frozen=True)
class UsageChange:
    """What to add to one key's hour. `last_used_at` is None where the key was not used, only charged."""

    key_id: str
    hour: datetime
    calls: int = 0
    microcredits: int = 0
    last_used_at: datetime | None = None


def start_of_hour(at: datetime) -> datetime:
    """Give the moment at which this hour began."""
    return at.replace(minute=0, second=0, microsecond=0)


def add_usage(session: Session, changes: Sequence[UsageChange]) -> None:
    """Add calls and micro-credits to the usage rows of these keys and hours; each pair may come once."""
    for start in range(0, len(changes), ROWS_PER_STATEMENT):
        rows = [asdict(change) for change in changes[start : start + ROWS_PER_STATEMENT]]
        statement = upsert(session)(Usage).values(rows)
        new = statement.excluded
        later = Usage.last_used_at.is_(None) | (new.last_used_at > Usage.last_used_at)
        session.execute(
            statement.on_conflict_do_update(
                index_elements=[Usage.key_id, Usage.hour],
                set_={
                    "calls": Usage.calls + new.calls,
                    "microcredits": Usage.microcredits + new.microcredits,
                    "last_used_at": case((later, new.last_used_at), else_=Usage.last_used_at),
                },
            )
        )
