"""The sessions that log-ins start: how they begin, are renewed, and end."""

import hashlib
import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session

from webapp.accounts.audit import (
    MAX_ADDRESS_LENGTH,
    MAX_USER_AGENT_LENGTH,
    Action,
    Actor,
    Origin,
    Target,
    record_event,
    user_actor,
)
from webapp.accounts.models import LoginSession
from webapp.core.db import transaction
from webapp.core.errors import NotFoundError, StoreAwayError

SESSION_LIFETIME = timedelta(days=14)
# A session that nobody uses for so long is over earlier.
IDLE_LIFETIME = timedelta(days=7)
# How exactly a session's last use is known: each note of it is a write.
SEEN_INTERVAL = timedelta(minutes=5)
# For so long after proving who they are, people may do what is dangerous without proving it again.
CONFIRMED_FOR = timedelta(minutes=15)


@dataclass(frozen=True)
class NewSession:
    """A session just started, and the token that its cookie carries. We keep only the token's hash."""

    user_id: str
    token: str


def hash_session_token(token: str) -> str:
    """Give the SHA-256 that a session is stored under."""
    return hashlib.sha256(token.encode()).hexdigest()


def start_session(session: Session, *, user_id: str, origin: Origin, at: datetime) -> NewSession:
    """Add a session for the user to this transaction."""
    token = secrets.token_urlsafe(32)
    session.add(
        LoginSession(
            id=hash_session_token(token),
            user_id=user_id,
            created_at=at,
            expires_at=at + SESSION_LIFETIME,
            authenticated_at=at,
            last_seen_at=at,
            user_agent=origin.user_agent[:MAX_USER_AGENT_LENGTH],
            address=origin.address[:MAX_ADDRESS_LENGTH],
        )
    )
    return NewSession(user_id=user_id, token=token)


def is_live(session: LoginSession, *, at: datetime) -> bool:
    """Tell whether a session is neither revoked nor over and its user is not disabled."""
    is_over = session.expires_at <= at or session.last_seen_at + IDLE_LIFETIME <= at
    return not (session.revoked_at or is_over or session.user.disabled_at)


def is_confirmed(session: LoginSession, *, at: datetime) -> bool:
    """Tell whether its user has proved who they are a short while ago."""
    return session.authenticated_at + CONFIRMED_FOR > at


def renew_session(session: Session, *, token: str, at: datetime) -> str:
    """Give the session another token, as its user has just proved who they are: what the old one opened is closed."""
    renewed = secrets.token_urlsafe(32)
    session.execute(
        update(LoginSession)
        .where(LoginSession.id == hash_session_token(token), LoginSession.revoked_at.is_(None))
        .values(id=hash_session_token(renewed), authenticated_at=at, last_seen_at=at)
        .execution_options(synchronize_session=False)
    )
    session.expire_all()
    return renewed


def note_use(found: LoginSession, *, origin: Origin, at: datetime) -> None:
    """Note that a session is in use, and from where, every few minutes; no page fails because that cannot be noted."""
    if found.last_seen_at + SEEN_INTERVAL > at:
        return
    with suppress(StoreAwayError), transaction() as session:
        session.execute(
            update(LoginSession)
            .where(LoginSession.id == found.id, LoginSession.last_seen_at < at)
            .values(last_seen_at=at, address=origin.address[:MAX_ADDRESS_LENGTH])
        )


def end_sessions(session: Session, *, user_id: str, at: datetime, keep_token: str | None = None) -> int:
    """End all of a user's sessions in this transaction, or all but one, and give how many there were."""
    statement = update(LoginSession).where(LoginSession.user_id == user_id, LoginSession.revoked_at.is_(None))
    if keep_token is not None:
        statement = statement.where(LoginSession.id != hash_session_token(keep_token))
    return len(session.scalars(statement.values(revoked_at=at).returning(LoginSession.id)).all())


def end_session(*, user_id: str, session_id: str, actor: Actor, at: datetime) -> None:
    """End one of a user's own sessions; one that is over stays so. Raises NotFoundError."""
    with transaction() as session:
        found = session.scalar(
            select(LoginSession)
            .where(LoginSession.id == session_id, LoginSession.user_id == user_id)
            .with_for_update(of=LoginSession)
        )
        if found is None:
            raise NotFoundError("You have no such session.", target="sessionId")
        if found.revoked_at is None:
            found.revoked_at = at
            record_ended(session, actor=actor, count=1, at=at)


def end_all_sessions(*, user_id: str, actor: Actor, at: datetime) -> None:
    """Log a user out everywhere."""
    with transaction() as session:
        count = end_sessions(session, user_id=user_id, at=at)
        record_ended(session, actor=actor, count=count, at=at)


def record_ended(session: Session, *, actor: Actor, count: int, at: datetime) -> None:
    """Note that somebody ended sessions of their own."""
    target = Target("user", actor.id or "", actor.label)
    record_event(session, action=Action.LOGIN_ENDED, actor=actor, target=target, details={"sessions": count}, at=at)


def log_out(*, token: str, origin: Origin, at: datetime) -> None:
    """Revoke the session; one that is unknown or over stays so."""
    with transaction() as session:
        found = session.get(LoginSession, hash_session_token(token), with_for_update={"of": LoginSession})
        if found is None or found.revoked_at:
            return
        found.revoked_at = at
        record_ended(session, actor=user_actor(found.user, origin), count=1, at=at)


def prune_sessions(*, before: datetime) -> None:
    """Forget the sessions that were over before this moment."""
    with transaction() as session:
        session.execute(
            delete(LoginSession).where(or_(LoginSession.expires_at < before, LoginSession.revoked_at < before))
        )
