"""Expiry, adjustment and refund killed with SIGKILL at the worst moments; the ledger must come out exact."""

import signal
from datetime import timedelta

import pytest
from flask import Flask

from config import Settings
from tests.factories import Account, Key, body, make_account, make_holds_overdue, now, post_bell
from tests.live import run_command
from webapp.accounts.audit import OPERATOR
from webapp.metering.credits import get_credits, grant_credits
from webapp.metering.holds import end_overdue_holds
from webapp.metering.reconcile import peek_account
from webapp.metering.verify import verify
from webapp.metering.withdrawals import expire_credits

GRANTED = 10_000
EXPIRING = 3_000

WITHDRAWAL_POINTS = [("withdrawal_after_hold", False), ("withdrawal_before_commit", False)]
WITHDRAWAL_POINTS += [("withdrawal_after_commit", True)]


@pytest.fixture
def account(app: Flask) -> Account:
    """An account with a grant that is past its date."""
    with app.app_context():
        account = make_account(microcredits=GRANTED)
        grant_credits(
            organisation_id=account.organisation_id,
            microcredits=EXPIRING,
            reason="",
            reference=None,
            actor=OPERATOR,
            at=now() - timedelta(hours=2),
            expires_at=now() - timedelta(hours=1),
        )
        return account


def end_what_the_dead_left() -> int:
    make_holds_overdue()
    return end_overdue_holds(at=now())


@pytest.mark.parametrize(("point", "is_posted"), WITHDRAWAL_POINTS)
def test_an_expiry_killed_anywhere_takes_what_is_past_its_date_once(
    settings: Settings, app: Flask, account: Account, point: str, *, is_posted: bool
) -> None:
    assert run_command(settings, "ledger", "expire", UPCUBE_FAULT=point).returncode == -signal.SIGKILL
    with app.app_context():
        assert verify() == []
        assert len(peek_account(account.shard_tag).holds) == 1
        # The next run need not wait for the dead one's hold.
        assert expire_credits(at=now()) == (0 if is_posted else EXPIRING)
        assert verify() == []
        assert end_what_the_dead_left() == 1
        assert verify() == []
        assert expire_credits(at=now()) == 0
        found = get_credits(account.organisation_id)
        assert (found.available, found.held, found.expired) == (GRANTED, 0, EXPIRING)
        assert peek_account(account.shard_tag).available == GRANTED


@pytest.mark.parametrize(("point", "is_posted"), WITHDRAWAL_POINTS)
def test_an_adjustment_killed_anywhere_is_made_whole_or_not_and_can_be_asked_for_again(
    settings: Settings, app: Flask, account: Account, point: str, *, is_posted: bool
) -> None:
    adjust = ["credits", "adjust", account.email, "-0.001", "--reason", "a mistake", "--reference", "ticket-1"]
    assert run_command(settings, *adjust, UPCUBE_FAULT=point).returncode == -signal.SIGKILL
    with app.app_context():
        assert verify() == []
    assert run_command(settings, *adjust).returncode == (1 if is_posted else 0)
    with app.app_context():
        assert verify() == []
        assert end_what_the_dead_left() == 1
        assert verify() == []
        assert get_credits(account.organisation_id).available == GRANTED + EXPIRING - 1_000


@pytest.mark.parametrize(("point", "is_posted"), [("refund_before_commit", False), ("refund_after_commit", True)])
def test_a_refund_killed_anywhere_is_made_once(
    settings: Settings, app: Flask, account: Account, key: Key, point: str, *, is_posted: bool
) -> None:
    job_id = body(post_bell(app.test_client(), key))["id"]
    refund = ["credits", "refund", account.email, job_id, "--reason", "an apology", "--reference", "ticket-1"]
    assert run_command(settings, *refund, UPCUBE_FAULT=point).returncode == -signal.SIGKILL
    with app.app_context():
        assert verify() == []
    again = run_command(settings, *refund)
    assert again.returncode == (1 if is_posted else 0), again.stderr
    assert run_command(settings, "metering", "flush").returncode == 0
    with app.app_context():
        found = get_credits(account.organisation_id)
        assert (found.spent, found.available) == (0, GRANTED + EXPIRING)
        # Redis has heard of it, if only from the flush.
        assert peek_account(account.shard_tag).available == GRANTED + EXPIRING
        assert verify() == []
