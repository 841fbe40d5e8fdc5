"""Invitations: sent to an address, and good for its owner alone, once, for a week."""

import hashlib
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from webapp.accounts.audit import Action, Actor, Target, record_event
from webapp.accounts.models import Invitation, Membership, Organisation, User
from webapp.accounts.operations import EMAIL, MAX_EMAIL_LENGTH, normalise_email
from webapp.accounts.organisations import (
    MAX_MEMBERS,
    MAX_ORGANISATIONS,
    NotAllowedError,
    OrganisationError,
    check_may_touch_owners,
    check_role,
    count_organisations,
    lock_shared_organisation,
    member_target,
)
from webapp.accounts.roles import Role
from webapp.core.db import ROW_LOCK, db, transaction
from webapp.core.errors import FieldError, InvalidFieldsError, NotFoundError
from webapp.core.ids import new_id
from webapp.mail.operations import send_mail

LIFETIME = timedelta(days=7)
# What an organisation sends in a day: strangers' mailboxes are no place to write to at will.
MAX_SENT_PER_DAY = 50
DAY = timedelta(days=1)

MAIL = """\
{inviter} invites you to join the organisation {organisation} on Upcube Quantum as {role}.

Accept the invitation here within 7 days:

{link}

It is good once, for an account with the address {email}. If you did not expect it, do nothing.
"""


class InvitationOverError(NotFoundError):
    """The link leads nowhere: unknown, accepted, withdrawn, replaced and expired all look the same."""

    code = "invitation_over"

    def __init__(self) -> None:
        super().__init__("This invitation is not valid any more. Ask whoever invited you for another.")


class WrongAddressError(NotAllowedError):
    """Somebody else's invitation."""

    code = "wrong_address"

    def __init__(self, email: str) -> None:
        super().__init__(f"This invitation was sent to {email}. Log in with that address to accept it.")


LinkTo = Callable[[str], str]


def invite(
    *, organisation_id: str, email: str, role: str, by_id: str, link_to: LinkTo, actor: Actor, at: datetime
) -> Invitation:
    """Invite an address; one that was invited before is sent a new link, and the old one ends.

    `link_to` gives the address of the page that takes a token, which goes into the mail and nowhere else.
    Raises InvalidFieldsError, NotAllowedError or OrganisationError.
    """
    email, wanted = check_invitation(normalise_email(email), role)
    with transaction() as session:
        organisation = lock_shared_organisation(session, organisation_id)
        check_may_touch_owners(session, organisation_id, by_id, wanted)
        check_room(session, organisation_id, email, at=at)
        for old in session.scalars(pending(organisation_id, at=at).where(Invitation.email == email)):
            old.ended_at = at
        return add_invitation(
            session, organisation, email=email, role=wanted, by_id=by_id, actor=actor, link_to=link_to, at=at
        )


def resend(
    *, organisation_id: str, invitation_id: str, by_id: str, link_to: LinkTo, actor: Actor, at: datetime
) -> Invitation:
    """Send an invitation again: with a new link, for another week. The old link ends.

    Raises NotFoundError, NotAllowedError or OrganisationError.
    """
    with transaction() as session:
        organisation = lock_shared_organisation(session, organisation_id)
        old = get_pending(session, organisation_id, invitation_id, at=at)
        check_may_touch_owners(session, organisation_id, by_id, Role(old.role))
        check_room(session, organisation_id, old.email, at=at)
        old.ended_at = at
        return add_invitation(
            session,
            organisation,
            email=old.email,
            role=Role(old.role),
            by_id=by_id,
            link_to=link_to,
            actor=actor,
            at=at,
        )


def withdraw(*, organisation_id: str, invitation_id: str, actor: Actor, at: datetime) -> Invitation:
    """End an invitation that nobody has accepted. Raises NotFoundError."""
    with transaction() as session:
        lock_shared_organisation(session, organisation_id)
        invitation = get_pending(session, organisation_id, invitation_id, at=at)
        invitation.ended_at = at
        record_event(
            session,
            action=Action.INVITATION_WITHDRAWN,
            actor=actor,
            target=invitation_target(invitation),
            organisation_id=organisation_id,
            at=at,
        )
    return invitation


def accept(*, token: str, user_id: str, actor: Actor, at: datetime) -> Membership:
    """Join the organisation. The link came by mail, so whoever has it owns the address: it is verified from now on.

    Raises InvitationOverError, WrongAddressError or OrganisationError.
    """
    found = find_invitation(token, at=at)
    with transaction() as session:
        user = session.get_one(User, user_id, with_for_update=ROW_LOCK)
        # The organisation before the invitation, as everywhere; then whether somebody was faster.
        organisation_id = found.organisation_id
        lock_shared_organisation(session, organisation_id)
        invitation = session.get(Invitation, found.id, populate_existing=True)
        if invitation is None or invitation.ended_at:
            raise InvitationOverError
        if user.email != invitation.email:
            raise WrongAddressError(invitation.email)
        if session.get(Membership, (user_id, organisation_id)):
            # Invited under another address, which has become theirs since.
            raise OrganisationError("You belong to this organisation already.")
        check_members(session, organisation_id)
        if count_organisations(session, user_id) >= MAX_ORGANISATIONS:
            raise OrganisationError(f"You belong to {MAX_ORGANISATIONS} organisations. Leave one to join another.")
        invitation.ended_at = at
        user.email_verified_at = user.email_verified_at or at
        member = Membership(
            user_id=user_id, organisation_id=organisation_id, role=invitation.role, created_at=at, user=user
        )
        session.add(member)
        record_event(
            session,
            action=Action.MEMBER_JOINED,
            actor=actor,
            target=member_target(member),
            organisation_id=organisation_id,
            details={"role": member.role, "invitedBy": invitation.invited_by},
            at=at,
        )
    return member


def find_invitation(token: str, *, at: datetime) -> Invitation:
    """Give the invitation that a link stands for while it can be accepted. Raises InvitationOverError."""
    found = db.session.scalar(select(Invitation).where(Invitation.token_hash == hash_token(token)))
    if found is None or found.ended_at or found.expires_at <= at:
        raise InvitationOverError
    return found


def list_pending(organisation_id: str, *, at: datetime) -> list[Invitation]:
    """Give the invitations that can still be accepted, newest first."""
    return list(db.session.scalars(pending(organisation_id, at=at).order_by(Invitation.id.desc())))


# --- Parts ------------------------------------------------------------------------------------------------------------


def pending(organisation_id: str, *, at: datetime) -> Select[Invitation]:
    """Select the invitations that can still be accepted."""
    return select(Invitation).where(
        Invitation.organisation_id == organisation_id, Invitation.ended_at.is_(None), Invitation.expires_at > at
    )


def get_pending(session: Session, organisation_id: str, invitation_id: str, *, at: datetime) -> Invitation:
    """Give one of the organisation's invitations that can still be accepted. Raises NotFoundError."""
    found = session.scalar(pending(organisation_id, at=at).where(Invitation.id == invitation_id))
    if found is None:
        raise NotFoundError("This organisation has no such invitation.", target="invitationId")
    return found


def add_invitation(
    session: Session,
    organisation: Organisation,
    *,
    email: str,
    role: Role,
    by_id: str,
    link_to: LinkTo,
    actor: Actor,
    at: datetime,
) -> Invitation:
    """Add an invitation and its mail to this transaction."""
    token = secrets.token_urlsafe(32)
    invitation = Invitation(
        id=new_id("inv", at=at),
        organisation_id=organisation.id,
        email=email,
        role=role,
        token_hash=hash_token(token),
        invited_by=actor.label,
        invited_by_id=by_id,
        created_at=at,
        expires_at=at + LIFETIME,
    )
    session.add(invitation)
    record_event(
        session,
        action=Action.INVITATION_SENT,
        actor=actor,
        target=invitation_target(invitation),
        organisation_id=organisation.id,
        details={"role": role},
        at=at,
    )
    send_mail(
        session,
        to=email,
        subject=f"{actor.label} invites you to {organisation.name} on Upcube Quantum",
        body=MAIL.format(
            inviter=actor.label, organisation=organisation.name, role=role, link=link_to(token), email=email
        ),
        at=at,
    )
    return invitation


def check_invitation(email: str, role: str) -> tuple[str, Role]:
    """Refuse an impossible address or role, naming all that is wrong at once."""
    wrong: list[FieldError] = []
    if len(email) > MAX_EMAIL_LENGTH or not EMAIL.fullmatch(email):
        wrong.append(FieldError("email", "This is not an e-mail address.", "name@example.com"))
    try:
        wanted = check_role(role)
    except InvalidFieldsError as error:
        wrong.extend(error.details)
    if wrong:
        raise InvalidFieldsError(wrong)
    return email, wanted


def check_room(session: Session, organisation_id: str, email: str, *, at: datetime) -> None:
    """Refuse an invitation of a member, or one too many. Raises InvalidFieldsError or OrganisationError."""
    is_member = (
        select(User.id).join(Membership).where(Membership.organisation_id == organisation_id, User.email == email)
    )
    if session.scalar(is_member):
        raise InvalidFieldsError([FieldError("email", "This address belongs to a member.")])
    sent = select(func.count()).where(Invitation.organisation_id == organisation_id, Invitation.created_at > at - DAY)
    if session.execute(sent).scalar_one() >= MAX_SENT_PER_DAY:
        raise OrganisationError(f"An organisation sends at most {MAX_SENT_PER_DAY} invitations in a day.")
    check_members(session, organisation_id)


def check_members(session: Session, organisation_id: str) -> None:
    """Refuse one member too many. Raises OrganisationError."""
    members = select(func.count()).where(Membership.organisation_id == organisation_id)
    if session.execute(members).scalar_one() >= MAX_MEMBERS:
        raise OrganisationError(f"An organisation has at most {MAX_MEMBERS} members.")


def invitation_target(invitation: Invitation) -> Target:
    """Name an invitation as what was acted upon."""
    return Target("invitation", invitation.id, invitation.email)


def hash_token(token: str) -> str:
    """Give the SHA-256 that a link's token is stored under."""
    return hashlib.sha256(token.encode()).hexdigest()
