"""What moves credits."""

from datetime import datetime

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from webapp.core.db import is_violation_of
from webapp.core.errors import FieldError, InvalidFieldsError, UpcubeError
from webapp.core.ids import new_id
from webapp.core.money import MAX_MICROCREDITS
from webapp.ledger.models import Account, Balance, Transfer


class ReferenceUsedError(UpcubeError):
    """A transfer with this reference exists: what was asked for has been done before."""

    status = 409
    code = "reference_used"

    def __init__(self, reference: str) -> None:
        super().__init__(f"A transfer with the reference {reference!r} exists; nothing was done.", target="reference")


class OverdraftError(UpcubeError):
    """The ledger holds less than the transfer would take. The database itself refuses it."""

    status = 402
    code = "insufficient_credits"

    def __init__(self) -> None:
        super().__init__("The account's balance does not cover this.", extra={"limitSource": "balance"})


def add_grant(
    session: Session, *, organisation_id: str, microcredits: int, reason: str, reference: str | None, at: datetime
) -> None:
    """Add a grant to this transaction. Raises InvalidFieldsError or ReferenceUsedError."""
    if not 1 <= microcredits <= MAX_MICROCREDITS:
        allowed = "more than 0, at most 1000000000 credits"
        raise InvalidFieldsError([FieldError("amount", f"A grant is {allowed}.", allowed)])
    balance = lock_balance(session, organisation_id)
    if balance.granted + microcredits > MAX_MICROCREDITS:
        raise InvalidFieldsError([FieldError("amount", "An account is granted at most 1000000000 credits in all.")])
    add_transfer(
        session,
        organisation_id=organisation_id,
        debit_account=Account.GRANTS,
        credit_account=Account.CUSTOMER,
        microcredits=microcredits,
        reference=reference or new_id("grant", at=at),
        reason=reason,
        at=at,
    )


def add_charge(
    session: Session, *, organisation_id: str, microcredits: int, reason: str, reference: str, at: datetime
) -> None:
    """Add a charge to this transaction; a charge of nothing adds nothing.

    Raises OverdraftError or ReferenceUsedError.
    """
    if microcredits:
        add_transfer(
            session,
            organisation_id=organisation_id,
            debit_account=Account.CUSTOMER,
            credit_account=Account.REVENUE,
            microcredits=microcredits,
            reference=reference,
            reason=reason,
            at=at,
        )


def add_transfer(
    session: Session,
    *,
    organisation_id: str,
    debit_account: Account,
    credit_account: Account,
    microcredits: int,
    reference: str,
    reason: str,
    at: datetime,
) -> None:
    """Add one transfer to this transaction; the database applies it to the balance."""
    session.add(
        Transfer(
            id=new_id("tr", at=at),
            organisation_id=organisation_id,
            debit_account=debit_account,
            credit_account=credit_account,
            microcredits=microcredits,
            reference=reference,
            reason=reason,
            created_at=at,
        )
    )
    try:
        session.flush()
    except IntegrityError as error:
        if is_violation_of(error, "reference"):
            raise ReferenceUsedError(reference) from error
        if is_violation_of(error, "not_negative"):
            raise OverdraftError from error
        raise


def lock_balance(session: Session, organisation_id: str) -> Balance:
    """Read the balance and keep everyone else from changing it until this transaction ends."""
    return session.get_one(Balance, organisation_id, with_for_update=True, populate_existing=True)
