"""Members who go, and the keys that they leave behind: the organisation's, until somebody revokes them."""

from datetime import datetime

from sqlalchemy import Select, select

from webapp.accounts.audit import Actor, Target
from webapp.accounts.models import Organisation
from webapp.accounts.organisations import delete_membership
from webapp.core.db import db, transaction
from webapp.keys.models import ApiKey
from webapp.keys.operations import revoke_locked_key


def list_active_keys_of(*, organisation_id: str, user_id: str) -> list[ApiKey]:
    """Give the organisation's keys that this user made and that are not revoked, newest first."""
    return list(db.session.scalars(select_active_keys(organisation_id, user_id)))


def remove_member(
    *, organisation_id: str, user_id: str, revokes_keys: bool, by_id: str, actor: Actor, at: datetime
) -> Target:
    """End somebody's membership, or one's own, and the keys that they made where that is wanted; all or nothing.

    Gives who it was. Raises NotFoundError, NotAllowedError, OrganisationError or StoreAwayError.
    """
    with transaction() as session:
        target = delete_membership(
            session, organisation_id=organisation_id, user_id=user_id, by_id=by_id, actor=actor, at=at
        )
        if revokes_keys:
            organisation = session.get_one(Organisation, organisation_id)
            keys = select_active_keys(organisation_id, user_id)
            # In one order, so that nobody waits in a circle.
            for key in session.scalars(keys.order_by(None).order_by(ApiKey.id).with_for_update()):
                revoke_locked_key(session, key, organisation, actor=actor, at=at)
    return target


def select_active_keys(organisation_id: str, user_id: str) -> Select[ApiKey]:
    """Select the keys that this user made and that are not revoked."""
    return (
        select(ApiKey)
        .where(ApiKey.organisation_id == organisation_id, ApiKey.created_by_id == user_id, ApiKey.revoked_at.is_(None))
        .order_by(ApiKey.id.desc())
    )
