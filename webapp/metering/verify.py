"""The invariant, checked: granted = available + held + unflushed + spent + expired, per account, to the micro-credit.

SQL is checked against itself (each balance row against the sum of its transfers, what was charged against the usage
rows, refunds against charges, and what is left of grants that expire against what has left the account) and against
Redis. It may run while the service is under load: an account that looks wrong in Redis is looked at again with its
balance locked, which makes the two readings one moment.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from heapq import heappop, heappush
from itertools import groupby
from typing import NamedTuple

from sqlalchemy import ColumnElement, Select, Subquery, case, func, or_, select
from sqlalchemy.orm import Session, aliased

from webapp.accounts.models import Organisation
from webapp.core.db import db, transaction
from webapp.core.money import format_credits
from webapp.keys.families import line_of, list_givers
from webapp.ledger.budgets import ACCOUNT
from webapp.ledger.models import Account, Balance, CreditLot, Refund, Transfer
from webapp.ledger.operations import lock_balance
from webapp.metering.models import Usage
from webapp.metering.reconcile import (
    RedisAccount,
    Settled,
    find_settled,
    list_prices,
    peek_account,
    peek_accounts,
    sum_open_holds,
    sum_unflushed,
)
from webapp.metering.spenders import all_spenders
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
    return [
        *find_ledger_differences(),
        *find_refund_differences(),
        *find_lot_differences(),
        *find_usage_differences(),
        *find_redis_differences(),
    ]


def find_ledger_differences() -> Iterator[Difference]:
    """Compare each balance row with the sum of its transfers."""
    sums = (
        select(
            *(Transfer.organisation_id, Transfer.debit_account, Transfer.credit_account),
            func.sum(Transfer.microcredits).label("microcredits"),
        )
        .group_by(Transfer.organisation_id, Transfer.debit_account, Transfer.credit_account)
        .subquery()
    )
    columns = {
        "granted": net(sums, out_of=Account.GRANTS),
        "available": -net(sums, out_of=Account.CUSTOMER),
        "spent": -net(sums, out_of=Account.REVENUE),
        "expired": -net(sums, out_of=Account.EXPIRED),
        "credited": total(sums, sums.c.credit_account == Account.CUSTOMER),
        "refunded": total(sums, sums.c.debit_account == Account.REVENUE),
    }
    names = list(columns)
    statement = (
        select(Balance.organisation_id, *(column.label(name) for name, column in columns.items()))
        .add_columns(*(getattr(Balance, name) for name in names))
        .outerjoin(sums, sums.c.organisation_id == Balance.organisation_id)
        .group_by(Balance.organisation_id)
        .having(or_(*(column != getattr(Balance, name) for name, column in columns.items())))
    )
    for organisation_id, *figures in db.session.execute(statement):
        for name, expected, found in zip(names, figures[: len(names)], figures[len(names) :], strict=True):
            if expected != found:
                what = f"{name} in the balance row against its transfers"
                yield Difference(organisation_id, what, int(expected), int(found))


def net(sums: Subquery, *, out_of: Account) -> ColumnElement[int]:
    """Add up the transfers out of one of the ledger's accounts, less those into it."""
    return total(sums, sums.c.debit_account == out_of) - total(sums, sums.c.credit_account == out_of)


def total(sums: Subquery, matches: ColumnElement[bool]) -> ColumnElement[int]:
    """Add up the sums of some kinds of transfers."""
    return func.coalesce(func.sum(case((matches, sums.c.microcredits), else_=0)), 0)


def find_refund_differences() -> Iterator[Difference]:
    """Compare what was refunded of each charge with the charge, and of all of them with the balance row."""
    charge, refund = aliased(Transfer), aliased(Transfer)
    refunded = func.sum(refund.microcredits)
    of_charges = (
        select(charge.organisation_id, charge.microcredits, refunded)
        .join(Refund, Refund.charge_id == charge.id)
        .join(refund, Refund.transfer_id == refund.id)
        .group_by(charge.id)
        .having(refunded > charge.microcredits)
    )
    yield from differences("refunded of a charge", of_charges)
    of_accounts = select(Transfer.organisation_id, func.sum(Transfer.microcredits).label("microcredits"))
    of_accounts = of_accounts.join(Refund, Refund.transfer_id == Transfer.id).group_by(Transfer.organisation_id)
    known = of_accounts.subquery()
    found = func.coalesce(known.c.microcredits, 0)
    joined = select(Balance.organisation_id, Balance.refunded, found).outerjoin(
        known, known.c.organisation_id == Balance.organisation_id
    )
    yield from differences(
        "refunds that name their charge against all refunds", joined.where(Balance.refunded != found)
    )


def find_lot_differences() -> Iterator[Difference]:
    """Compare what is left of each grant that expires with what its account's outflow must have left of it.

    The lots of an account and what has left it in all are enough for that: see consume().
    """
    statement = (
        select(CreditLot, Transfer.microcredits.label("granted"), Balance.credited, Balance.available)
        .join(Transfer, Transfer.id == CreditLot.id)
        .join(Balance, Balance.organisation_id == CreditLot.organisation_id)
        .order_by(CreditLot.organisation_id)
    )
    rows = db.session.execute(statement, execution_options={"populate_existing": True})
    for organisation_id, group in groupby(rows, key=lambda row: row.CreditLot.organisation_id):
        of_account = list(group)
        lots = [
            Lot(row.CreditLot.outflow_before, row.CreditLot.expires_at, row.CreditLot.id, row.granted)
            for row in of_account
        ]
        expected = consume(lots, of_account[0].credited - of_account[0].available)
        for lot in (row.CreditLot for row in of_account):
            if lot.remaining != expected[lot.id]:
                yield Difference(organisation_id, f"left of the grant {lot.id}", expected[lot.id], lot.remaining)
        left = sum(row.CreditLot.remaining for row in of_account)
        if left > of_account[0].available:
            yield Difference(organisation_id, "left of grants that expire", of_account[0].available, left)


class Lot(NamedTuple):
    """A grant that expires; in the order in which an account's were made."""

    outflow_before: int
    expires_at: datetime
    id: str
    granted: int


def consume(lots: Iterable[Lot], outflow: int) -> dict[str, int]:
    """Work out what is left of each lot once so much has left the account, the soonest to expire being consumed first.

    Whatever left the account between the making of two lots was taken from those that were there.
    """
    left: dict[str, int] = {}
    open_lots: list[tuple[datetime, str]] = []
    made = sorted(lots)
    for index, lot in enumerate(made):
        left[lot.id] = lot.granted
        heappush(open_lots, (lot.expires_at, lot.id))
        until = made[index + 1].outflow_before if index + 1 < len(made) else outflow
        to_take = until - lot.outflow_before
        while to_take > 0 and open_lots:
            _, first = open_lots[0]
            taken = min(to_take, left[first])
            left[first] -= taken
            to_take -= taken
            if not left[first]:
                heappop(open_lots)
    return left


def find_usage_differences() -> Iterator[Difference]:
    """Compare what each account was charged, refunded since or not, with what its spenders' usage says."""
    spenders = all_spenders()
    charged = (
        select(spenders.c.organisation_id, func.sum(Usage.microcredits).label("microcredits"))
        .join(Usage, Usage.key_id == spenders.c.id)
        .group_by(spenders.c.organisation_id)
        .subquery()
    )
    expected, found = Balance.spent + Balance.refunded, func.coalesce(charged.c.microcredits, 0)
    joined = select(Balance.organisation_id, expected, found).outerjoin(
        charged, charged.c.organisation_id == Balance.organisation_id
    )
    yield from differences("credits in the usage rows against what was charged", joined.where(expected != found))


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
            if account.available is not None and (is_odd or account.used):
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
        key_differences = list(find_key_budget_differences(session, organisation_id, shard_tag, account, settled))
    if account.available is None:
        return
    expected = balance.available - sum_open_holds(account, settled) - sum_unflushed(account, settled)
    unsettled = sum(account.holds[hold_id] - charged for hold_id, charged in settled.charged_holds.items())
    untold = balance.credited - account.credited
    found = account.available + unsettled + untold
    if expected < 0:
        yield Difference(organisation_id, "charges and holds beyond the balance in SQL", 0, expected)
    if found != expected:
        yield Difference(organisation_id, "available in Redis against SQL", expected, found)
    if ACCOUNT in account.used:
        yield from find_budget_difference(organisation_id, account, settled, charged=charged)
    yield from key_differences


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


def find_key_budget_differences(
    session: Session, organisation_id: str, shard_tag: str, account: RedisAccount, settled: Settled
) -> Iterator[Difference]:
    """Do the same for each key with budgets of its own, which count what the keys that it made used as well.

    What calls were charged by key is read in a round trip of its own; where somebody spends meanwhile, nothing is said.
    """
    keys = account.used.keys() - {ACCOUNT}
    if account.available is None or not keys:
        return
    prices = list_prices(shard_tag, settled)
    if peek_account(shard_tag).used != account.used:
        return
    givers = list_givers(session, organisation_id)
    expected = {
        key_id: used.total for key_id, used in list_used(session, organisation_id, prices, at=account.at).items()
    }
    for hold_id, spender in account.spending_holds.items():
        # One that SQL has charged is in what it says; Redis is yet to hear that it was charged less than it held.
        held = account.holds[hold_id] - settled.charged_holds.get(hold_id, 0)
        for key_id in line_of(spender, givers):
            expected[key_id] = expected.get(key_id, 0) + held
    for key_id in sorted(keys):
        found = int(account.used[key_id].rpartition(":")[2])
        if found != expected.get(key_id, 0):
            what = f"used of the budgets of {key_id} in Redis against SQL"
            yield Difference(organisation_id, what, expected.get(key_id, 0), found)
