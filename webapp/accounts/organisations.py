"""What changes organisations and who belongs to them.

Every change of members locks the organisation's row, after the user's where it needs both, so that of two at once each
sees what the other did: no race loses the last owner.
"""

from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from webapp.accounts.audit import Action, Actor, Target, record_event
from webapp.accounts.models import Invitation, Membership, Organisation, User
from webapp.accounts.roles import Permission, Role, is_allowed
from webapp.core.db import ROW_LOCK, transaction
from webapp.core.errors import FieldError, InvalidFieldsError, NotFoundError, UpcubeError
from webapp.core.ids import new_id
from webapp.core.key_tokens import new_shard_tag
from webapp.core.text import has_control_characters

MAX_NAME_LENGTH = 80
# Of one user, and of one organisation.
MAX_ORGANISATIONS = 20
MAX_MEMBERS = 100


class OrganisationError(UpcubeError):
    """The organisation's rules forbid it."""

    status = 409
    code = "organisation_conflict"


class PersonalOrganisationError(OrganisationError):
    """A personal account has one member and one name."""

    code = "personal_organisation"

    def __init__(self) -> None:
        super().__init__("A personal account is its user's alone. Create an organisation to work with others.")


class LastOwnerError(OrganisationError):
    """Nobody would own the organisation."""

    code = "last_owner"

    def __init__(self) -> None:
        super().__init__("An organisation has at least one owner. Make somebody else an owner first.")


class NotAllowedError(UpcubeError):
    """The member's role does not allow it; `wanted` is the permission that would."""

    status = 403
    code = "insufficient_role"

    def __init__(self, message: str, *, wanted: Permission | None = None) -> None:
        super().__init__(message)
        self.wanted = wanted


def add_organisation(session: Session, *, name: str, owner: User, actor: Actor, at: datetime) -> Organisation:
    """Add an organisation with its first owner to this transaction. Raises InvalidFieldsError or OrganisationError."""
    # Locked, so that two at once cannot both be the last one allowed.
    session.get_one(User, owner.id, with_for_update=ROW_LOCK)
    if count_organisations(session, owner.id) >= MAX_ORGANISATIONS:
        raise OrganisationError(f"A user belongs to at most {MAX_ORGANISATIONS} organisations. Leave one first.")
    organisation = Organisation(
        id=new_id("org", at=at), name=check_name(name), shard_tag=new_shard_tag(), created_at=at
    )
    session.add(organisation)
    session.flush()
    session.add(Membership(user_id=owner.id, organisation_id=organisation.id, role=Role.OWNER, created_at=at))
    record_event(
        session,
        action=Action.ORGANISATION_CREATED,
        actor=actor,
        target=organisation_target(organisation),
        organisation_id=organisation.id,
        at=at,
    )
    return organisation


def rename_organisation(*, organisation_id: str, name: str, actor: Actor, at: datetime) -> None:
    """Give the organisation another name. Raises InvalidFieldsError or PersonalOrganisationError."""
    name = check_name(name)
    with transaction() as session:
        organisation = lock_shared_organisation(session, organisation_id)
        if organisation.name == name:
            return
        record_event(
            session,
            action=Action.ORGANISATION_RENAMED,
            actor=actor,
            target=organisation_target(organisation),
            organisation_id=organisation_id,
            details={"from": organisation.name, "to": name},
            at=at,
        )
        organisation.name = name


def set_leak_policy(*, organisation_id: str, revokes: bool, actor: Actor, at: datetime) -> None:
    """Choose whether keys that leak are revoked at once, or only warned of."""
    with transaction() as session:
        organisation = session.get_one(Organisation, organisation_id, with_for_update=ROW_LOCK)
        if organisation.revokes_leaked_keys == revokes:
            return
        organisation.revokes_leaked_keys = revokes
        record_event(
            session,
            action=Action.LEAK_POLICY_CHANGED,
            actor=actor,
            target=organisation_target(organisation),
            organisation_id=organisation_id,
            details={"revokes": revokes},
            at=at,
        )


def change_role(*, organisation_id: str, user_id: str, role: str, by_id: str, actor: Actor, at: datetime) -> Membership:
    """Give a member another role.

    Only an owner makes or unmakes owners. Raises InvalidFieldsError, NotFoundError, NotAllowedError or LastOwnerError.
    """
    wanted = check_role(role)
    with transaction() as session:
        lock_shared_organisation(session, organisation_id)
        member = get_member(session, organisation_id, user_id)
        check_may_touch_owners(session, organisation_id, by_id, Role(member.role), wanted)
        if member.role == wanted:
            return member
        if member.role == Role.OWNER:
            check_another_owner(session, organisation_id, user_id)
        set_role(session, member, wanted, actor=actor, at=at)
    return member


def set_role(session: Session, member: Membership, role: Role, *, actor: Actor, at: datetime) -> None:
    """Give a member another role in this transaction, and note it."""
    record_event(
        session,
        action=Action.MEMBER_ROLE_CHANGED,
        actor=actor,
        target=member_target(member),
        organisation_id=member.organisation_id,
        details={"from": member.role, "to": role},
        at=at,
    )
    if member.role == Role.OWNER and role != Role.OWNER:
        end_owner_invitations(session, user_id=member.user_id, organisation_id=member.organisation_id, at=at)
    member.role = role


def transfer_ownership(*, organisation_id: str, user_id: str, by_id: str, actor: Actor, at: datetime) -> Membership:
    """Make another member an owner, and the owner who does it an admin, both or neither.

    Raises NotFoundError, NotAllowedError or OrganisationError.
    """
    if user_id == by_id:
        raise OrganisationError("You are an owner already. Choose another member.")
    with transaction() as session:
        lock_shared_organisation(session, organisation_id)
        giver = get_member(session, organisation_id, by_id)
        taker = get_member(session, organisation_id, user_id)
        check_may_touch_owners(session, organisation_id, by_id, Role.OWNER)
        set_role(session, taker, Role.OWNER, actor=actor, at=at)
        set_role(session, giver, Role.ADMIN, actor=actor, at=at)
    return taker


def delete_membership(
    session: Session, *, organisation_id: str, user_id: str, by_id: str, actor: Actor, at: datetime
) -> Target:
    """End somebody's membership in this transaction, or one's own, and give who it was.

    Raises NotFoundError, NotAllowedError, LastOwnerError or PersonalOrganisationError.
    """
    lock_shared_organisation(session, organisation_id)
    member = get_member(session, organisation_id, user_id)
    leaves = user_id == by_id
    if not leaves:
        check_may_touch_owners(session, organisation_id, by_id, Role(member.role))
    if member.role == Role.OWNER:
        check_another_owner(session, organisation_id, user_id)
    target = member_target(member)
    record_event(
        session,
        action=Action.MEMBER_LEFT if leaves else Action.MEMBER_REMOVED,
        actor=actor,
        target=target,
        organisation_id=organisation_id,
        details={"role": member.role},
        at=at,
    )
    if member.role == Role.OWNER:
        end_owner_invitations(session, user_id=user_id, organisation_id=organisation_id, at=at)
    session.delete(member)
    return target


def end_owner_invitations(session: Session, *, user_id: str, at: datetime, organisation_id: str | None = None) -> None:
    """End, in this transaction, the invitations of owners that somebody has sent who may make no owner any more.

    In this organisation, or in all.
    """
    sent = update(Invitation).where(
        Invitation.invited_by_id == user_id, Invitation.role == Role.OWNER, Invitation.ended_at.is_(None)
    )
    if organisation_id:
        sent = sent.where(Invitation.organisation_id == organisation_id)
    session.execute(sent.values(ended_at=at))


# --- Rules ------------------------------------------------------------------------------------------------------------


def lock_shared_organisation(session: Session, organisation_id: str) -> Organisation:
    """Keep everybody else from changing the organisation's members until this transaction ends.

    Raises PersonalOrganisationError.
    """
    organisation = session.get_one(Organisation, organisation_id, with_for_update=ROW_LOCK)
    if organisation.personal_user_id:
        raise PersonalOrganisationError
    return organisation


def get_member(session: Session, organisation_id: str, user_id: str) -> Membership:
    """Give a member as they are now. Raises NotFoundError."""
    # PostgreSQL fails when asked for a NUL.
    is_id = not has_control_characters(user_id)
    member = session.get(Membership, (user_id, organisation_id), populate_existing=True) if is_id else None
    if member is None:
        raise NotFoundError("This organisation has no such member.", target="userId")
    return member


def check_may_touch_owners(session: Session, organisation_id: str, by_id: str, *roles: Role) -> None:
    """Refuse somebody who is no owner by now where one of these roles is an owner's. Raises NotAllowedError."""
    if Role.OWNER not in roles:
        return
    acting = session.get(Membership, (by_id, organisation_id), populate_existing=True)
    if acting is None or not is_allowed(Role(acting.role), Permission.OWNERS_MANAGE):
        wanted = Permission.OWNERS_MANAGE
        raise NotAllowedError("Only an owner can make, change or remove an owner.", wanted=wanted)


def check_another_owner(session: Session, organisation_id: str, user_id: str) -> None:
    """Refuse to let the only owner go; one who is disabled owns nothing by now. Raises LastOwnerError."""
    others = (
        select(func.count())
        .select_from(Membership)
        .join(User)
        .where(
            Membership.organisation_id == organisation_id,
            Membership.role == Role.OWNER,
            Membership.user_id != user_id,
            User.disabled_at.is_(None),
        )
    )
    if not session.execute(others).scalar_one():
        raise LastOwnerError


def check_name(name: str) -> str:
    """Give the organisation's name without spaces around it. Raises InvalidFieldsError."""
    name = name.strip()
    if not 1 <= len(name) <= MAX_NAME_LENGTH:
        allowed = f"1 to {MAX_NAME_LENGTH} characters"
        raise InvalidFieldsError([FieldError("name", f"An organisation's name has {allowed}.", allowed)])
    if has_control_characters(name):
        raise InvalidFieldsError([FieldError("name", "An organisation's name has no control characters.")])
    return name


def check_role(role: str) -> Role:
    """Read a role. Raises InvalidFieldsError."""
    try:
        return Role(role)
    except ValueError:
        raise InvalidFieldsError([FieldError("role", "This is not a role.", ", ".join(Role))]) from None


def count_organisations(session: Session, user_id: str) -> int:
    """Give how many shared organisations the user belongs to."""
    belongs = (
        select(func.count())
        .select_from(Membership)
        .join(Organisation)
        .where(Membership.user_id == user_id, Organisation.personal_user_id.is_(None))
    )
    return session.execute(belongs).scalar_one()


def organisation_target(organisation: Organisation) -> Target:
    """Name an organisation as what was acted upon."""
    return Target("organisation", organisation.id, organisation.name)


def member_target(member: Membership) -> Target:
    """Name a member as what was acted upon."""
    return Target("user", member.user_id, member.user.email)
