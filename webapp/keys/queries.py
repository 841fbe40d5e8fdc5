"""What is known of API keys."""

from sqlalchemy import select

from webapp.core.db import db
from webapp.core.errors import NotFoundError
from webapp.keys.models import ApiKey


def list_keys(organisation_id: str) -> list[ApiKey]:
    """Give the organisation's keys, revoked ones included, newest first."""
    return list(
        db.session.scalars(select(ApiKey).where(ApiKey.organisation_id == organisation_id).order_by(ApiKey.id.desc()))
    )


def get_key_by_digest(digest: str) -> ApiKey | None:
    """Give the key whose token has this SHA-256."""
    return db.session.scalar(select(ApiKey).where(ApiKey.digest == digest))


def get_key(key_id: str) -> ApiKey:
    """Give any organisation's key, for the operator. Raises NotFoundError."""
    key = db.session.get(ApiKey, key_id)
    if key is None:
        raise NotFoundError("There is no such key.", target="keyId")
    return key
