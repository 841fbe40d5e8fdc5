"""Usage as it has been flushed."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import joinedload

from webapp.core.db import db
from webapp.keys.families import line_of, list_made
from webapp.keys.models import ApiKey
from webapp.keys.settings import status_of
from webapp.metering.models import OpenHold, Usage
from webapp.metering.spenders import select_spenders

# Who has not used a key for so long may not need it.
UNUSED = timedelta(days=30)

# What stands for a key where there was none.
CONSOLE = "Console"


@dataclass(frozen=True)
class KeyUsage:
    """A key, and all that it has ever been used for."""

    key: ApiKey
    calls: int
    microcredits: int
    last_used_at: datetime | None
    # How many keys it made that still work, counting those that they made.
    made: int

    def is_unused(self, at: datetime) -> bool:
        """Tell whether a key that could be used has not been for a long time, and might as well be revoked."""
        last = max(self.last_used_at or self.key.created_at, self.key.created_at)
        return status_of(self.key, at=at) == "active" and last < at - UNUSED


@dataclass(frozen=True)
class LastUse:
    """A key's last flushed call: when, what of the API, and from which address."""

    at: datetime
    operation: str
    address: str


def get_last_use(key_id: str) -> LastUse | None:
    """Give a key's last call, or None for a key that was never used."""
    statement = select(Usage).where(Usage.key_id == key_id, Usage.last_used_at.is_not(None))
    row = db.session.scalar(statement.order_by(Usage.last_used_at.desc()).limit(1))
    return LastUse(row.last_used_at, row.operation, row.last_address) if row and row.last_used_at else None


def get_key_usage(key: ApiKey) -> KeyUsage:
    """Give a key with its totals."""
    totals = select(func.sum(Usage.calls), func.sum(Usage.microcredits), func.max(Usage.last_used_at))
    calls, microcredits, last_used_at = db.session.execute(totals.where(Usage.key_id == key.id)).one()
    return KeyUsage(
        key=key,
        calls=int(calls or 0),
        microcredits=int(microcredits or 0),
        last_used_at=last_used_at,
        made=len(list_made(db.session(), key)),
    )


def list_keys_with_usage(organisation_id: str) -> list[KeyUsage]:
    """Give the organisation's keys with their totals, revoked ones included, newest first."""
    totals = (
        select(
            Usage.key_id,
            func.sum(Usage.calls).label("calls"),
            func.sum(Usage.microcredits).label("microcredits"),
            func.max(Usage.last_used_at).label("last_used_at"),
        )
        .join(ApiKey, ApiKey.id == Usage.key_id)
        .where(ApiKey.organisation_id == organisation_id)
        .group_by(Usage.key_id)
        .subquery()
    )
    statement = (
        select(ApiKey, totals.c.calls, totals.c.microcredits, totals.c.last_used_at)
        .outerjoin(totals, totals.c.key_id == ApiKey.id)
        .where(ApiKey.organisation_id == organisation_id)
        .order_by(ApiKey.id.desc())
    )
    rows = db.session.execute(statement).all()
    made = count_made([row[0] for row in rows])
    return [
        KeyUsage(key, int(calls or 0), int(microcredits or 0), last_used_at, made[key.id])
        for key, calls, microcredits, last_used_at in rows
    ]


def count_made(keys: Collection[ApiKey]) -> Counter[str]:
    """Count, for each of an organisation's keys, those that it made and that they made, but for revoked ones."""
    givers = {key.id: key.created_by_key_id for key in keys}
    return Counter(
        giver_id for key in keys if key.revoked_at is None for giver_id in line_of(key.id, givers) if giver_id != key.id
    )


@dataclass(frozen=True)
class HourlyUsage:
    """What one key did with one operation in the hour that began at `hour`, or in 24 hours where that is long ago.

    No key is for what was run in the console.
    """

    key: ApiKey | None
    hour: datetime
    hours: int
    operation: str
    calls: int
    microcredits: int


def list_hourly_usage(organisation_id: str, *, since: datetime, key_id: str | None = None) -> list[HourlyUsage]:
    """Give the usage of the organisation, or of one of its keys, from the hour that began at `since`, newest first."""
    statement = (
        select(ApiKey, Usage.hour, Usage.hours, Usage.operation, Usage.calls, Usage.microcredits)
        .select_from(Usage)
        .outerjoin(ApiKey, ApiKey.id == Usage.key_id)
        .where(Usage.key_id.in_(select_spenders(organisation_id)), Usage.hour >= since)
        .order_by(Usage.hour.desc(), Usage.key_id.desc(), Usage.operation)
        # An inner join by itself, which would leave out what has no key.
        .options(joinedload(ApiKey.created_by, innerjoin=False))
    )
    if key_id:
        statement = statement.where(Usage.key_id == key_id)
    return [HourlyUsage(*row) for row in db.session.execute(statement)]


@dataclass(frozen=True)
class GroupedUsage:
    """What one group was used for: a key by its id and name, a day or hour by its start, an endpoint, or a backend.

    What was run in the console is a key of the organisation's own id.
    """

    group: str
    name: str | None
    calls: int
    microcredits: int


def list_usage(organisation_id: str, *, since: datetime, until: datetime, group_by: str) -> list[GroupedUsage]:
    """Give the organisation's usage in these hours by key, the newest first, day or hour, oldest first, or endpoint."""
    order = {"key": Usage.key_id.desc(), "endpoint": Usage.operation}.get(group_by, Usage.hour)
    statement = (
        select(Usage.key_id, ApiKey.name, Usage.hour, Usage.operation, Usage.calls, Usage.microcredits)
        .select_from(Usage)
        .outerjoin(ApiKey, ApiKey.id == Usage.key_id)
        .where(Usage.key_id.in_(select_spenders(organisation_id)), Usage.hour >= since, Usage.hour < until)
        .order_by(order)
    )
    groups: dict[str, GroupedUsage] = {}
    for key_id, key_name, hour, operation, calls, microcredits in db.session.execute(statement):
        group, name = {
            "key": (key_id, key_name or CONSOLE),
            "day": (f"{hour:%Y-%m-%d}", None),
            "hour": (f"{hour:%Y-%m-%dT%H:00:00Z}", None),
            "endpoint": (operation, None),
        }[group_by]
        before = groups.get(group, GroupedUsage(group, name, 0, 0))
        groups[group] = GroupedUsage(group, name, before.calls + calls, before.microcredits + microcredits)
    return list(groups.values())


def sum_kept_holds() -> int:
    """Add up what the open jobs of all accounts hold, as SQL has it."""
    return int(db.session.scalar(select(func.coalesce(func.sum(OpenHold.microcredits), 0))) or 0)
