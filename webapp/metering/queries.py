"""Usage as it has been flushed."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from webapp.core.db import db
from webapp.keys.models import ApiKey
from webapp.metering.models import Usage


@dataclass(frozen=True)
class KeyUsage:
    """A key, and all that it has ever been used for."""

    key: ApiKey
    calls: int
    microcredits: int
    last_used_at: datetime | None


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
    return [
        KeyUsage(key=key, calls=int(calls or 0), microcredits=int(microcredits or 0), last_used_at=last_used_at)
        for key, calls, microcredits, last_used_at in db.session.execute(statement)
    ]


@dataclass(frozen=True)
class HourlyUsage:
    """What one key was used for in the hour that began at `hour`, or in the 24 hours where that is long ago."""

    key: ApiKey
    hour: datetime
    hours: int
    calls: int
    microcredits: int


def list_hourly_usage(organisation_id: str, *, since: datetime) -> list[HourlyUsage]:
    """Give the organisation's usage by key and hour, from the hour that began at `since` or later, newest first."""
    statement = (
        select(ApiKey, Usage.hour, Usage.hours, Usage.calls, Usage.microcredits)
        .join(Usage, Usage.key_id == ApiKey.id)
        .where(ApiKey.organisation_id == organisation_id, Usage.hour >= since)
        .order_by(Usage.hour.desc(), ApiKey.id.desc())
    )
    return [
        HourlyUsage(key=key, hour=hour, hours=hours, calls=calls, microcredits=microcredits)
        for key, hour, hours, calls, microcredits in db.session.execute(statement)
    ]
