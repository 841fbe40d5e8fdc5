"""Budgets: refused before anything is spent, shared by calls and jobs, and the same after Redis has lost them."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import (
    API,
    Account,
    Key,
    body,
    hold_credits,
    make_account,
    make_holds_overdue,
    make_key,
    now,
    post_bell,
)
from tests.metering.steps import CALL_MICROCREDITS, call, put_budget
from webapp.accounts.audit import OPERATOR
from webapp.core import redis_names as names
from webapp.core.errors import InvalidFieldsError, NotFoundError
from webapp.core.redis import store
from webapp.core.redis_scripts import RedisScript
from webapp.keys.operations import revoke_key
from webapp.ledger.budgets import BudgetPeriod, end_of_period, start_of_period
from webapp.metering.budgets import (
    BudgetExceededError,
    list_spent_budgets,
    set_budget,
    unset_budget,
)
from webapp.metering.credits import get_credits
from webapp.metering.flush import flush, seal_all
from webapp.metering.holds import Hold, end_overdue_holds, settle_hold
from webapp.metering.rebuild import rebuild
from webapp.metering.reconcile import BUDGETS, describe_account, peek_account, reconcile_account
from webapp.metering.spending import Used
from webapp.metering.verify import verify

BELL_MICROCREDITS = 1_101
PERIODS = list(BudgetPeriod)


@pytest.fixture
def environ() -> dict[str, str]:
    return {"CALL_PRICE_CREDITS": "0.0001", "OPERATION_PRICES": "create_job=0"}


@pytest.fixture
def account(app: Flask) -> Account:
    with app.app_context():
        return make_account(microcredits=1_000_000)


def used(account: Account, spender: str) -> str:
    """Give what Redis counts for a spender, without the numbers of the periods."""
    return ":".join(peek_account(account.shard_tag).used[spender].split(":")[2:])


def hold(account: Account, key: Key, microcredits: int, hold_id: str = "one") -> Hold:
    return hold_credits(
        shard_tag=account.shard_tag,
        hold_id=hold_id,
        microcredits=microcredits,
        max_holds=16,
        spender=key.row.id,
    )


@pytest.mark.parametrize("of_account", [False, True])
@pytest.mark.parametrize("period", PERIODS)
def test_a_call_beyond_a_budget_is_refused_and_costs_nothing(
    app: Flask, client: FlaskClient, key: Key, period: str, *, of_account: bool
) -> None:
    with app.app_context():
        put_budget(key, 2 * CALL_MICROCREDITS + 50, of_account=of_account, period=period)
    assert [call(client, key) for _ in range(4)] == [200, 200, 402, 402]
    answer = client.get(f"{API}/me", headers=key.headers)
    error = body(answer)["error"]
    assert error["code"] == "budget_exceeded"
    assert error["limitSource"] == ("account_budget" if of_account else "key_budget")
    assert (error["required"], error["available"], error["period"]) == ("0.0001", "0.00005", period)
    assert "RateLimit" in answer.headers
    with app.app_context():
        assert get_credits(key.row.organisation_id).unflushed == 2 * CALL_MICROCREDITS
        flush(at=now())
        assert verify() == []


def test_a_job_beyond_a_budget_is_refused_and_leaves_nothing(app: Flask, client: FlaskClient, key: Key) -> None:
    with app.app_context():
        put_budget(key, BELL_MICROCREDITS + 1000)
    assert post_bell(client, key).status_code == 201
    refused = post_bell(client, key)
    assert (refused.status_code, body(refused)["error"]["limitSource"]) == (402, "key_budget")
    assert body(refused)["error"]["available"] == "0.001"
    with app.app_context():
        assert get_credits(key.row.organisation_id).held == 0
        assert verify() == []


def test_a_free_call_passes_when_a_budget_is_used_up(app: Flask, client: FlaskClient, key: Key) -> None:
    with app.app_context():
        put_budget(key, 0)
    answer = post_bell(client, key)
    # The call itself is free here; the job that it asks for is not.
    assert (answer.status_code, body(answer)["error"]["code"]) == (402, "budget_exceeded")


def test_an_alert_only_budget_refuses_nothing(app: Flask, client: FlaskClient, key: Key) -> None:
    with app.app_context():
        put_budget(key, 10, refuses=False)
    assert [call(client, key) for _ in range(3)] == [200] * 3


def test_one_keys_budget_bounds_no_other_key_and_the_accounts_bounds_all(
    app: Flask, client: FlaskClient, account: Account, key: Key
) -> None:
    with app.app_context():
        other = make_key(account)
        put_budget(key, CALL_MICROCREDITS)
        put_budget(key, 3 * CALL_MICROCREDITS, of_account=True)
    assert [call(client, key), call(client, key)] == [200, 402]
    assert [call(client, other) for _ in range(3)] == [200, 200, 402]


def test_what_was_spent_before_a_budget_was_set_counts(app: Flask, client: FlaskClient, key: Key) -> None:
    assert [call(client, key) for _ in range(2)] == [200, 200]
    with app.app_context():
        flush(at=now())
    assert call(client, key) == 200
    with app.app_context():
        put_budget(key, 4 * CALL_MICROCREDITS, period="month")
    assert [call(client, key), call(client, key)] == [200, 402]


def test_a_raised_budget_lets_the_next_call_pass_and_a_removed_one_every_call(
    app: Flask, client: FlaskClient, key: Key
) -> None:
    with app.app_context():
        put_budget(key, CALL_MICROCREDITS)
    assert [call(client, key), call(client, key)] == [200, 402]
    with app.app_context():
        put_budget(key, 2 * CALL_MICROCREDITS)
    assert [call(client, key), call(client, key)] == [200, 402]
    with app.app_context():
        unset_budget(organisation_id=key.row.organisation_id, key_id=key.row.id, period="day", actor=OPERATOR, at=now())
    assert [call(client, key) for _ in range(3)] == [200] * 3


def test_parallel_calls_cannot_pass_a_budget_together(app: Flask, key: Key) -> None:
    with app.app_context():
        put_budget(key, 10 * CALL_MICROCREDITS)
    with ThreadPoolExecutor(max_workers=8) as threads:
        statuses = list(threads.map(lambda _: call(app.test_client(), key), range(40)))
    assert (statuses.count(200), statuses.count(402)) == (10, 30)


def test_a_key_is_told_of_its_budgets(app: Flask, client: FlaskClient, key: Key) -> None:
    with app.app_context():
        put_budget(key, 1_000)
        put_budget(key, 5_000, of_account=True, period="total", refuses=False)
    [own, accounts] = body(client.get(f"{API}/me", headers=key.headers))["budget"]
    resets_at = own.pop("resetsAt")
    assert own == {
        "source": "key_budget",
        "keyId": key.row.id,
        "period": "day",
        "limit": "0.001",
        # What this call cost is in it.
        "used": "0.0001",
        "remaining": "0.0009",
        "refuses": True,
    }
    assert resets_at.endswith("T00:00:00.000Z")
    assert (accounts["source"], accounts["limit"], accounts["resetsAt"]) == ("account_budget", "0.005", None)
    assert accounts["keyId"] is None


@pytest.mark.usefixtures("context")
class TestHolds:
    """Holds count against budgets, and settle to what was charged."""

    def test_a_released_hold_gives_the_budget_back(self, account: Account, key: Key) -> None:
        put_budget(key, 500)
        put_budget(key, 900, of_account=True)
        first = hold(account, key, 400)
        with pytest.raises(BudgetExceededError):
            hold(account, key, 101, "two")
        assert used(account, key.row.id) == used(account, "") == "400:400:400"
        for _ in range(2):
            settle_hold(first, charged_microcredits=0)
            assert used(account, key.row.id) == used(account, "") == "0:0:0"
        assert verify() == []

    def test_a_settled_hold_counts_what_was_charged(self, app: Flask, account: Account, key: Key) -> None:
        put_budget(key, 5_000)
        put_budget(key, 5_000, of_account=True)
        assert post_bell(app.test_client(), key, shots=10).status_code == 201
        charged = get_credits(account.organisation_id).spent
        assert used(account, key.row.id) == used(account, "") == f"{charged}:{charged}:{charged}"
        assert verify() == []

    def test_what_no_key_spends_counts_against_no_budget(self, account: Account, key: Key) -> None:
        put_budget(key, 10, of_account=True)
        free = hold_credits(shard_tag=account.shard_tag, hold_id="expiry", microcredits=500, max_holds=16)
        assert used(account, "") == "0:0:0"
        settle_hold(free, charged_microcredits=0)
        assert verify() == []

    def test_a_hold_of_yesterday_is_no_part_of_todays_budget(self, account: Account, key: Key) -> None:
        put_budget(key, 1_000)
        yesterday = hold(account, key, 400)
        holds = names.account_holds(account.shard_tag)
        value = store.client.hget(holds, "one")
        assert isinstance(value, bytes)
        held, key_id, day = value.decode().split(":")
        store.client.hset(holds, "one", f"{held}:{key_id}:{int(day) - 1}")
        store.client.hset(names.account_record(account.shard_tag), f"s:{key.row.id}", f"{int(day) - 1}:0:400:0:400")
        settle_hold(yesterday, charged_microcredits=0)
        in_day, _, total = used(account, key.row.id).split(":")
        assert (in_day, total) == ("0", "0")

    def test_an_overdue_hold_gives_the_budget_back(self, account: Account, key: Key) -> None:
        put_budget(key, 500, period="total")
        hold(account, key, 400)
        make_holds_overdue()
        assert end_overdue_holds(at=now()) == 1
        assert used(account, key.row.id) == "0:0:0"


@pytest.mark.usefixtures("context")
class TestLoss:
    """Whatever Redis forgets of budgets is found again in SQL, in the counters and in the open holds."""

    @pytest.fixture
    def spent(self, app: Flask, account: Account, key: Key) -> str:
        """Charge for two flushed calls, three sealed ones, one live one, a job, and an open hold; give the sum."""
        client = app.test_client()
        put_budget(key, 900_000)
        put_budget(key, 900_000, of_account=True, period="total")
        assert [call(client, key) for _ in range(2)] == [200] * 2
        flush(at=now())
        assert [call(client, key) for _ in range(3)] == [200] * 3
        seal_all()
        assert call(client, key) == 200
        assert post_bell(client, key).status_code == 201
        hold(account, key, 777)
        total = 6 * CALL_MICROCREDITS + BELL_MICROCREDITS + 777
        assert used(account, key.row.id) == used(account, "") == f"{total}:{total}:{total}"
        return f"{total}:{total}:{total}"

    def test_a_lost_account_record(self, app: Flask, account: Account, key: Key, spent: str) -> None:
        store.client.delete(names.account_record(account.shard_tag))
        assert call(app.test_client(), key) == 200
        total = int(spent.split(":", maxsplit=1)[0]) + CALL_MICROCREDITS
        assert used(account, key.row.id) == used(account, "") == f"{total}:{total}:{total}"
        assert verify() == []

    def test_an_account_record_that_is_lost_while_it_is_reconciled(
        self, app: Flask, account: Account, key: Key, spent: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def lose(*arguments: Any) -> dict[str, object]:  # noqa: ANN401 - those of the function that it wraps
            said = describe_account(*arguments)
            store.client.delete(names.account_record(account.shard_tag))
            return said

        with monkeypatch.context() as patch:
            # As if somebody emptied Redis after it was looked at.
            patch.setattr("webapp.metering.reconcile.describe_account", lose)
            reconcile_account(shard_tag=account.shard_tag)
        assert call(app.test_client(), key) == 200
        total = int(spent.split(":", maxsplit=1)[0]) + CALL_MICROCREDITS
        assert used(account, key.row.id) == used(account, "") == f"{total}:{total}:{total}"
        assert verify() == []

    def test_a_rebuild_under_budgets_changes_nothing(self, account: Account, key: Key, spent: str) -> None:
        rebuild()
        assert used(account, key.row.id) == used(account, "") == spent
        assert verify() == []

    def test_a_restart(self, account: Account, key: Key, spent: str) -> None:
        store.client.hset(names.account_record(account.shard_tag), "epoch", "another")
        rebuild()
        assert used(account, key.row.id) == used(account, "") == spent
        assert verify() == []

    def test_verify_sees_a_budget_that_counts_wrong(self, account: Account, key: Key, spent: str) -> None:
        assert spent
        assert key
        store.client.hset(names.account_record(account.shard_tag), "s:", "0:0:0:0:5")
        [difference] = verify()
        assert "budgets" in difference.what
        assert difference.found == 5

    def test_a_budget_that_redis_missed_is_told_by_the_next_flush(
        self, app: Flask, key: Key, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert call(app.test_client(), key) == 200
        with monkeypatch.context() as patch:
            # As if the process died between the commit and Redis.
            patch.setattr("webapp.metering.budgets.tell_redis", lambda _: None)
            put_budget(key, 0)
        assert call(app.test_client(), key) == 200
        flush(at=now())
        assert call(app.test_client(), key) == 402


@pytest.mark.usefixtures("context")
def test_a_budget_that_cannot_be_is_refused_whole(key: Key) -> None:
    with pytest.raises(InvalidFieldsError) as caught:
        put_budget(key, -1, period="year")
    assert [detail.path for detail in caught.value.details] == ["period", "credits"]
    assert list_spent_budgets(key.row.organisation_id, at=now()) == []


@pytest.mark.usefixtures("context")
def test_another_accounts_key_has_no_budget_to_set(key: Key) -> None:
    stranger = make_key(make_account())
    with pytest.raises(NotFoundError):
        set_budget(
            organisation_id=stranger.row.organisation_id,
            key_id=key.row.id,
            period="day",
            microcredits=1,
            refuses=True,
            actor=OPERATOR,
            at=now(),
        )
    with pytest.raises(NotFoundError):
        unset_budget(organisation_id=key.row.organisation_id, key_id=key.row.id, period="day", actor=OPERATOR, at=now())


@pytest.mark.usefixtures("context")
def test_a_revoked_keys_budget_keeps_its_name(key: Key) -> None:
    put_budget(key, 5)
    revoke_key(organisation_id=key.row.organisation_id, key_id=key.row.id, actor=OPERATOR, at=now())
    [spent] = list_spent_budgets(key.row.organisation_id, at=now())
    assert spent.key_name == "a key"


class TestPeriods:
    """Days and months of UTC, the same in Lua and in Python."""

    def test_a_month_ends_where_the_next_begins(self) -> None:
        at = datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)
        assert end_of_period("month", at) == datetime(2027, 1, 1, tzinfo=UTC)
        assert end_of_period("month", at.replace(month=2, day=1)) == datetime(2026, 3, 1, tzinfo=UTC)
        assert end_of_period("day", at) == datetime(2027, 1, 1, tzinfo=UTC)
        assert end_of_period("total", at) is None

    def test_lua_counts_the_same_periods(self, app: Flask, tmp_path: Path) -> None:
        script = write_script(tmp_path)
        with app.app_context():

            @given(st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(2500, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - hypothesis adds the zone
            def compare(at: datetime) -> None:
                text = Used(day=1, month=2, total=3).encode(at)
                answer = script.run(["uq:{a}:any"], [text, int(at.timestamp())]).decode()
                assert answer == text
                assert start_of_period("day", at) <= at

            compare()


def write_script(folder: Path) -> RedisScript:
    """Make a script that reads what was used and writes it again."""
    path = folder / "again.lua"
    path.write_text("return write_used(read_used(ARGV[1], tonumber(ARGV[2])))")
    return RedisScript(path, library=BUDGETS)
