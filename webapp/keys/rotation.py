"""Rotation: a key gets a new token, and the old one goes on for a while.

Limits, budgets, usage and address list are the key's, not the token's: the two share them.
"""

from datetime import datetime, timedelta

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from webapp.accounts.audit import Action, Actor
from webapp.accounts.models import Organisation
from webapp.core.clock import format_time
from webapp.core.db import transaction
from webapp.core.errors import FieldError, InvalidFieldsError, UpcubeError
from webapp.keys.models import ApiKey, StoredToken
from webapp.keys.operations import NewKey, add_token, forget_tokens, lock_active_key, record_key_event

MAX_GRACE = timedelta(days=7)
MAX_LIVE_TOKENS = 5


class KeyExpiredError(UpcubeError):
    """A new token of a key that has expired would be of no use."""

    status = 409
    code = "key_expired"

    def __init__(self) -> None:
        super().__init__("This key has expired. Set another expiry first, or create another key.", target="keyId")


class TooManyTokensError(UpcubeError):
    """The key was rotated often, and its older tokens still work."""

    status = 409
    code = "too_many_tokens"

    def __init__(self) -> None:
        super().__init__(f"A key has at most {MAX_LIVE_TOKENS} tokens that work. Rotate it with no grace.")


def rotate_key(*, organisation_id: str, key_id: str, grace: timedelta, actor: Actor, at: datetime) -> NewKey:
    """Give a key a new token. The one before works until the grace is over; those that end sooner still do.

    Without any grace every token but the new one is refused from the next call on. Raises NotFoundError,
    InvalidFieldsError, KeyOverError, KeyExpiredError, TooManyTokensError or StoreAwayError.
    """
    check_grace(grace)
    with transaction() as session:
        key = lock_active_key(session, organisation_id, key_id)
        return rotate_locked_key(session, key, grace=grace, actor=actor, at=at)


def rotate_locked_key(session: Session, key: ApiKey, *, grace: timedelta, actor: Actor, at: datetime) -> NewKey:
    """Do the same in this transaction, which has the key's row locked, and with a grace that is checked."""
    if key.expires_at and key.expires_at <= at:
        raise KeyExpiredError
    ends_at = at + grace
    is_later = StoredToken.expires_at.is_(None) | (StoredToken.expires_at > ends_at)
    session.execute(update(StoredToken).where(StoredToken.key_id == key.id, is_later).values(expires_at=ends_at))
    live = select(func.count()).where(StoredToken.key_id == key.id, StoredToken.expires_at > at)
    if session.execute(live).scalar_one() >= MAX_LIVE_TOKENS:
        raise TooManyTokensError
    raw = add_token(session, key, session.get_one(Organisation, key.organisation_id), at=at)
    details = {"oldTokenEndsAt": format_time(ends_at)}
    record_key_event(session, Action.KEY_ROTATED, key, actor=actor, details=details, at=at)
    forget_tokens(session, key)
    return NewKey(key=key, raw=raw)


def check_grace(grace: timedelta) -> None:
    """Refuse a grace that is negative or too long. Raises InvalidFieldsError."""
    if not timedelta() <= grace <= MAX_GRACE:
        allowed = f"0 to {int(MAX_GRACE.total_seconds())} seconds"
        raise InvalidFieldsError([FieldError("graceSeconds", f"The old token goes on for {allowed}.", allowed)])
