"""Credits taken from an account other than by spending them: those past their date, and an operator's corrections.

They are held in Redis first, as a job's price is. So nothing is taken that a job holds or a call has used, and a crash
at any point leaves a hold that ends when it is found to be overdue: with what SQL posted for it, or with nothing.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from sqlalchemy.orm import Session

from webapp.accounts.audit import Action, Actor
from webapp.accounts.models import Organisation
from webapp.accounts.queries import get_organisation
from webapp.core.db import db, transaction
from webapp.core.errors import FieldError, InvalidFieldsError, UpcubeError
from webapp.core.faults import fault
from webapp.core.ids import new_id
from webapp.core.money import format_credits
from webapp.ledger.models import Account, TransferKind
from webapp.ledger.operations import add_transfer, claim_reference, list_wrong_words, lock_balance
from webapp.ledger.queries import list_organisations_with_expired, sum_expired_lots
from webapp.metering.credits import grant_credits, record_credits
from webapp.metering.holds import InsufficientCreditsError, ask_for_credits, end_hold, give_back_hold
from webapp.metering.reconcile import (
    find_settled,
    hold_reference,
    peek_account,
    sum_open_holds,
    sum_unflushed,
)

# A withdrawal is not a job, and the limit on jobs at one time does not keep it from being made.
NO_LIMIT = 2**31 - 1
# What the ids of holds for credits past their date begin with.
EXPIRY = "expire"


class NotAvailableError(UpcubeError):
    """The account has less available than is to be taken from it."""

    status = 409
    code = "insufficient_credits"

    def __init__(self, *, required: int, available: str) -> None:
        super().__init__(
            f"{format_credits(required)} credits are to be taken and {available} are available: what is spent, or held "
            "by a job, cannot be taken. Nothing was done.",
            target="amount",
        )


def adjust_credits(
    *, organisation_id: str, microcredits: int, reason: str, reference: str | None, actor: Actor, at: datetime
) -> None:
    """Correct what an account was granted, upwards or downwards, once per reference.

    Raises InvalidFieldsError, NotAvailableError, ReferenceUsedError or StoreAwayError.
    """
    if microcredits > 0:
        grant_credits(
            organisation_id=organisation_id,
            microcredits=microcredits,
            reason=reason,
            reference=reference,
            actor=actor,
            at=at,
            kind=TransferKind.ADJUSTMENT,
        )
    else:
        take_back(
            organisation_id=organisation_id,
            microcredits=-microcredits,
            reason=reason,
            reference=reference,
            actor=actor,
            at=at,
        )


def take_back(
    *, organisation_id: str, microcredits: int, reason: str, reference: str | None, actor: Actor, at: datetime
) -> None:
    """Take available credits back into the grants."""
    wrong = list_wrong_words(reason, reference)
    if not microcredits:
        wrong.insert(0, FieldError("amount", "An adjustment is more or less than 0 credits.", "not 0"))
    if wrong:
        raise InvalidFieldsError(wrong)

    def use_reference_up(session: Session) -> int:
        """Take all of it; a second time with this reference is refused."""
        if reference is not None:
            claim_reference(session, reference=f"{TransferKind.ADJUSTMENT}:{reference}", at=at)
        record_credits(
            session,
            action=Action.CREDITS_ADJUSTED,
            organisation_id=organisation_id,
            microcredits=-microcredits,
            reason=reason,
            reference=reference,
            actor=actor,
            at=at,
        )
        return microcredits

    try:
        withdraw(
            organisation=get_organisation(organisation_id),
            hold_id=new_id("adjust", at=at),
            microcredits=microcredits,
            credit_account=Account.GRANTS,
            reason=reason,
            at=at,
            decide=use_reference_up,
        )
    except InsufficientCreditsError as error:
        raise NotAvailableError(required=microcredits, available=str(error.extra["available"])) from error


def expire_credits(*, at: datetime) -> int:
    """Take what is left in lots past their date, and give how many micro-credits that was. Raises StoreAwayError."""
    return sum(expire_lots_of(organisation_id, at=at) for organisation_id in list_organisations_with_expired(at=at))


def expire_lots_of(organisation_id: str, *, at: datetime) -> int:
    """Take what is left in the account's lots past their date, and give how many micro-credits that was."""
    organisation = get_organisation(organisation_id)
    due = sum_due(db.session(), organisation, at=at)
    if not due:
        return 0
    try:
        return withdraw(
            organisation=organisation,
            hold_id=new_id(EXPIRY, at=at),
            microcredits=due,
            credit_account=Account.EXPIRED,
            reason="Credits past their date",
            at=at,
            # Asked again with the balance locked: some of it may have been spent, or have expired, since.
            decide=lambda session: min(due, sum_due(session, organisation, at=at)),
        )
    except InsufficientCreditsError:
        # Somebody was quicker. What they do not spend is left for the next time.
        return 0


def sum_due(session: Session, organisation: Organisation, *, at: datetime) -> int:
    """Add up what is to be taken from lots past their date.

    What jobs hold and calls have used was promised from these lots, which are consumed first, so as much stays in them.
    What a job gives back is left for the next time. Holds of other expiries promise nothing: who posts first takes it.
    """
    found = peek_account(organisation.shard_tag)
    settled = find_settled(session, found)
    holds = {hold_id: held for hold_id, held in found.holds.items() if not hold_id.startswith(EXPIRY)}
    pending = sum_open_holds(replace(found, holds=holds), settled) + sum_unflushed(found, settled)
    return max(0, sum_expired_lots(session, organisation.id, at=at) - pending)


def withdraw(
    *,
    organisation: Organisation,
    hold_id: str,
    microcredits: int,
    credit_account: Account,
    reason: str,
    at: datetime,
    decide: Callable[[Session], int],
) -> int:
    """Hold credits, move as many of them as `decide` says while the balance is locked, and end the hold.

    Gives how many were moved. Raises InsufficientCreditsError, StoreAwayError, or what `decide` raises.
    """
    hold = ask_for_credits(
        shard_tag=organisation.shard_tag, hold_id=hold_id, microcredits=microcredits, max_holds=NO_LIMIT
    ).get()
    fault("withdrawal_after_hold")
    try:
        with transaction() as session:
            lock_balance(session, organisation.id)
            taken = decide(session)
            if taken:
                add_transfer(
                    session.connection(),
                    organisation_id=organisation.id,
                    debit_account=Account.CUSTOMER,
                    credit_account=credit_account,
                    microcredits=taken,
                    reference=hold_reference(hold.id),
                    reason=reason,
                    at=at,
                )
            fault("withdrawal_before_commit")
    except BaseException as error:
        give_back_hold(hold, error)
        raise
    fault("withdrawal_after_commit")
    end_hold(hold, charged_microcredits=taken)
    return taken
