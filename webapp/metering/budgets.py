"""Budgets at work: set, looked at, refused by, and told of when they run out."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from webapp.accounts.audit import Action, Actor, Target, record_event
from webapp.accounts.models import Organisation
from webapp.accounts.organisations import organisation_target
from webapp.core.db import ROW_LOCK, db, transaction
from webapp.core.errors import NotFoundError, StoreAwayError, UpcubeError
from webapp.core.money import format_credits
from webapp.core.text import has_control_characters
from webapp.keys.models import ApiKey
from webapp.ledger.budgets import (
    ACCOUNT,
    Budget,
    BudgetTerms,
    NoBudgetError,
    end_of_period,
    list_budgets,
    list_budgets_of,
    put_budget,
    remove_budget,
)
from webapp.ledger.models import Balance
from webapp.ledger.operations import lock_balance
from webapp.metering.letters import describe_period
from webapp.metering.reconcile import RedisAccount, reconcile_account
from webapp.metering.spending import Used, list_used


@dataclass(frozen=True)
class BudgetState:
    """A budget as a call found it: what it bounds (key or account), what of it is used, and whose it is.

    That is ACCOUNT, or a key by its id: the one that calls or one of its line.
    """

    level: str
    period: str
    limit_microcredits: int
    used_microcredits: int
    refuses: bool
    spender: str

    @property
    def remaining_microcredits(self) -> int:
        """What may still be spent of it."""
        return max(self.limit_microcredits - self.used_microcredits, 0)

    def allows(self, microcredits: int) -> bool:
        """Tell whether so much more may be spent."""
        return not self.refuses or self.used_microcredits + microcredits <= self.limit_microcredits


class BudgetExceededError(UpcubeError):
    """A budget does not allow so much more."""

    status = 402
    code = "budget_exceeded"

    def __init__(self, budgets: Sequence[BudgetState], *, required: int, at: datetime) -> None:
        refusing = next(budget for budget in budgets if not budget.allows(required))
        available = format_credits(refusing.remaining_microcredits)
        whose = "that this API key draws on" if refusing.level == "key" else "of the account"
        resets_at = end_of_period(refusing.period, at)
        when = f", or wait until {resets_at:%Y-%m-%d} (UTC), when it is whole again" if resets_at else ""
        super().__init__(
            f"This needs {format_credits(required)} credits, and the {describe_period(refusing.period)} budget of "
            f"{format_credits(refusing.limit_microcredits)} {whose} has {available} left. Raise the budget{when}.",
            target="credits",
            extra={
                "required": format_credits(required),
                "available": available,
                "limitSource": f"{refusing.level}_budget",
                "period": refusing.period,
            },
        )


def read_budgets(reply: Sequence[Any]) -> tuple[BudgetState, ...]:
    """Read budgets as scripts answer them."""
    return tuple(
        BudgetState(level.decode(), period.decode(), limit, used, bool(refuses), spender.decode())
        for level, period, limit, used, refuses, spender in reply
    )


def read_account_budgets(found: RedisAccount, spender: str) -> tuple[BudgetState, ...]:
    """Give the budgets that this spender would meet, from what Redis holds of its account."""
    return tuple(
        BudgetState(level, period, limit, read_used(found, whose, period), bool(refuses), whose)
        for level, bounded in (("key", spender), ("account", ACCOUNT))
        for period, limit, refuses, whose in json.loads(found.budgets.get(bounded, "[]"))
    )


def read_used(found: RedisAccount, spender: str, period: str) -> int:
    """Give what counts against a spender's budget for this period."""
    used: int = getattr(Used.decode(found.used.get(spender, ""), found.at), period)
    return used


def set_budget(
    *,
    organisation_id: str,
    key_id: str | None,
    period: str,
    microcredits: int,
    refuses: bool,
    actor: Actor,
    at: datetime,
) -> None:
    """Set the budget of a key, or without one of the account, for a period; what is used of it by now counts.

    Raises NotFoundError for another account's key, or InvalidFieldsError.
    """
    with transaction() as session:
        tag = lock_account(session, organisation_id, key_id)
        target = name_spender(session, organisation_id, key_id)
        terms = BudgetTerms(period, microcredits, refuses)
        write_budget(session, organisation_id, target, terms, actor=actor, at=at)
    tell_redis(tag)


def unset_budget(*, organisation_id: str, key_id: str | None, period: str, actor: Actor, at: datetime) -> None:
    """Remove a budget. Raises NotFoundError where there is none."""
    with transaction() as session:
        tag = lock_account(session, organisation_id, key_id)
        target = name_spender(session, organisation_id, key_id)
        if not erase_budget(session, organisation_id, target, period, actor=actor, at=at):
            raise NoBudgetError
    tell_redis(tag)


def set_key_budgets(
    session: Session, key: ApiKey, wanted: Sequence[BudgetTerms], *, actor: Actor, at: datetime
) -> bool:
    """Give a key these budgets in place of those that it has, in this transaction; tell whether that changes any.

    Who calls this sees to it that Redis hears of it. Raises InvalidFieldsError.
    """
    target = Target("key", key.id, key.name)
    before = {
        BudgetTerms(budget.period, budget.microcredits, budget.refuses) for budget in list_budgets_of(session, [key.id])
    }
    for period in {terms.period for terms in before} - {terms.period for terms in wanted}:
        erase_budget(session, key.organisation_id, target, period, actor=actor, at=at)
    for terms in wanted:
        if terms not in before:
            write_budget(session, key.organisation_id, target, terms, actor=actor, at=at)
    return before != set(wanted)


def write_budget(
    session: Session, organisation_id: str, target: Target, terms: BudgetTerms, *, actor: Actor, at: datetime
) -> None:
    """Set the budget of a key or an account in this transaction, and note it. Raises InvalidFieldsError."""
    put_budget(session, organisation_id=organisation_id, spender=spender_named(target), terms=terms, at=at)
    record_event(
        session,
        action=Action.BUDGET_SET,
        actor=actor,
        target=target,
        organisation_id=organisation_id,
        details={
            "period": terms.period,
            "credits": format_credits(terms.microcredits),
            "refuses": terms.refuses,
        },
        at=at,
    )


def erase_budget(
    session: Session, organisation_id: str, target: Target, period: str, *, actor: Actor, at: datetime
) -> bool:
    """Remove a budget in this transaction, and note it; False where there is none."""
    if not remove_budget(session, organisation_id=organisation_id, spender=spender_named(target), period=period):
        return False
    record_event(
        session,
        action=Action.BUDGET_REMOVED,
        actor=actor,
        target=target,
        organisation_id=organisation_id,
        details={"period": period},
        at=at,
    )
    return True


def name_spender(session: Session, organisation_id: str, key_id: str | None) -> Target:
    """Name whose budget it is as what is acted upon."""
    if key_id is None:
        return organisation_target(session.get_one(Organisation, organisation_id))
    return Target("key", key_id, session.get_one(ApiKey, key_id).name)


def spender_named(target: Target) -> str:
    """Give the spender that is acted upon."""
    return target.id if target.type == "key" else ACCOUNT


def lock_account(session: Session, organisation_id: str, key_id: str | None) -> str:
    """Lock the account's budgets, note that Redis must hear of a change, and give the account's shard tag."""
    organisation = session.get_one(Organisation, organisation_id, with_for_update=ROW_LOCK)
    if key_id is not None:
        found = select(ApiKey.id).where(ApiKey.id == key_id, ApiKey.organisation_id == organisation_id)
        # PostgreSQL fails when asked for a NUL.
        if has_control_characters(key_id) or session.scalar(found) is None:
            raise NotFoundError("This account has no such key.", target="keyId")
    lock_balance(session, organisation_id)
    # Less than any version: should we die before Redis is told, the next flush tells it.
    session.execute(update(Balance).where(Balance.organisation_id == organisation_id).values(told_version=-1))
    return organisation.shard_tag


def tell_redis(shard_tag: str) -> None:
    """Let the next call meet the new budgets; should Redis be away, the next flush tells it."""
    try:
        reconcile_account(shard_tag=shard_tag)
    except StoreAwayError:
        return


@dataclass(frozen=True)
class SpentBudget:
    """A budget with what SQL says is used of it; `key_name` is None for the account's own."""

    budget: Budget
    key_name: str | None
    used_microcredits: int

    @property
    def percent(self) -> int:
        """How much of it is used, rounded down; a budget of nothing is used up."""
        limit = self.budget.microcredits
        return self.used_microcredits * 100 // limit if limit else 100

    def count_needed(self, threshold_percent: int) -> int:
        """Give with how many micro-credits used a threshold is reached."""
        return -(-self.budget.microcredits * threshold_percent // 100)


def list_spent_budgets(organisation_id: str, *, at: datetime) -> list[SpentBudget]:
    """Give the account's budgets with what was charged in their periods."""
    session = db.session()
    budgets = list_budgets(session, organisation_id)
    if not budgets:
        return []
    used = list_used(session, organisation_id, [], at=at)
    statement = select(ApiKey.id, ApiKey.name).where(ApiKey.id.in_([budget.spender for budget in budgets]))
    key_names = {row.id: row.name for row in session.execute(statement)}
    return [
        SpentBudget(
            budget,
            key_names.get(budget.spender),
            getattr(used.get(budget.spender, Used()), budget.period),
        )
        for budget in budgets
    ]
