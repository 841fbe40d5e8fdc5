"""Credits that expire or are taken back: never what is held or used, and never twice."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from config import Settings
from tests.factories import API, Account, Key, hold_credits, make_account, make_holds_overdue, make_key, now
from webapp.accounts.audit import OPERATOR
from webapp.core import redis_names as names
from webapp.core.errors import InvalidFieldsError, StoreAwayError
from webapp.core.redis import store
from webapp.ledger.operations import ReferenceUsedError
from webapp.ledger.queries import list_open_lots, list_transfers
from webapp.metering import withdrawals
from webapp.metering.credits import Expiring, get_credits, grant_credits
from webapp.metering.flush import flush
from webapp.metering.holds import Hold, end_overdue_holds, settle_hold
from webapp.metering.reconcile import peek_account
from webapp.metering.verify import verify
from webapp.metering.withdrawals import NotAvailableError, adjust_credits, expire_credits

HOUR = timedelta(hours=1)


@pytest.fixture
def environ() -> dict[str, str]:
    return {"CALL_PRICE_CREDITS": "0.0001"}


@pytest.fixture
def account(app: Flask) -> Account:
    """An account with 500 that never expire and 300 that expire in an hour."""
    with app.app_context():
        account = make_account(microcredits=500)
        grant(account, 300, expires_at=now() + HOUR)
        return account


def grant(account: Account, microcredits: int, *, expires_at: datetime | None) -> None:
    grant_credits(
        organisation_id=account.organisation_id,
        microcredits=microcredits,
        reason="",
        reference=None,
        actor=OPERATOR,
        at=now(),
        expires_at=expires_at,
    )


def expire() -> int:
    """Expire credits as in two hours."""
    return expire_credits(at=now() + 2 * HOUR)


def hold(account: Account, microcredits: int) -> Hold:
    return hold_credits(shard_tag=account.shard_tag, hold_id="job_1", microcredits=microcredits, max_holds=16)


def adjust(account: Account, microcredits: int, reference: str | None = None) -> None:
    adjust_credits(
        organisation_id=account.organisation_id,
        microcredits=microcredits,
        reason="a correction",
        reference=reference,
        actor=OPERATOR,
        at=now(),
    )


@pytest.mark.usefixtures("context")
class TestExpiry:
    """What is left of a grant is taken at its date."""

    def test_nothing_expires_before_its_date(self, account: Account) -> None:
        assert expire_credits(at=now()) == 0
        assert get_credits(account.organisation_id).available == 800

    def test_what_is_left_expires_once(self, account: Account) -> None:
        assert expire() == 300
        assert expire() == 0
        found = get_credits(account.organisation_id)
        assert (found.granted, found.available, found.held, found.expired) == (800, 500, 0, 300)
        assert peek_account(account.shard_tag).available == 500
        assert list_transfers(account.organisation_id, limit=1).rows[0].kind == "expiry"
        assert verify() == []

    def test_what_a_job_holds_is_left_to_it_until_it_gives_it_back(self, account: Account) -> None:
        held = hold(account, 200)
        assert expire() == 100
        assert expire() == 0
        assert verify() == []
        settle_hold(held, charged_microcredits=0)
        assert expire() == 200
        assert get_credits(account.organisation_id).available == 500
        assert verify() == []

    def test_calls_that_are_not_posted_yet_are_paid_with_what_expires(
        self, account: Account, client: FlaskClient
    ) -> None:
        key = make_key(account)
        assert client.get(f"{API}/me", headers=key.headers).status_code == 200
        assert expire() == 200
        flush(at=now())
        assert list_open_lots(account.organisation_id) == []
        assert expire() == 0
        found = get_credits(account.organisation_id)
        assert (found.available, found.spent, found.expired) == (500, 100, 200)
        assert verify() == []

    def test_a_limit_on_jobs_does_not_keep_credits_from_expiring(self, account: Account) -> None:
        for number in range(20):
            hold_credits(shard_tag=account.shard_tag, hold_id=f"job_{number}", microcredits=1, max_holds=20)
        assert expire() == 280

    def test_an_account_that_redis_does_not_know_expires_too(self, account: Account) -> None:
        store.client.flushdb()
        assert expire() == 300
        assert peek_account(account.shard_tag).available == 500
        assert verify() == []

    @pytest.mark.usefixtures("account")
    def test_credits_expire_later_when_redis_is_away(self, settings: Settings) -> None:
        store.connect("unix:///nowhere/valkey.sock")
        with pytest.raises(StoreAwayError):
            expire()
        store.connect(settings.redis_url)
        assert expire() == 300

    def test_an_expiry_whose_hold_was_ended_meanwhile_takes_nothing(
        self, account: Account, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def oversleep(point: str) -> None:
            """Sleep for so long after the hold that it is ended."""
            if point == "withdrawal_after_hold":
                make_holds_overdue()
                assert end_overdue_holds(at=now()) == 1

        with monkeypatch.context() as patch:
            patch.setattr(withdrawals, "fault", oversleep)
            with pytest.raises(StoreAwayError):
                expire()
        assert get_credits(account.organisation_id).available == 800
        assert verify() == []
        assert expire() == 300

    def test_an_expiry_that_was_stopped_when_it_was_done_is_found_to_be(
        self, account: Account, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        commit = Session.commit

        def stop(session: Session) -> None:
            """End as a task does whose time is over."""
            monkeypatch.undo()
            commit(session)
            raise TimeoutError

        monkeypatch.setattr(Session, "commit", stop)
        with pytest.raises(TimeoutError):
            expire()
        assert peek_account(account.shard_tag).available == 500
        assert end_overdue_holds(at=now()) == 1
        assert peek_account(account.shard_tag).available == 500
        assert verify() == []

    def test_the_account_sees_what_expires_when(self, account: Account) -> None:
        later = now() + 3 * HOUR
        grant(account, 50, expires_at=later)
        [soon, late] = get_credits(account.organisation_id).expiring
        assert (soon.microcredits, late) == (300, Expiring(later, 50))
        hold(account, 310)
        assert get_credits(account.organisation_id).expiring == (Expiring(later, 40),)


def test_two_expiries_at_once_take_it_once(app: Flask, account: Account) -> None:
    def run(_: int) -> int:
        with app.app_context():
            return expire()

    with ThreadPoolExecutor(max_workers=4) as threads:
        assert sum(threads.map(run, range(4))) == 300
    with app.app_context():
        assert get_credits(account.organisation_id).available == 500
        assert verify() == []


def test_expiry_beside_calls_and_flushes_stays_exact(app: Flask, account: Account) -> None:
    with app.app_context():
        key: Key = make_key(account)
        for number in range(6):
            grant(account, 100, expires_at=now() + (number + 1) * HOUR)

    def work(number: int) -> int:
        if number % 3 == 0:
            return app.test_client().get(f"{API}/me", headers=key.headers).status_code
        with app.app_context():
            return flush(at=now()).waiting if number % 3 == 1 else expire_credits(at=now() + number * HOUR / 4)

    with ThreadPoolExecutor(max_workers=6) as threads:
        list(threads.map(work, range(45)))
    with app.app_context():
        flush(at=now())
        assert verify() == []
        expire_credits(at=now() + 24 * HOUR)
        found = get_credits(account.organisation_id)
        assert (found.spent + found.available + found.expired, found.held) == (1_400, 0)
        assert verify() == []


@pytest.mark.usefixtures("context")
class TestAdjustments:
    """Grants corrected."""

    def test_upwards_is_like_a_grant(self, account: Account) -> None:
        adjust(account, 70)
        found = get_credits(account.organisation_id)
        assert (found.granted, found.available) == (870, 870)
        assert list_transfers(account.organisation_id, limit=1).rows[0].kind == "adjustment"
        assert peek_account(account.shard_tag).available == 870
        assert verify() == []

    def test_downwards_takes_the_soonest_to_expire(self, account: Account) -> None:
        adjust(account, -350)
        found = get_credits(account.organisation_id)
        assert (found.granted, found.available, found.expiring) == (450, 450, ())
        assert list_transfers(account.organisation_id, limit=1).rows[0].kind == "adjustment"
        assert peek_account(account.shard_tag).available == 450
        assert verify() == []

    def test_downwards_never_takes_what_is_held(self, account: Account) -> None:
        held = hold(account, 500)
        with pytest.raises(NotAvailableError, match=r"0\.0003 are available"):
            adjust(account, -301)
        adjust(account, -300)
        settle_hold(held, charged_microcredits=0)
        assert get_credits(account.organisation_id).available == 500
        assert verify() == []

    @pytest.mark.parametrize(("first", "second"), [(-5, -5), (-5, 5), (5, -5), (5, 5)])
    def test_a_reference_is_used_once_whichever_way(self, account: Account, first: int, second: int) -> None:
        adjust(account, first, reference="ticket-1")
        with pytest.raises(ReferenceUsedError):
            adjust(account, second, reference="ticket-1")
        assert get_credits(account.organisation_id).available == 800 + first
        assert peek_account(account.shard_tag).available == 800 + first
        assert verify() == []

    def test_all_that_is_wrong_is_named_at_once(self, account: Account) -> None:
        with pytest.raises(InvalidFieldsError) as caught:
            adjust(account, 0, reference="two\nlines")
        assert [detail.path for detail in caught.value.details] == ["amount", "reference"]

    def test_an_account_that_redis_does_not_know_is_adjusted(self, account: Account) -> None:
        store.client.delete(names.account_record(account.shard_tag))
        adjust(account, -100)
        assert peek_account(account.shard_tag).available == 700
        assert verify() == []
