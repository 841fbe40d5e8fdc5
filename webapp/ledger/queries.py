"""What the ledger says."""

from sqlalchemy import select

from webapp.core.db import db
from webapp.ledger.models import Balance, Transfer


def get_balance(organisation_id: str) -> Balance:
    """Give the organisation's balance as SQL has it."""
    return db.session.get_one(Balance, organisation_id, populate_existing=True)


def list_transfers(organisation_id: str, *, limit: int) -> list[Transfer]:
    """Give the organisation's last transfers, newest first."""
    return list(
        db.session.scalars(
            select(Transfer)
            .where(Transfer.organisation_id == organisation_id)
            .order_by(Transfer.id.desc())
            .limit(limit)
        )
    )
