"""Confirmation: a job that may cost more than the account wants to spend unasked is sent back with a quote."""

from dataclasses import replace
from datetime import datetime

from sqlalchemy import bindparam, select

from webapp.accounts.audit import Action, Actor, record_event
from webapp.accounts.models import Organisation
from webapp.accounts.organisations import organisation_target
from webapp.accounts.queries import get_organisation
from webapp.core.clock import format_time
from webapp.core.db import ROW_LOCK, db, transaction
from webapp.core.errors import StoreAwayError, UpcubeError
from webapp.core.money import format_credits
from webapp.jobs.gates import AccountState, GateVerdict, judge_confirmation
from webapp.jobs.plans import JobLimits, JobRequest, Plan
from webapp.jobs.quotes import Quote, QuoteBook
from webapp.metering.budgets import BudgetExceededError, read_account_budgets
from webapp.metering.holds import InsufficientCreditsError, TooManyHoldsError
from webapp.metering.reconcile import peek_account, reconcile_account

CONFIRM_ABOVE = select(Organisation.confirm_above_microcredits).where(Organisation.id == bindparam("organisation_id"))
UNFIT_QUOTE = "The quoteId that was sent is of another request, of another price, or older than ten minutes."


class ConfirmationRequiredError(UpcubeError):
    """The job may cost more than the account lets pass unasked; the error holds the quote that confirms it."""

    status = 409
    code = "confirmation_required"

    def __init__(self, verdict: GateVerdict, quote: Quote, *, microcredits: int) -> None:
        super().__init__(
            verdict.message,
            target="confirm",
            extra={
                "gate": verdict.name,
                "limit": verdict.limit,
                "value": verdict.value,
                "quoteId": quote.id,
                "price": format_credits(microcredits),
                "expiresAt": format_time(quote.expires_at),
            },
        )


def check_confirmation(
    plan: Plan,
    request: JobRequest,
    *,
    organisation_id: str,
    spender: str,
    limits: JobLimits,
    quotes: QuoteBook,
    at: datetime,
) -> None:
    """Refuse a job whose price is yet to be confirmed.

    Budgets, the balance and the concurrency are gates before this one, though the hold is what decides on them: a price
    is not put to an account that could not pay it. Raises ConfirmationRequiredError, BudgetExceededError,
    InsufficientCreditsError, TooManyHoldsError or StoreAwayError.
    """
    limit = read_limit(organisation_id)
    if limit is None or plan.price.total <= limit:
        return
    organisation = get_organisation(organisation_id)
    if is_confirmed(plan, request, organisation, quotes=quotes, at=at):
        return
    account = look_at_account(organisation, spender)
    if not all(budget.allows(plan.price.total) for budget in account.budgets):
        raise BudgetExceededError(account.budgets, required=plan.price.total, at=at)
    if account.available_microcredits < plan.price.total:
        raise InsufficientCreditsError(required=plan.price.total, available=account.available_microcredits)
    if account.open_jobs >= limits.max_concurrent_jobs:
        raise TooManyHoldsError(limits.max_concurrent_jobs)
    verdict = judge_confirmation(plan, account, is_confirmed=False)
    if request.quote_id is not None:
        verdict = replace(verdict, message=f"{UNFIT_QUOTE} {verdict.message}")
    raise ConfirmationRequiredError(
        verdict,
        make_quote(plan, request, organisation, quotes=quotes, at=at),
        microcredits=plan.price.total,
    )


def read_limit(organisation_id: str) -> int | None:
    """Read above which price the account wants to be asked.

    Every job asks this, and nearly none asks more: on a connection, without the ORM's session, it takes a third.
    """
    with db.engine.connect() as connection:
        limit: int | None = connection.scalar(CONFIRM_ABOVE, {"organisation_id": organisation_id})
    return limit


def is_confirmed(
    plan: Plan, request: JobRequest, organisation: Organisation, *, quotes: QuoteBook, at: datetime
) -> bool:
    """Tell whether the request came with a quote of its price."""
    return quotes.confirms(
        request.quote_id,
        organisation_id=organisation.id,
        digest=request.digest,
        microcredits=plan.price.total,
        at=at,
    )


def make_quote(
    plan: Plan, request: JobRequest, organisation: Organisation, *, quotes: QuoteBook, at: datetime
) -> Quote:
    """Quote the job's price."""
    return quotes.make(organisation_id=organisation.id, digest=request.digest, microcredits=plan.price.total, at=at)


def look_at_account(organisation: Organisation, spender: str) -> AccountState:
    """Read what the gates look at in an account, as it is at this moment. Raises StoreAwayError."""
    found = peek_account(organisation.shard_tag)
    if found.available is None:
        reconcile_account(shard_tag=organisation.shard_tag)
        found = peek_account(organisation.shard_tag)
    if found.available is None:
        raise StoreAwayError("The metering store lost what it was told; nothing was charged. Try again shortly.")
    return AccountState(
        available_microcredits=found.available,
        open_jobs=len(found.holds),
        budgets=read_account_budgets(found, spender),
        confirm_above_microcredits=organisation.confirm_above_microcredits,
    )


def set_confirmation(*, organisation_id: str, above_microcredits: int | None, actor: Actor, at: datetime) -> None:
    """Have jobs that may cost more than this confirmed, or with None, none."""
    with transaction() as session:
        organisation = session.get_one(Organisation, organisation_id, with_for_update=ROW_LOCK)
        organisation.confirm_above_microcredits = above_microcredits
        record_event(
            session,
            action=Action.CONFIRMATION_CHANGED,
            actor=actor,
            target=organisation_target(organisation),
            organisation_id=organisation_id,
            details={"above": None if above_microcredits is None else format_credits(above_microcredits)},
            at=at,
        )
