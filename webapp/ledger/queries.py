"""What the ledger says."""

from collections.abc import Iterator

from sqlalchemy import select

from webapp.core.db import db
from webapp.core.pages import Page, read_page
from webapp.ledger.models import Balance, Transfer

ROWS_AT_A_TIME = 500


def get_balance(organisation_id: str) -> Balance:
    """Give the organisation's balance as SQL has it."""
    return db.session.get_one(Balance, organisation_id, populate_existing=True)


def each_transfer(organisation_id: str) -> Iterator[Transfer]:
    """Give all of the organisation's transfers, oldest first, without holding them all."""
    statement = select(Transfer).where(Transfer.organisation_id == organisation_id).order_by(Transfer.id)
    yield from db.session.scalars(statement.execution_options(yield_per=ROWS_AT_A_TIME))


def list_transfers(organisation_id: str, *, limit: int, cursor: str | None = None) -> Page[Transfer]:
    """Give the organisation's transfers before the cursor, newest first."""
    statement = select(Transfer).where(Transfer.organisation_id == organisation_id)
    return read_page(statement, Transfer.id, limit=limit, cursor=cursor)
