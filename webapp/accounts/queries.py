"""What is known of users and organisations."""

from datetime import datetime

from sqlalchemy import select

from webapp.accounts.models import LoginSession, Organisation, User
from webapp.accounts.operations import hash_session_token, normalise_email, unknown_email
from webapp.core.db import db


def get_live_session(token: str, *, at: datetime) -> LoginSession | None:
    """Give the session with this token while it is neither revoked nor over and its user is not disabled."""
    session = db.session.get(LoginSession, hash_session_token(token))
    if session is None or session.revoked_at or session.expires_at <= at or session.user.disabled_at:
        return None
    return session


def list_users() -> list[User]:
    """Give every user, oldest first."""
    return list(db.session.scalars(select(User).order_by(User.id)))


def get_user_by_email(email: str) -> User:
    """Give the user with this address. Raises NotFoundError."""
    user = db.session.scalar(select(User).where(User.email == normalise_email(email)))
    if user is None:
        raise unknown_email(email)
    return user


def get_personal_organisation(user_id: str) -> Organisation:
    """Give the organisation that the user got at sign-up."""
    return db.session.scalars(select(Organisation).where(Organisation.personal_user_id == user_id)).one()


def get_organisation_by_email(email: str) -> Organisation:
    """Give the personal organisation of the user with this address. Raises NotFoundError."""
    return get_personal_organisation(get_user_by_email(email).id)


def get_organisation_by_tag(shard_tag: str) -> Organisation | None:
    """Give the organisation with this shard tag."""
    return db.session.scalar(select(Organisation).where(Organisation.shard_tag == shard_tag))


def get_organisation(organisation_id: str) -> Organisation:
    """Give an organisation that is known to exist."""
    return db.session.get_one(Organisation, organisation_id)
