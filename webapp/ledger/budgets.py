"""Budgets: how much a key, or the whole account, may spend in a day, a month or in all."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy import delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from webapp.accounts.models import Organisation
from webapp.core.db import Base, UtcDateTime, db
from webapp.core.errors import FieldError, InvalidFieldsError, NotFoundError
from webapp.core.money import MAX_MICROCREDITS

# Who a budget of the whole account belongs to. Any other spender is a key, by its id.
ACCOUNT = ""

# A budget tells of itself when so many percent of it are used.
THRESHOLDS_PERCENT = (50, 75, 90, 100)


class BudgetPeriod(StrEnum):
    """What a budget is for; days and months are those of UTC."""

    DAY = "day"
    MONTH = "month"
    TOTAL = "total"


class Budget(Base):
    """What one spender may spend in each period."""

    __tablename__ = "budgets"
    __table_args__ = (sa.CheckConstraint("microcredits >= 0", name="not_negative"),)

    organisation_id: Mapped[str] = mapped_column(sa.ForeignKey(Organisation.id), primary_key=True)
    # A key's id, or ACCOUNT.
    spender: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    period: Mapped[str] = mapped_column(sa.String(5), primary_key=True)
    microcredits: Mapped[int] = mapped_column(sa.BigInteger)
    # Whether spending beyond it is refused, or only told of.
    refuses: Mapped[bool]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


@dataclass(frozen=True)
class BudgetTerms:
    """What somebody chooses of a budget."""

    period: str
    microcredits: int
    refuses: bool


class BudgetAlert(Base):
    """A threshold of a budget that was reached, told once in each of its periods.

    It stays when the budget is set anew or removed: else whoever changes it has everybody told again, without end. One
    that was raised beyond what was used by then is told of again when that is reached.
    """

    __tablename__ = "budget_alerts"

    organisation_id: Mapped[str] = mapped_column(sa.ForeignKey(Organisation.id), primary_key=True)
    spender: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    period: Mapped[str] = mapped_column(sa.String(5), primary_key=True)
    # 1970 for the one period of a total.
    period_start: Mapped[datetime] = mapped_column(UtcDateTime, primary_key=True)
    threshold_percent: Mapped[int] = mapped_column(primary_key=True)
    # What was used by then.
    microcredits: Mapped[int] = mapped_column(sa.BigInteger)
    reached_at: Mapped[datetime] = mapped_column(UtcDateTime)


def start_of_period(period: str, at: datetime) -> datetime:
    """Give the moment at which the period that holds `at` began."""
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    if period == BudgetPeriod.DAY:
        return midnight
    if period == BudgetPeriod.MONTH:
        return midnight.replace(day=1)
    return datetime(1970, 1, 1, tzinfo=at.tzinfo)


def end_of_period(period: str, at: datetime) -> datetime | None:
    """Give the moment at which the budget is whole again: none for a total."""
    if period == BudgetPeriod.TOTAL:
        return None
    # No month is longer than 31 days, and none shorter than 4.
    longest = timedelta(days=1 if period == BudgetPeriod.DAY else 31)
    return start_of_period(period, start_of_period(period, at) + longest)


def list_budgets(session: Session, organisation_id: str) -> Sequence[Budget]:
    """Give the account's budgets, its own first."""
    statement = select(Budget).where(Budget.organisation_id == organisation_id)
    return session.scalars(statement.order_by(Budget.spender, Budget.period)).all()


def list_budgets_of(session: Session, spenders: Iterable[str]) -> Sequence[Budget]:
    """Give the budgets of these keys."""
    statement = select(Budget).where(Budget.spender.in_(list(spenders)))
    return session.scalars(statement.order_by(Budget.spender, Budget.period)).all()


def list_key_budgets(key_ids: Iterable[str]) -> Sequence[Budget]:
    """Give the budgets of these keys, for whoever shows them."""
    return list_budgets_of(db.session(), key_ids)


def list_alerts(organisation_id: str, *, limit: int) -> Sequence[BudgetAlert]:
    """Give the thresholds that the account's budgets reached last, newest first."""
    is_of_budget = (
        Budget.organisation_id == BudgetAlert.organisation_id,
        Budget.spender == BudgetAlert.spender,
        Budget.period == BudgetAlert.period,
    )
    statement = select(BudgetAlert).join(Budget, sa.and_(*is_of_budget))
    statement = statement.where(BudgetAlert.organisation_id == organisation_id)
    return db.session.scalars(
        statement.order_by(BudgetAlert.reached_at.desc(), BudgetAlert.threshold_percent.desc()).limit(limit)
    ).all()


def put_budget(session: Session, *, organisation_id: str, spender: str, terms: BudgetTerms, at: datetime) -> None:
    """Set a spender's budget for a period, in place of the one that it may have. Raises InvalidFieldsError."""
    check_budget(terms.period, terms.microcredits)
    remove_budget(session, organisation_id=organisation_id, spender=spender, period=terms.period)
    session.add(
        Budget(
            organisation_id=organisation_id,
            spender=spender,
            period=terms.period,
            microcredits=terms.microcredits,
            refuses=terms.refuses,
            created_at=at,
        )
    )


def check_budget(period: str, microcredits: int) -> None:
    """Refuse a budget that cannot be, naming all that is wrong at once."""
    wrong: list[FieldError] = []
    if period not in set(BudgetPeriod):
        allowed = ", ".join(BudgetPeriod)
        wrong.append(FieldError("period", f"{period!r} is no period of a budget.", allowed))
    if not 0 <= microcredits <= MAX_MICROCREDITS:
        allowed = "0 to 1000000000 credits"
        wrong.append(FieldError("credits", f"A budget is {allowed}.", allowed))
    if wrong:
        raise InvalidFieldsError(wrong)


def remove_budget(session: Session, *, organisation_id: str, spender: str, period: str) -> bool:
    """Remove a budget; False where there was none."""
    statement = delete(Budget).filter_by(organisation_id=organisation_id, spender=spender, period=period)
    return session.execute(statement.returning(Budget.period)).first() is not None


class NoBudgetError(NotFoundError):
    """There is no such budget."""

    def __init__(self) -> None:
        super().__init__("There is no such budget.", target="period")
