"""What has been used of budgets, as SQL and the counters on their way to it say."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import case, func, or_, select
from sqlalchemy.orm import Session

from webapp.keys.families import line_of, list_givers
from webapp.keys.models import ApiKey
from webapp.ledger.budgets import ACCOUNT, Budget, BudgetPeriod, start_of_period
from webapp.metering.models import OpenHold, Usage
from webapp.metering.spenders import select_spenders

SECONDS_PER_DAY = 86_400

# No request that a key was revoked during is still at work after so long.
LINGERING = timedelta(hours=1)


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


def list_bounds(session: Session, organisation_id: str, budgets: Sequence[Budget], *, at: datetime) -> dict[str, str]:
    """Give, by spender, the budgets that bound it as budgets.lua reads them: its own, and those of its line.

    A key that others made draws on their budgets, whoever set them and whenever. Nobody waits for keys that can spend
    no more: those that were revoked are left out once their jobs have ended.
    """
    own: dict[str, list[tuple[str, int, int, str]]] = defaultdict(list)
    for budget in budgets:
        own[budget.spender].append((budget.period, budget.microcredits, int(budget.refuses), budget.spender))
    bounds = dict(own)
    if own.keys() - {ACCOUNT}:
        givers = list_givers(session, organisation_id)
        for key_id in list_spending_keys(session, organisation_id, at=at):
            bounds[key_id] = [each for giver_id in line_of(key_id, givers) for each in own.get(giver_id, [])]
    return {spender: json.dumps(found) for spender, found in bounds.items() if found}


def list_spending_keys(session: Session, organisation_id: str, *, at: datetime) -> set[str]:
    """Give the keys, by id, that were made by others and may yet spend or settle what they spent."""
    holding = select(OpenHold.key_id).where(OpenHold.organisation_id == organisation_id)
    return set(
        session.scalars(
            select(ApiKey.id).where(
                ApiKey.organisation_id == organisation_id,
                ApiKey.created_by_key_id.is_not(None),
                or_(ApiKey.revoked_at.is_(None), ApiKey.revoked_at > at - LINGERING, ApiKey.id.in_(holding)),
            )
        )
    )


def list_used(session: Session, organisation_id: str, unflushed: Sequence[Price], *, at: datetime) -> dict[str, Used]:
    """Give what counts against each spender's budgets, and the account's: in SQL, and in these counters.

    What a key used counts against the key that made it as well, and so on.
    """
    used: dict[str, Used] = defaultdict(Used)
    givers = list_givers(session, organisation_id)
    for key_id, day, month, total in each_charged(session, organisation_id, unflushed, at=at):
        for spender in (*line_of(key_id, givers), ACCOUNT):
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
