"""Thresholds of budgets: found in SQL, written down, and told to who answers for the credits."""

from datetime import datetime

from sqlalchemy import inspect, select
from sqlalchemy.orm import Session

from webapp.accounts.letters import tell_members
from webapp.accounts.models import Membership, Organisation
from webapp.accounts.roles import MAY, Permission
from webapp.core.db import db, insert_for, transaction
from webapp.ledger.budgets import THRESHOLDS_PERCENT, Budget, BudgetAlert, start_of_period
from webapp.metering.budgets import SpentBudget, list_spent_budgets
from webapp.metering.letters import write_threshold


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
    """Write down the thresholds that what was used has reached and nobody was told of, and give them.

    Who was told when as much or more was used as is needed for a threshold now was told of it.
    """
    budget = spent.budget
    if not spent.used_microcredits:
        # One of nothing is used up from the start, each day anew, and nobody did anything.
        return []
    period = {
        "organisation_id": budget.organisation_id,
        "spender": budget.spender,
        "period": budget.period,
        "period_start": start_of_period(budget.period, at),
    }
    told = dict(
        db.session.execute(select(BudgetAlert.threshold_percent, BudgetAlert.microcredits).filter_by(**period)).all()
    )
    needed = {threshold: spent.count_needed(threshold) for threshold in THRESHOLDS_PERCENT}
    alerts = [
        BudgetAlert(**period, threshold_percent=threshold, microcredits=spent.used_microcredits, reached_at=at)
        for threshold in THRESHOLDS_PERCENT
        if told.get(threshold, -1) < needed[threshold] <= spent.used_microcredits
    ]
    if not alerts:
        return []
    with transaction() as session:
        new = [alert for alert in alerts if put_alert(session, alert, needed=needed[alert.threshold_percent])]
        if new:
            tell_of_threshold(session, spent, max(alert.threshold_percent for alert in new), at=at)
        return new


def tell_of_threshold(session: Session, spent: SpentBudget, threshold: int, *, at: datetime) -> None:
    """Write to who answers for the credits, in this transaction. Of several thresholds at once the highest says all."""
    organisation = session.get_one(Organisation, spent.budget.organisation_id)
    letter = write_threshold(
        spent.budget,
        organisation=organisation.name,
        key_name=spent.key_name,
        threshold=threshold,
        used=spent.used_microcredits,
        at=at,
    )
    tell_members(session, organisation.id, letter, Membership.role.in_(MAY[Permission.BUDGETS_MANAGE]), at=at)


def put_alert(session: Session, alert: BudgetAlert, *, needed: int) -> bool:
    """Put an alert in the place of one from before the budget was raised; False where it was told of this one."""
    table = BudgetAlert.__table__
    values = {column.name: getattr(alert, column.name) for column in table.columns}
    insert = insert_for(session.connection().dialect.name)(table).values(values)
    statement = insert.on_conflict_do_update(
        index_elements=inspect(BudgetAlert).primary_key,
        set_={"microcredits": alert.microcredits, "reached_at": alert.reached_at},
        where=table.c.microcredits < needed,
    )
    return session.execute(statement.returning(table.c.period)).first() is not None
