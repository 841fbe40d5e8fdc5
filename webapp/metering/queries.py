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
        .join(ApiKey)
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
