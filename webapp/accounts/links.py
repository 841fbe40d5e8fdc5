"""Links that are mailed: each proves once, to whoever made the request, that its reader reads that address's mail."""

import hashlib
import secrets
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from webapp.accounts.models import EmailLink
from webapp.core.db import db, transaction
from webapp.core.errors import UpcubeError


class Purpose(StrEnum):
    """What a link is good for."""

    VERIFY = "verify"
    RESET = "reset"
    CHANGE = "change"


LIFETIMES = {
    Purpose.VERIFY: timedelta(days=3),
    Purpose.RESET: timedelta(minutes=30),
    Purpose.CHANGE: timedelta(hours=1),
}


class LinkOverError(UpcubeError):
    """The link was used, is too old, or never was one."""

    status = 410
    code = "link_over"

    def __init__(self) -> None:
        super().__init__("This link was used before or is too old. Ask for another one.")


def add_link(session: Session, *, user_id: str, purpose: Purpose, email: str, at: datetime) -> str:
    """Add a link to this transaction and give its token, of which only the hash is kept."""
    token = secrets.token_urlsafe(32)
    session.add(
        EmailLink(
            id=hash_link_token(token),
            user_id=user_id,
            purpose=purpose,
            email=email,
            created_at=at,
            expires_at=at + LIFETIMES[purpose],
        )
    )
    return token


def find_link(token: str, *purposes: Purpose, at: datetime) -> EmailLink:
    """Give a link that is good for one of these purposes. Raises LinkOverError."""
    statement = select(EmailLink).where(
        EmailLink.id == hash_link_token(token), EmailLink.purpose.in_(purposes), EmailLink.expires_at > at
    )
    link = db.session.scalar(statement)
    if link is None:
        raise LinkOverError
    return link


def take_link(session: Session, *, token: str, purpose: str, at: datetime) -> EmailLink:
    """Use a link up in this transaction: of two at once one has it. Raises LinkOverError."""
    link = session.scalar(
        delete(EmailLink)
        .where(EmailLink.id == hash_link_token(token), EmailLink.purpose == purpose, EmailLink.expires_at > at)
        .returning(EmailLink)
        .execution_options(synchronize_session=False)
    )
    if link is None:
        raise LinkOverError
    return link


def drop_links(session: Session, *, user_id: str, purpose: Purpose | None = None) -> None:
    """Make a user's links good for nothing: those of one purpose, or all of them."""
    statement = delete(EmailLink).where(EmailLink.user_id == user_id)
    session.execute(statement.where(EmailLink.purpose == purpose) if purpose else statement)


def prune_links(*, before: datetime) -> None:
    """Forget the links that were too old before this moment."""
    with transaction() as session:
        session.execute(delete(EmailLink).where(EmailLink.expires_at < before))


def hash_link_token(token: str) -> str:
    """Give the SHA-256 that a link is stored under."""
    return hashlib.sha256(token.encode()).hexdigest()
