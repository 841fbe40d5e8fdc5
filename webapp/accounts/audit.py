"""The audit trail: who did what to what, when and from where. Events are only ever added: the database sees to it.

An event is recorded in the transaction of the act itself, so that neither is there without the other. Details never
hold a secret: no token, no password, nothing that lets anybody in.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy.orm import Session

from webapp.accounts.models import AuditEvent, User
from webapp.core.db import transaction
from webapp.core.ids import new_id

MAX_LABEL_LENGTH = 254
MAX_USER_AGENT_LENGTH = 255
MAX_ADDRESS_LENGTH = 45

Details = Mapping[str, str | int | bool | list[str] | None]


class Action(StrEnum):
    """Everything that leaves an event."""

    USER_SIGNED_UP = "user.signed_up"
    USER_DISABLED = "user.disabled"
    LOGIN_SUCCEEDED = "login.succeeded"
    LOGIN_FAILED = "login.failed"
    LOGIN_ENDED = "login.ended"
    LOGIN_CONFIRMED = "login.confirmed"
    EMAIL_VERIFIED = "email.verified"
    EMAIL_CHANGE_ASKED = "email.change_asked"
    EMAIL_CHANGED = "email.changed"
    PASSWORD_RESET_ASKED = "password.reset_asked"  # noqa: S105 - the name of an act
    PASSWORD_RESET = "password.reset"  # noqa: S105 - the name of an act
    PASSWORD_CHANGED = "password.changed"  # noqa: S105 - the name of an act
    AUTHENTICATOR_ADDED = "authenticator.added"
    AUTHENTICATOR_REMOVED = "authenticator.removed"
    SECOND_FACTOR_FAILED = "second_factor.failed"
    RECOVERY_CODES_MADE = "recovery_codes.made"
    RECOVERY_CODE_USED = "recovery_code.used"
    PASSKEY_ADDED = "passkey.added"
    PASSKEY_RENAMED = "passkey.renamed"
    PASSKEY_REMOVED = "passkey.removed"
    DATA_EXPORTED = "data.exported"
    USER_DELETED = "user.deleted"
    KEY_CREATED = "key.created"
    KEY_CHANGED = "key.changed"
    KEY_DISABLED = "key.disabled"
    KEY_ENABLED = "key.enabled"
    KEY_ROTATED = "key.rotated"
    KEY_LEAKED = "key.leaked"
    KEY_REVOKED = "key.revoked"
    CREDITS_GRANTED = "credits.granted"
    CREDITS_ADJUSTED = "credits.adjusted"
    JOB_REFUNDED = "job.refunded"
    BUDGET_SET = "budget.set"
    BUDGET_REMOVED = "budget.removed"
    CONFIRMATION_CHANGED = "confirmation.changed"
    ORGANISATION_CREATED = "organisation.created"
    ORGANISATION_RENAMED = "organisation.renamed"
    LEAK_POLICY_CHANGED = "organisation.leak_policy_changed"
    INVITATION_SENT = "invitation.sent"
    INVITATION_WITHDRAWN = "invitation.withdrawn"
    MEMBER_JOINED = "member.joined"
    MEMBER_LEFT = "member.left"
    MEMBER_REMOVED = "member.removed"
    MEMBER_ROLE_CHANGED = "member.role_changed"
    PERMISSION_REFUSED = "permission.refused"
    AUDIT_EXPORTED = "audit.exported"
    STATEMENT_EXPORTED = "statement.exported"


class ActorType(StrEnum):
    """What can act."""

    USER = "user"
    KEY = "key"
    OPERATOR = "operator"
    SYSTEM = "system"
    NOBODY = "nobody"


@dataclass(frozen=True)
class Origin:
    """Where an act comes from; empty where it comes from this machine itself."""

    address: str = ""
    user_agent: str = ""


HERE = Origin()


@dataclass(frozen=True)
class Actor:
    """Who acts, named as they are called at that moment, and from where."""

    type: ActorType
    id: str | None
    label: str
    origin: Origin = HERE


# Somebody at the command line of the server.
OPERATOR = Actor(ActorType.OPERATOR, None, "Operator")
# A scheduled task.
SYSTEM = Actor(ActorType.SYSTEM, None, "Upcube Quantum")


def user_actor(user: User, origin: Origin) -> Actor:
    """Give the actor that a user is."""
    return Actor(ActorType.USER, user.id, user.email, origin)


def unknown_actor(origin: Origin) -> Actor:
    """Give the actor that somebody is who has not shown who they are."""
    return Actor(ActorType.NOBODY, None, "", origin)


@dataclass(frozen=True)
class Target:
    """What was acted upon, named as it was called at that moment: of type key, user, organisation and so on."""

    type: str
    id: str
    label: str = ""


def record_event(
    session: Session,
    *,
    action: Action,
    actor: Actor,
    at: datetime,
    target: Target | None = None,
    organisation_id: str | None = None,
    details: Details | None = None,
) -> None:
    """Add an event to this transaction; without an organisation it is a person's own, and theirs alone to see."""
    session.add(
        AuditEvent(
            id=new_id("evt", at=at),
            organisation_id=organisation_id,
            action=action,
            actor_type=actor.type,
            actor_id=actor.id,
            actor_label=actor.label[:MAX_LABEL_LENGTH],
            target_type=target.type if target else None,
            target_id=target.id if target else None,
            target_label=target.label[:MAX_LABEL_LENGTH] if target else "",
            address=actor.origin.address[:MAX_ADDRESS_LENGTH],
            user_agent=actor.origin.user_agent[:MAX_USER_AGENT_LENGTH],
            details=dict(details or {}),
            created_at=at,
        )
    )


def record_export(*, action: Action, organisation_id: str, actor: Actor, at: datetime) -> None:
    """Note that somebody takes a copy of the organisation's data away."""
    with transaction() as session:
        record_event(session, action=action, actor=actor, organisation_id=organisation_id, at=at)
