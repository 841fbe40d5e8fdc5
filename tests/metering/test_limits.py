"""Rate limits: of keys and of accounts, one or several, told on every answer."""

from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient

from config import RateLimit, Settings
from tests.factories import API, Key, body, make_account, make_key
from webapp import create_app
from webapp.core import redis_names as names
from webapp.core.key_tokens import parse_token
from webapp.core.redis import store

ME = f"{API}/me"


class TestRateLimit:
    """A key may call three times in an hour."""

    @pytest.fixture
    def environ(self) -> dict[str, str]:
        return {"KEY_RATE_LIMITS": "3/3600", "ACCOUNT_RATE_LIMITS": "5/3600"}

    def test_says_what_remains_and_refuses_what_is_too_much(self, client: FlaskClient, key: Key) -> None:
        remaining = []
        for _ in range(3):
            answer = client.get(ME, headers=key.headers)
            assert answer.headers["RateLimit-Policy"] == '"key";q=3;w=3600, "account";q=5;w=3600'
            remaining.append(answer.headers["RateLimit"].split(";")[1])
        assert remaining == ["r=2", "r=1", "r=0"]
        refused = client.get(ME, headers=key.headers)
        assert (refused.status_code, body(refused)["error"]["code"]) == (429, "rate_limited")
        # A third of an hour refills one call; up to a few seconds of it have passed.
        assert 1190 <= int(refused.headers["Retry-After"]) <= 1200
        assert refused.headers["RateLimit"].startswith('"key";r=0;t=3')

    def test_a_refused_call_consumes_nothing(self, client: FlaskClient, key: Key) -> None:
        answers = [client.get(ME, headers=key.headers) for _ in range(20)]
        assert [answer.status_code for answer in answers].count(200) == 3
        # The account's limit was not touched by the 17 refusals.
        assert '"account";r=2' in answers[-1].headers["RateLimit"]

    def test_the_account_bounds_all_its_keys_together(self, app: Flask, client: FlaskClient) -> None:
        with app.app_context():
            account = make_account()
            keys = [make_key(account, name=str(number)) for number in range(2)]
        statuses = [client.get(ME, headers=key.headers).status_code for key in keys for _ in range(3)]
        assert statuses == [200, 200, 200, 200, 200, 429]

    def test_a_clock_that_was_set_back_does_not_lock_a_key_out(self, client: FlaskClient, key: Key) -> None:
        client.get(ME, headers=key.headers)
        token = parse_token(key.raw)
        assert token is not None
        far_ahead = 4_000_000_000_000_000
        store.client.hset(names.account_record(token.shard_tag), f"t:{key.row.id}:key", str(far_ahead))
        assert client.get(ME, headers=key.headers).status_code == 200


class TestSeveralRateLimits:
    """A key may call twice in ten seconds and three times in an hour."""

    @pytest.fixture
    def environ(self) -> dict[str, str]:
        return {"KEY_RATE_LIMITS": "burst=2/10, hour=3/3600"}

    def test_all_of_them_are_told_and_each_refuses(self, client: FlaskClient, key: Key) -> None:
        answers = [client.get(ME, headers=key.headers) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        policies = '"key-burst";q=2;w=10, "key-hour";q=3;w=3600, "account";q=1200;w=60'
        assert {answer.headers["RateLimit-Policy"] for answer in answers} == {policies}
        # The call that the burst refused did not count for the hour.
        assert '"key-burst";r=0' in answers[2].headers["RateLimit"]
        assert '"key-hour";r=1' in answers[2].headers["RateLimit"]
        assert 1 <= int(answers[2].headers["Retry-After"]) <= 5

    def test_a_shorter_window_does_not_lock_a_busy_key_out(
        self, settings: Settings, client: FlaskClient, key: Key
    ) -> None:
        for _ in range(2):
            client.get(ME, headers=key.headers)
        changed = create_app(replace(settings, key_rate_limits=(RateLimit("hour", 3, 60),)))
        assert changed.test_client().get(ME, headers=key.headers).status_code == 200

    def test_a_changed_setting_holds_for_keys_that_redis_knows(
        self, settings: Settings, client: FlaskClient, key: Key
    ) -> None:
        assert client.get(ME, headers=key.headers).status_code == 200
        changed = create_app(replace(settings, key_rate_limits=(RateLimit("", 7, 60),)))
        answer = changed.test_client().get(ME, headers=key.headers)
        assert answer.headers["RateLimit-Policy"].startswith('"key";q=7;w=60, ')
