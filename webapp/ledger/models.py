"""The ledger: append-only transfers, and the balances that the database itself keeps from them.

Every organisation has four accounts: `grants` (where credits come from), `customer` (what it may still spend),
`revenue` (what it has spent) and `expired`. A transfer moves credits from one to another. Triggers, in the migration
that makes these tables, refuse any change to a transfer and apply each new one to the organisation's balance row,
whose constraints make an overdraft or an unbalanced row impossible.
"""

from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from webapp.accounts.models import Organisation
from webapp.core.db import Base, UtcDateTime


class Account(StrEnum):
    """The accounts that each organisation has in the ledger."""

    GRANTS = "grants"
    CUSTOMER = "customer"
    REVENUE = "revenue"
    EXPIRED = "expired"


ACCOUNTS = ", ".join(f"'{account}'" for account in Account)


class Transfer(Base):
    """One movement of credits. Never changed and never deleted; a mistake is put right by another transfer."""

    __tablename__ = "transfers"
    __table_args__ = (
        sa.CheckConstraint("microcredits > 0", name="positive"),
        sa.CheckConstraint("debit_account <> credit_account", name="two_accounts"),
        sa.CheckConstraint(f"debit_account IN ({ACCOUNTS})", name="debit_account"),
        sa.CheckConstraint(f"credit_account IN ({ACCOUNTS})", name="credit_account"),
        sa.Index(None, "organisation_id", "id"),
    )

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    organisation_id: Mapped[str] = mapped_column(sa.ForeignKey("balances.organisation_id"))
    # Credits leave debit_account and arrive in credit_account.
    debit_account: Mapped[str] = mapped_column(sa.String(10))
    credit_account: Mapped[str] = mapped_column(sa.String(10))
    microcredits: Mapped[int] = mapped_column(sa.BigInteger)
    # What this transfer is for, once and for all: a second transfer with the same reference is refused.
    reference: Mapped[str] = mapped_column(sa.String(120), unique=True)
    reason: Mapped[str] = mapped_column(sa.String(200))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class VoidReference(Base):
    """A reference that no transfer may ever have, because what it stood for was given up. The trigger refuses one."""

    __tablename__ = "void_references"

    reference: Mapped[str] = mapped_column(sa.String(120), primary_key=True)
    voided_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Balance(Base):
    """What an organisation's transfers add up to. Written by the trigger on transfers alone, but for `told_version`."""

    __tablename__ = "balances"
    __table_args__ = (
        sa.CheckConstraint("granted >= 0 AND available >= 0 AND spent >= 0 AND expired >= 0", name="not_negative"),
        sa.CheckConstraint("granted = available + spent + expired", name="balanced"),
    )

    organisation_id: Mapped[str] = mapped_column(sa.ForeignKey(Organisation.id), primary_key=True)
    granted: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    available: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    spent: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    expired: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    # Counts the transfers that Redis must be told of (all but charges), and how many of them it has been told of.
    version: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    told_version: Mapped[int] = mapped_column(sa.BigInteger, default=0)
