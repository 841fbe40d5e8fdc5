"""Notices of keys that are about to expire: 14, 3 and 1 day before, each once."""

from datetime import datetime, timedelta

from sqlalchemy import or_, select

from webapp.core.db import db, transaction
from webapp.keys.letters import tell_owners, write_expiry
from webapp.keys.models import ApiKey
from webapp.keys.settings import NOTICE_DAYS, due_notice

MAX_PER_RUN = 500


def send_expiry_notices(*, at: datetime) -> int:
    """Tell the owners of keys that expire soon, and give how many notices that was. Two workers may do so at once."""
    latest = at + timedelta(days=max(NOTICE_DAYS))
    soon = select(ApiKey.id).where(
        ApiKey.revoked_at.is_(None),
        ApiKey.expires_at > at,
        ApiKey.expires_at <= latest,
        or_(ApiKey.noticed_days.is_(None), ApiKey.noticed_days > min(NOTICE_DAYS)),
    )
    key_ids = list(db.session.scalars(soon.order_by(ApiKey.expires_at).limit(MAX_PER_RUN)))
    return sum(send_notice(key_id, at=at) for key_id in key_ids)


def send_notice(key_id: str, *, at: datetime) -> bool:
    """Send one key's notice if one is due that was not sent; tell whether it was."""
    with transaction() as session:
        key = session.scalars(select(ApiKey).where(ApiKey.id == key_id).with_for_update(of=ApiKey)).one()
        days = due_notice(key.expires_at, at=at)
        is_new = days is not None and (key.noticed_days is None or days < key.noticed_days)
        if days is None or key.expires_at is None or not is_new or key.revoked_at or key.expires_at <= at:
            return False
        key.noticed_days = days
        tell_owners(session, key, write_expiry(key, expires_at=key.expires_at, days=days), at=at)
    return True
