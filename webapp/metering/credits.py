"""Credits as an account's owner sees them: granted, and what became of them."""

from dataclasses import dataclass
from datetime import datetime

from webapp.accounts.audit import Action, Actor, Target, record_event
from webapp.accounts.queries import get_organisation
from webapp.core.db import db, transaction
from webapp.core.errors import StoreAwayError
from webapp.core.money import format_credits
from webapp.ledger.operations import add_grant
from webapp.ledger.queries import get_balance
from webapp.metering.reconcile import (
    find_settled,
    peek_account,
    reconcile_account,
    sum_open_holds,
    sum_unflushed,
)


@dataclass(frozen=True)
class Credits:
    """Where an account's credits are, in micro-credits: granted = available + held + unflushed + spent + expired."""

    granted: int
    available: int
    held: int
    unflushed: int
    spent: int
    expired: int


def grant_credits(
    *,
    organisation_id: str,
    microcredits: int,
    reason: str,
    reference: str | None,
    actor: Actor,
    at: datetime,
) -> None:
    """Give an account credits, once per reference, to be spent at once.

    Raises InvalidFieldsError or ReferenceUsedError.
    """
    with transaction() as session:
        add_grant(
            session,
            organisation_id=organisation_id,
            microcredits=microcredits,
            reason=reason,
            reference=reference,
            at=at,
        )
        record_event(
            session,
            action=Action.CREDITS_GRANTED,
            actor=actor,
            target=Target("organisation", organisation_id, get_organisation(organisation_id).name),
            organisation_id=organisation_id,
            details={"credits": format_credits(microcredits), "reason": reason, "reference": reference},
            at=at,
        )
    try:
        reconcile_account(shard_tag=get_organisation(organisation_id).shard_tag)
    except StoreAwayError:
        # The grant stands in SQL, and the balance's version says that Redis has not heard: the next flush tells it.
        return


def get_credits(organisation_id: str) -> Credits:
    """Say where the account's credits are, from SQL and Redis together. Raises StoreAwayError."""
    found = peek_account(get_organisation(organisation_id).shard_tag)
    settled = find_settled(db.session(), found)
    balance = get_balance(organisation_id)
    held = sum_open_holds(found, settled)
    unflushed = sum_unflushed(found, settled)
    return Credits(
        granted=balance.granted,
        # Derived, so that the parts add up even when a charge is posted between the readings.
        available=balance.available - held - unflushed,
        held=held,
        unflushed=unflushed,
        spent=balance.spent,
        expired=balance.expired,
    )
