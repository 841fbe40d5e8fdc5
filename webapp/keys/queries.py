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


def get_key_by_digest(digest: str, *, is_locked: bool = False) -> ApiKey | None:
    """Give the key whose token has this SHA-256, kept from changing until the transaction ends where it is locked."""
    statement = select(ApiKey).where(ApiKey.digest == digest)
    return db.session.scalar(statement.with_for_update(read=True) if is_locked else statement)


def get_key(key_id: str) -> ApiKey:
    """Give any organisation's key, for the operator. Raises NotFoundError."""
    key = db.session.get(ApiKey, key_id)
    if key is None:
        raise NotFoundError("There is no such key.", target="keyId")
    return key
