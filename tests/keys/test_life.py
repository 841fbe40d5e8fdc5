"""A key's life as its programs meet it: rotated, disabled, tied to addresses, limited, changed."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from threading import Event, Thread

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.factories import API, Account, Key, body, make_account, make_key, now
from webapp.accounts.audit import OPERATOR
from webapp.core.db import transaction
from webapp.core.errors import NotFoundError, StoreAwayError
from webapp.core.redis import store
from webapp.keys.models import ApiKey
from webapp.keys.operations import KeyOverError, revoke_key, set_key_disabled, update_key
from webapp.keys.queries import list_keys, list_old_tokens
from webapp.keys.rotation import KeyExpiredError, TooManyTokensError, rotate_key
from webapp.keys.settings import KeySettings, RateLimit, settings_of
from webapp.metering.budgets import set_budget
from webapp.metering.flush import flush
from webapp.metering.queries import get_last_use
from webapp.metering.rebuild import rebuild

ME = f"{API}/me"


def rotate(key: Key, *, seconds: int = 0) -> Key:
    new = rotate_key(
        organisation_id=key.row.organisation_id,
        key_id=key.row.id,
        grace=timedelta(seconds=seconds),
        actor=OPERATOR,
        at=now(),
    )
    return Key(new.key, new.raw)


def status(client: FlaskClient, key: Key, address: str = "127.0.0.1") -> int:
    return client.get(ME, headers=key.headers, environ_overrides={"REMOTE_ADDR": address}).status_code


def change(key: Key, **chosen: object) -> None:
    settings = KeySettings(**(vars(settings_of(key.row)) | chosen))
    update_key(organisation_id=key.row.organisation_id, key_id=key.row.id, settings=settings, actor=OPERATOR, at=now())


class TestRotation:
    """Two tokens, one key."""

    @pytest.fixture
    def environ(self) -> dict[str, str]:
        return {"KEY_RATE_LIMITS": "6/3600", "CALL_PRICE_CREDITS": "1"}

    def test_both_tokens_work_in_the_grace_and_share_the_rate_limit(
        self, app: Flask, client: FlaskClient, account: Account
    ) -> None:
        with app.app_context():
            old = make_key(account)
            assert status(client, old) == 200
            new = rotate(old, seconds=3600)
            assert [found.prefix for found in list_old_tokens(old.row.id, at=now())] == [old.raw[:16]]
        assert (new.row.id, new.raw != old.raw) == (old.row.id, True)
        assert [status(client, each) for each in (new, old, new, old, new, old, new)] == [200] * 5 + [429] * 2

    def test_a_budget_is_neither_reset_nor_doubled(self, app: Flask, client: FlaskClient, account: Account) -> None:
        with app.app_context():
            old = make_key(account)
            set_budget(
                organisation_id=account.organisation_id,
                key_id=old.row.id,
                period="total",
                microcredits=3_000_000,
                refuses=True,
                actor=OPERATOR,
                at=now(),
            )
            assert [status(client, old) for _ in range(2)] == [200, 200]
            new = rotate(old, seconds=3600)
        assert [status(client, each) for each in (new, old, new)] == [200, 402, 402]

    def test_without_a_grace_the_old_token_ends_at_once(
        self, app: Flask, client: FlaskClient, account: Account
    ) -> None:
        with app.app_context():
            old = make_key(account)
            assert status(client, old) == 200
            new = rotate(old)
        assert (status(client, old), status(client, new)) == (401, 200)

    def test_an_older_token_ends_no_later_than_was_said(self, app: Flask, account: Account) -> None:
        with app.app_context():
            key = make_key(account)
            rotate(key, seconds=60)
            rotate(key, seconds=3600)
            ends = [found.expires_at for found in list_old_tokens(key.row.id, at=now())]
            at = now()
            assert [round((end - at).total_seconds(), -1) for end in ends if end] == [3600, 60]
            for _ in range(2):
                rotate(key, seconds=3600)
            with pytest.raises(TooManyTokensError):
                rotate(key, seconds=3600)
            rotate(key)
            assert list_old_tokens(key.row.id, at=now()) == []

    def test_a_key_that_is_over_is_not_rotated(self, app: Flask, account: Account) -> None:
        with app.app_context():
            revoked, expired = make_key(account), make_key(account)
            revoke_key(organisation_id=account.organisation_id, key_id=revoked.row.id, actor=OPERATOR, at=now())
            with transaction() as session:
                session.get_one(ApiKey, expired.row.id).expires_at = now() - timedelta(seconds=1)
            with pytest.raises(KeyOverError):
                rotate(revoked)
            with pytest.raises(KeyExpiredError):
                rotate(expired)
            with pytest.raises(NotFoundError):
                rotate_key(
                    organisation_id=make_account().organisation_id,
                    key_id=expired.row.id,
                    grace=timedelta(),
                    actor=OPERATOR,
                    at=now(),
                )

    def test_revoking_ends_every_token(self, app: Flask, client: FlaskClient, account: Account) -> None:
        with app.app_context():
            old = make_key(account)
            new = rotate(old, seconds=3600)
            assert (status(client, old), status(client, new)) == (200, 200)
            revoke_key(organisation_id=account.organisation_id, key_id=old.row.id, actor=OPERATOR, at=now())
        assert (status(client, old), status(client, new)) == (401, 401)

    def test_where_redis_is_away_nothing_is_rotated(self, app: Flask, account: Account, redis_url: str) -> None:
        with app.app_context():
            key = make_key(account)
            store.connect("unix:///nowhere/valkey.sock")
            with pytest.raises(StoreAwayError):
                rotate(key)
            store.connect(redis_url)
            assert list_keys(account.organisation_id)[0].prefix == key.raw[:16]


class TestUnderLoad:
    """No call passes after the answer that says so."""

    @pytest.fixture
    def environ(self) -> dict[str, str]:
        return {"KEY_RATE_LIMITS": "1000000/60", "ACCOUNT_RATE_LIMITS": "1000000/60"}

    @pytest.mark.parametrize("act", ["rotate", "disable", "tie"])
    def test_an_old_token_is_refused_from_the_answer_on(self, app: Flask, account: Account, act: str) -> None:
        with app.app_context():
            key = make_key(account)
        acts: dict[str, Callable[[], object]] = {
            "rotate": partial(rotate, key),
            "disable": partial(
                set_key_disabled,
                organisation_id=account.organisation_id,
                key_id=key.row.id,
                disabled=True,
                actor=OPERATOR,
                at=now(),
            ),
            "tie": partial(change, key, addresses=("203.0.113.0/24",)),
        }
        answered, done = Event(), Event()
        late: list[int] = []

        def call() -> None:
            client = app.test_client()
            while not done.is_set():
                was_answered = answered.is_set()
                found = status(client, key)
                if was_answered:
                    late.append(found)

        callers = [Thread(target=call) for _ in range(4)]
        for caller in callers:
            caller.start()
        with app.app_context():
            acts[act]()
        answered.set()
        while len(late) < 20:
            done.wait(0.01)
        done.set()
        for caller in callers:
            caller.join()
        assert set(late) <= {401, 403}


def test_a_disabled_key_is_refused_until_it_is_enabled(app: Flask, client: FlaskClient, account: Account) -> None:
    with app.app_context():
        key = make_key(account)
        switch = partial(
            set_key_disabled, organisation_id=account.organisation_id, key_id=key.row.id, actor=OPERATOR, at=now()
        )
        answers = [status(client, key)]
        switch(disabled=True)
        answers.append(status(client, key))
        rebuild()
        answers.append(status(client, key))
        switch(disabled=False)
        answers.append(status(client, key))
    assert answers == [200, 401, 401, 200]


def test_a_key_that_is_tied_to_networks_calls_from_there_alone_and_a_refusal_counts_nothing(
    app: Flask, client: FlaskClient, account: Account
) -> None:
    with app.app_context():
        key = make_key(account, addresses=("203.0.113.0/24", "2001:db8::/32"))
    for address, expected in (
        ("203.0.113.7", 200),
        ("::ffff:203.0.113.8", 200),
        ("2001:db8:1::1", 200),
        ("203.0.114.1", 403),
        ("2001:db9::", 403),
        ("127.0.0.1", 403),
        ("", 403),
    ):
        assert status(client, key, address) == expected, address
    with app.app_context():
        assert flush(at=now()).calls == 3
        change(key, addresses=())
    assert status(client, key) == 200


def test_while_redis_is_away_addresses_and_disabling_hold(app: Flask, client: FlaskClient, account: Account) -> None:
    with app.app_context():
        tied, off = make_key(account, addresses=("203.0.113.0/24",)), make_key(account)
        set_key_disabled(
            organisation_id=account.organisation_id, key_id=off.row.id, disabled=True, actor=OPERATOR, at=now()
        )
    store.connect("unix:///nowhere/valkey.sock")
    assert [status(client, tied), status(client, tied, "203.0.113.1"), status(client, off)] == [403, 200, 401]


def test_a_key_s_own_limits_hold_beside_those_of_every_key(app: Flask, client: FlaskClient, account: Account) -> None:
    with app.app_context():
        key = make_key(account, rate_limits=(RateLimit(2, 60),))
    answers = [client.get(ME, headers=key.headers) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert '"own-60s";q=2;w=60' in answers[-1].headers["RateLimit-Policy"]
    assert '"key";q=600' in answers[-1].headers["RateLimit-Policy"]
    with app.app_context():
        change(key, rate_limits=())
    assert status(client, key) == 200


def test_a_change_is_met_by_the_next_call(app: Flask, client: FlaskClient, account: Account) -> None:
    with app.app_context():
        key = make_key(account, scopes=("jobs:read",))
        assert client.get(f"{API}/jobs", headers=key.headers).status_code == 200
        change(key, name="renamed", scopes=("usage:read",))
    assert client.get(f"{API}/jobs", headers=key.headers).status_code == 403
    assert body(client.get(ME, headers=key.headers))["name"] == "renamed"


def test_the_last_use_is_known_by_operation_and_address(app: Flask, client: FlaskClient, account: Account) -> None:
    with app.app_context():
        key = make_key(account)
        assert get_last_use(key.row.id) is None
        status(client, key, "203.0.113.7")
        client.get(f"{API}/templates", headers=key.headers, environ_overrides={"REMOTE_ADDR": "2001:db8::1"})
        flush(at=now())
        found = get_last_use(key.row.id)
    assert found is not None
    assert (found.operation, found.address) == ("read_templates", "2001:db8::1")
