"""Confirmation: a job that may cost more than the account wants to spend unasked is sent back with a quote."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

from webapp.accounts.audit import Action, Actor, record_event
from webapp.accounts.models import Organisation
from webapp.accounts.organisations import organisation_target
from webapp.core.clock import format_time
from webapp.core.db import ROW_LOCK, transaction
from webapp.core.errors import StoreAwayError, UpcubeError
from webapp.core.money import format_credits
from webapp.jobs.gates import AccountState, GateVerdict, judge_confirmation
from webapp.jobs.plans import JobRequest, Plan
from webapp.jobs.quotes import Quote, QuoteBook
from webapp.metering.budgets import read_account_budgets
from webapp.metering.holds import AskedHold, ConfirmationWantedError, ask_for_credits
from webapp.metering.reconcile import chill_account, peek_account, reconcile_account

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


def ask_for_price(
    plan: Plan,
    request: JobRequest,
    *,
    hold_id: str,
    organisation_id: str,
    shard_tag: str,
    spender: str,
    max_holds: int,
    quotes: QuoteBook,
    at: datetime,
) -> AskedHold:
    """Ask for the price of a job to be set aside, where the account can pay it and has confirmed it if it wants to.

    Raises StoreAwayError.
    """
    return ask_for_credits(
        shard_tag=shard_tag,
        hold_id=hold_id,
        microcredits=plan.price.total,
        max_holds=max_holds,
        spender=spender,
        is_confirmed=is_confirmed(plan, request, organisation_id, quotes=quotes, at=at),
    )


@contextmanager
def quoting(
    plan: Plan, request: JobRequest, organisation_id: str, *, quotes: QuoteBook, at: datetime
) -> Iterator[None]:
    """Quote the price where the account wants to be asked about it. Raises ConfirmationRequiredError."""
    try:
        yield
    except ConfirmationWantedError as wanted:
        verdict = judge_confirmation(plan, wanted.above_microcredits, is_confirmed=False)
        if request.quote_id is not None:
            verdict = replace(verdict, message=f"{UNFIT_QUOTE} {verdict.message}")
        raise ConfirmationRequiredError(
            verdict,
            make_quote(plan, request, organisation_id, quotes=quotes, at=at),
            microcredits=plan.price.total,
        ) from wanted


def is_confirmed(plan: Plan, request: JobRequest, organisation_id: str, *, quotes: QuoteBook, at: datetime) -> bool:
    """Tell whether the request came with a quote of its price."""
    return request.quote_id is not None and quotes.confirms(
        request.quote_id,
        organisation_id=organisation_id,
        digest=request.digest,
        microcredits=plan.price.total,
        at=at,
    )


def make_quote(plan: Plan, request: JobRequest, organisation_id: str, *, quotes: QuoteBook, at: datetime) -> Quote:
    """Quote the job's price."""
    return quotes.make(organisation_id=organisation_id, digest=request.digest, microcredits=plan.price.total, at=at)


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
    """Have jobs that may cost more than this confirmed, or with None, none: from the next job on.

    Raises StoreAwayError, with nothing changed.
    """
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
        session.flush()
        # The next job waits for this transaction, and finds the new amount.
        chill_account(organisation.shard_tag)
