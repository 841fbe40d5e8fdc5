"""Redis agrees with SQL again, whatever it has lost."""

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from config import Settings
from tests.factories import Account, Key, body, hold_credits, make_account, make_holds_overdue, make_key, now, post_bell
from tests.stores import list_idle_connections
from webapp.accounts.audit import OPERATOR
from webapp.core import redis_names as names
from webapp.core.db import SQLITE_BUSY_SECONDS, db
from webapp.core.errors import StoreAwayError
from webapp.core.redis import TIMEOUT_US, store
from webapp.jobs import operations
from webapp.jobs.queries import list_jobs
from webapp.keys.operations import revoke_key
from webapp.ledger.models import Balance
from webapp.metering import holds
from webapp.metering.credits import get_credits, grant_credits
from webapp.metering.holds import (
    NEW_HOLD_SECONDS,
    Hold,
    InsufficientCreditsError,
    TooManyHoldsError,
    ask_for_credits,
    end_overdue_holds,
    hurry_hold,
    list_overdue_holds,
    renew_hold,
    settle_hold,
    tell_settled,
)
from webapp.metering.rebuild import rebuild
from webapp.metering.reconcile import KEPT_HOLD_SECONDS, chill_account, peek_account, reconcile_account
from webapp.metering.verify import verify

BELL_MICROCREDITS = 1_101
MAX_HOLDS = 16


@pytest.fixture
def account(app: Flask) -> Account:
    with app.app_context():
        return make_account(microcredits=500)


def available(account: Account) -> int | None:
    return peek_account(account.shard_tag).available


@pytest.mark.usefixtures("context")
class TestHolds:
    """Credits set aside, and given back or kept."""

    def test_twenty_holds_of_75_against_500_give_six(self, account: Account) -> None:
        held = 0
        for number in range(20):
            try:
                hold_credits(shard_tag=account.shard_tag, hold_id=str(number), microcredits=75, max_holds=MAX_HOLDS)
            except InsufficientCreditsError:
                continue
            held += 1
        assert held == 6
        assert available(account) == 50
        assert get_credits(account.organisation_id).held == 450
        assert verify() == []

    def test_a_hold_is_made_and_released_once(self, account: Account) -> None:
        first = hold_credits(shard_tag=account.shard_tag, hold_id="one", microcredits=75, max_holds=MAX_HOLDS)
        assert first == hold_credits(shard_tag=account.shard_tag, hold_id="one", microcredits=75, max_holds=MAX_HOLDS)
        assert available(account) == 425
        for _ in range(3):
            settle_hold(first, charged_microcredits=0)
            assert available(account) == 500
        assert verify() == []

    def test_a_hold_whose_end_is_told_twice_has_the_account_counted_anew(self, account: Account) -> None:
        first = hold_credits(shard_tag=account.shard_tag, hold_id="one", microcredits=500, max_holds=MAX_HOLDS)
        tell_settled(first, charged_microcredits=0)
        second = hold_credits(shard_tag=account.shard_tag, hold_id="two", microcredits=500, max_holds=MAX_HOLDS)
        settle_hold(second, charged_microcredits=0)
        # Whatever was made of the account since the hold was ended by somebody else.
        store.client.hset(names.account_record(account.shard_tag), "available", "7")
        tell_settled(first, charged_microcredits=0)
        hold_credits(shard_tag=account.shard_tag, hold_id="three", microcredits=75, max_holds=MAX_HOLDS)
        assert available(account) == 425
        assert verify() == []

    def test_a_hold_that_seems_late_is_asked_for_again_when_the_clocks_were_compared(self, account: Account) -> None:
        hold_credits(shard_tag=account.shard_tag, hold_id="one", microcredits=75, max_holds=MAX_HOLDS)
        # As if the server's clock had been put on.
        for connection in list_idle_connections(store):
            connection.clock_offset_us -= 10 * TIMEOUT_US
        hold_credits(shard_tag=account.shard_tag, hold_id="two", microcredits=75, max_holds=MAX_HOLDS)
        assert available(account) == 350

    def test_an_account_has_a_number_of_jobs_holds_open_at_once(self, account: Account) -> None:
        def hold(number: int, *, key_id: str | None = "key_1") -> Hold:
            return hold_credits(
                shard_tag=account.shard_tag, hold_id=str(number), microcredits=1, max_holds=3, spender=key_id
            )

        for number in range(3):
            hold(number)
        with pytest.raises(TooManyHoldsError) as caught:
            hold(3)
        assert caught.value.extra == {"gate": "concurrency", "limit": "3", "value": "4"}
        assert int(caught.value.headers["Retry-After"]) >= 1
        assert available(account) == 497
        settle_hold(hold(0), charged_microcredits=0)
        hold(3)
        # What no key spends is no job.
        hold(4, key_id=None)

    def test_a_refused_hold_says_what_is_missing(self, account: Account) -> None:
        with pytest.raises(InsufficientCreditsError) as caught:
            hold_credits(shard_tag=account.shard_tag, hold_id="one", microcredits=501, max_holds=MAX_HOLDS)
        assert caught.value.extra == {"required": "0.000501", "available": "0.0005", "limitSource": "balance"}

    def test_an_overdue_hold_without_a_job_is_released(self, account: Account) -> None:
        hold_credits(shard_tag=account.shard_tag, hold_id="lost", microcredits=75, max_holds=MAX_HOLDS)
        assert list_overdue_holds() == []
        make_holds_overdue()
        assert end_overdue_holds(at=now()) == 1
        assert available(account) == 500
        assert end_overdue_holds(at=now()) == 0

    def test_the_end_of_a_hold_has_an_account_counted_that_counted_for_nothing(self, account: Account) -> None:
        hold = hold_credits(shard_tag=account.shard_tag, hold_id="one", microcredits=75, max_holds=MAX_HOLDS)
        chill_account(account.shard_tag)
        settle_hold(hold, charged_microcredits=0)
        assert available(account) == 500

    def test_a_hold_that_has_ended_is_not_hurried(self, account: Account) -> None:
        hold = hold_credits(shard_tag=account.shard_tag, hold_id="job_1", microcredits=75, max_holds=9)
        settle_hold(hold, charged_microcredits=0)
        hurry_hold(hold)
        assert list_overdue_holds() == []

    def test_a_hold_that_cannot_be_hurried_is_overdue_at_its_own_time(
        self, settings: Settings, account: Account
    ) -> None:
        hold = hold_credits(shard_tag=account.shard_tag, hold_id="job_1", microcredits=75, max_holds=9)
        store.connect("unix:///nowhere/valkey.sock")
        hurry_hold(hold)
        store.connect(settings.redis_url)
        assert list_overdue_holds() == []
        hurry_hold(hold)
        assert list_overdue_holds() == [(account.shard_tag, "job_1")]

    def test_a_new_hold_is_looked_at_when_sql_can_no_longer_be_waiting_for_its_lock(self, account: Account) -> None:
        hold_credits(shard_tag=account.shard_tag, hold_id="lost", microcredits=75, max_holds=MAX_HOLDS)
        deadlines = names.hold_deadlines(names.group_of(account.shard_tag))
        deadline = store.client.zscore(deadlines, f"{account.shard_tag}:lost")
        assert deadline is not None
        seconds = deadline - store.client.time()[0]
        assert 2 * SQLITE_BUSY_SECONDS < seconds <= NEW_HOLD_SECONDS < KEPT_HOLD_SECONDS

    def test_a_renewed_hold_is_not_overdue(self, account: Account) -> None:
        hold = hold_credits(shard_tag=account.shard_tag, hold_id="one", microcredits=75, max_holds=MAX_HOLDS)
        make_holds_overdue()
        assert renew_hold(hold)
        assert end_overdue_holds(at=now()) == 0
        make_holds_overdue()
        assert end_overdue_holds(at=now()) == 1
        assert not renew_hold(hold)
        assert list_overdue_holds() == []

    def test_a_hold_survives_the_loss_of_the_accounts_record(self, account: Account) -> None:
        hold = hold_credits(shard_tag=account.shard_tag, hold_id="one", microcredits=75, max_holds=MAX_HOLDS)
        store.client.delete(names.account_record(account.shard_tag))
        reconcile_account(shard_tag=account.shard_tag)
        assert available(account) == 425
        settle_hold(hold, charged_microcredits=0)
        assert available(account) == 500

    def test_a_hold_that_was_asked_for_says_the_same_each_time(self, account: Account) -> None:
        small, large = (
            ask_for_credits(shard_tag=account.shard_tag, hold_id=str(price), microcredits=price, max_holds=MAX_HOLDS)
            for price in (75, 501)
        )
        for _ in range(2):
            assert (small.is_held(), large.is_held(), small.get()) == (True, False, small.hold)
            with pytest.raises(InsufficientCreditsError):
                large.get()
        assert peek_account(account.shard_tag).holds == {"75": 75}

    def test_a_hold_that_is_given_up_is_not_asked_for_again(
        self, account: Account, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(holds, "MAX_TRIES", 1)
        store.client.delete(names.account_record(account.shard_tag))
        with pytest.raises(StoreAwayError):
            hold_credits(shard_tag=account.shard_tag, hold_id="one", microcredits=75, max_holds=MAX_HOLDS)
        assert peek_account(account.shard_tag).holds == {}
        assert available(account) == 500


def test_an_account_that_somebody_keeps_delays_no_other(app: Flask) -> None:
    with app.app_context():
        if db.engine.dialect.name != "postgresql":
            pytest.skip("SQLite locks no single account")
        accounts = [make_account(microcredits=500) for _ in range(3)]
        for account in accounts:
            hold_credits(shard_tag=account.shard_tag, hold_id=account.shard_tag, microcredits=1, max_holds=MAX_HOLDS)
        make_holds_overdue()
        # The one that comes first.
        shard_tag, _ = list_overdue_holds()[0]
        kept = next(account for account in accounts if account.shard_tag == shard_tag)
        with db.engine.begin() as other:
            row = sa.select(Balance.organisation_id).where(Balance.organisation_id == kept.organisation_id)
            other.execute(row.with_for_update())
            assert end_overdue_holds(at=now()) == 2
            assert list_overdue_holds() == [(shard_tag, shard_tag)]
        assert end_overdue_holds(at=now()) == 1
        assert [available(account) for account in accounts] == [500] * 3
        assert verify() == []


class TestLostRedis:
    """All of Redis, or part of it, is gone."""

    @pytest.fixture
    def key(self, app: Flask) -> Key:
        with app.app_context():
            return make_key(make_account(microcredits=10 * BELL_MICROCREDITS))

    def test_credits_are_not_resurrected(self, app: Flask, client: FlaskClient, key: Key) -> None:
        for _ in range(4):
            assert post_bell(client, key).status_code == 201
            store.client.flushdb()
        statuses = [post_bell(client, key).status_code for _ in range(8)]
        assert statuses == [201] * 6 + [402] * 2
        with app.app_context():
            assert verify() == []

    def test_rebuild_puts_a_wrong_balance_right(self, app: Flask, client: FlaskClient, key: Key) -> None:
        post_bell(client, key)
        with app.app_context():
            [tag] = {key.raw[-12:-6]}
            store.client.hincrby(names.account_record(tag), "available", 12_345)
            [difference] = verify()
            assert difference.found - difference.expected == 12_345
            report = rebuild()
            assert (report.accounts, report.keys) == (1, 1)
            assert verify() == []

    def test_a_job_charged_but_not_settled_is_charged_once(self, app: Flask, client: FlaskClient, key: Key) -> None:
        job = body(post_bell(client, key))
        tag = key.raw[-12:-6]
        with app.app_context():
            # As if the process had died between the commit and the settlement in Redis.
            hold_again(tag, job["id"])
            assert verify() == []
            assert get_credits(key.row.organisation_id).held == 0
            assert end_overdue_holds(at=now()) == 1
            assert verify() == []
            assert peek_account(tag).available == 9 * BELL_MICROCREDITS

    def test_a_job_that_slept_past_its_hold_is_refused_and_charged_nothing(
        self, app: Flask, client: FlaskClient, key: Key, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tag = key.raw[-12:-6]

        def oversleep(point: str) -> None:
            """Let the job sleep after its hold, for so long that the hold is ended."""
            if point == "job_after_hold":
                make_holds_overdue()
                assert end_overdue_holds(at=now()) == 1

        monkeypatch.setattr(operations, "fault", oversleep)
        refused = post_bell(client, key)
        assert (refused.status_code, body(refused)["error"]["code"]) == (503, "store_unavailable")
        with app.app_context():
            assert verify() == []
            assert peek_account(tag).available == 10 * BELL_MICROCREDITS
            assert get_credits(key.row.organisation_id).spent == 0
            assert list_jobs(organisation_id=key.row.organisation_id, limit=5).rows == []

    def test_a_rebuild_does_not_bring_a_revoked_key_back(self, app: Flask, client: FlaskClient, key: Key) -> None:
        post_bell(client, key)
        with app.app_context():
            revoke_key(organisation_id=key.row.organisation_id, key_id=key.row.id, actor=OPERATOR, at=now())
            rebuild()
        assert post_bell(client, key).status_code == 401

    def test_redis_allowing_what_sql_does_not_have_is_put_right(
        self, app: Flask, client: FlaskClient, key: Key
    ) -> None:
        for _ in range(10):
            assert post_bell(client, key).status_code == 201
        tag = key.raw[-12:-6]
        store.client.hincrby(names.account_record(tag), "available", 5 * BELL_MICROCREDITS)
        assert post_bell(client, key).status_code == 402
        with app.app_context():
            assert peek_account(tag).available == 0
            assert verify() == []

    def test_a_grant_reaches_an_account_that_redis_knows(self, app: Flask, client: FlaskClient, key: Key) -> None:
        post_bell(client, key)
        with app.app_context():
            grant_credits(
                organisation_id=key.row.organisation_id,
                microcredits=7,
                reason="a gift",
                reference="gift",
                actor=OPERATOR,
                at=now(),
            )
            assert peek_account(key.raw[-12:-6]).available == 9 * BELL_MICROCREDITS + 7
            assert verify() == []


def hold_again(shard_tag: str, hold_id: str) -> None:
    """Put Redis back to before a job's settlement: its price held, and its hold overdue."""
    store.client.hset(names.account_holds(shard_tag), hold_id, BELL_MICROCREDITS)
    store.client.zadd(names.hold_deadlines(shard_tag[0]), {f"{shard_tag}:{hold_id}": 1})
