"""Counters reach SQL exactly once, whoever runs the flush and however often."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from config import Settings
from tests.factories import API, Key, make_account, make_key, now, post_bell
from webapp.accounts.audit import OPERATOR
from webapp.core import redis_names as names
from webapp.core.db import db
from webapp.core.redis import store
from webapp.metering.credits import get_credits, grant_credits
from webapp.metering.flush import apply_batches, each_chunk, flush, prune_batches, read_batch, seal_all
from webapp.metering.models import FlushBatch, Usage
from webapp.metering.queries import get_last_use
from webapp.metering.verify import verify

ME = f"{API}/me"


@pytest.fixture
def environ() -> dict[str, str]:
    return {"CALL_PRICE_CREDITS": "0.0001"}


@pytest.fixture
def key(app: Flask) -> Key:
    with app.app_context():
        return make_key(make_account(microcredits=1_000_000))


def usage_of(key: Key) -> tuple[int, int]:
    """Give the calls and micro-credits in the key's usage rows."""
    rows = db.session.query(Usage).populate_existing().filter_by(key_id=key.row.id).all()
    return sum(row.calls for row in rows), sum(row.microcredits for row in rows)


def test_a_flush_of_nothing_does_nothing(app: Flask) -> None:
    with app.app_context():
        assert flush(at=now()).batches == 0


def test_a_second_flush_adds_nothing(app: Flask, client: FlaskClient, key: Key) -> None:
    client.get(ME, headers=key.headers)
    with app.app_context():
        flush(at=now())
        assert flush(at=now()).batches == 0
        assert usage_of(key) == (1, 100)


def test_usage_of_one_hour_adds_up_over_flushes(app: Flask, client: FlaskClient, key: Key) -> None:
    for _ in range(3):
        client.get(ME, headers=key.headers)
        with app.app_context():
            flush(at=now())
    with app.app_context():
        assert usage_of(key) == (3, 300)
        assert verify() == []


def test_a_batch_that_was_applied_but_not_dropped_is_only_dropped(app: Flask, client: FlaskClient, key: Key) -> None:
    client.get(ME, headers=key.headers)
    with app.app_context():
        [(group, batch_id)] = seal_all()
        batch = read_batch(group, batch_id)
        assert batch is not None
        assert len(apply_batches([batch], at=now())) == 1
        assert verify() == []
        assert get_credits(key.row.organisation_id).spent == 100
        assert flush(at=now()).batches == 0
        assert usage_of(key) == (1, 100)
        assert store.client.keys("*:sealed*") == []
        assert verify() == []


def test_a_batch_left_by_a_dead_flusher_is_applied_by_the_next(app: Flask, client: FlaskClient, key: Key) -> None:
    client.get(ME, headers=key.headers)
    with app.app_context():
        seal_all()
        assert verify() == []
    client.get(ME, headers=key.headers)
    with app.app_context():
        assert get_credits(key.row.organisation_id).unflushed == 200
        assert flush(at=now()).batches == 2
        assert usage_of(key) == (2, 200)
        assert verify() == []


def test_two_flushes_at_once_apply_each_batch_once(app: Flask, client: FlaskClient, key: Key) -> None:
    def run(_: int) -> int:
        with app.app_context():
            return flush(at=now()).calls

    for _ in range(5):
        client.get(ME, headers=key.headers)
        with ThreadPoolExecutor(max_workers=4) as threads:
            assert sum(threads.map(run, range(4))) == 1
    with app.app_context():
        assert usage_of(key) == (5, 500)
        assert db.session.query(FlushBatch).count() == 5
        assert verify() == []


def test_many_keys_of_many_accounts_are_flushed_together(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        accounts = [make_account(microcredits=1_000) for _ in range(4)]
        keys = [make_key(account, name=str(number)) for account in accounts for number in range(3)]
    for key in keys:
        client.get(ME, headers=key.headers)
    with app.app_context():
        report = flush(at=now())
        assert (report.keys, report.calls, report.microcredits) == (12, 12, 1_200)
        assert {get_credits(account.organisation_id).spent for account in accounts} == {300}
        assert verify() == []


def test_what_does_not_fit_into_one_transaction_takes_several(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with app.app_context():
        keys = [make_key(make_account()) for _ in range(6)]
    for key in keys:
        client.get(ME, headers=key.headers)
    monkeypatch.setattr("webapp.metering.flush.MAX_CHUNK_WEIGHT", 1)
    with app.app_context():
        sealed = seal_all()
        assert [len(chunk) for chunk in each_chunk(sealed)] == [1] * len(sealed)
        assert flush(at=now()).calls == 6
        assert [usage_of(key) for key in keys] == [(1, 100)] * 6
        assert verify() == []


def test_a_count_for_a_key_that_sql_does_not_know_keeps_nothing_else_back(
    app: Flask, client: FlaskClient, key: Key
) -> None:
    client.get(ME, headers=key.headers)
    with app.app_context():
        counters = names.live_counters(names.group_of(key.raw[-12:-6]))
        store.client.hincrby(counters, "calls:key_gone:1700000000", 1)
        store.client.hincrby(counters, "account:gone00", 5)
        flush(at=now())
        assert usage_of(key) == (1, 100)
        assert verify() == []


def test_a_call_counted_before_operations_were_is_flushed_without_one(
    app: Flask, client: FlaskClient, key: Key
) -> None:
    client.get(ME, headers=key.headers)
    with app.app_context():
        counters = names.live_counters(names.group_of(key.raw[-12:-6]))
        store.client.hincrby(counters, f"calls:{key.row.id}:1700000000", 2)
        store.client.hset(counters, f"used:{key.row.id}", "1700000123")
        flush(at=now())
        rows = db.session.query(Usage).filter_by(key_id=key.row.id).order_by(Usage.hour).all()
        assert [(row.operation, row.calls) for row in rows] == [("", 2), ("read_me", 1)]


def test_a_key_was_last_used_when_it_was_before_operations_were_counted(app: Flask, key: Key) -> None:
    with app.app_context():
        counters = names.live_counters(names.group_of(key.raw[-12:-6]))
        store.client.hset(counters, mapping={"batch": "old", f"calls:{key.row.id}:1699999200": 2})
        store.client.hset(counters, f"used:{key.row.id}", "1700000123")
        flush(at=now())
        last_use = get_last_use(key.row.id)
        assert last_use is not None
        assert (last_use.at.timestamp(), last_use.operation, last_use.address) == (1700000123, "", "")


def test_a_key_was_last_used_for_its_last_call(app: Flask, client: FlaskClient, key: Key) -> None:
    for path in ("me", "templates", "me"):
        client.get(f"{API}/{path}", headers=key.headers)
    with app.app_context():
        flush(at=now())
        last_use = get_last_use(key.row.id)
        assert last_use is not None
        assert (last_use.operation, last_use.address) == ("read_me", "127.0.0.1")
        rows = db.session.query(Usage).filter_by(key_id=key.row.id).all()
        assert {row.operation: (row.calls, row.last_used_at is not None) for row in rows} == {
            "read_me": (2, True),
            "read_templates": (1, False),
        }


def test_a_batch_that_cannot_be_charged_waits_and_keeps_no_other_back(
    app: Flask, client: FlaskClient, key: Key
) -> None:
    with app.app_context():
        others = [make_key(make_account()) for _ in range(8)]
        counters = names.live_counters(names.group_of(key.raw[-12:-6]))
    for each in (key, *others):
        assert client.get(ME, headers=each.headers).status_code == 200
    store.client.hincrby(counters, f"account:{key.raw[-12:-6]}", 2_000_000)
    alone = [each for each in others if each.raw[-12] != key.raw[-12]]
    with app.app_context():
        assert flush(at=now()).waiting == 1
        assert [usage_of(each) for each in alone] == [(1, 100)] * len(alone)
        assert usage_of(key) == (0, 0)
        assert any("beyond the balance" in difference.what for difference in verify())
        grant(key, 2_000_000)
        assert flush(at=now()).waiting == 0
        assert get_credits(key.row.organisation_id).spent == 2_000_100


def grant(key: Key, microcredits: int) -> None:
    grant_credits(
        organisation_id=key.row.organisation_id,
        microcredits=microcredits,
        reason="",
        reference=None,
        actor=OPERATOR,
        at=now(),
    )


def test_jobs_and_flushes_at_once_do_not_deadlock(app: Flask, key: Key) -> None:
    def work(number: int) -> int:
        if number % 4 == 0:
            with app.app_context():
                return flush(at=now()).waiting
        return post_bell(app.test_client(), key).status_code

    with ThreadPoolExecutor(max_workers=8) as threads:
        results = list(threads.map(work, range(120)))
    assert results.count(201) == 90
    assert results.count(0) == 30
    with app.app_context():
        flush(at=now())
        assert verify() == []


def test_a_batch_that_is_not_there_is_not_taken_for_applied(app: Flask, client: FlaskClient, key: Key) -> None:
    client.get(ME, headers=key.headers)
    with app.app_context():
        [(group, batch_id)] = seal_all()
        # As if Redis had come back, meanwhile, from a file from before the seal: live, and not sealed.
        live, sealed = names.live_counters(group), names.sealed_counters(group, batch_id)
        store.client.rename(sealed, live)
        assert read_batch(group, batch_id) is None
        assert db.session.query(FlushBatch).count() == 0
        flush(at=now())
        assert usage_of(key) == (1, 100)
        assert verify() == []


def test_old_batches_are_forgotten(app: Flask, client: FlaskClient, key: Key) -> None:
    client.get(ME, headers=key.headers)
    with app.app_context():
        flush(at=now())
        assert prune_batches(before=now() - timedelta(days=1)) == 0
        assert prune_batches(before=now() + timedelta(days=1)) == 1


def test_a_grant_that_redis_missed_is_told_by_the_next_flush(
    settings: Settings, app: Flask, client: FlaskClient, key: Key
) -> None:
    client.get(ME, headers=key.headers)
    with app.app_context():
        store.connect("unix:///nowhere/valkey.sock")
        grant_credits(
            organisation_id=key.row.organisation_id,
            microcredits=5,
            reason="",
            reference=None,
            actor=OPERATOR,
            at=now(),
        )
        store.connect(settings.redis_url)
        assert verify() == []
        flush(at=now())
        assert verify() == []
        assert get_credits(key.row.organisation_id).available == 1_000_000 + 5 - 100
