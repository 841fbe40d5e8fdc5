"""The end of an account. What is personal goes; what the ledger refers to stays, and names nobody."""

from datetime import datetime

from sqlalchemy import and_, delete, exists, select, update
from sqlalchemy.orm import Session, aliased

from webapp.accounts.audit import Action, Actor, Target, record_event
from webapp.accounts.letters import send_letter, write_farewell
from webapp.accounts.links import drop_links
from webapp.accounts.models import Invitation, LoginSession, Membership, Organisation, Passkey, ResetRequest, User
from webapp.accounts.organisations import end_owner_invitations
from webapp.accounts.second_factors import drop_second_factors
from webapp.core import redis_names as names
from webapp.core.db import ROW_LOCK, transaction
from webapp.core.errors import UpcubeError
from webapp.core.faults import fault
from webapp.core.redis import asking_redis, store
from webapp.jobs.models import Job, JobTag, SavedAnswer
from webapp.keys.models import ApiKey
from webapp.mail.models import MailMessage

ERASED = "Deleted"
# No hash, and so right for no password.
NO_PASSWORD = "!"  # noqa: S105 - it is none


class LastOwnerError(UpcubeError):
    """Others would be left without anybody who may run their organisation."""

    status = 409
    code = "last_owner"

    def __init__(self, organisations: list[str]) -> None:
        super().__init__(
            f"You are the only owner of {', '.join(organisations)}. Make somebody else an owner, or leave nobody in it."
        )


def delete_account(*, user_id: str, actor: Actor, at: datetime) -> None:
    """Delete somebody's account: keys, sessions, second factors, and what tells who they were. There is no way back.

    Redis is told before SQL commits, as for a revoked key: if we die between the two, the keys are refused and the
    account is still there to be deleted again. Raises LastOwnerError, or StoreAwayError with nothing done.
    """
    with transaction() as session:
        user = session.get_one(User, user_id, with_for_update=ROW_LOCK)
        # Nobody joins, leaves or changes a role meanwhile.
        joined = select(Organisation.id).join(Membership).where(Membership.user_id == user_id)
        session.execute(joined.order_by(Organisation.id).with_for_update(of=Organisation, **ROW_LOCK))
        if found := list_organisations_left_alone(session, user_id):
            raise LastOwnerError(found)
        email, erased = user.email, f"deleted-{user_id}@deleted.invalid"
        # Under the id alone: an event is never changed, and this one would keep the address for ever.
        record_event(
            session,
            action=Action.USER_DELETED,
            actor=Actor(actor.type, actor.id, erased, actor.origin),
            target=Target("user", user_id, erased),
            at=at,
        )
        erase_proofs(session, user_id=user_id, email=email)
        end_owner_invitations(session, user_id=user_id, at=at)
        closed = close_organisations(session, user_id=user_id, at=at)
        send_letter(session, write_farewell(), to=email, at=at)
        user.email, user.password_hash, user.email_verified_at = erased, NO_PASSWORD, None
        user.deleted_at, user.disabled_at = at, user.disabled_at or at
        session.flush()
        with asking_redis():
            for organisation in closed:
                store.client.hset(names.account_record(organisation.shard_tag), "state", "disabled")
        fault("deletion_before_commit")


def list_organisations_left_alone(session: Session, user_id: str) -> list[str]:
    """Give the names of shared organisations with other members of which the user is the only owner.

    An owner who is disabled owns nothing by now.
    """
    mine, other, disabled = (
        aliased(Membership),
        aliased(Membership),
        select(User.id).where(User.disabled_at.is_not(None)),
    )
    others = exists().where(and_(other.organisation_id == mine.organisation_id, other.user_id != user_id))
    statement = (
        select(Organisation.name)
        .join(mine, mine.organisation_id == Organisation.id)
        .where(
            mine.user_id == user_id,
            mine.role == "owner",
            Organisation.personal_user_id.is_(None),
            others,
            ~others.where(other.role == "owner", other.user_id.not_in(disabled)),
        )
    )
    return list(session.scalars(statement))


def erase_proofs(session: Session, *, user_id: str, email: str) -> None:
    """Erase how the user proved who they are, where from, and what was written to them."""
    session.execute(delete(LoginSession).where(LoginSession.user_id == user_id))
    session.execute(delete(Passkey).where(Passkey.user_id == user_id))
    drop_second_factors(session, user_id=user_id)
    drop_links(session, user_id=user_id)
    session.execute(delete(ResetRequest).where(ResetRequest.email == email))
    session.execute(delete(MailMessage).where(MailMessage.recipient == email))
    session.execute(delete(Invitation).where(Invitation.email == email))


def close_organisations(session: Session, *, user_id: str, at: datetime) -> list[Organisation]:
    """Close the user's personal organisation and those that nobody else is in; leave the others to their members.

    Nobody can join a closed one: its invitations end.
    """
    other = aliased(Membership)
    others = exists().where(other.organisation_id == Organisation.id, other.user_id != user_id)
    mine = select(Organisation).join(Membership).where(Membership.user_id == user_id, ~others)
    closed = list(session.scalars(mine.order_by(Organisation.id)))
    for organisation in closed:
        revoke_keys(session, organisation_id=organisation.id, at=at)
        organisation.name, organisation.disabled_at = ERASED, organisation.disabled_at or at
    kept = [organisation.id for organisation in closed]
    session.execute(delete(Invitation).where(Invitation.organisation_id.in_(kept)))
    session.execute(delete(Membership).where(Membership.user_id == user_id, Membership.organisation_id.not_in(kept)))
    return closed


def revoke_keys(session: Session, *, organisation_id: str, at: datetime) -> None:
    """Revoke an organisation's keys, and erase what people named."""
    keys = update(ApiKey).where(ApiKey.organisation_id == organisation_id)
    session.execute(keys.where(ApiKey.revoked_at.is_(None)).values(revoked_at=at))
    session.execute(keys.values(name=ERASED, description="", tags=[], addresses=[]))
    for model in (JobTag, SavedAnswer):
        session.execute(delete(model).where(model.organisation_id == organisation_id))
    words = {"name": None, "tags": None, "notes": None}
    session.execute(update(Job).where(Job.organisation_id == organisation_id).values(words))
