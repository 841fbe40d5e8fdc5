"""What moves credits."""

from datetime import datetime

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from webapp.core.clock import format_time
from webapp.core.db import AnyConnection, insert_rows, is_violation_of
from webapp.core.errors import FieldError, InvalidFieldsError, StoreAwayError, UpcubeError
from webapp.core.ids import new_id
from webapp.core.money import MAX_MICROCREDITS, format_credits
from webapp.core.text import has_control_characters
from webapp.ledger.models import Account, Balance, CreditLot, Refund, Transfer, TransferKind, VoidReference

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


class NothingToRefundError(UpcubeError):
    """The charge is smaller than the refund, was refunded before, or does not exist."""

    status = 409
    code = "nothing_to_refund"

    def __init__(self, left: int) -> None:
        super().__init__(
            f"{format_credits(left)} credits of this charge are left to refund; nothing was done.", target="amount"
        )


class OverdraftError(UpcubeError):
    """The ledger holds less than the transfer would take. The database itself refuses it."""

    status = 402
    code = "insufficient_credits"

    def __init__(self) -> None:
        super().__init__("The account's balance does not cover this.", extra={"limitSource": "balance"})


def add_grant(
    session: Session,
    *,
    organisation_id: str,
    microcredits: int,
    reason: str,
    reference: str | None,
    at: datetime,
    expires_at: datetime | None = None,
    kind: TransferKind = TransferKind.GRANT,
) -> None:
    """Add a grant, or an adjustment upwards, to this transaction. Raises InvalidFieldsError or ReferenceUsedError."""
    check_grant(microcredits, reason, reference, expires_at=expires_at, at=at)
    balance = lock_balance(session, organisation_id)
    if balance.granted + microcredits > MAX_MICROCREDITS:
        raise InvalidFieldsError([FieldError("amount", "An account is granted at most 1000000000 credits in all.")])
    reference = f"{kind}:{reference or new_id(kind, at=at)}"
    try:
        grant_id = add_transfer(
            session.connection(),
            organisation_id=organisation_id,
            debit_account=Account.GRANTS,
            credit_account=Account.CUSTOMER,
            microcredits=microcredits,
            reference=reference,
            reason=reason,
            at=at,
        )
    except VoidReferenceError as error:
        # An adjustment downwards has used it up.
        raise ReferenceUsedError(reference) from error
    if expires_at is not None:
        lot = {
            "id": grant_id,
            "organisation_id": organisation_id,
            "remaining": microcredits,
            "expires_at": expires_at,
            "outflow_before": balance.credited - balance.available,
        }
        insert_rows(session.connection(), CreditLot, [lot])


def check_grant(
    microcredits: int, reason: str, reference: str | None, *, expires_at: datetime | None = None, at: datetime
) -> None:
    """Refuse a grant that cannot be written down, naming all that is wrong at once."""
    wrong = list_wrong_words(reason, reference)
    if not 1 <= microcredits <= MAX_MICROCREDITS:
        allowed = "more than 0, at most 1000000000 credits"
        wrong.insert(0, FieldError("amount", f"A grant is {allowed}.", allowed))
    if expires_at is not None and expires_at <= at:
        wrong.append(FieldError("expires", "A grant expires in the future.", f"after {format_time(at)}"))
    if wrong:
        raise InvalidFieldsError(wrong)


def list_wrong_words(
    reason: str, reference: str | None, *, max_reason_length: int = MAX_REASON_LENGTH
) -> list[FieldError]:
    """Give what is wrong with the words of a transfer."""
    wrong: list[FieldError] = []
    if len(reason) > max_reason_length or has_control_characters(reason):
        allowed = f"at most {max_reason_length} characters on one line"
        wrong.append(FieldError("reason", f"A reason has {allowed}.", allowed))
    if reference is not None and (not 1 <= len(reference) <= MAX_REFERENCE_LENGTH or has_control_characters(reference)):
        allowed = f"1 to {MAX_REFERENCE_LENGTH} characters on one line"
        wrong.append(FieldError("reference", f"A reference has {allowed}.", allowed))
    return wrong


def add_charge(
    connection: AnyConnection, *, organisation_id: str, microcredits: int, reason: str, reference: str, at: datetime
) -> None:
    """Add a charge to this transaction; a charge of nothing adds nothing.

    Raises OverdraftError or ReferenceUsedError.
    """
    if microcredits:
        add_transfer(
            connection,
            organisation_id=organisation_id,
            debit_account=Account.CUSTOMER,
            credit_account=Account.REVENUE,
            microcredits=microcredits,
            reference=reference,
            reason=reason,
            at=at,
        )


def add_transfer(
    connection: AnyConnection,
    *,
    organisation_id: str,
    debit_account: Account,
    credit_account: Account,
    microcredits: int,
    reference: str,
    reason: str,
    at: datetime,
) -> str:
    """Add one transfer to this transaction and give its id; the database applies it to the balance and its lots."""
    transfer_id = new_id("tr", at=at)
    transfer = {
        "id": transfer_id,
        "organisation_id": organisation_id,
        "debit_account": debit_account,
        "credit_account": credit_account,
        "microcredits": microcredits,
        "reference": reference,
        "reason": reason,
        "created_at": at,
    }
    try:
        insert_rows(connection, Transfer, [transfer])
    except IntegrityError as error:
        if is_violation_of(error, "is void"):
            raise VoidReferenceError(GIVEN_UP) from error
        if is_violation_of(error, "reference"):
            raise ReferenceUsedError(reference) from error
        if is_violation_of(error, "not_negative"):
            raise OverdraftError from error
        raise
    return transfer_id


def add_refund(
    session: Session,
    *,
    organisation_id: str,
    charge_reference: str,
    subject: str,
    microcredits: int | None,
    reason: str,
    reference: str | None,
    at: datetime,
) -> int:
    """Give back some of a charge, or without an amount all that is left of it; give how much that was.

    The statement names the subject of the charge before the reason. Raises InvalidFieldsError, NothingToRefundError or
    ReferenceUsedError.
    """
    prefix = f"{subject}: "
    check_refund(microcredits, reason, reference, max_reason_length=MAX_REASON_LENGTH - len(prefix))
    # Locked, so that two refunds at once cannot both find the same left.
    lock_balance(session, organisation_id)
    charge = session.scalar(
        select(Transfer).where(
            Transfer.reference == charge_reference,
            Transfer.organisation_id == organisation_id,
            Transfer.credit_account == Account.REVENUE,
        )
    )
    earlier = list_refunds(session, charge.id) if charge else []
    left = charge.microcredits - sum(earlier) if charge else 0
    amount = left if microcredits is None else microcredits
    if charge is None or not 1 <= amount <= left:
        raise NothingToRefundError(left)
    refund_id = add_transfer(
        session.connection(),
        organisation_id=organisation_id,
        debit_account=Account.REVENUE,
        credit_account=Account.CUSTOMER,
        microcredits=amount,
        reference=f"refund:{reference or f'{charge_reference}:{len(earlier) + 1}'}",
        reason=prefix + reason,
        at=at,
    )
    insert_rows(session.connection(), Refund, [{"transfer_id": refund_id, "charge_id": charge.id}])
    return amount


def check_refund(microcredits: int | None, reason: str, reference: str | None, *, max_reason_length: int) -> None:
    """Refuse a refund that cannot be written down, naming all that is wrong at once."""
    wrong = list_wrong_words(reason, reference, max_reason_length=max_reason_length)
    if microcredits is not None and microcredits < 1:
        wrong.insert(0, FieldError("amount", "A refund is more than 0 credits.", "more than 0 credits"))
    if wrong:
        raise InvalidFieldsError(wrong)


def list_refunds(session: Session, charge_id: str) -> list[int]:
    """Give the amounts that were given back of a charge."""
    amounts = select(Transfer.microcredits).join(Refund, Refund.transfer_id == Transfer.id)
    return list(session.scalars(amounts.where(Refund.charge_id == charge_id)))


def claim_reference(session: Session, *, reference: str, at: datetime) -> None:
    """Use a reference up for a transfer that is posted under its hold's. Raises ReferenceUsedError."""
    if session.scalar(select(Transfer.id).where(Transfer.reference == reference)) is not None:
        raise ReferenceUsedError(reference)
    try:
        session.execute(insert(VoidReference).values(reference=reference, voided_at=at))
    except IntegrityError as error:
        raise ReferenceUsedError(reference) from error


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


def try_lock_balance(session: Session, organisation_id: str) -> bool:
    """Keep the balance as `lock_balance` does, unless somebody else keeps it now; tell whether it is kept."""
    balance = session.get(Balance, organisation_id, with_for_update={"skip_locked": True}, populate_existing=True)
    return balance is not None
