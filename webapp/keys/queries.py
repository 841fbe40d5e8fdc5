"""What is known of API keys."""

from datetime import datetime

from sqlalchemy import select

from webapp.core.db import db
from webapp.core.errors import NotFoundError
from webapp.core.pages import Page, read_page
from webapp.keys.models import ApiKey, StoredToken


def list_keys(organisation_id: str) -> list[ApiKey]:
    """Give the organisation's keys, revoked ones included, newest first."""
    return list(
        db.session.scalars(select(ApiKey).where(ApiKey.organisation_id == organisation_id).order_by(ApiKey.id.desc()))
    )


def list_keys_page(organisation_id: str, *, limit: int, cursor: str | None) -> Page[ApiKey]:
    """Give the organisation's keys before the cursor, newest first."""
    return read_page(
        select(ApiKey).where(ApiKey.organisation_id == organisation_id), ApiKey.id, limit=limit, cursor=cursor
    )


def get_token_by_digest(digest: str, *, is_locked: bool = False) -> StoredToken | None:
    """Give the token with this SHA-256, and its key.

    The key is kept from changing until the transaction ends where it is locked. The token is read after that: a
    rotation that we waited for may have ended it.
    """
    key_id = db.session.scalar(select(StoredToken.key_id).where(StoredToken.digest == digest))
    if key_id is None:
        return None
    if is_locked:
        db.session.execute(select(ApiKey.id).where(ApiKey.id == key_id).with_for_update(read=True))
    fresh = select(StoredToken).where(StoredToken.digest == digest).execution_options(populate_existing=True)
    return db.session.scalar(fresh)


def get_key(key_id: str) -> ApiKey:
    """Give any organisation's key, for the operator. Raises NotFoundError."""
    key = db.session.get(ApiKey, key_id)
    if key is None:
        raise NotFoundError("There is no such key.", target="keyId")
    return key


def get_own_key(*, organisation_id: str, key_id: str) -> ApiKey:
    """Give one of the organisation's keys. Raises NotFoundError, for somebody else's too."""
    key = db.session.scalar(select(ApiKey).where(ApiKey.id == key_id, ApiKey.organisation_id == organisation_id))
    if key is None:
        raise NotFoundError("This account has no such key.", target="keyId")
    return key


def list_old_tokens(key_id: str, *, at: datetime) -> list[StoredToken]:
    """Give the key's tokens that were replaced and still work, the one that ends last first."""
    statement = select(StoredToken).where(StoredToken.key_id == key_id, StoredToken.expires_at > at)
    return list(db.session.scalars(statement.order_by(StoredToken.expires_at.desc())))
