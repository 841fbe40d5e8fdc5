"""The invariant, checked: granted = available + held + unflushed + spent + expired, per account, to the micro-credit.

SQL is checked against itself (each balance row against the sum of its transfers, and what was spent against the usage
rows) and against Redis. It may run while the service is under load: an account that looks wrong is looked at again with
its balance locked, which makes the two readings one moment.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Select, case, func, select

from webapp.accounts.models import Organisation
from webapp.core.db import db, transaction
from webapp.core.money import format_credits
from webapp.keys.models import ApiKey
from webapp.ledger.budgets import ACCOUNT
from webapp.ledger.models import Account, Balance, Transfer
from webapp.ledger.operations import lock_balance
from webapp.metering.models import Usage
from webapp.metering.reconcile import (
    RedisAccount,
    Settled,
    find_settled,
    peek_account,
    peek_accounts,
    sum_open_holds,
    sum_unflushed,
)
from webapp.metering.spending import list_used

ACCOUNTS_PER_ROUND_TRIP = 1000


@dataclass(frozen=True)
class Difference:
    """Two figures that should agree and do not, in micro-credits."""

    organisation_id: str
    what: str
    expected: int
    found: int

    def __str__(self) -> str:
        """Say it in a line for the operator."""
        difference = format_credits(self.found - self.expected)
        return (
            f"{self.organisation_id}: {self.what}: expected {format_credits(self.expected)}, "
            f"found {format_credits(self.found)} (difference {difference} credits)"
        )


def verify() -> list[Difference]:
    """Check every account and give what differs. Raises StoreAwayError."""
    return [*find_ledger_differences(), *find_usage_differences(), *find_redis_differences()]


def find_ledger_differences() -> Iterator[Difference]:
    """Compare each balance row with the sum of its transfers."""
    columns = {
        "granted": sum_of(debit=Account.GRANTS, credit=None) - sum_of(debit=None, credit=Account.GRANTS),
        "available": sum_of(debit=None, credit=Account.CUSTOMER) - sum_of(debit=Account.CUSTOMER, credit=None),
        "spent": sum_of(debit=None, credit=Account.REVENUE) - sum_of(debit=Account.REVENUE, credit=None),
        "expired": sum_of(debit=None, credit=Account.EXPIRED) - sum_of(debit=Account.EXPIRED, credit=None),
    }
    sums = (
        select(Transfer.organisation_id, *(column.label(name) for name, column in columns.items()))
        .group_by(Transfer.organisation_id)
        .subquery()
    )
    for name in columns:
        expected, found = func.coalesce(sums.c[name], 0), getattr(Balance, name)
        joined = select(Balance.organisation_id, expected, found).outerjoin(
            sums, sums.c.organisation_id == Balance.organisation_id
        )
        yield from differences(f"{name} in the balance row against its transfers", joined.where(expected != found))


def sum_of(*, debit: Account | None, credit: Account | None) -> ColumnElement[int]:
    """Add up the transfers out of, or into, one of the ledger's accounts."""
    matches = Transfer.debit_account == debit if debit else Transfer.credit_account == credit
    return func.coalesce(func.sum(case((matches, Transfer.microcredits), else_=0)), 0)


def find_usage_differences() -> Iterator[Difference]:
    """Compare what each account has spent with what its keys were charged."""
    charged = (
        select(ApiKey.organisation_id, func.sum(Usage.microcredits).label("microcredits"))
        .join(Usage, Usage.key_id == ApiKey.id)
        .group_by(ApiKey.organisation_id)
        .subquery()
    )
    found = func.coalesce(charged.c.microcredits, 0)
    joined = select(Balance.organisation_id, Balance.spent, found).outerjoin(
        charged, charged.c.organisation_id == Balance.organisation_id
    )
    yield from differences("credits in the usage rows against what was spent", joined.where(Balance.spent != found))


def differences(what: str, statement: Select[str, int, int]) -> Iterator[Difference]:
    """Read rows of organisation, expected and found, which one statement has seen at one moment."""
    for organisation_id, expected, found in db.session.execute(statement):
        yield Difference(organisation_id, what, int(expected), int(found))


def find_redis_differences() -> Iterator[Difference]:
    """Compare what Redis would let each account spend with what SQL says it may."""
    statement = select(Organisation.shard_tag, Balance.organisation_id, Balance.available).join(Organisation)
    rows = db.session.execute(statement).all()
    for start in range(0, len(rows), ACCOUNTS_PER_ROUND_TRIP):
        chunk = rows[start : start + ACCOUNTS_PER_ROUND_TRIP]
        found = peek_accounts([shard_tag for shard_tag, _, _ in chunk])
        for (shard_tag, organisation_id, available), account in zip(chunk, found, strict=True):
            is_odd = sum_redis(account) != available or (account.available or 0) < 0
            if account.available is not None and (is_odd or ACCOUNT in account.used):
                yield from check_locked(shard_tag, organisation_id)


def sum_redis(account: RedisAccount) -> int:
    """Add up all that Redis holds of an account: in quiet times, its balance in SQL."""
    return (account.available or 0) + sum(account.holds.values()) + sum(account.unflushed.values())


def check_locked(shard_tag: str, organisation_id: str) -> Iterator[Difference]:
    """Compare again while no charge can be posted, allowing for what SQL has done and Redis is yet to hear of."""
    with transaction() as session:
        balance = lock_balance(session, organisation_id)
        account = peek_account(shard_tag)
        settled = find_settled(session, account)
        charged = list_used(session, organisation_id, [], at=account.at)[ACCOUNT].total
    if account.available is None:
        return
    expected = balance.available - sum_open_holds(account, settled) - sum_unflushed(account, settled)
    unsettled = sum(account.holds[hold_id] - charged for hold_id, charged in settled.charged_holds.items())
    ungranted = balance.granted - balance.expired - account.credited
    found = account.available + unsettled + ungranted
    if expected < 0:
        yield Difference(organisation_id, "charges and holds beyond the balance in SQL", 0, expected)
    if found != expected:
        yield Difference(organisation_id, "available in Redis against SQL", expected, found)
    if ACCOUNT in account.used:
        yield from find_budget_difference(organisation_id, account, settled, charged=charged)


def find_budget_difference(
    organisation_id: str, account: RedisAccount, settled: Settled, *, charged: int
) -> Iterator[Difference]:
    """Compare what the account's own budgets count in all with what was charged, is unflushed, and is held for keys."""
    held = sum(account.holds[hold_id] for hold_id in account.spending_holds if hold_id not in settled.charged_holds)
    # Redis is yet to hear that these were charged less than they held.
    unsettled = sum(
        account.holds[hold_id] - charge
        for hold_id, charge in settled.charged_holds.items()
        if hold_id in account.spending_holds
    )
    expected = charged + sum_unflushed(account, settled) + held + unsettled
    found = int(account.used[ACCOUNT].rpartition(":")[2])
    if found != expected:
        yield Difference(organisation_id, "used of the account's budgets in Redis against SQL", expected, found)
