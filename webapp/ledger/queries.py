"""What the ledger says."""

from sqlalchemy import select

from webapp.core.db import db
from webapp.core.pages import Page, read_page
from webapp.ledger.models import Balance, Transfer


def get_balance(organisation_id: str) -> Balance:
    """Give the organisation's balance as SQL has it."""
    return db.session.get_one(Balance, organisation_id, populate_existing=True)


def list_transfers(organisation_id: str, *, limit: int, cursor: str | None = None) -> Page[Transfer]:
    """Give the organisation's transfers before the cursor, newest first."""
    statement = select(Transfer).where(Transfer.organisation_id == organisation_id)
    return read_page(statement, Transfer.id, limit=limit, cursor=cursor)
