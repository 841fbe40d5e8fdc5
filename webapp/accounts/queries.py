"""What is known of users and organisations."""

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import func, select

from webapp.accounts.models import LoginSession, Membership, Organisation, User
from webapp.accounts.operations import normalise_email, unknown_email
from webapp.accounts.sessions import hash_session_token, is_live
from webapp.core.db import db
from webapp.core.errors import NotFoundError

# Before anybody signed up.
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class OrganisationSize:
    """An organisation, and how many members it has."""

    organisation: Organisation
    members: int


def get_live_session(token: str, *, at: datetime) -> LoginSession | None:
    """Give the session with this token while it is neither revoked nor over and its user is not disabled."""
    session = db.session.get(LoginSession, hash_session_token(token))
    return session if session and is_live(session, at=at) else None


def list_live_sessions(user_id: str, *, at: datetime) -> list[LoginSession]:
    """Give the user's sessions that are neither revoked nor over, the last used first."""
    statement = select(LoginSession).where(LoginSession.user_id == user_id, LoginSession.revoked_at.is_(None))
    found = db.session.scalars(statement.order_by(LoginSession.last_seen_at.desc()))
    return [session for session in found if is_live(session, at=at)]


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


def get_organisation_named(name: str) -> Organisation:
    """Give the organisation with this id, or the personal one of the user with this address. Raises NotFoundError."""
    if "@" in name or not name.startswith("org_"):
        return get_personal_organisation(get_user_by_email(name).id)
    organisation = db.session.get(Organisation, name)
    if organisation is None:
        raise NotFoundError(f"There is no organisation {name}.", target="organisation")
    return organisation


def get_organisation_by_tag(shard_tag: str) -> Organisation | None:
    """Give the organisation with this shard tag."""
    return db.session.scalar(select(Organisation).where(Organisation.shard_tag == shard_tag))


def get_organisation(organisation_id: str) -> Organisation:
    """Give an organisation that is known to exist."""
    return db.session.get_one(Organisation, organisation_id)


def get_current_membership(user_id: str, wanted_id: str | None) -> Membership:
    """Give the user's membership in the wanted organisation, or in their personal one where they have no such."""
    wanted = db.session.get(Membership, (user_id, wanted_id)) if wanted_id else None
    return wanted or db.session.get_one(Membership, (user_id, get_personal_organisation(user_id).id))


def list_memberships(user_id: str) -> list[Membership]:
    """Give the organisations that the user belongs to: the personal one, then the others by name."""
    order = (Organisation.personal_user_id.is_(None), Organisation.name, Organisation.id)
    statement = select(Membership).join(Organisation).where(Membership.user_id == user_id).order_by(*order)
    return list(db.session.scalars(statement))


def list_members(organisation_id: str) -> list[Membership]:
    """Give the organisation's members, in the order in which they came."""
    statement = select(Membership).where(Membership.organisation_id == organisation_id)
    return list(db.session.scalars(statement.order_by(Membership.created_at, Membership.user_id)))


def get_user(user_id: str) -> User:
    """Give a user who is known to exist."""
    return db.session.get_one(User, user_id)


def count_users(*, since: datetime = LONG_AGO) -> int:
    """Give how many users there are who signed up since then and have not deleted their account."""
    statement = select(func.count()).select_from(User).where(User.created_at >= since, User.deleted_at.is_(None))
    return db.session.scalar(statement) or 0


def count_organisations(*, since: datetime = LONG_AGO) -> int:
    """Give how many shared organisations were made since then and are not closed, not counting personal ones."""
    statement = (
        select(func.count())
        .select_from(Organisation)
        .where(
            Organisation.created_at >= since,
            Organisation.personal_user_id.is_(None),
            Organisation.disabled_at.is_(None),
        )
    )
    return db.session.scalar(statement) or 0


def search_users(text: str, *, limit: int) -> list[User]:
    """Give users with this in their address, newest first."""
    statement = select(User).where(User.deleted_at.is_(None), User.email.icontains(text, autoescape=True))
    return list(db.session.scalars(statement.order_by(User.id.desc()).limit(limit)))


def list_newest_organisations(*, limit: int) -> list[OrganisationSize]:
    """Give the shared organisations that are not closed, newest first."""
    statement = (
        select(Organisation, func.count(Membership.user_id))
        .outerjoin(Membership, Membership.organisation_id == Organisation.id)
        .where(Organisation.personal_user_id.is_(None), Organisation.disabled_at.is_(None))
        .group_by(Organisation.id)
        .order_by(Organisation.id.desc())
        .limit(limit)
    )
    return [OrganisationSize(organisation, members) for organisation, members in db.session.execute(statement)]
