"""What moves credits."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from webapp.core.db import is_violation_of
from webapp.core.errors import FieldError, InvalidFieldsError, StoreAwayError, UpcubeError
from webapp.core.ids import new_id
from webapp.core.money import MAX_MICROCREDITS
from webapp.core.text import has_control_characters
from webapp.ledger.models import Account, Balance, Transfer, VoidReference

MAX_REASON_LENGTH = 200
MAX_REFERENCE_LENGTH = 100
GIVEN_UP = "This took too long and was given up; nothing was charged. Try again."


class ReferenceUsedError(UpcubeError):
    """A transfer with this reference exists: what was asked for has been done before."""

    status = 409
    code = "reference_used"

    def __init__(self, reference: str) -> None:
        super().__init__(f"A transfer with the reference {reference!r} exists; nothing was done.", target="reference")


class VoidReferenceError(StoreAwayError):
    """What this transfer would pay for was given up, because it took far too long. Nothing was charged; try again."""


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
    check_grant(microcredits, reason, reference)
    balance = lock_balance(session, organisation_id)
    if balance.granted + microcredits > MAX_MICROCREDITS:
        raise InvalidFieldsError([FieldError("amount", "An account is granted at most 1000000000 credits in all.")])
    add_transfer(
        session,
        organisation_id=organisation_id,
        debit_account=Account.GRANTS,
        credit_account=Account.CUSTOMER,
        microcredits=microcredits,
        reference=f"grant:{reference or new_id('grant', at=at)}",
        reason=reason,
        at=at,
    )


def check_grant(microcredits: int, reason: str, reference: str | None) -> None:
    """Refuse a grant that cannot be written down, naming all that is wrong at once."""
    wrong: list[FieldError] = []
    if not 1 <= microcredits <= MAX_MICROCREDITS:
        allowed = "more than 0, at most 1000000000 credits"
        wrong.append(FieldError("amount", f"A grant is {allowed}.", allowed))
    if len(reason) > MAX_REASON_LENGTH or has_control_characters(reason):
        allowed = f"at most {MAX_REASON_LENGTH} characters on one line"
        wrong.append(FieldError("reason", f"A reason has {allowed}.", allowed))
    if reference is not None and (not 1 <= len(reference) <= MAX_REFERENCE_LENGTH or has_control_characters(reference)):
        allowed = f"1 to {MAX_REFERENCE_LENGTH} characters on one line"
        wrong.append(FieldError("reference", f"A reference has {allowed}.", allowed))
    if wrong:
        raise InvalidFieldsError(wrong)


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
        if is_violation_of(error, "is void"):
            raise VoidReferenceError(GIVEN_UP) from error
        if is_violation_of(error, "reference"):
            raise ReferenceUsedError(reference) from error
        if is_violation_of(error, "not_negative"):
            raise OverdraftError from error
        raise


def void_reference(session: Session, *, organisation_id: str, reference: str, at: datetime) -> int:
    """Make sure that no transfer ever gets this reference, unless one has it: then give its micro-credits.

    The balance is locked, so that a transfer is posted either before this or never.
    """
    lock_balance(session, organisation_id)
    posted = session.scalar(select(Transfer.microcredits).where(Transfer.reference == reference))
    if posted is None and session.get(VoidReference, reference) is None:
        session.add(VoidReference(reference=reference, voided_at=at))
    return posted or 0


def check_reference(session: Session, reference: str) -> None:
    """Refuse a reference that no transfer may have any more; the caller has locked the balance.

    Raises VoidReferenceError.
    """
    if session.get(VoidReference, reference) is not None:
        raise VoidReferenceError(GIVEN_UP)


def lock_balance(session: Session, organisation_id: str) -> Balance:
    """Read the balance and keep everyone else from changing it until this transaction ends."""
    return session.get_one(Balance, organisation_id, with_for_update=True, populate_existing=True)
