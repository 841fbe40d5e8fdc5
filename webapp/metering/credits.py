"""Credits as an account's owner sees them: granted, and what became of them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from webapp.accounts.audit import Action, Actor, Target, record_event
from webapp.accounts.queries import get_organisation
from webapp.core.db import db, transaction
from webapp.core.errors import StoreAwayError
from webapp.core.money import format_credits
from webapp.ledger.models import CreditLot, TransferKind
from webapp.ledger.operations import add_grant
from webapp.ledger.queries import get_balance, list_open_lots
from webapp.metering.reconcile import (
    find_settled,
    peek_account,
    reconcile_account,
    sum_open_holds,
    sum_unflushed,
)


@dataclass(frozen=True)
class Expiring:
    """Available micro-credits that expire at one moment."""

    expires_at: datetime
    microcredits: int


@dataclass(frozen=True)
class Credits:
    """Where an account's credits are, in micro-credits: granted = available + held + unflushed + spent + expired."""

    granted: int
    available: int
    held: int
    unflushed: int
    spent: int
    expired: int
    # Which of the available ones expire, the soonest first. The others never do.
    expiring: tuple[Expiring, ...]


def grant_credits(
    *,
    organisation_id: str,
    microcredits: int,
    reason: str,
    reference: str | None,
    actor: Actor,
    at: datetime,
    expires_at: datetime | None = None,
    kind: TransferKind = TransferKind.GRANT,
) -> None:
    """Give an account credits, once per reference, to be spent at once, and until `expires_at` where that is given.

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
            expires_at=expires_at,
            kind=kind,
        )
        record_credits(
            session,
            action=Action.CREDITS_ADJUSTED if kind is TransferKind.ADJUSTMENT else Action.CREDITS_GRANTED,
            organisation_id=organisation_id,
            microcredits=microcredits,
            reason=reason,
            reference=reference,
            actor=actor,
            at=at,
        )
    tell_redis(organisation_id)


def record_credits(
    session: Session,
    *,
    action: Action,
    organisation_id: str,
    microcredits: int,
    reason: str,
    reference: str | None,
    actor: Actor,
    at: datetime,
) -> None:
    """Note in this transaction that credits came to an account, or by less than 0 that they were taken from it."""
    record_event(
        session,
        action=action,
        actor=actor,
        target=Target("organisation", organisation_id, get_organisation(organisation_id).name),
        organisation_id=organisation_id,
        details={"credits": format_credits(microcredits), "reason": reason, "reference": reference},
        at=at,
    )


def tell_redis(organisation_id: str) -> None:
    """Let Redis know at once of credits that came to the account."""
    try:
        reconcile_account(shard_tag=get_organisation(organisation_id).shard_tag)
    except StoreAwayError:
        # They stand in SQL, and the balance's version says that Redis has not heard: the next flush tells it.
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
        expiring=tuple(each_expiring(list_open_lots(organisation_id), pending=held + unflushed)),
    )


def each_expiring(lots: Iterable[CreditLot], *, pending: int) -> Iterator[Expiring]:
    """Give what expires when, the soonest first, less what is held or waits to be posted: the lots pay for that."""
    by_moment: dict[datetime, int] = {}
    for lot in lots:
        paid = min(lot.remaining, pending)
        pending -= paid
        by_moment[lot.expires_at] = by_moment.get(lot.expires_at, 0) + lot.remaining - paid
    return (Expiring(moment, microcredits) for moment, microcredits in by_moment.items() if microcredits)
