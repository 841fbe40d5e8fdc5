"""What has been used of budgets, as SQL and the counters on their way to it say."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from webapp.keys.models import ApiKey
from webapp.ledger.budgets import ACCOUNT, Budget, BudgetPeriod, start_of_period
from webapp.metering.models import Usage
from webapp.metering.spenders import select_spenders

SECONDS_PER_DAY = 86_400


@dataclass(frozen=True)
class Price:
    """What one key was charged for calls in one hour, in micro-credits."""

    key_id: str
    hour: datetime
    microcredits: int


@dataclass
class Used:
    """What a spender has used in the day, the month and in all, in micro-credits."""

    day: int = 0
    month: int = 0
    total: int = 0

    def encode(self, at: datetime) -> str:
        """Write it as budgets.lua reads it: the numbers of the day and the month, and what was used in each."""
        day_number = int(at.timestamp()) // SECONDS_PER_DAY
        return f"{day_number}:{at.year * 12 + at.month - 1}:{self.day}:{self.month}:{self.total}"

    @classmethod
    def decode(cls, text: str, at: datetime) -> "Used":
        """Read it as it is at this moment: what was used in a day or a month that is over counts no more."""
        if not text:
            return cls()
        day_number, month_number, day, month, total = map(int, text.split(":"))
        return cls(
            day=day if day_number == int(at.timestamp()) // SECONDS_PER_DAY else 0,
            month=month if month_number == at.year * 12 + at.month - 1 else 0,
            total=total,
        )


def encode_budgets(budgets: Iterable[Budget]) -> dict[str, str]:
    """Write each spender's budgets as budgets.lua reads them."""
    by_spender: dict[str, list[tuple[str, int, int]]] = defaultdict(list)
    for budget in budgets:
        by_spender[budget.spender].append((budget.period, budget.microcredits, int(budget.refuses)))
    return {spender: json.dumps(found) for spender, found in by_spender.items()}


def list_used(session: Session, organisation_id: str, unflushed: Sequence[Price], *, at: datetime) -> dict[str, Used]:
    """Give what each spender, and the account in all, has used of its budgets: in SQL, and in these counters."""
    used: dict[str, Used] = defaultdict(Used)
    for key_id, day, month, total in each_charged(session, organisation_id, unflushed, at=at):
        for spender in (key_id, ACCOUNT):
            used[spender].day += day
            used[spender].month += month
            used[spender].total += total
    return used


def each_charged(
    session: Session, organisation_id: str, unflushed: Iterable[Price], *, at: datetime
) -> Iterator[tuple[str, int, int, int]]:
    """Give spenders of the account with what they were charged in the day, the month and in all."""
    day_start, month_start = (start_of_period(period, at) for period in (BudgetPeriod.DAY, BudgetPeriod.MONTH))
    since = (
        func.coalesce(func.sum(case((Usage.hour >= start, Usage.microcredits), else_=0)), 0)
        for start in (day_start, month_start)
    )
    key_ids = set(session.scalars(select(ApiKey.id).where(ApiKey.organisation_id == organisation_id)))
    rows = session.execute(
        select(Usage.key_id, *since, func.sum(Usage.microcredits))
        .where(Usage.key_id.in_(select_spenders(organisation_id)))
        .group_by(Usage.key_id)
    )
    for key_id, day, month, total in rows:
        yield key_id, int(day), int(month), int(total)
    for price in unflushed:
        if price.key_id in key_ids:
            amount = price.microcredits
            yield (
                price.key_id,
                amount if price.hour >= day_start else 0,
                amount if price.hour >= month_start else 0,
                amount,
            )


def read_prices(flat: Sequence[bytes], *, applied: frozenset[str]) -> list[Price]:
    """Read the answer of prices.lua, but for the batches that SQL has applied."""
    rows = zip(flat[::4], flat[1::4], flat[2::4], flat[3::4], strict=True)
    return [
        Price(key_id.decode(), datetime.fromtimestamp(int(hour), UTC), int(microcredits))
        for batch, key_id, hour, microcredits in rows
        if batch.decode() not in applied
    ]
