"""Keys that keys made: a key's line leads from itself to the key that made it, the key that made that one, and so on.

Who made a key never changes, so a line that was read without a lock stays true.
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from webapp.keys.models import ApiKey


def list_givers(session: Session, organisation_id: str) -> dict[str, str]:
    """Give, by id, which key made each of the organisation's keys that were made by one."""
    made = select(ApiKey.id, ApiKey.created_by_key_id).where(
        ApiKey.organisation_id == organisation_id, ApiKey.created_by_key_id.is_not(None)
    )
    return {key_id: giver_id for key_id, giver_id in session.execute(made) if giver_id}


def line_of(key_id: str, givers: Mapping[str, str | None]) -> list[str]:
    """Give a key's line by id, the key itself first."""
    line = [key_id]
    while giver_id := givers.get(line[-1]):
        line.append(giver_id)
    return line


def get_line(session: Session, key: ApiKey) -> list[ApiKey]:
    """Give a key's line, the key itself first."""
    line = [key]
    while giver_id := line[-1].created_by_key_id:
        line.append(session.get_one(ApiKey, giver_id))
    return line


def list_made(session: Session, key: ApiKey, *, is_locked: bool = False) -> Sequence[ApiKey]:
    """Give the keys that this one made, those that they made, and so on, that are not revoked, oldest first."""
    made = select(ApiKey.id).where(ApiKey.created_by_key_id == key.id).cte(recursive=True)
    made = made.union(select(ApiKey.id).where(ApiKey.created_by_key_id == made.c.id))
    found = select(ApiKey).where(ApiKey.id.in_(select(made.c.id)), ApiKey.revoked_at.is_(None))
    found = found.order_by(ApiKey.id)
    if is_locked:
        found = found.with_for_update(of=ApiKey).execution_options(populate_existing=True)
    return session.scalars(found).all()
