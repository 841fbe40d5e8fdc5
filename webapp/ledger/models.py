"""The ledger: append-only transfers, and the balances and lots that the database itself keeps from them.

Every organisation has four accounts: `grants` (where credits come from), `customer` (what it may still spend),
`revenue` (what it has spent) and `expired`. A transfer moves credits from one to another. Triggers, in the migrations
that make these tables, refuse any change to a transfer, apply each new one to the organisation's balance row, whose
constraints make an overdraft or an unbalanced row impossible, and take what leaves `customer` from the organisation's
lots, the soonest to expire first (docs/adr/0006).
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


class TransferKind(StrEnum):
    """What a transfer is, in a word for its owner."""

    GRANT = "grant"
    CHARGE = "charge"
    REFUND = "refund"
    EXPIRY = "expiry"
    ADJUSTMENT = "adjustment"


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

    @property
    def kind(self) -> TransferKind:
        """What this transfer is. A grant and an adjustment upwards differ in what their references begin with."""
        match self.debit_account, self.credit_account:
            case Account.CUSTOMER, Account.REVENUE:
                return TransferKind.CHARGE
            case Account.REVENUE, Account.CUSTOMER:
                return TransferKind.REFUND
            case Account.CUSTOMER, Account.EXPIRED:
                return TransferKind.EXPIRY
            case Account.GRANTS, Account.CUSTOMER if not self.reference.startswith(TransferKind.ADJUSTMENT):
                return TransferKind.GRANT
        return TransferKind.ADJUSTMENT


class VoidReference(Base):
    """A reference that no transfer may ever have. The trigger refuses one.

    What it stood for was given up; or was done by a transfer that has the reference of a hold instead.
    """

    __tablename__ = "void_references"

    reference: Mapped[str] = mapped_column(sa.String(120), primary_key=True)
    voided_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Refund(Base):
    """Which charge a refund gives back. Triggers refuse any change, and refunds of more than was charged."""

    __tablename__ = "refunds"

    transfer_id: Mapped[str] = mapped_column(sa.ForeignKey(Transfer.id), primary_key=True)
    charge_id: Mapped[str] = mapped_column(sa.ForeignKey(Transfer.id), index=True)


class CreditLot(Base):
    """What is left of a grant that expires; its id is the grant's. A grant without a date has none, and is used last.

    Only the trigger on transfers takes from `remaining`; others refuse any other change of a lot but that, and a lot
    that is not its grant's.
    """

    __tablename__ = "credit_lots"
    __table_args__ = (
        sa.CheckConstraint("remaining >= 0", name="not_negative"),
        sa.Index(
            None,
            *("organisation_id", "expires_at", "id"),
            sqlite_where=sa.text("remaining > 0"),
            postgresql_where=sa.text("remaining > 0"),
        ),
    )

    id: Mapped[str] = mapped_column(sa.ForeignKey(Transfer.id), primary_key=True)
    organisation_id: Mapped[str] = mapped_column(sa.ForeignKey("balances.organisation_id"))
    remaining: Mapped[int] = mapped_column(sa.BigInteger)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    # All that had left the organisation's `customer` account by then. Of all that has left it to this day, the lot
    # can have paid only what came after that, which makes the order of consumption something that can be verified.
    outflow_before: Mapped[int] = mapped_column(sa.BigInteger)


class Balance(Base):
    """What an organisation's transfers add up to. Written by the trigger on transfers alone, but for `told_version`."""

    __tablename__ = "balances"
    __table_args__ = (
        sa.CheckConstraint("granted >= 0 AND available >= 0 AND spent >= 0 AND expired >= 0", name="not_negative"),
        sa.CheckConstraint("granted = available + spent + expired", name="balanced"),
    )

    organisation_id: Mapped[str] = mapped_column(sa.ForeignKey(Organisation.id), primary_key=True)
    # Granted less what an adjustment took back, and charged less what was refunded.
    granted: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    available: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    spent: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    expired: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    # All that ever came to `customer`. Redis must be told of that; what leaves it, Redis has held or counted before.
    credited: Mapped[int] = mapped_column(sa.BigInteger, default=0, server_default="0")
    refunded: Mapped[int] = mapped_column(sa.BigInteger, default=0, server_default="0")
    # Counts the transfers that Redis must be told of, and how many of them it has been told of.
    version: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    told_version: Mapped[int] = mapped_column(sa.BigInteger, default=0)
