"""What is known of API keys."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select

from webapp.core.db import db
from webapp.core.errors import NotFoundError
from webapp.core.pages import Page, read_page
from webapp.keys.families import get_line, list_made
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

    The key and its line are kept from changing until the transaction ends where it is locked. The token is read after
    that: a rotation that we waited for may have ended it.
    """
    statement = select(StoredToken).where(StoredToken.digest == digest)
    found = db.session.scalar(statement)
    if found is None or not is_locked:
        return found
    line = [key.id for key in get_line(db.session(), found.key)]
    # In one order, so that nobody waits in a circle.
    locked = select(ApiKey).where(ApiKey.id.in_(line)).order_by(ApiKey.id).with_for_update(read=True, of=ApiKey)
    db.session.execute(locked.execution_options(populate_existing=True)).all()
    return db.session.scalar(statement.execution_options(populate_existing=True))


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


def list_keys_made_by(key: ApiKey) -> Sequence[ApiKey]:
    """Give the keys that this one made, and those that they made, that are not revoked, oldest first."""
    return list_made(db.session(), key)


def list_old_tokens(key_id: str, *, at: datetime) -> list[StoredToken]:
    """Give the key's tokens that were replaced and still work, the one that ends last first."""
    statement = select(StoredToken).where(StoredToken.key_id == key_id, StoredToken.expires_at > at)
    return list(db.session.scalars(statement.order_by(StoredToken.expires_at.desc())))
