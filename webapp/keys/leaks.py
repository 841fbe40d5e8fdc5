"""Keys that others can read: reported by whoever found them, or seen in the address of a request."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from webapp.accounts.audit import Action, Actor, Details
from webapp.accounts.models import Organisation
from webapp.core.db import ROW_LOCK, transaction
from webapp.core.key_tokens import KeyToken, parse_token
from webapp.keys.families import list_made
from webapp.keys.letters import tell_owners, write_leak
from webapp.keys.models import ApiKey, StoredToken
from webapp.keys.operations import record_key_event, revoke_locked_family
from webapp.keys.queries import get_token_by_digest

# A key that is only warned of is not warned of again for so long, however often it is reported.
QUIET = timedelta(days=1)


def report_leaks(raws: Iterable[str], *, where: str, actor: Actor, at: datetime) -> None:
    """Revoke the keys that these tokens belong to, or only warn where their organisation wants it so.

    What is no token of ours, or of a key that is over, is passed over without a sign. Raises StoreAwayError.
    """
    for token in {token for raw in raws if (token := parse_token(raw))}:
        report_leak(token, where=where, actor=actor, at=at)


def report_leak(token: KeyToken, *, where: str, actor: Actor, at: datetime) -> None:
    """Do what is to be done about one token: whoever had the key may have made others with it, so they end with it."""
    found = get_token_by_digest(token.digest)
    if found is None:
        return
    organisation_id = found.key.organisation_id
    with transaction() as session:
        # Locked, so that the key makes no other meanwhile.
        organisation = session.get_one(Organisation, organisation_id, with_for_update=ROW_LOCK)
        stored = lock_live_token(session, token, at=at)
        if stored is None:
            return
        revokes = organisation.revokes_leaked_keys
        if not revokes and stored.warned_at and stored.warned_at > at - QUIET:
            return
        made = list_made(session, stored.key)
        warn(session, stored, where=where, was_revoked=revokes, made=made, actor=actor, at=at)
        if revokes:
            revoke_locked_family(session, stored.key, organisation, actor=actor, at=at)


def warn_of_address(token: KeyToken, *, actor: Actor, at: datetime) -> None:
    """Tell a key's owners, once, that a program sends it in the address of its requests. Raises StoreAwayError."""
    found = get_token_by_digest(token.digest)
    if found is None or found.warned_at:
        return
    with transaction() as session:
        stored = lock_live_token(session, token, at=at)
        if stored and stored.warned_at is None:
            where = "in the address of a request, where logs and histories keep it"
            made = list_made(session, stored.key)
            warn(session, stored, where=where, was_revoked=False, made=made, actor=actor, at=at)


def lock_live_token(session: Session, token: KeyToken, *, at: datetime) -> StoredToken | None:
    """Give a token that still works, with its key locked in this transaction."""
    owner = select(StoredToken.key_id).where(StoredToken.digest == token.digest)
    session.execute(select(ApiKey.id).where(ApiKey.id.in_(owner)).with_for_update())
    stored = get_token_by_digest(token.digest)
    if stored is None or stored.key.revoked_at or (stored.expires_at and stored.expires_at <= at):
        return None
    return stored


def warn(
    session: Session,
    stored: StoredToken,
    *,
    where: str,
    was_revoked: bool,
    made: Sequence[ApiKey],
    actor: Actor,
    at: datetime,
) -> None:
    """Note that a token was exposed and tell its owners, with the keys that its key made, in this transaction."""
    stored.warned_at = at
    details: Details = {"where": where, "revoked": was_revoked, "made": [each.id for each in made]}
    record_key_event(session, Action.KEY_LEAKED, stored.key, actor=actor, details=details, at=at)
    letter = write_leak(stored.key, where=where, was_revoked=was_revoked, made=made)
    tell_owners(session, stored.key, letter, at=at)
