"""What we write to the people who answer for an organisation's keys, in plain text."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import or_
from sqlalchemy.orm import Session

from webapp.accounts.letters import Letter, tell_members
from webapp.accounts.models import Membership
from webapp.accounts.roles import Role
from webapp.keys.models import ApiKey


def tell_owners(session: Session, key: ApiKey, letter: Letter, *, at: datetime) -> None:
    """Put a letter about a key into the outbox, in this transaction, for owners, admins, and who made the key.

    Who made it is told while they belong to the organisation.
    """
    concerned = or_(Membership.role.in_([Role.OWNER, Role.ADMIN]), Membership.user_id == key.created_by_id)
    tell_members(session, key.organisation_id, letter, concerned, at=at)


def write_expiry(key: ApiKey, *, expires_at: datetime, days: int) -> Letter:
    """Say that a key is about to expire."""
    return Letter(
        f"Your API key {key.name} expires in {days} day{'' if days == 1 else 's'}",
        f"The API key {key.name} ({key.prefix}...) expires on {expires_at:%Y-%m-%d at %H:%M} UTC. Programs that use it "
        "are refused from then on.\n\nChoose another expiry on the key's page in the console, or make another key.",
    )


def write_leak(key: ApiKey, *, where: str, was_revoked: bool, made: Sequence[ApiKey]) -> Letter:
    """Say that others may have a key, and which keys it made."""
    done = (
        "We have revoked it: programs that use it are refused from now on. Make another key for them."
        if was_revoked
        else "It still works. Rotate it on its page in the console now, and see its calls there."
    )
    if made:
        fate = (
            "and so we have revoked them too"
            if was_revoked
            else "and they still work. Revoke those that you do not know"
        )
        names = "\n".join(f"- {each.name} ({each.prefix}...)" for each in made)
        done += f"\n\nIt made these keys, which whoever had it may have asked for, {fate}:\n\n{names}"
    return Letter(
        f"Your API key {key.name} was exposed",
        f"The API key {key.name} ({key.prefix}...) was found {where}. Whoever saw it there can use it.\n\n{done}",
    )
