"""What changes users and their sessions."""

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from webapp.accounts.audit import (
    MAX_ADDRESS_LENGTH,
    MAX_USER_AGENT_LENGTH,
    Action,
    Actor,
    ActorType,
    Origin,
    Target,
    record_event,
    unknown_actor,
    user_actor,
)
from webapp.accounts.models import LoginSession, Membership, Organisation, User
from webapp.accounts.passwords import check_password_rules, verify_password
from webapp.accounts.roles import Role
from webapp.core import redis as names
from webapp.core.db import db, transaction
from webapp.core.errors import FieldError, InvalidFieldsError, NotFoundError, UpcubeError
from webapp.core.ids import new_id
from webapp.core.key_tokens import new_shard_tag
from webapp.core.redis import asking_redis, store

SESSION_LIFETIME = timedelta(days=14)
MAX_EMAIL_LENGTH = 254

# The shape of an address, not proof that it exists: only a mail to it proves that.
EMAIL = re.compile(r"[^\s@\x00-\x1f\x7f]{1,64}@[^\s@.\x00-\x1f\x7f]+(\.[^\s@.\x00-\x1f\x7f]+)*")


class WrongLoginError(UpcubeError):
    """The address or the password is wrong; which of them is not said."""

    status = 401
    code = "wrong_login"

    def __init__(self) -> None:
        super().__init__("The e-mail address or the password is wrong.")


@dataclass(frozen=True)
class NewSession:
    """A session just started, and the token that its cookie carries. We keep only the token's hash."""

    user_id: str
    token: str


def normalise_email(email: str) -> str:
    """Write an address as we store and look it up: without spaces around it, in lower case."""
    return email.strip().lower()


def check_new_user(email: str, password: str) -> None:
    """Refuse an impossible address or password, naming all that is wrong at once."""
    wrong: list[FieldError] = []
    if len(email) > MAX_EMAIL_LENGTH or not EMAIL.fullmatch(email):
        wrong.append(FieldError("email", "This is not an e-mail address.", "name@example.com"))
    if problem := check_password_rules(password, email=email):
        wrong.append(problem)
    if wrong:
        raise InvalidFieldsError(wrong)


def add_user(
    session: Session, *, email: str, password_hash: str, verified: bool, actor: Actor, at: datetime
) -> Organisation:
    """Add a user and their personal organisation to this transaction. Raises InvalidFieldsError for a taken address.

    Somebody unknown who signs up is from then on known as that user.
    """
    if session.scalar(select(User.id).where(User.email == email)):
        raise email_taken()
    user = User(
        id=new_id("user", at=at),
        email=email,
        password_hash=password_hash,
        email_verified_at=at if verified else None,
        created_at=at,
    )
    session.add(user)
    session.flush()
    organisation = Organisation(
        id=new_id("org", at=at), name=email, shard_tag=new_shard_tag(), personal_user_id=user.id, created_at=at
    )
    session.add(organisation)
    session.flush()
    session.add(Membership(user_id=user.id, organisation_id=organisation.id, role=Role.OWNER, created_at=at))
    record_event(
        session,
        action=Action.USER_SIGNED_UP,
        actor=user_actor(user, actor.origin) if actor.type is ActorType.NOBODY else actor,
        target=user_target(user),
        at=at,
    )
    return organisation


def user_target(user: User) -> Target:
    """Name a user as what was acted upon."""
    return Target("user", user.id, user.email)


def email_taken() -> InvalidFieldsError:
    """Give the refusal of an address that has an account already."""
    return InvalidFieldsError([FieldError("email", "This address already has an account. Log in instead.")])


def log_in(*, email: str, password: str, origin: Origin, at: datetime) -> NewSession:
    """Check the password and start a session. Raises WrongLoginError."""
    # Before the transaction: hashing is slow on purpose, and SQLite has one writer.
    user = find_user(normalise_email(email))
    if not verify_password(user.password_hash if user else None, password) or user is None or user.disabled_at:
        record_failed_login(user, origin=origin, at=at)
        raise WrongLoginError
    with transaction() as session:
        record_event(
            session,
            action=Action.LOGIN_SUCCEEDED,
            actor=user_actor(user, origin),
            target=user_target(user),
            at=at,
        )
        return start_session(session, user_id=user.id, origin=origin, at=at)


def record_failed_login(user: User | None, *, origin: Origin, at: datetime) -> None:
    """Note the attempt. It is noted, without what was typed, for an unknown address too: that takes as long."""
    with transaction() as session:
        record_event(
            session,
            action=Action.LOGIN_FAILED,
            actor=unknown_actor(origin),
            target=user_target(user) if user else None,
            at=at,
        )


def find_user(email: str) -> User | None:
    """Give the user with this address. What cannot be an address is not looked up: PostgreSQL fails on a NUL."""
    return db.session.scalar(select(User).where(User.email == email)) if EMAIL.fullmatch(email) else None


def start_session(session: Session, *, user_id: str, origin: Origin, at: datetime) -> NewSession:
    """Add a session for the user to this transaction."""
    token = secrets.token_urlsafe(32)
    session.add(
        LoginSession(
            id=hash_session_token(token),
            user_id=user_id,
            created_at=at,
            expires_at=at + SESSION_LIFETIME,
            user_agent=origin.user_agent[:MAX_USER_AGENT_LENGTH],
            address=origin.address[:MAX_ADDRESS_LENGTH],
        )
    )
    return NewSession(user_id=user_id, token=token)


def log_out(*, token: str, origin: Origin, at: datetime) -> None:
    """Revoke the session; one that is unknown or over stays so."""
    with transaction() as session:
        found = session.get(LoginSession, hash_session_token(token), with_for_update=True)
        if found is None or found.revoked_at:
            return
        found.revoked_at = at
        record_event(
            session,
            action=Action.LOGIN_ENDED,
            actor=user_actor(found.user, origin),
            target=user_target(found.user),
            at=at,
        )


def prune_sessions(*, before: datetime) -> None:
    """Forget the sessions that were over before this moment."""
    with transaction() as session:
        session.execute(delete(LoginSession).where(LoginSession.expires_at < before))


def hash_session_token(token: str) -> str:
    """Give the SHA-256 that a session is stored under."""
    return hashlib.sha256(token.encode()).hexdigest()


def disable_user(*, email: str, actor: Actor, at: datetime) -> Organisation:
    """Shut a user out: no log-in, no session, and no call with a key of their personal organisation.

    Redis is told before SQL commits, as for a revoked key. Raises NotFoundError or StoreAwayError.
    """
    with transaction() as session:
        user = session.scalar(select(User).where(User.email == normalise_email(email)).with_for_update())
        if user is None:
            raise unknown_email(email)
        organisation = session.scalars(select(Organisation).where(Organisation.personal_user_id == user.id)).one()
        user.disabled_at = user.disabled_at or at
        organisation.disabled_at = organisation.disabled_at or at
        session.execute(
            update(LoginSession)
            .where(LoginSession.user_id == user.id, LoginSession.revoked_at.is_(None))
            .values(revoked_at=at)
        )
        record_event(session, action=Action.USER_DISABLED, actor=actor, target=user_target(user), at=at)
        session.flush()
        with asking_redis():
            store.client.hset(names.account_record(organisation.shard_tag), "state", "disabled")
    return organisation


def unknown_email(email: str) -> NotFoundError:
    """Give the refusal of an address that has no account."""
    return NotFoundError(f"No user has the address {email}.", target="email")
