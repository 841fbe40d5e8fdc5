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
from webapp.accounts.queries import get_organisation
from webapp.core.db import db, insert_for, transaction
from webapp.core.errors import NotFoundError, StoreAwayError, UpcubeError
from webapp.core.money import format_credits
from webapp.keys.models import ApiKey
from webapp.ledger.budgets import (
    ACCOUNT,
    THRESHOLDS_PERCENT,
    Budget,
    BudgetAlert,
    NoBudgetError,
    end_of_period,
    list_budgets,
    put_budget,
    remove_budget,
    start_of_period,
)
from webapp.ledger.models import Balance
from webapp.ledger.operations import lock_balance
from webapp.metering.reconcile import RedisAccount, reconcile_account
from webapp.metering.spending import Used, list_used


@dataclass(frozen=True)
class BudgetState:
    """A budget as a call found it: whose it is (key or account), and what of it is used."""

    level: str
    period: str
    limit_microcredits: int
    used_microcredits: int
    refuses: bool

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
        whose = "this API key's" if refusing.level == "key" else "the account's"
        resets_at = end_of_period(refusing.period, at)
        when = f", or wait until {resets_at:%Y-%m-%d} (UTC), when it is whole again" if resets_at else ""
        super().__init__(
            f"This needs {format_credits(required)} credits, and {whose} {describe_period(refusing.period)} budget of "
            f"{format_credits(refusing.limit_microcredits)} has {available} left. Raise the budget{when}.",
            target="credits",
            extra={
                "required": format_credits(required),
                "available": available,
                "limitSource": f"{refusing.level}_budget",
                "period": refusing.period,
            },
        )


def describe_period(period: str) -> str:
    """Name a period as it stands before the word budget."""
    return {"day": "daily", "month": "monthly"}.get(period, period)


def read_budgets(reply: Sequence[Any]) -> tuple[BudgetState, ...]:
    """Read budgets as scripts answer them."""
    return tuple(
        BudgetState(level.decode(), period.decode(), limit, used, bool(refuses))
        for level, period, limit, used, refuses in reply
    )


def read_account_budgets(found: RedisAccount, key_id: str) -> tuple[BudgetState, ...]:
    """Give the budgets that a call of this key would meet, from what Redis holds of its account."""
    return tuple(
        BudgetState(
            level, period, limit, getattr(Used.decode(found.used.get(spender, ""), found.at), period), bool(refuses)
        )
        for level, spender in (("key", key_id), ("account", ACCOUNT))
        for period, limit, refuses in json.loads(found.budgets.get(spender, "[]"))
    )


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
        put_budget(
            session,
            organisation_id=organisation_id,
            spender=key_id or ACCOUNT,
            period=period,
            microcredits=microcredits,
            refuses=refuses,
            at=at,
        )
        record_event(
            session,
            action=Action.BUDGET_SET,
            actor=actor,
            target=budget_target(organisation_id, key_id),
            organisation_id=organisation_id,
            details={"period": period, "credits": format_credits(microcredits), "refuses": refuses},
            at=at,
        )
    tell_redis(tag)


def unset_budget(*, organisation_id: str, key_id: str | None, period: str, actor: Actor, at: datetime) -> None:
    """Remove a budget. Raises NotFoundError where there is none."""
    with transaction() as session:
        tag = lock_account(session, organisation_id, key_id)
        if not remove_budget(session, organisation_id=organisation_id, spender=key_id or ACCOUNT, period=period):
            raise NoBudgetError
        record_event(
            session,
            action=Action.BUDGET_REMOVED,
            actor=actor,
            target=budget_target(organisation_id, key_id),
            organisation_id=organisation_id,
            details={"period": period},
            at=at,
        )
    tell_redis(tag)


def budget_target(organisation_id: str, key_id: str | None) -> Target:
    """Give whose budget it is as the audit trail names them."""
    if key_id is None:
        return Target("organisation", organisation_id, get_organisation(organisation_id).name)
    return Target("key", key_id, db.session.get_one(ApiKey, key_id).name)


def lock_account(session: Session, organisation_id: str, key_id: str | None) -> str:
    """Lock the account's budgets, note that Redis must hear of a change, and give the account's shard tag."""
    organisation = session.get_one(Organisation, organisation_id, with_for_update=True)
    if key_id is not None:
        found = select(ApiKey.id).where(ApiKey.id == key_id, ApiKey.organisation_id == organisation_id)
        if session.scalar(found) is None:
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


def record_alerts(*, at: datetime) -> list[BudgetAlert]:
    """Write down the thresholds that budgets have reached, each once in a period, and give the new ones."""
    organisation_ids = db.session.scalars(select(Budget.organisation_id).distinct()).all()
    return [
        alert
        for organisation_id in organisation_ids
        for spent in list_spent_budgets(organisation_id, at=at)
        for alert in record_reached(spent, at=at)
    ]


def record_reached(spent: SpentBudget, *, at: datetime) -> list[BudgetAlert]:
    """Write down the thresholds that this budget has reached and nobody was told of, and give them."""
    budget = spent.budget
    period = {
        "organisation_id": budget.organisation_id,
        "spender": budget.spender,
        "period": budget.period,
        "period_start": start_of_period(budget.period, at),
    }
    told = set(db.session.scalars(select(BudgetAlert.threshold_percent).filter_by(**period)))
    alerts = [
        BudgetAlert(**period, threshold_percent=threshold, microcredits=spent.used_microcredits, reached_at=at)
        for threshold in THRESHOLDS_PERCENT
        if spent.percent >= threshold and threshold not in told
    ]
    if not alerts:
        return []
    with transaction() as session:
        return [alert for alert in alerts if insert_alert(session, alert)]


def insert_alert(session: Session, alert: BudgetAlert) -> bool:
    """Insert an alert; False where it was told before."""
    table = BudgetAlert.__table__
    values = {column.name: getattr(alert, column.name) for column in table.columns}
    insert = insert_for(session.connection().dialect.name)(table).values(values).on_conflict_do_nothing()
    return session.execute(insert.returning(table.c.period)).first() is not None
