"""What the ledger says."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from webapp.core.db import db
from webapp.core.pages import Page, read_page
from webapp.ledger.models import Balance, CreditLot, Transfer

ROWS_AT_A_TIME = 500


def get_balance(organisation_id: str) -> Balance:
    """Give the organisation's balance as SQL has it."""
    return db.session.get_one(Balance, organisation_id, populate_existing=True)


@dataclass(frozen=True)
class Totals:
    """The balances of all accounts together, in micro-credits. What is held is part of what is available."""

    granted: int
    available: int
    spent: int
    expired: int


def sum_balances() -> Totals:
    """Add up every account's balance as SQL has it."""
    columns = (Balance.granted, Balance.available, Balance.spent, Balance.expired)
    sums = db.session.execute(select(*(func.coalesce(func.sum(column), 0) for column in columns))).one()
    return Totals(*map(int, sums))


def each_transfer(organisation_id: str) -> Iterator[Transfer]:
    """Give all of the organisation's transfers, oldest first, without holding them all."""
    statement = select(Transfer).where(Transfer.organisation_id == organisation_id).order_by(Transfer.id)
    yield from db.session.scalars(statement.execution_options(yield_per=ROWS_AT_A_TIME))


def list_transfers(organisation_id: str, *, limit: int, cursor: str | None = None) -> Page[Transfer]:
    """Give the organisation's transfers before the cursor, newest first."""
    statement = select(Transfer).where(Transfer.organisation_id == organisation_id)
    return read_page(statement, Transfer.id, limit=limit, cursor=cursor)


def list_open_lots(organisation_id: str) -> list[CreditLot]:
    """Give the organisation's lots that have something left, in the order in which they are consumed."""
    statement = select(CreditLot).where(CreditLot.organisation_id == organisation_id, CreditLot.remaining > 0)
    in_order = statement.order_by(CreditLot.expires_at, CreditLot.id)
    # The database changes lots by itself, behind the session's back.
    return list(db.session.scalars(in_order, execution_options={"populate_existing": True}))


def list_organisations_with_expired(*, at: datetime) -> list[str]:
    """Give the organisations that have something left in a lot that is past its date."""
    statement = select(CreditLot.organisation_id).where(CreditLot.remaining > 0, CreditLot.expires_at <= at)
    return list(db.session.scalars(statement.distinct().order_by(CreditLot.organisation_id)))


def sum_expired_lots(session: Session, organisation_id: str, *, at: datetime) -> int:
    """Add up what is left in the organisation's lots that are past their date."""
    remaining = select(func.coalesce(func.sum(CreditLot.remaining), 0)).where(
        CreditLot.organisation_id == organisation_id, CreditLot.remaining > 0, CreditLot.expires_at <= at
    )
    return int(session.execute(remaining).scalar_one())
