"""What changes users."""

import re
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from webapp.accounts.audit import Action, Actor, ActorType, Target, record_event, user_actor
from webapp.accounts.models import Membership, Organisation, User
from webapp.accounts.organisations import end_owner_invitations
from webapp.accounts.passwords import check_password_rules
from webapp.accounts.roles import Role
from webapp.accounts.sessions import end_sessions
from webapp.core import redis_names as names
from webapp.core.db import ROW_LOCK, db, transaction
from webapp.core.errors import FieldError, InvalidFieldsError, NotFoundError
from webapp.core.ids import new_id
from webapp.core.key_tokens import new_shard_tag
from webapp.core.redis import asking_redis, store

MAX_EMAIL_LENGTH = 254

# The shape of an address, not proof that it exists: only a mail to it proves that.
# Nothing that a mail server would take for more than one address, or for a name beside it.
NEVER = r"\s@\x00-\x1f\x7f,;:<>()\[\]\\\""
EMAIL = re.compile(rf"[^{NEVER}]{{1,64}}@[^.{NEVER}]+(\.[^.{NEVER}]+)*")


def normalise_email(email: str) -> str:
    """Write an address as we store and look it up: without spaces around it, in lower case."""
    return email.strip().lower()


def check_new_user(email: str, password: str) -> None:
    """Refuse an impossible address or password, naming all that is wrong at once."""
    problems = (find_email_problem(email), check_password_rules(password, email=email))
    if wrong := [problem for problem in problems if problem]:
        raise InvalidFieldsError(wrong)


def find_email_problem(email: str) -> FieldError | None:
    """Give what is wrong with an address, or None."""
    if len(email) > MAX_EMAIL_LENGTH or not EMAIL.fullmatch(email):
        return FieldError("email", "This is not an e-mail address.", "name@example.com")
    return None


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


def find_user(email: str) -> User | None:
    """Give the user with this address. What cannot be an address is not looked up: PostgreSQL fails on a NUL."""
    return db.session.scalar(select(User).where(User.email == email)) if EMAIL.fullmatch(email) else None


def disable_user(*, email: str, actor: Actor, at: datetime) -> Organisation:
    """Shut a user out: no log-in, no session, and no call with a key of their personal organisation.

    Redis is told before SQL commits, as for a revoked key. Raises NotFoundError or StoreAwayError.
    """
    with transaction() as session:
        user = session.scalar(select(User).where(User.email == normalise_email(email)).with_for_update(**ROW_LOCK))
        if user is None:
            raise unknown_email(email)
        organisation = session.scalars(select(Organisation).where(Organisation.personal_user_id == user.id)).one()
        user.disabled_at = user.disabled_at or at
        organisation.disabled_at = organisation.disabled_at or at
        end_sessions(session, user_id=user.id, at=at)
        end_owner_invitations(session, user_id=user.id, at=at)
        record_event(session, action=Action.USER_DISABLED, actor=actor, target=user_target(user), at=at)
        session.flush()
        with asking_redis():
            store.client.hset(names.account_record(organisation.shard_tag), "state", "disabled")
    return organisation


def unknown_email(email: str) -> NotFoundError:
    """Give the refusal of an address that has no account."""
    return NotFoundError(f"No user has the address {email}.", target="email")
