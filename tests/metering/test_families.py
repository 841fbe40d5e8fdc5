"""Keys that keys made: together they spend and call no more than the first of them might alone."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from config import Settings
from tests.factories import API, Account, Key, body, hold_credits, make_account, make_key, make_key_by, now, post_bell
from tests.live import call as call_live
from tests.live import wait_until, web_process
from webapp.accounts.audit import OPERATOR
from webapp.accounts.models import AuditEvent
from webapp.core import redis_names as names
from webapp.core.db import db
from webapp.core.redis import store
from webapp.keys.operations import revoke_key, update_key
from webapp.keys.queries import get_own_key
from webapp.keys.settings import RateLimit, settings_of
from webapp.ledger.budgets import BudgetTerms
from webapp.metering.budgets import list_spent_budgets, set_budget, unset_budget
from webapp.metering.delegation import GiverOverError, create_delegated_key
from webapp.metering.flush import flush
from webapp.metering.holds import settle_hold
from webapp.metering.rebuild import rebuild
from webapp.metering.reconcile import peek_account
from webapp.metering.verify import verify

CALL_MICROCREDITS = 100
BELL_MICROCREDITS = 1_101
PRICES = {"CALL_PRICE_CREDITS": "0.0001", "OPERATION_PRICES": "create_job=0,create_key=0"}


@pytest.fixture
def environ() -> dict[str, str]:
    return PRICES


@pytest.fixture
def account(app: Flask) -> Account:
    with app.app_context():
        return make_account(microcredits=1_000_000)


@pytest.fixture
def giver(app: Flask, account: Account) -> Key:
    with app.app_context():
        return make_key(account)


def put(account: Account, key_id: str | None, microcredits: int, *, period: str = "day") -> None:
    set_budget(
        organisation_id=account.organisation_id,
        key_id=key_id,
        period=period,
        microcredits=microcredits,
        refuses=True,
        actor=OPERATOR,
        at=now(),
    )


def call(client: FlaskClient, headers: dict[str, str]) -> int:
    return client.get(f"{API}/me", headers=headers).status_code


def used(account: Account, key_id: str) -> int:
    """Give what Redis counts in all against a key's own budgets."""
    return int(peek_account(account.shard_tag).used[key_id].rpartition(":")[2])


class TestBudgets:
    """The keys that a key made draw on its budgets."""

    def test_ten_keys_spend_together_what_one_may(
        self, app: Flask, client: FlaskClient, account: Account, giver: Key
    ) -> None:
        with app.app_context():
            put(account, giver.row.id, 15 * CALL_MICROCREDITS)
        made = [make_key_by(client, giver.headers)[1] for _ in range(10)]
        answers = [call(client, headers) for _ in range(2) for headers in made]
        assert answers == [200] * 15 + [402] * 5
        assert call(client, giver.headers) == 402
        refused = body(client.get(f"{API}/me", headers=made[0]))["error"]
        assert (refused["limitSource"], refused["available"]) == ("key_budget", "0")
        with app.app_context():
            flush(at=now())
            assert verify() == []
            [spent] = list_spent_budgets(account.organisation_id, at=now())
            assert spent.used_microcredits == 15 * CALL_MICROCREDITS

    def test_processes_at_once_pass_no_budget_together(
        self, app: Flask, client: FlaskClient, account: Account, giver: Key, settings: Settings
    ) -> None:
        with app.app_context():
            put(account, giver.row.id, 20 * CALL_MICROCREDITS)
        made = [make_key_by(client, giver.headers)[1]["Authorization"].split()[1] for _ in range(10)]
        with web_process(settings, log=None, **PRICES) as address, ThreadPoolExecutor(max_workers=8) as threads:

            def call_one_of_both(index: int) -> int:
                raw_key = made[index % 10]
                if index % 2:
                    return call_live("GET", f"{address}/me", raw_key=raw_key).status
                return call(app.test_client(), {"Authorization": f"Bearer {raw_key}"})

            statuses = list(threads.map(call_one_of_both, range(60)))
        assert (statuses.count(200), statuses.count(402)) == (20, 40)

    def test_a_key_may_have_less_than_its_giver(
        self, app: Flask, client: FlaskClient, account: Account, giver: Key
    ) -> None:
        with app.app_context():
            put(account, giver.row.id, 5 * CALL_MICROCREDITS)
        made_id, made = make_key_by(client, giver.headers, budgets=[{"period": "day", "limit": "0.0003"}])
        last_id, last = make_key_by(client, made, budgets=[{"period": "total", "limit": "0.0001"}])
        told = body(client.get(f"{API}/me", headers=last))["budget"]
        assert [(each["keyId"], each["period"], each["used"]) for each in told] == [
            (last_id, "total", "0.0001"),
            (made_id, "day", "0.0001"),
            (giver.row.id, "day", "0.0001"),
        ]
        assert call(client, last) == 402
        assert [call(client, made) for _ in range(3)] == [200, 200, 402]
        assert [call(client, giver.headers) for _ in range(3)] == [200, 200, 402]

    def test_what_a_key_made_spent_counts_when_a_budget_is_set_later(
        self, app: Flask, client: FlaskClient, account: Account, giver: Key
    ) -> None:
        _, made = make_key_by(client, giver.headers)
        assert [call(client, made) for _ in range(2)] == [200, 200]
        with app.app_context():
            flush(at=now())
            put(account, giver.row.id, 3 * CALL_MICROCREDITS, period="month")
        assert [call(client, made) for _ in range(2)] == [200, 402]
        with app.app_context():
            unset_budget(
                organisation_id=account.organisation_id,
                key_id=giver.row.id,
                period="month",
                actor=OPERATOR,
                at=now(),
            )
        assert call(client, made) == 200

    def test_a_revoked_givers_budget_still_bounds(
        self, app: Flask, client: FlaskClient, account: Account, giver: Key
    ) -> None:
        with app.app_context():
            put(account, giver.row.id, CALL_MICROCREDITS)
        _, made = make_key_by(client, giver.headers)
        with app.app_context():
            revoke_key(organisation_id=account.organisation_id, key_id=giver.row.id, actor=OPERATOR, at=now())
            rebuild()
        assert [call(client, made) for _ in range(2)] == [200, 402]

    def test_jobs_hold_and_settle_along_the_line(
        self, app: Flask, client: FlaskClient, account: Account, giver: Key
    ) -> None:
        with app.app_context():
            put(account, giver.row.id, 2 * BELL_MICROCREDITS)
        made_id, made = make_key_by(client, giver.headers)
        with app.app_context():
            held = hold_credits(
                shard_tag=account.shard_tag, hold_id="one", microcredits=500, max_holds=16, spender=made_id
            )
            assert used(account, giver.row.id) == 500
            settle_hold(held, charged_microcredits=200)
            assert used(account, giver.row.id) == 200
            settle_hold(
                hold_credits(
                    shard_tag=account.shard_tag, hold_id="two", microcredits=500, max_holds=16, spender=made_id
                ),
                charged_microcredits=0,
            )
            assert used(account, giver.row.id) == 200
        assert post_bell(client, Key(giver.row, made["Authorization"].split()[1])).status_code == 201
        refused = post_bell(client, giver)
        assert (refused.status_code, body(refused)["error"]["limitSource"]) == (402, "key_budget")

    def test_what_redis_loses_is_found_again(
        self, app: Flask, client: FlaskClient, account: Account, giver: Key
    ) -> None:
        with app.app_context():
            put(account, giver.row.id, 900_000)
        made_id, made = make_key_by(client, giver.headers, budgets=[{"period": "total", "limit": "0.5"}])
        assert call(client, made) == 200
        with app.app_context():
            flush(at=now())
        assert [call(client, made), call(client, giver.headers)] == [200, 200]
        with app.app_context():
            hold_credits(shard_tag=account.shard_tag, hold_id="one", microcredits=777, max_holds=16, spender=made_id)
            expected = (2 * CALL_MICROCREDITS + 777, 3 * CALL_MICROCREDITS + 777)
            assert (used(account, made_id), used(account, giver.row.id)) == expected
            for lose in (
                lambda: store.client.delete(names.account_record(account.shard_tag)),
                lambda: store.client.hset(names.account_record(account.shard_tag), "epoch", "another"),
                lambda: None,
            ):
                lose()
                rebuild()
                assert (used(account, made_id), used(account, giver.row.id)) == expected
                assert verify() == []

    def test_keys_without_budgets_cost_the_record_nothing(
        self, app: Flask, client: FlaskClient, account: Account, giver: Key
    ) -> None:
        with app.app_context():
            other = make_key(account)
            put(account, other.row.id, 5)
        make_key_by(client, giver.headers)
        with app.app_context():
            rebuild()
            assert list(peek_account(account.shard_tag).budgets) == [other.row.id]

    def test_a_revoked_key_leaves_the_record_once_its_jobs_have_ended(
        self, app: Flask, client: FlaskClient, account: Account, giver: Key, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with app.app_context():
            put(account, giver.row.id, 900_000)
        made_id, _ = make_key_by(client, giver.headers)
        with app.app_context():
            revoke_key(organisation_id=account.organisation_id, key_id=made_id, actor=OPERATOR, at=now())
            rebuild()
            assert set(peek_account(account.shard_tag).budgets) == {giver.row.id, made_id}
            monkeypatch.setattr("webapp.metering.spending.LINGERING", timedelta(minutes=-1))
            rebuild()
            assert set(peek_account(account.shard_tag).budgets) == {giver.row.id}

    @pytest.mark.usefixtures("context")
    def test_verify_sees_a_keys_budget_that_counts_wrong(self, account: Account, giver: Key) -> None:
        put(account, giver.row.id, 500)
        rebuild()
        assert verify() == []
        store.client.hset(names.account_record(account.shard_tag), f"s:{giver.row.id}", "0:0:0:0:5")
        [difference] = verify()
        assert giver.row.id in difference.what
        assert difference.found == 5


class TestRateLimits:
    """The keys that a key made move its rate clocks."""

    def test_keys_call_together_as_often_as_one_may(self, app: Flask, client: FlaskClient, account: Account) -> None:
        with app.app_context():
            giver = make_key(account, rate_limits=(RateLimit(6, 3600),))
        first, second = (make_key_by(client, giver.headers)[1] for _ in range(2))
        assert [call(client, each) for each in (first, second, first, second, first)] == [200] * 4 + [429]
        assert [call(client, each) for each in (second, giver.headers)] == [429, 429]
        answer = client.get(f"{API}/me", headers=first)
        assert '"giver1-3600s";q=6;w=3600' in answer.headers["RateLimit-Policy"]

    def test_a_givers_new_limit_binds_the_next_call(self, app: Flask, client: FlaskClient, account: Account) -> None:
        with app.app_context():
            giver = make_key(account, rate_limits=(RateLimit(100, 3600),))
        _, made = make_key_by(client, giver.headers)
        assert call(client, made) == 200
        with app.app_context():
            found = get_own_key(organisation_id=account.organisation_id, key_id=giver.row.id)
            update_key(
                organisation_id=account.organisation_id,
                key_id=giver.row.id,
                settings=replace(settings_of(found), rate_limits=(RateLimit(1, 86_400),)),
                actor=OPERATOR,
                at=now(),
            )
        assert [call(client, made), call(client, made)] == [200, 429]


@pytest.mark.usefixtures("context")
def test_a_key_that_was_revoked_meanwhile_makes_no_other(account: Account, giver: Key) -> None:
    revoke_key(organisation_id=account.organisation_id, key_id=giver.row.id, actor=OPERATOR, at=now())
    with pytest.raises(GiverOverError):
        create_delegated_key(
            giver_id=giver.row.id,
            organisation_id=account.organisation_id,
            settings=settings_of(giver.row),
            budgets=[BudgetTerms("day", 1, refuses=True)],
            actor=OPERATOR,
            at=now(),
        )


class TestRevocation:
    """A key may be revoked with all that it made."""

    def test_what_it_made_ends_with_it_where_that_is_asked(
        self, app: Flask, client: FlaskClient, account: Account, giver: Key
    ) -> None:
        first_id, first = make_key_by(client, giver.headers)
        second_id, second = make_key_by(client, first)
        over_id, _ = make_key_by(client, first)
        client.delete(f"{API}/keys/{over_id}", headers=giver.headers)
        with app.app_context():
            other = make_key(account)
        alone = body(client.delete(f"{API}/keys/{first_id}", headers=other.headers))
        assert alone["revokedDescendants"] == []
        assert [call(client, each) for each in (first, second)] == [401, 200]
        whole = body(client.delete(f"{API}/keys/{giver.row.id}?descendants=true", headers=other.headers))
        assert (whole["status"], whole["revokedDescendants"]) == ("revoked", [second_id])
        assert [call(client, each) for each in (giver.headers, second, other.headers)] == [401, 401, 200]
        with app.app_context():
            events = db.session.scalars(select(AuditEvent).where(AuditEvent.action == "key.revoked"))
            with_key = {event.target_id: event.details.get("withKey") for event in events}
        assert with_key == {over_id: None, first_id: None, giver.row.id: None, second_id: giver.row.id}
        wrong = client.delete(f"{API}/keys/{other.row.id}?descendants=yes", headers=other.headers)
        assert (wrong.status_code, body(wrong)["error"]["details"][0]["path"]) == (422, "descendants")

    def test_no_key_is_made_while_its_giver_ends(
        self, app: Flask, client: FlaskClient, account: Account, giver: Key
    ) -> None:
        assert call(client, giver.headers) == 200
        made: list[dict[str, str]] = []

        def make_many() -> None:
            with app.test_client() as own:
                while True:
                    answer = own.post(f"{API}/keys", headers=giver.headers, json={"name": "x", "scopes": ["jobs:read"]})
                    if answer.status_code != 201:
                        return
                    made.append({"Authorization": f"Bearer {body(answer)['key']}"})

        threads = [threading.Thread(target=make_many) for _ in range(3)]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(made) > 2)
        with app.app_context():
            revoke_key(
                organisation_id=account.organisation_id,
                key_id=giver.row.id,
                with_made=True,
                actor=OPERATOR,
                at=now(),
            )
        for thread in threads:
            thread.join()
        assert {call(client, each) for each in made} == {401}
