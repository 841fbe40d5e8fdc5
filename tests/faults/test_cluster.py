"""Slots moved, nodes killed and failed over under load: the ledger is exact, and everything comes back by itself."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from flask import Flask
from redis.crc import key_slot

from config import Settings
from tests import stores
from tests.clusters import ValkeyCluster, running_cluster
from tests.factories import (
    API,
    Key,
    count_jobs,
    hold_credits,
    make_account,
    make_holds_overdue,
    make_key,
    now,
    post_bell,
)
from tests.faults.service import BELL_MICROCREDITS, CALL_MICROCREDITS, LOADED
from tests.live import wait_until
from webapp import create_app
from webapp.core import redis_names as names
from webapp.core.db import db
from webapp.core.errors import StoreAwayError
from webapp.core.redis import asking_redis
from webapp.metering.credits import get_credits
from webapp.metering.flush import flush, seal_all
from webapp.metering.holds import end_overdue_holds
from webapp.metering.queries import list_keys_with_usage
from webapp.metering.rebuild import rebuild
from webapp.metering.reconcile import reconcile_account
from webapp.metering.verify import verify

ME = f"{API}/me"

# Which database is behind it makes no difference here.
pytestmark = pytest.mark.parametrize("database_url", stores.DATABASES[:1], indirect=True)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[ValkeyCluster]:
    with running_cluster(tmp_path / "cluster") as cluster:
        yield cluster


@pytest.fixture
def redis_url(cluster: ValkeyCluster) -> str:
    return cluster.url


@pytest.fixture
def environ() -> dict[str, str]:
    return LOADED | {
        "OPERATION_PRICES": "read_templates=0",
        # Holds whose commit was lost wait for the worker to end them, and there is none here.
        "MAX_CONCURRENT_JOBS": "1000",
    }


def slot_of(key: Key) -> int:
    """Give the slot that the key's account is in."""
    return key_slot(names.account_record(key.raw[-12:-6]).encode())


def settle_everything() -> None:
    """End the holds that were left, and flush, as often as the worker would: until every node is back."""

    def is_done() -> bool:
        try:
            # A hold whose answer was lost with its node is known to nobody, and is found by its deadline alone.
            with asking_redis():
                make_holds_overdue()
            end_overdue_holds(at=now())
            flush(at=now())
        except StoreAwayError:
            return False
        return True

    wait_until(is_done)


def call(app: Flask, key: Key) -> int:
    return app.test_client().get(ME, headers=key.headers).status_code


class Load:
    """Threads that call and run jobs until told to stop."""

    def __init__(self, app: Flask, key: Key) -> None:
        self.app, self.key = app, key
        self.calls: list[int] = []
        self.jobs: list[int] = []
        # Answered calls that the store may have lost: a replica is told a moment after the caller.
        self.may_lose = 0
        self.is_over = False

    def run(self, number: int) -> None:
        client = self.app.test_client()
        while not self.is_over:
            if number % 2:
                self.calls.append(client.get(ME, headers=self.key.headers).status_code)
            else:
                self.jobs.append(post_bell(client, self.key).status_code)

    def wait_for_more(self) -> None:
        """Wait until some more of both have been served."""
        calls, jobs = self.calls.count(200) + 10, self.jobs.count(201) + 5
        wait_until(lambda: self.calls.count(200) >= calls and self.jobs.count(201) >= jobs)

    def check(self) -> None:
        """Check that every answer was a success or a 503, and that exactly what was done is in the ledger."""
        assert set(self.calls) <= {200, 503}
        assert set(self.jobs) <= {201, 503}
        with self.app.app_context():
            settle_everything()
            assert verify() == []
            jobs = count_jobs(self.key.row.organisation_id)
            [usage] = list_keys_with_usage(self.key.row.organisation_id)
            found = get_credits(self.key.row.organisation_id)
        assert jobs == self.jobs.count(201)
        # A job is a call as well, and a call may be counted whose answer, or whose job, was a 503.
        assert usage.calls >= self.calls.count(200) + jobs - self.may_lose
        assert usage.calls <= len(self.calls) + len(self.jobs)
        assert found.spent == usage.calls * CALL_MICROCREDITS + jobs * BELL_MICROCREDITS
        assert (found.held, found.unflushed) == (0, 0)


@contextmanager
def load(app: Flask, key: Key) -> Iterator[Load]:
    """Run a load for as long as the block lasts, and then check what came of it."""
    running = Load(app, key)
    with ThreadPoolExecutor(max_workers=4) as threads:
        futures = [threads.submit(running.run, number) for number in range(4)]
        try:
            running.wait_for_more()
            yield running
            running.wait_for_more()
        finally:
            running.is_over = True
        for future in futures:
            future.result()
    running.check()


def test_a_slot_moved_key_by_key_under_load_leaves_the_ledger_exact(
    app: Flask, cluster: ValkeyCluster, key: Key
) -> None:
    slot = slot_of(key)
    with load(app, key) as running:
        for _ in range(2):
            source, target = cluster.start_move(slot)
            cluster.move_keys(slot, source, target)
            cluster.end_move(slot, source, target)
            running.wait_for_more()
    assert cluster.owner(slot) is target


def test_a_slot_moved_at_once_under_load_leaves_the_ledger_exact(app: Flask, cluster: ValkeyCluster, key: Key) -> None:
    with load(app, key) as running:
        for _ in range(2):
            cluster.move_at_once(slot_of(key))
            running.wait_for_more()


def test_a_slot_that_is_half_moved_is_a_503_and_then_exact(app: Flask, cluster: ValkeyCluster, key: Key) -> None:
    tag = key.raw[-12:-6]
    slot = slot_of(key)
    with app.app_context():
        assert call(app, key) == 200
        [(group, batch_id)] = seal_all()
        assert call(app, key) == 200
        hold_credits(shard_tag=tag, hold_id="one", microcredits=75, max_holds=16)
        # The worst of the ways to be half moved: all that scripts name is here, and what they find through it is there.
        source, target = cluster.start_move(slot)
        cluster.move_keys(slot, source, target, but=[names.sealed_counters(group, batch_id)])
        assert {call(app, key), post_bell(app.test_client(), key).status_code} == {503}
        for work in (lambda: reconcile_account(shard_tag=tag), rebuild, verify, lambda: flush(at=now())):
            with pytest.raises(StoreAwayError):
                work()
        cluster.move_keys(slot, source, target)
        cluster.end_move(slot, source, target)
        # Nobody has heard yet where the slot is now.
        hold_credits(shard_tag=tag, hold_id="two", microcredits=75, max_holds=16)
        assert verify() == []
        assert (call(app, key), post_bell(app.test_client(), key).status_code) == (200, 201)
        assert verify() == []
        make_holds_overdue()
        end_overdue_holds(at=now())
        flush(at=now())
        assert verify() == []
        assert get_credits(key.row.organisation_id).spent == 4 * CALL_MICROCREDITS + BELL_MICROCREDITS


def test_a_node_killed_under_load_is_replaced_by_its_replica(app: Flask, cluster: ValkeyCluster, key: Key) -> None:
    primary = cluster.owner(slot_of(key))
    replica = cluster.add_replica(primary)
    with load(app, key) as running:
        running.may_lose = 4
        primary.kill()
        wait_until(lambda: cluster.owner(slot_of(key), seen_by=replica) is replica)


def test_a_node_that_is_away_is_missed_by_its_own_accounts_only(app: Flask, cluster: ValkeyCluster, key: Key) -> None:
    away = cluster.owner(slot_of(key))
    with app.app_context():
        keys = [make_key(make_account()) for _ in range(12)]
    elsewhere = [other for other in keys if cluster.owner(slot_of(other)) is not away]
    assert {call(app, other) for other in (key, *keys)} == {200}
    for stop, go_on in ((away.kill, away.start), (away.suspend, away.resume)):
        stop()
        for _ in range(3):
            refused = post_bell(app.test_client(), key)
            assert (refused.status_code, int(refused.headers["Retry-After"]) >= 1) == (503, True)
            assert {call(app, other) for other in elsewhere} == {200}
        assert app.test_client().get("/healthz").status_code == 200
        go_on()
        wait_until(lambda: post_bell(app.test_client(), key).status_code == 201)
    with app.app_context():
        settle_everything()
        assert verify() == []
        [usage] = list_keys_with_usage(key.row.organisation_id)
        assert (usage.calls, count_jobs(key.row.organisation_id)) == (3, 2)


def test_a_whole_cluster_that_was_away_is_found_again(
    app: Flask, cluster: ValkeyCluster, key: Key, settings: Settings
) -> None:
    client = app.test_client()
    assert post_bell(client, key).status_code == 201
    for node in cluster.nodes:
        node.kill()
    assert [post_bell(client, key).status_code for _ in range(3)] == [503] * 3
    assert client.get(f"{API}/templates", headers=key.headers).status_code == 200
    assert client.get("/healthz").status_code == 503
    # A process that is started now finds no node at all.
    started = create_app(settings)
    assert post_bell(started.test_client(), key).status_code == 503
    for node in cluster.nodes:
        node.start()
    wait_until(lambda: post_bell(started.test_client(), key).status_code == 201)
    with started.app_context():
        settle_everything()
        assert verify() == []
        [usage] = list_keys_with_usage(key.row.organisation_id)
        # While the nodes come back, a call may be admitted whose job is refused.
        assert usage.calls >= count_jobs(key.row.organisation_id) == 2
        spent = usage.calls * CALL_MICROCREDITS + 2 * BELL_MICROCREDITS
        assert get_credits(key.row.organisation_id).spent == spent
        db.engine.dispose()
