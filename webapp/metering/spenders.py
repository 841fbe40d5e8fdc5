"""Who spends an account's credits: its keys, by their ids, and its members in the console, by the account's own id.

Usage rows and holds are counted by spender. An organisation's id is never a key's, and a budget of its own is kept for
neither: what is spent in the console meets the account's budgets alone.
"""

from sqlalchemy import CompoundSelect, Subquery, literal, select, union_all

from webapp.accounts.models import Organisation
from webapp.keys.models import ApiKey


def spender_of(key_id: str | None, organisation_id: str) -> str:
    """Give the spender of what was done with this key, or in the console where there was none."""
    return key_id or organisation_id


def select_spenders(organisation_id: str) -> CompoundSelect[str]:
    """Select the ids of an account's spenders."""
    return union_all(
        select(ApiKey.id).where(ApiKey.organisation_id == organisation_id), select(literal(organisation_id))
    )


def all_spenders() -> Subquery:
    """Select every spender with its account: the columns are `id` and `organisation_id`."""
    keys = select(ApiKey.id.label("id"), ApiKey.organisation_id.label("organisation_id"))
    return union_all(keys, select(Organisation.id, Organisation.id)).subquery()
