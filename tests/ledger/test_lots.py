"""Grants that expire: the soonest is consumed first, and the database itself sees to it."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import DBAPIError

from tests.factories import Account, make_account, now
from webapp.core.db import db, transaction
from webapp.core.errors import InvalidFieldsError
from webapp.core.ids import new_id
from webapp.ledger.models import CreditLot
from webapp.ledger.operations import add_charge, add_grant
from webapp.ledger.queries import list_open_lots
from webapp.metering.verify import Lot as VerifiedLot
from webapp.metering.verify import consume, find_lot_differences

pytestmark = pytest.mark.usefixtures("context")

DAY = timedelta(days=1)
START = now() + DAY


def grant(account: Account, microcredits: int, *, day: int | None) -> None:
    """Grant credits that expire after so many days, or never."""
    with transaction() as session:
        add_grant(
            session,
            organisation_id=account.organisation_id,
            microcredits=microcredits,
            reason="",
            reference=None,
            at=now(),
            expires_at=None if day is None else START + day * DAY,
        )


def charge(account: Account, microcredits: int) -> None:
    with transaction() as session:
        add_charge(
            session.connection(),
            organisation_id=account.organisation_id,
            microcredits=microcredits,
            reference=new_id("test", at=now()),
            reason="",
            at=now(),
        )


def left(account: Account) -> list[int]:
    """Give what is left in the account's lots, in the order in which they are consumed."""
    return [lot.remaining for lot in list_open_lots(account.organisation_id)]


def test_the_soonest_to_expire_is_consumed_first_and_what_never_expires_last() -> None:
    account = make_account(microcredits=100)
    grant(account, 10, day=9)
    grant(account, 20, day=3)
    grant(account, 30, day=5)
    charge(account, 15)
    assert left(account) == [5, 30, 10]
    charge(account, 36)
    assert left(account) == [9]
    charge(account, 50)
    assert left(account) == []
    assert list(find_lot_differences()) == []


def test_a_charge_that_is_refused_consumes_nothing() -> None:
    account = make_account(microcredits=5)
    grant(account, 10, day=1)
    with pytest.raises(Exception, match="does not cover"):
        charge(account, 16)
    assert left(account) == [10]


def test_a_grant_cannot_expire_in_the_past() -> None:
    account = make_account()
    with pytest.raises(InvalidFieldsError) as caught:
        grant(account, 10, day=-2)
    assert [detail.path for detail in caught.value.details] == ["expires"]


Step = tuple[int, int | None] | int
steps = st.lists(st.integers(1, 60) | st.tuples(st.integers(1, 50), st.integers(0, 3) | st.none()), max_size=12)


@settings(max_examples=15, derandomize=True)
@given(steps=steps)
def test_any_grants_and_charges_leave_what_a_plain_model_leaves(steps: list[Step]) -> None:
    account, other = make_account(microcredits=30), make_account(microcredits=0)
    grant(other, 7, day=0)
    # By day of expiry; what never expires comes after every day.
    never = 1_000
    model = {never: 30}
    for step in steps:
        if not isinstance(step, int):
            microcredits, day = step
            grant(account, microcredits, day=day)
            by_day = never if day is None else day
            model[by_day] = model.get(by_day, 0) + microcredits
            continue
        to_take = min(step, sum(model.values()))
        if to_take:
            charge(account, to_take)
        for day in sorted(model):
            taken = min(to_take, model[day])
            to_take -= taken
            model[day] -= taken
    found: dict[int, int] = {}
    for lot in list_open_lots(account.organisation_id):
        day = (lot.expires_at - START) // DAY
        found[day] = found.get(day, 0) + lot.remaining
    assert found == {day: kept for day, kept in model.items() if day != never and kept}
    assert left(other) == [7]
    assert list(find_lot_differences()) == []


def test_lots_of_one_moment_are_consumed_by_id() -> None:
    account = make_account(microcredits=0)
    for _ in range(3):
        grant(account, 10, day=1)
    ids = [lot.id for lot in list_open_lots(account.organisation_id)]
    charge(account, 14)
    assert [(lot.id, lot.remaining) for lot in list_open_lots(account.organisation_id)] == [(ids[1], 6), (ids[2], 10)]


MAKE_LOTS = "INSERT INTO credit_lots SELECT id, organisation_id, microcredits, '2099-01-01 00:00:00.000000', 20"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE credit_lots SET remaining = remaining + 1",
        "UPDATE credit_lots SET remaining = -1",
        "UPDATE credit_lots SET expires_at = '2099-01-01 00:00:00.000000'",
        "UPDATE credit_lots SET outflow_before = 7",
        "DELETE FROM credit_lots",
        "INSERT INTO credit_lots SELECT id, organisation_id, remaining, expires_at, outflow_before FROM credit_lots",
        # A grant that has no lot, and has been spent in part.
        f"{MAKE_LOTS} FROM transfers WHERE reference LIKE 'grant:signup%'",
        f"{MAKE_LOTS} FROM transfers WHERE debit_account = 'customer'",
    ],
)
def test_the_database_refuses_to_falsify_a_lot(statement: str) -> None:
    account = make_account(microcredits=100)
    grant(account, 10, day=1)
    charge(account, 20)
    grant(account, 10, day=1)
    with pytest.raises(DBAPIError), transaction() as session:
        session.execute(sa.text(statement))
    assert left(account) == [10]


def test_sqlite_refuses_to_replace_a_lot() -> None:
    if db.engine.dialect.name != "sqlite":
        pytest.skip("REPLACE is SQLite's")
    account = make_account(microcredits=100)
    grant(account, 10, day=1)
    with pytest.raises(DBAPIError, match="its grant"), transaction() as session:
        session.execute(sa.text("INSERT OR REPLACE INTO credit_lots SELECT * FROM credit_lots"))


def test_a_lot_consumed_by_hand_is_refused_or_found() -> None:
    account = make_account(microcredits=100)
    grant(account, 10, day=1)
    try:
        with transaction() as session:
            session.execute(sa.update(CreditLot).values(remaining=4))
    except DBAPIError:
        assert db.engine.dialect.name == "postgresql"
        return
    [difference] = find_lot_differences()
    assert (difference.expected, difference.found) == (10, 4)


def test_consumption_out_of_order_is_a_difference() -> None:
    """The order is told from the lots and what left the account in all."""
    early, late = VerifiedLot(0, START, "a", 10), VerifiedLot(0, START + DAY, "b", 10)
    assert consume([late, early], 12) == {"a": 0, "b": 8}
    # Made after 12 had left: the one before it has paid for them, though it expires later.
    assert consume([late, VerifiedLot(12, START, "c", 10)], 15) == {"b": 0, "c": 7}
    assert consume([], 15) == {}
