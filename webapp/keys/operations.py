"""What changes API keys."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from webapp.accounts.audit import Action, Actor, Target, record_event
from webapp.accounts.models import Organisation
from webapp.core import redis as names
from webapp.core.db import transaction
from webapp.core.errors import FieldError, InvalidFieldsError, NotFoundError, UpcubeError
from webapp.core.ids import new_id
from webapp.core.key_tokens import new_token, parse_token
from webapp.core.redis import RedisScript
from webapp.core.text import has_control_characters
from webapp.keys.models import ApiKey
from webapp.keys.scopes import SCOPES, sort_scopes

REVOKE = RedisScript(Path(__file__).with_name("revoke.lua"), takes_epoch=True)

MAX_NAME_LENGTH = 80
MAX_ACTIVE_KEYS = 100


class TooManyKeysError(UpcubeError):
    """The organisation has as many active keys as it may."""

    status = 409
    code = "too_many_keys"

    def __init__(self) -> None:
        super().__init__(f"An account has at most {MAX_ACTIVE_KEYS} active keys. Revoke one that is not used.")


@dataclass(frozen=True)
class NewKey:
    """A key just made, with the raw token, which exists nowhere else and is shown once."""

    key: ApiKey
    raw: str


def create_key(
    *, organisation_id: str, created_by_id: str, name: str, scopes: Collection[str], actor: Actor, at: datetime
) -> NewKey:
    """Make a key. Raises InvalidFieldsError or TooManyKeysError."""
    name = name.strip()
    check_new_key(name, scopes)
    with transaction() as session:
        # Locked, so that two at once cannot both be the last one allowed.
        organisation = session.get_one(Organisation, organisation_id, with_for_update=True)
        active = select(func.count()).where(ApiKey.organisation_id == organisation_id, ApiKey.revoked_at.is_(None))
        if session.execute(active).scalar_one() >= MAX_ACTIVE_KEYS:
            raise TooManyKeysError
        raw = new_token(organisation.shard_tag)
        token = parse_token(raw)
        if token is None:
            raise RuntimeError("a new token does not parse")
        key = ApiKey(
            id=new_id("key", at=at),
            organisation_id=organisation_id,
            created_by_id=created_by_id,
            name=name,
            prefix=token.prefix,
            digest=token.digest,
            scopes=" ".join(sort_scopes(scopes)),
            created_at=at,
        )
        session.add(key)
        record_event(
            session,
            action=Action.KEY_CREATED,
            actor=actor,
            target=key_target(key),
            organisation_id=organisation_id,
            details={"prefix": key.prefix, "scopes": key.scopes.split()},
            at=at,
        )
    return NewKey(key=key, raw=raw)


def key_target(key: ApiKey) -> Target:
    """Name a key as what was acted upon."""
    return Target("key", key.id, key.name)


def check_new_key(name: str, scopes: Collection[str]) -> None:
    """Refuse a bad name or bad scopes, naming all that is wrong at once."""
    wrong: list[FieldError] = []
    if not 1 <= len(name) <= MAX_NAME_LENGTH:
        allowed = f"1 to {MAX_NAME_LENGTH} characters"
        wrong.append(FieldError("name", f"A key's name has {allowed}.", allowed))
    elif has_control_characters(name):
        wrong.append(FieldError("name", "A key's name has no control characters."))
    known = ", ".join(SCOPES)
    if not scopes:
        wrong.append(FieldError("scopes", "A key needs at least one scope.", known))
    wrong.extend(FieldError("scopes", f"{scope!r} is not a scope.", known) for scope in scopes if scope not in SCOPES)
    if wrong:
        raise InvalidFieldsError(wrong)


def revoke_key(*, organisation_id: str, key_id: str, actor: Actor, at: datetime) -> ApiKey:
    """Revoke a key for good; the very next call with it is refused. Revoking it again changes nothing.

    Redis is told before SQL commits: if we die between the two the key is refused, and nobody was told that it works.
    Raises NotFoundError, or StoreAwayError with nothing done.
    """
    with transaction() as session:
        key = session.scalar(
            select(ApiKey).where(ApiKey.id == key_id, ApiKey.organisation_id == organisation_id).with_for_update()
        )
        if key is None:
            raise NotFoundError("This account has no such key.", target="keyId")
        revoke_locked_key(session, key, session.get_one(Organisation, organisation_id), actor=actor, at=at)
    return key


def revoke_locked_key(session: Session, key: ApiKey, organisation: Organisation, *, actor: Actor, at: datetime) -> None:
    """Revoke a key in this transaction, which has its row locked, and tell Redis. Raises StoreAwayError."""
    if key.revoked_at is None:
        key.revoked_at = at
        record_event(
            session,
            action=Action.KEY_REVOKED,
            actor=actor,
            target=key_target(key),
            organisation_id=organisation.id,
            details={"prefix": key.prefix},
            at=at,
        )
        session.flush()
    REVOKE.run([names.key_record(organisation.shard_tag, key.digest)])
