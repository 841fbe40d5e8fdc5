"""What we write to people about their accounts, in plain text."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from webapp.accounts.models import Membership, User
from webapp.mail.operations import send_mail

GOODBYE = "\n\nUpcube Quantum\n"
NOT_YOU = (
    "If this was not you, reset your password on the log-in page now, and end all sessions and look at the second "
    "factors in your settings."
)


@dataclass(frozen=True)
class Letter:
    """A subject and a text."""

    subject: str
    body: str


def send_letter(session: Session, letter: Letter, *, to: str, at: datetime) -> None:
    """Put a letter into the outbox in this transaction."""
    send_mail(session, to=to, subject=letter.subject, body=letter.body + GOODBYE, at=at)


def tell_members(
    session: Session, organisation_id: str, letter: Letter, concerned: ColumnElement[bool], *, at: datetime
) -> None:
    """Put a letter into the outbox in this transaction, for those of an organisation's members whom it concerns."""
    addresses = (
        select(User.email)
        .join(Membership, Membership.user_id == User.id)
        .where(Membership.organisation_id == organisation_id, concerned, User.disabled_at.is_(None))
        .order_by(User.id)
    )
    for email in session.scalars(addresses).all():
        send_letter(session, letter, to=email, at=at)


def write_verification(*, email: str, url: str) -> Letter:
    """Ask somebody who signed up to show that the address is theirs."""
    return Letter(
        "Confirm your e-mail address",
        f"Somebody, probably you, signed up for Upcube Quantum with {email}.\n\n"
        f"Confirm that this address is yours, within three days:\n\n{url}\n\n"
        "If it was not you, do nothing.",
    )


def write_reset(*, url: str) -> Letter:
    """Give somebody who forgot their password a way to choose another."""
    return Letter(
        "Choose a new password",
        "Somebody, probably you, asked to reset the password of your account.\n\n"
        f"Choose a new one within 30 minutes:\n\n{url}\n\n"
        "If it was not you, do nothing: your password stays as it is.",
    )


def write_email_change(*, old: str, url: str) -> Letter:
    """Ask at a new address whether it is really to be the account's."""
    return Letter(
        "Confirm your new e-mail address",
        f"The account of {old} is to use this address from now on.\n\n"
        f"Confirm it within an hour:\n\n{url}\n\n"
        "If you did not ask for this, do nothing: nothing changes.",
    )


def write_email_change_asked(*, new: str) -> Letter:
    """Tell the old address what was asked for."""
    return Letter(
        "Your e-mail address is about to change",
        f"Somebody asked that your account use {new} instead of this address. It changes once the link that was sent "
        f"there is opened.\n\n{NOT_YOU}",
    )


def write_email_changed(*, new: str) -> Letter:
    """Tell the old address that it is the account's no more."""
    return Letter(
        "Your e-mail address has changed",
        f"Your account uses {new} from now on; this address no longer logs you in.\n\n"
        "If this was not you, write to whoever runs this service at once.",
    )


def write_notice(subject: str, what: str) -> Letter:
    """Tell somebody of a change to how they prove who they are."""
    return Letter(subject, f"{what}\n\n{NOT_YOU}")


def write_farewell() -> Letter:
    """Tell somebody that their account is gone."""
    return Letter(
        "Your account is deleted",
        "Your account is deleted: its keys are revoked, its sessions have ended, and what was personal is erased. "
        "The lines of the ledger stay, without your name.\n\n"
        "If this was not you, write to whoever runs this service at once.",
    )
