"""Refunds of jobs: at most what was charged, in the ledger alone."""

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from tests.factories import Account, body, make_account, make_key, now, post_bell
from webapp.accounts.audit import OPERATOR
from webapp.core.db import transaction
from webapp.core.errors import InvalidFieldsError, NotFoundError
from webapp.core.ids import new_id
from webapp.jobs.refunds import refund_job
from webapp.ledger.models import Account as LedgerAccount
from webapp.ledger.models import Refund, Transfer
from webapp.ledger.operations import NothingToRefundError, ReferenceUsedError, add_transfer
from webapp.ledger.queries import list_transfers
from webapp.metering.credits import get_credits
from webapp.metering.queries import list_keys_with_usage
from webapp.metering.reconcile import hold_reference, peek_account
from webapp.metering.verify import verify

BELL_MICROCREDITS = 1_101
GRANTED = 10_000


@pytest.fixture
def account(app: Flask) -> Account:
    with app.app_context():
        return make_account(microcredits=GRANTED)


@pytest.fixture
def job_id(app: Flask, client: FlaskClient, account: Account) -> str:
    """A job that was charged."""
    with app.app_context():
        key = make_key(account)
    return str(body(post_bell(client, key))["id"])


def refund(account: Account, job_id: str, microcredits: int | None = None, reference: str | None = None) -> int:
    return refund_job(
        organisation_id=account.organisation_id,
        job_id=job_id,
        microcredits=microcredits,
        reason="an apology",
        reference=reference,
        actor=OPERATOR,
        at=now(),
    )


def move(
    session: Session, account: Account, debit_account: LedgerAccount, credit_account: LedgerAccount, microcredits: int
) -> str:
    """Add a transfer as no operation of ours would, and give its id."""
    return add_transfer(
        session.connection(),
        organisation_id=account.organisation_id,
        debit_account=debit_account,
        credit_account=credit_account,
        microcredits=microcredits,
        reference=new_id("by_hand", at=now()),
        reason="",
        at=now(),
    )


def refund_by_hand(account: Account, job_id: str, microcredits: int) -> None:
    """Refund some of a job's charge without looking how much is left."""
    with transaction() as session:
        refund_id = move(session, account, LedgerAccount.REVENUE, LedgerAccount.CUSTOMER, microcredits)
        charge_id = session.scalars(sa.select(Transfer.id).where(Transfer.reference == hold_reference(job_id))).one()
        session.execute(sa.insert(Refund).values(transfer_id=refund_id, charge_id=charge_id))


@pytest.mark.usefixtures("context")
class TestRefunds:
    """A charge given back."""

    def test_what_is_refunded_can_be_spent_and_usage_says_what_was_charged(self, account: Account, job_id: str) -> None:
        assert refund(account, job_id, 100) == 100
        found = get_credits(account.organisation_id)
        assert (found.granted, found.spent) == (GRANTED, BELL_MICROCREDITS - 100)
        assert peek_account(account.shard_tag).available == found.available == GRANTED - BELL_MICROCREDITS + 100
        [usage] = list_keys_with_usage(account.organisation_id)
        assert usage.microcredits == BELL_MICROCREDITS
        assert [line.kind for line in list_transfers(account.organisation_id, limit=5).rows] == [
            *("refund", "charge", "grant")
        ]
        assert verify() == []

    def test_without_an_amount_the_rest_is_refunded(self, account: Account, job_id: str) -> None:
        refund(account, job_id, 100)
        assert refund(account, job_id) == BELL_MICROCREDITS - 100
        assert get_credits(account.organisation_id).spent == 0
        with pytest.raises(NothingToRefundError, match="0 credits of this charge are left"):
            refund(account, job_id)
        assert verify() == []

    def test_more_than_is_left_is_refused(self, account: Account, job_id: str) -> None:
        refund(account, job_id, 1_000)
        with pytest.raises(NothingToRefundError, match=r"0\.000101 credits"):
            refund(account, job_id, 102)
        assert get_credits(account.organisation_id).spent == 101

    def test_a_reference_is_refunded_once(self, account: Account, job_id: str) -> None:
        refund(account, job_id, 10, reference="ticket-1")
        with pytest.raises(ReferenceUsedError):
            refund(account, job_id, 10, reference="ticket-1")
        assert get_credits(account.organisation_id).spent == BELL_MICROCREDITS - 10

    def test_nothing_is_no_refund(self, account: Account, job_id: str) -> None:
        with pytest.raises(InvalidFieldsError) as caught:
            refund(account, job_id, 0, reference="")
        assert [detail.path for detail in caught.value.details] == ["amount", "reference"]

    def test_another_accounts_job_is_not_found(self, job_id: str) -> None:
        with pytest.raises(NotFoundError):
            refund(make_account(), job_id)

    def test_the_database_refuses_to_refund_too_much_or_to_change_a_refund(self, account: Account, job_id: str) -> None:
        refund(account, job_id, 1_000)
        for statement in (
            "UPDATE refunds SET charge_id = transfer_id",
            "DELETE FROM refunds",
            "INSERT INTO refunds SELECT id, id FROM transfers WHERE credit_account = 'revenue'",
        ):
            with pytest.raises(DBAPIError), transaction() as session:
                session.execute(sa.text(statement))
        # Another charge, so that the balance would cover it.
        with transaction() as session:
            move(session, account, LedgerAccount.CUSTOMER, LedgerAccount.REVENUE, 500)
        with pytest.raises(DBAPIError, match="more than is left"):
            refund_by_hand(account, job_id, 102)
        refund_by_hand(account, job_id, 101)
        assert get_credits(account.organisation_id).spent == 500

    def test_a_refund_that_names_no_charge_is_found(self, account: Account, job_id: str) -> None:
        assert job_id
        with transaction() as session:
            move(session, account, LedgerAccount.REVENUE, LedgerAccount.CUSTOMER, 7)
        [difference] = verify()
        assert (difference.what, difference.expected, difference.found) == (
            *("refunds that name their charge against all refunds", 7, 0),
        )
