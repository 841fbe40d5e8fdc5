"""Whose address it is: verification, and the change to another."""

from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from webapp.accounts.audit import Action, Actor, Origin, Target, record_event, user_actor
from webapp.accounts.letters import (
    send_letter,
    write_email_change,
    write_email_change_asked,
    write_email_changed,
    write_verification,
)
from webapp.accounts.links import LinkOverError, Purpose, add_link, drop_links, find_link, take_link
from webapp.accounts.models import Organisation, User
from webapp.accounts.operations import email_taken, find_email_problem, normalise_email, user_target
from webapp.accounts.throttle import count_mails, take_attempt
from webapp.core.db import ROW_LOCK, is_violation_of, transaction
from webapp.core.errors import FieldError, InvalidFieldsError, UpcubeError


class UnverifiedError(UpcubeError):
    """Something is only for people whose address is verified."""

    status = 403
    code = "email_unverified"

    def __init__(self) -> None:
        super().__init__("Confirm your e-mail address first: open the link that we sent you, or ask for another one.")


def check_verified(user: User, *, is_required: bool) -> None:
    """Raise UnverifiedError where an address must be verified and is not."""
    if is_required and user.email_verified_at is None:
        raise UnverifiedError


def send_verification(session: Session, *, user: User, site_url: str, at: datetime) -> None:
    """Mail the link that verifies the user's address, in this transaction."""
    token = add_link(session, user_id=user.id, purpose=Purpose.VERIFY, email=user.email, at=at)
    send_letter(session, write_verification(email=user.email, url=f"{site_url}/verify/{token}"), to=user.email, at=at)


def ask_verification(*, user: User, site_url: str, origin: Origin, at: datetime) -> None:
    """Mail another link to somebody whose address is not verified. Raises TooManyAttemptsError."""
    if user.email_verified_at is not None:
        return
    take_attempt(count_mails(user.email, origin.address))
    with transaction() as session:
        send_verification(session, user=user, site_url=site_url, at=at)


def ask_email_change(*, user: User, email: str, site_url: str, actor: Actor, at: datetime) -> str:
    """Mail a link to the new address, and a notice to the old one; give the new one as it will be stored.

    Raises InvalidFieldsError or TooManyAttemptsError.
    """
    email = normalise_email(email)
    if problem := find_email_problem(email):
        raise InvalidFieldsError([problem])
    if email == user.email:
        raise InvalidFieldsError([FieldError("email", "This is your address already.")])
    take_attempt(count_mails(email, actor.origin.address))
    with transaction() as session:
        if session.scalar(select(User.id).where(User.email == email)):
            raise email_taken()
        drop_links(session, user_id=user.id, purpose=Purpose.CHANGE)
        token = add_link(session, user_id=user.id, purpose=Purpose.CHANGE, email=email, at=at)
        send_letter(session, write_email_change(old=user.email, url=f"{site_url}/verify/{token}"), to=email, at=at)
        send_letter(session, write_email_change_asked(new=email), to=user.email, at=at)
        record_event(
            session, action=Action.EMAIL_CHANGE_ASKED, actor=actor, target=Target("user", user.id, email), at=at
        )
    return email


def open_link(*, token: str, origin: Origin, at: datetime) -> User:
    """Do what a link to an address stands for: verify it, or make it the account's. Gives the user.

    Raises LinkOverError, or InvalidFieldsError where somebody else has the address by now.
    """
    purpose = find_link(token, Purpose.VERIFY, Purpose.CHANGE, at=at).purpose
    try:
        with transaction() as session:
            link = take_link(session, token=token, purpose=purpose, at=at)
            user = session.get_one(User, link.user_id, with_for_update=ROW_LOCK)
            if user.disabled_at:
                raise LinkOverError
            if purpose == Purpose.CHANGE:
                change_email(session, user=user, email=link.email, origin=origin, at=at)
            elif user.email != link.email:
                # It was sent before the address changed.
                raise LinkOverError
            else:
                record_event(
                    session,
                    action=Action.EMAIL_VERIFIED,
                    actor=user_actor(user, origin),
                    target=user_target(user),
                    at=at,
                )
            user.email_verified_at = at
    except IntegrityError as error:
        if is_violation_of(error, "email"):
            raise email_taken() from error
        raise
    return user


def change_email(session: Session, *, user: User, email: str, origin: Origin, at: datetime) -> None:
    """Make an address the user's in this transaction, and tell the old one. Links to the old one are good no more."""
    old = user.email
    # Before the address: another one locks the user's row against rows that refer to it, and who adds one of these may
    # have the organisation's.
    session.execute(
        update(Organisation)
        .where(Organisation.personal_user_id == user.id, Organisation.name == old)
        .values(name=email)
    )
    user.email = email
    session.flush()
    drop_links(session, user_id=user.id)
    send_letter(session, write_email_changed(new=email), to=old, at=at)
    actor = user_actor(user, origin)
    record_event(session, action=Action.EMAIL_CHANGED, actor=actor, target=Target("user", user.id, old), at=at)
