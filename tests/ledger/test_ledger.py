"""What the database itself guarantees about credits."""

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from tests.factories import Account, make_account, now
from webapp.core.db import db, transaction
from webapp.core.errors import InvalidFieldsError
from webapp.core.money import MAX_MICROCREDITS
from webapp.ledger.models import Transfer
from webapp.ledger.operations import OverdraftError, ReferenceUsedError, add_charge, add_grant
from webapp.ledger.queries import get_balance, list_transfers

pytestmark = pytest.mark.usefixtures("context")


def charge(account: Account, microcredits: int, reference: str) -> None:
    with transaction() as session:
        add_charge(
            session.connection(),
            organisation_id=account.organisation_id,
            microcredits=microcredits,
            reference=reference,
            reason="a test",
            at=now(),
        )


def test_a_charge_moves_credits_from_available_to_spent() -> None:
    account = make_account(microcredits=100)
    charge(account, 30, "first")
    balance = get_balance(account.organisation_id)
    assert (balance.granted, balance.available, balance.spent, balance.expired) == (100, 70, 30, 0)


def test_an_overdraft_is_refused_and_changes_nothing() -> None:
    account = make_account(microcredits=100)
    with pytest.raises(OverdraftError):
        charge(account, 101, "too much")
    assert get_balance(account.organisation_id).available == 100
    assert len(list_transfers(account.organisation_id, limit=10).rows) == 1


def test_a_reference_is_used_once() -> None:
    account = make_account(microcredits=100)
    charge(account, 30, "once")
    with pytest.raises(ReferenceUsedError):
        charge(account, 30, "once")
    assert get_balance(account.organisation_id).spent == 30


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE transfers SET microcredits = 1",
        "UPDATE transfers SET reason = 'other'",
        "DELETE FROM transfers",
        "UPDATE balances SET available = -1",
        "UPDATE balances SET available = available + 1",
    ],
)
def test_the_database_refuses_to_falsify_the_ledger(statement: str) -> None:
    make_account(microcredits=100)
    with pytest.raises(DBAPIError), transaction() as session:
        session.execute(sa.text(statement))
    transfers = db.session.execute(sa.select(Transfer.microcredits, Transfer.reason)).all()
    assert transfers == [(100, "Starting credits")]


@pytest.mark.parametrize(
    "wrong",
    [
        {"microcredits": 0},
        {"microcredits": -5},
        {"debit_account": "customer"},
        {"credit_account": "moon"},
        {"organisation_id": "nobody"},
    ],
)
def test_the_database_refuses_an_impossible_transfer(wrong: dict[str, object]) -> None:
    account = make_account(microcredits=100)
    row = {
        "id": "new",
        "organisation_id": account.organisation_id,
        "debit_account": "grants",
        "credit_account": "customer",
        "microcredits": 1,
        "reference": "new",
        "reason": "",
        "created_at": now(),
    }
    with pytest.raises(DBAPIError), transaction() as session:
        session.execute(sa.insert(Transfer).values(row | wrong))


@pytest.mark.parametrize("column", ["id", "reference"])
def test_a_transfer_cannot_be_replaced(column: str) -> None:
    if db.engine.dialect.name != "sqlite":
        pytest.skip("REPLACE is SQLite's")
    make_account(microcredits=100)
    names = ["id", "organisation_id", "debit_account", "credit_account", "microcredits", "reference", "reason"]
    values = ", ".join("5" if name == "microcredits" else f"'{name}'" for name in names)
    values = values.replace(f"'{column}'", column).replace("'organisation_id'", "organisation_id")
    values = values.replace("'debit_account'", "'grants'").replace("'credit_account'", "'customer'")
    statement = f"INSERT OR REPLACE INTO transfers SELECT {values}, created_at FROM transfers"  # noqa: S608 - our own words
    with pytest.raises(DBAPIError, match="append-only"), transaction() as session:
        session.execute(sa.text(statement))


@pytest.mark.parametrize("tables", ["transfers CASCADE", "credit_lots", "refunds"])
def test_postgresql_refuses_to_truncate_the_ledger(tables: str) -> None:
    if db.engine.dialect.name != "postgresql":
        pytest.skip("TRUNCATE is PostgreSQL's")
    make_account(microcredits=100)
    with pytest.raises(DBAPIError, match=r"append-only|only consumed"), transaction() as session:
        session.execute(sa.text(f"TRUNCATE {tables}"))


@pytest.mark.parametrize("microcredits", [0, -1, MAX_MICROCREDITS + 1])
def test_a_grant_has_bounds(microcredits: int) -> None:
    account = make_account(microcredits=1)
    with pytest.raises(InvalidFieldsError), transaction() as session:
        add_grant(
            session,
            organisation_id=account.organisation_id,
            microcredits=microcredits,
            reason="",
            reference=None,
            at=now(),
        )


def test_all_grants_of_an_account_have_a_bound_together() -> None:
    account = make_account(microcredits=MAX_MICROCREDITS)
    with pytest.raises(InvalidFieldsError), transaction() as session:
        add_grant(session, organisation_id=account.organisation_id, microcredits=1, reason="", reference=None, at=now())


def test_a_user_may_start_with_nothing() -> None:
    account = make_account(microcredits=0)
    assert get_balance(account.organisation_id).granted == 0
    assert list_transfers(account.organisation_id, limit=10).rows == []
