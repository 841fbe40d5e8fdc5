"""Redis killed under load, and Redis started from an old file: nothing is lost, doubled, overspent or let in again."""

import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from flask import Flask
from redis import Redis

from config import Settings
from tests.factories import API, Key, count_jobs, hold_credits, make_account, make_key, now, post_bell
from tests.faults.own_valkey import OwnValkey
from tests.faults.service import BELL_MICROCREDITS, CALL_MICROCREDITS
from tests.live import wait_until
from tests.stores import list_idle_connections, make_settings
from webapp import create_app
from webapp.accounts.audit import OPERATOR
from webapp.accounts.models import User
from webapp.accounts.operations import disable_user
from webapp.accounts.queries import get_organisation
from webapp.core.db import db
from webapp.core.driver import DriverConnection
from webapp.core.errors import StoreAwayError
from webapp.core.redis import store
from webapp.keys.operations import revoke_key
from webapp.metering import holds
from webapp.metering.credits import get_credits
from webapp.metering.flush import flush
from webapp.metering.holds import end_overdue_holds, settle_hold
from webapp.metering.queries import list_keys_with_usage
from webapp.metering.reconcile import peek_account
from webapp.metering.verify import verify

ME = f"{API}/me"


@pytest.fixture
def settings(tmp_path: Path, database_url: str, valkey: OwnValkey) -> Settings:
    return make_settings(
        tmp_path,
        DATABASE_URL=database_url,
        REDIS_URL=f"unix://{valkey.socket}",
        CALL_PRICE_CREDITS="0.0001",
        OPERATION_PRICES="read_templates=0",
    )


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    app = create_app(settings)
    yield app
    store.close()
    with app.app_context():
        db.engine.dispose()


def call(app: Flask, key: Key) -> int:
    return app.test_client().get(ME, headers=key.headers).status_code


def call_until_served(app: Flask, key: Key) -> None:
    """Call until Redis has been found again."""
    wait_until(lambda: call(app, key) == 200)


def count_after_flush(app: Flask, key: Key) -> tuple[int, int]:
    """Flush and check everything; give the key's calls and what its account has spent."""
    with app.app_context():
        flush(at=now())
        assert verify() == []
        [usage] = list_keys_with_usage(key.row.organisation_id)
        return usage.calls, get_credits(key.row.organisation_id).spent


def test_valkey_killed_under_load_loses_no_call_that_was_answered(app: Flask, valkey: OwnValkey, key: Key) -> None:
    statuses: list[int] = []

    def load(_: int) -> None:
        statuses.extend(call(app, key) for _ in range(30))

    with ThreadPoolExecutor(max_workers=4) as threads:
        running = [threads.submit(load, number) for number in range(4)]
        wait_until(lambda: statuses.count(200) >= 20)
        valkey.restart()
        for future in running:
            future.result()
    call_until_served(app, key)
    answered = statuses.count(200) + 1
    calls, spent = count_after_flush(app, key)
    # A call that was counted may have died before its answer; an answered one was counted.
    assert answered <= calls <= answered + 4
    assert spent == calls * CALL_MICROCREDITS


def test_an_old_file_brings_nothing_back(app: Flask, valkey: OwnValkey, key: Key, tmp_path: Path) -> None:
    with app.app_context():
        revoked = make_key(make_account(microcredits=1_000_000))
    assert (call(app, key), call(app, key), call(app, revoked)) == (200, 200, 200)
    valkey.restart()
    old = tmp_path / "old"
    shutil.copytree(valkey.folder / "valkey", old)

    # What the old file does not know: counters applied, credits spent, a key revoked.
    call_until_served(app, key)
    assert post_bell(app.test_client(), key).status_code == 201
    assert count_after_flush(app, key) == (4, 4 * CALL_MICROCREDITS + BELL_MICROCREDITS)
    with app.app_context():
        revoke_key(organisation_id=revoked.row.organisation_id, key_id=revoked.row.id, actor=OPERATOR, at=now())

    valkey.kill()
    shutil.rmtree(valkey.folder / "valkey")
    shutil.copytree(old, valkey.folder / "valkey")
    valkey.start()
    wait_until(lambda: call(app, revoked) == 401)
    call_until_served(app, key)
    with app.app_context():
        assert verify() == []
    assert count_after_flush(app, key) == (5, 5 * CALL_MICROCREDITS + BELL_MICROCREDITS)


def test_an_empty_redis_is_filled_from_sql(app: Flask, valkey: OwnValkey, key: Key) -> None:
    call_until_served(app, key)
    assert count_after_flush(app, key) == (1, CALL_MICROCREDITS)
    valkey.kill()
    shutil.rmtree(valkey.folder / "valkey")
    valkey.start()
    call_until_served(app, key)
    assert count_after_flush(app, key) == (2, 2 * CALL_MICROCREDITS)


def test_a_call_that_was_given_up_is_not_charged_when_valkey_goes_on(app: Flask, valkey: OwnValkey, key: Key) -> None:
    call_until_served(app, key)
    valkey.process.send_signal(signal.SIGSTOP)
    statuses = [call(app, key) for _ in range(3)]
    answer = post_bell(app.test_client(), key)
    valkey.process.send_signal(signal.SIGCONT)
    assert [*statuses, answer.status_code] == [503] * 4
    assert int(answer.headers["Retry-After"]) >= 1
    call_until_served(app, key)
    assert count_after_flush(app, key) == (2, 2 * CALL_MICROCREDITS)


class TestEndOfJob:
    """What happens to Redis while a job is committed, which was held and is yet to be settled."""

    @pytest.fixture
    def at_commit(self, monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], object]]:
        """What is done at the next commit of a job."""
        todo: list[Callable[[], object]] = []
        commit = DriverConnection.commit

        def act(connection: DriverConnection) -> None:
            while todo:
                todo.pop()()
            commit(connection)

        monkeypatch.setattr(DriverConnection, "commit", act)
        return todo

    def count_holds(self, app: Flask, key: Key) -> int:
        with app.app_context():
            return len(peek_account(get_organisation(key.row.organisation_id).shard_tag).holds)

    def test_a_job_does_not_wait_for_valkey_which_settles_when_it_goes_on(
        self, app: Flask, valkey: OwnValkey, key: Key, at_commit: list[Callable[[], object]]
    ) -> None:
        call_until_served(app, key)
        # Of the first, a connection waits until Redis knows the script.
        assert post_bell(app.test_client(), key).status_code == 201
        at_commit.append(partial(valkey.process.send_signal, signal.SIGSTOP))
        assert post_bell(app.test_client(), key).status_code == 201
        assert call(app, key) == 503
        valkey.process.send_signal(signal.SIGCONT)
        call_until_served(app, key)
        # Nobody ended it because it was overdue.
        assert self.count_holds(app, key) == 0
        calls, spent = count_after_flush(app, key)
        assert (calls, spent) == (4, 2 * BELL_MICROCREDITS + 4 * CALL_MICROCREDITS)

    def test_a_job_stands_where_valkey_is_killed_before_it_is_told(
        self, app: Flask, valkey: OwnValkey, key: Key, at_commit: list[Callable[[], object]]
    ) -> None:
        call_until_served(app, key)
        at_commit.append(valkey.kill)
        assert post_bell(app.test_client(), key).status_code == 201
        valkey.start()
        call_until_served(app, key)
        with app.app_context():
            assert count_jobs(key.row.organisation_id) == 1
            end_overdue_holds(at=now())
        assert self.count_holds(app, key) == 0
        _, spent = count_after_flush(app, key)
        assert spent >= BELL_MICROCREDITS

    def test_a_job_stands_whatever_redis_says_of_its_end(
        self, app: Flask, key: Key, at_commit: list[Callable[[], object]]
    ) -> None:
        call_until_served(app, key)
        forbid = partial(store.client.execute_command, "ACL", "SETUSER", "default", "-script")
        at_commit.append(forbid)
        assert post_bell(app.test_client(), key).status_code == 201
        assert self.count_holds(app, key) == 1
        store.client.execute_command("ACL", "SETUSER", "default", "+script")  # type: ignore[no-untyped-call]
        assert post_bell(app.test_client(), key).status_code == 201
        assert self.count_holds(app, key) == 1
        assert count_after_flush(app, key)[1] == 2 * BELL_MICROCREDITS + 3 * CALL_MICROCREDITS

    def test_a_script_that_was_forgotten_is_told_again_and_no_hold_becomes_overdue(
        self,
        app: Flask,
        key: Key,
        at_commit: list[Callable[[], object]],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        # Already, for whoever looks.
        monkeypatch.setattr(holds, "NEW_HOLD_SECONDS", 0)
        call_until_served(app, key)
        assert post_bell(app.test_client(), key).status_code == 201
        assert self.count_holds(app, key) == 0
        at_commit.append(store.client.script_flush)
        assert [post_bell(app.test_client(), key).status_code for _ in range(3)] == [201] * 3
        assert self.count_holds(app, key) == 0
        assert count_after_flush(app, key)[1] == 4 * BELL_MICROCREDITS + 5 * CALL_MICROCREDITS


def test_a_server_that_was_made_a_replica_is_left_for_whoever_has_its_address(
    app: Flask, valkey: OwnValkey, key: Key
) -> None:
    call_until_served(app, key)
    operator = Redis(unix_socket_path=str(valkey.socket))
    operator.replicaof("127.0.0.1", "1")
    assert post_bell(app.test_client(), key).status_code == 503
    # What a failover needs, and no test has one.
    assert not list_idle_connections(store)
    operator.replicaof("NO", "ONE")
    operator.close()
    wait_until(lambda: post_bell(app.test_client(), key).status_code == 201)


def test_a_server_that_refuses_writes_is_a_503_everywhere(app: Flask, key: Key) -> None:
    call_until_served(app, key)
    store.client.config_set("min-replicas-to-write", 1)
    assert post_bell(app.test_client(), key).status_code == 503
    with app.app_context():
        email = db.session.get_one(User, key.row.created_by_id).email
        with pytest.raises(StoreAwayError):
            disable_user(email=email, actor=OPERATOR, at=now())
        with pytest.raises(StoreAwayError):
            flush(at=now())
    store.client.config_set("min-replicas-to-write", 0)
    wait_until(lambda: post_bell(app.test_client(), key).status_code == 201)
    with app.app_context():
        flush(at=now())
        assert verify() == []


def test_a_full_redis_is_a_503_for_what_it_must_count_and_then_exact(app: Flask, key: Key) -> None:
    tag = key.raw[-12:-6]
    with app.app_context():
        stolen = make_key(make_account())
    assert (call(app, key), call(app, stolen)) == (200, 200)
    hold = hold_credits(shard_tag=tag, hold_id="open", microcredits=75, max_holds=16)
    store.client.config_set("maxmemory", 1)
    client = app.test_client()
    for _ in range(3):
        for refused in (client.get(ME, headers=key.headers), post_bell(client, key)):
            assert (refused.status_code, int(refused.headers["Retry-After"]) >= 1) == (503, True)
        # What costs nothing is served by SQL.
        assert client.get(f"{API}/templates", headers=key.headers).status_code == 200
    with app.app_context():
        # What takes no more room is done all the same.
        settle_hold(hold, charged_microcredits=0)
        revoke_key(organisation_id=stolen.row.organisation_id, key_id=stolen.row.id, actor=OPERATOR, at=now())
        assert flush(at=now()).calls == 2
    assert call(app, stolen) == 401
    store.client.config_set("maxmemory", 0)
    assert post_bell(client, key).status_code == 201
    assert count_after_flush(app, key) == (2, 2 * CALL_MICROCREDITS + BELL_MICROCREDITS)


def test_redis_emptied_under_load_leaves_the_ledger_exact(app: Flask, key: Key) -> None:
    statuses: list[int] = []

    def load(_: int) -> None:
        client = app.test_client()
        for _ in range(10):
            statuses.append(post_bell(client, key).status_code)  # noqa: PERF401 - the main thread watches it grow

    with ThreadPoolExecutor(max_workers=4) as threads:
        running = [threads.submit(load, number) for number in range(4)]
        for answered in range(4, 40, 4):
            wait_until(lambda answered=answered: len(statuses) >= answered)  # type: ignore[misc]  # it takes no argument
            store.client.flushall()
        for future in running:
            future.result()
    with app.app_context():
        flush(at=now())
        assert verify() == []
        jobs = count_jobs(key.row.organisation_id)
        spent_on_calls = get_credits(key.row.organisation_id).spent - jobs * BELL_MICROCREDITS
    assert jobs == statuses.count(201) > 0
    # Calls that Redis forgot before they were flushed are not charged, and none is charged twice.
    assert spent_on_calls in range(0, 41 * CALL_MICROCREDITS, CALL_MICROCREDITS)


def test_a_key_revoked_under_load_is_never_served_again(app: Flask, key: Key) -> None:
    is_revoked = threading.Event()
    served: list[int] = []
    late: list[int] = []

    def load(_: int) -> None:
        while not is_revoked.is_set():
            served.append(call(app, key))
        late.extend(call(app, key) for _ in range(5))

    with ThreadPoolExecutor(max_workers=4) as threads:
        running = [threads.submit(load, number) for number in range(4)]
        wait_until(lambda: served.count(200) >= 20)
        with app.app_context():
            revoke_key(organisation_id=key.row.organisation_id, key_id=key.row.id, actor=OPERATOR, at=now())
        is_revoked.set()
        for future in running:
            future.result()
    assert late == [401] * 20
