"""What changes API keys.

Redis is told of every change before SQL commits it, while the key's row is locked. A revocation is written over what
Redis has, so that it holds even if SQL goes away; any other change makes Redis forget the key's tokens, and the next
call waits for the lock and reads the new row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from webapp.accounts.audit import Action, Actor, Details, Target, record_event
from webapp.accounts.models import Organisation
from webapp.core import redis_names as names
from webapp.core.db import ROW_LOCK, transaction
from webapp.core.errors import NotFoundError, UpcubeError
from webapp.core.ids import new_id
from webapp.core.key_tokens import new_token, parse_token
from webapp.core.redis import asking_redis, store
from webapp.core.redis_scripts import RedisScript
from webapp.keys.families import list_made
from webapp.keys.models import ApiKey, StoredToken
from webapp.keys.settings import KeySettings, check_settings, describe, due_notice, settings_of

REVOKE = RedisScript(Path(__file__).with_name("revoke.lua"), takes_epoch=True)

MAX_ACTIVE_KEYS = 100


class TooManyKeysError(UpcubeError):
    """The organisation has as many active keys as it may."""

    status = 409
    code = "too_many_keys"

    def __init__(self) -> None:
        super().__init__(f"An account has at most {MAX_ACTIVE_KEYS} active keys. Revoke one that is not used.")


class KeyOverError(UpcubeError):
    """The key has been revoked, for good."""

    status = 409
    code = "key_revoked"

    def __init__(self) -> None:
        super().__init__("This key has been revoked. Create another.", target="keyId")


@dataclass(frozen=True)
class NewKey:
    """A key with a token just made, which exists raw nowhere else and is shown once."""

    key: ApiKey
    raw: str


def create_key(
    *, organisation_id: str, created_by_id: str, settings: KeySettings, actor: Actor, at: datetime
) -> NewKey:
    """Make a key. Raises InvalidFieldsError or TooManyKeysError."""
    settings = check_settings(settings, at=at)
    with transaction() as session:
        return add_key(
            session,
            organisation_id=organisation_id,
            created_by_id=created_by_id,
            created_by_key_id=None,
            settings=settings,
            actor=actor,
            at=at,
        )


def add_key(
    session: Session,
    *,
    organisation_id: str,
    created_by_id: str,
    created_by_key_id: str | None,
    settings: KeySettings,
    actor: Actor,
    at: datetime,
) -> NewKey:
    """Add a key with checked settings to this transaction. Raises TooManyKeysError."""
    # Locked, so that two at once cannot both be the last one allowed.
    organisation = session.get_one(Organisation, organisation_id, with_for_update=ROW_LOCK)
    active = select(func.count()).where(ApiKey.organisation_id == organisation_id, ApiKey.revoked_at.is_(None))
    if session.execute(active).scalar_one() >= MAX_ACTIVE_KEYS:
        raise TooManyKeysError
    key = ApiKey(
        id=new_id("key", at=at),
        organisation_id=organisation_id,
        created_by_id=created_by_id,
        created_by_key_id=created_by_key_id,
        mode=settings.mode,
        created_at=at,
    )
    write_settings(key, settings, at=at)
    raw = add_token(session, key, organisation, at=at)
    record_key_event(session, Action.KEY_CREATED, key, actor=actor, details=describe(settings), at=at)
    session.flush()
    # Who made it, for whoever shows it.
    session.refresh(key, ["created_by"])
    return NewKey(key=key, raw=raw)


def update_key(*, organisation_id: str, key_id: str, settings: KeySettings, actor: Actor, at: datetime) -> ApiKey:
    """Change what a key may do, from its next call on; its mode stays what it is.

    Raises NotFoundError, InvalidFieldsError, KeyOverError or StoreAwayError.
    """
    with transaction() as session:
        key = lock_active_key(session, organisation_id, key_id)
        after = check_settings(settings, at=at, expired_before=key.expires_at)
        change_locked_key(session, key, after, actor=actor, at=at)
    return key


def change_locked_key(session: Session, key: ApiKey, settings: KeySettings, *, actor: Actor, at: datetime) -> None:
    """Give a key other settings, which are checked, in this transaction, which has its row locked, and tell Redis.

    Raises StoreAwayError.
    """
    before = describe(settings_of(key))
    changes = {name: value for name, value in describe(settings).items() if before[name] != value}
    if changes:
        write_settings(key, settings, at=at)
        record_key_event(session, Action.KEY_CHANGED, key, actor=actor, details=changes, at=at)
        # Keys that it made move its rate clocks.
        forget_tokens(session, key, *(list_made(session, key) if "rateLimits" in changes else ()))


def set_key_disabled(*, organisation_id: str, key_id: str, disabled: bool, actor: Actor, at: datetime) -> ApiKey:
    """Refuse a key's calls until it is enabled again, or enable it. Raises NotFoundError or KeyOverError."""
    with transaction() as session:
        key = lock_active_key(session, organisation_id, key_id)
        switch_locked_key(session, key, disabled=disabled, actor=actor, at=at)
    return key


def switch_locked_key(session: Session, key: ApiKey, *, disabled: bool, actor: Actor, at: datetime) -> None:
    """Disable or enable a key in this transaction, which has its row locked, and tell Redis. Raises StoreAwayError."""
    if disabled != (key.disabled_at is not None):
        key.disabled_at = at if disabled else None
        action = Action.KEY_DISABLED if disabled else Action.KEY_ENABLED
        record_key_event(session, action, key, actor=actor, at=at)
        forget_tokens(session, key)


def revoke_key(
    *, organisation_id: str, key_id: str, actor: Actor, at: datetime, with_made: bool = False
) -> tuple[ApiKey, Sequence[ApiKey]]:
    """Revoke a key for good; the very next call with it is refused. Revoking it again changes nothing.

    With all that it made, where that is wanted: the keys that it made and that they made. Gives the key, and those of
    the others that worked until now. Redis is told before SQL commits: if we die between the two the keys are refused,
    and nobody was told that they work. Raises NotFoundError, or StoreAwayError with nothing done.
    """
    with transaction() as session:
        # Locked where no key may be made meanwhile.
        organisation = session.get_one(Organisation, organisation_id, with_for_update=ROW_LOCK if with_made else None)
        key = lock_key(session, organisation_id, key_id)
        if with_made:
            return key, revoke_locked_family(session, key, organisation, actor=actor, at=at)
        revoke_locked_key(session, key, organisation, actor=actor, at=at)
        return key, ()


def revoke_locked_family(
    session: Session, key: ApiKey, organisation: Organisation, *, actor: Actor, at: datetime
) -> Sequence[ApiKey]:
    """Revoke a key with all that it made in this transaction, which has the organisation's row locked, and the key's.

    Gives those of the others that worked until now. Raises StoreAwayError.
    """
    revoke_locked_key(session, key, organisation, actor=actor, at=at)
    made = list_made(session, key, is_locked=True)
    for each in made:
        revoke_locked_key(session, each, organisation, actor=actor, at=at, with_key=key)
    return made


def revoke_locked_key(
    session: Session,
    key: ApiKey,
    organisation: Organisation,
    *,
    actor: Actor,
    at: datetime,
    with_key: ApiKey | None = None,
) -> None:
    """Revoke a key in this transaction, which has its row locked, and tell Redis. Raises StoreAwayError."""
    if key.revoked_at is None:
        key.revoked_at = at
        details = {"withKey": with_key.id} if with_key else None
        record_key_event(session, Action.KEY_REVOKED, key, actor=actor, details=details, at=at)
        session.flush()
    for digest in session.scalars(select_digests(key)):
        REVOKE.run([names.key_record(organisation.shard_tag, digest)])


# --- Parts ------------------------------------------------------------------------------------------------------------


def lock_key(session: Session, organisation_id: str, key_id: str) -> ApiKey:
    """Give one of the organisation's keys and keep it from changing until this transaction ends.

    Raises NotFoundError, for somebody else's too.
    """
    found = select(ApiKey).where(ApiKey.id == key_id, ApiKey.organisation_id == organisation_id)
    key = session.scalar(found.with_for_update(of=ApiKey))
    if key is None:
        raise NotFoundError("This account has no such key.", target="keyId")
    return key


def lock_active_key(session: Session, organisation_id: str, key_id: str) -> ApiKey:
    """Do the same for a key that can still be changed. Raises NotFoundError or KeyOverError."""
    key = lock_key(session, organisation_id, key_id)
    if key.revoked_at:
        raise KeyOverError
    return key


def write_settings(key: ApiKey, settings: KeySettings, *, at: datetime) -> None:
    """Put checked settings into the key's row. Nobody needs a notice of an expiry that they have just chosen."""
    key.name, key.description = settings.name, settings.description
    key.scopes = " ".join(settings.scopes)
    key.tags, key.addresses = list(settings.tags), list(settings.addresses)
    key.rate_limits = [[limit.calls, limit.seconds] for limit in settings.rate_limits]
    if key.expires_at != settings.expires_at:
        key.expires_at = settings.expires_at
        key.noticed_days = due_notice(settings.expires_at, at=at)


def add_token(session: Session, key: ApiKey, organisation: Organisation, *, at: datetime) -> str:
    """Give the key a new token in this transaction, and give it raw."""
    raw = new_token(organisation.shard_tag)
    token = parse_token(raw)
    if token is None:
        raise RuntimeError("a new token does not parse")
    key.prefix = token.prefix
    session.add(key)
    session.flush()
    session.add(StoredToken(digest=token.digest, key_id=key.id, prefix=token.prefix, created_at=at))
    return raw


def forget_tokens(session: Session, key: ApiKey, *others: ApiKey) -> None:
    """Have the next call with any of the keys' tokens read the key from SQL. Raises StoreAwayError."""
    session.flush()
    shard_tag = session.get_one(Organisation, key.organisation_id).shard_tag
    records = [names.key_record(shard_tag, digest) for digest in session.scalars(select_digests(key, *others))]
    with asking_redis():
        store.client.delete(*records)


def select_digests(*keys: ApiKey) -> Select[str]:
    """Select the digests of all of the keys' tokens."""
    return select(StoredToken.digest).where(StoredToken.key_id.in_([key.id for key in keys]))


def record_key_event(
    session: Session, action: Action, key: ApiKey, *, actor: Actor, at: datetime, details: Details | None = None
) -> None:
    """Add an event about a key to this transaction."""
    record_event(
        session,
        action=action,
        actor=actor,
        target=Target("key", key.id, key.name),
        organisation_id=key.organisation_id,
        details={"prefix": key.prefix, **(details or {})},
        at=at,
    )
