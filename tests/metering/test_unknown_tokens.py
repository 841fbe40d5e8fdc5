"""Tokens that nobody has: one network has SQL asked of a bounded number, and keeps nobody's key out with them."""

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.factories import API, Key, body
from tests.metering.steps import counted_statements
from webapp.core import redis_names as names
from webapp.core.db import db
from webapp.core.key_tokens import KeyToken, new_shard_tag, new_token, parse_token
from webapp.core.redis import store
from webapp.metering import unknown_tokens

MAX_UNKNOWN = 3
HERE, ELSEWHERE = "203.0.113.7", "203.0.113.8"


@pytest.fixture(autouse=True)
def few_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have room for few, so that a test need not send many."""
    monkeypatch.setattr(unknown_tokens, "MAX_UNKNOWN", MAX_UNKNOWN)


def read(raw: str) -> KeyToken:
    token = parse_token(raw)
    assert token is not None
    return token


def send(client: FlaskClient, raw: str, *, address: str = HERE) -> TestResponse:
    environ = {"REMOTE_ADDR": address}
    return client.get(f"{API}/me", headers={"Authorization": f"Bearer {raw}"}, environ_overrides=environ)


def guess(client: FlaskClient, *, shard_tag: str = "", address: str = HERE) -> int:
    """Send a token that nobody has, and give the answer's status."""
    return send(client, new_token(shard_tag or new_shard_tag()), address=address).status_code


def forget(key: Key) -> None:
    """Have Redis forget a key."""
    token = read(key.raw)
    assert store.client.delete(names.key_record(token.shard_tag, token.digest))


def fill(client: FlaskClient, **where: str) -> None:
    """Send as many as are looked up."""
    assert [guess(client, **where) for _ in range(MAX_UNKNOWN + 2)] == [401] * MAX_UNKNOWN + [429, 429]


def test_beyond_so_many_in_a_minute_none_is_looked_up(app: Flask, client: FlaskClient) -> None:
    fill(client)
    raw = new_token(new_shard_tag())
    with counted_statements(app) as statements:
        refused = send(client, raw)
    assert statements == []
    error = body(refused)["error"]
    assert (error["code"], error["target"]) == ("too_many_unknown_keys", "Authorization")
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    token = read(raw)
    # Nothing was said of it: its holder may send it again.
    assert not store.client.exists(names.key_record(token.shard_tag, token.digest))
    assert send(client, raw, address=ELSEWHERE).status_code == 401


def test_a_key_that_redis_knows_goes_on(client: FlaskClient, key: Key) -> None:
    assert send(client, key.raw).status_code == 200
    fill(client)
    assert send(client, key.raw).status_code == 200


def test_a_key_that_redis_forgot_is_found_where_its_account_is_known(client: FlaskClient, key: Key) -> None:
    assert send(client, key.raw).status_code == 200
    fill(client)
    for _ in range(MAX_UNKNOWN + 1):
        forget(key)
        assert send(client, key.raw).status_code == 200


def test_who_knows_an_accounts_shard_tag_is_bounded_as_well(client: FlaskClient, key: Key) -> None:
    assert send(client, key.raw).status_code == 200
    fill(client)
    fill(client, shard_tag=read(key.raw).shard_tag)
    forget(key)
    assert send(client, key.raw).status_code == 429
    # What came from here takes no room of the account's elsewhere.
    fill(client, address=ELSEWHERE)
    assert send(client, key.raw, address=ELSEWHERE).status_code == 200


def test_a_key_of_an_account_that_redis_does_not_know_is_told_to_wait(client: FlaskClient, key: Key) -> None:
    fill(client)
    refused = send(client, key.raw)
    assert (refused.status_code, "Retry-After" in refused.headers) == (429, True)
    assert send(client, key.raw, address=ELSEWHERE).status_code == 200
    assert send(client, key.raw).status_code == 200


def test_keys_that_somebody_has_take_no_room(client: FlaskClient, key: Key) -> None:
    for _ in range(MAX_UNKNOWN + 1):
        assert send(client, key.raw).status_code == 200
        forget(key)
    fill(client)


def test_a_database_that_is_away_takes_no_room(app: Flask, client: FlaskClient) -> None:
    def fail(*_: object) -> None:
        raise sa.exc.OperationalError("SELECT 1", {}, Exception("gone"))

    with app.app_context():
        engine = db.engine
    sa.event.listen(engine, "before_cursor_execute", fail)
    try:
        assert {guess(client) for _ in range(MAX_UNKNOWN + 1)} == {503}
    finally:
        sa.event.remove(engine, "before_cursor_execute", fail)
    fill(client)


def test_a_token_that_is_sent_again_takes_no_more_room(client: FlaskClient) -> None:
    raw = new_token(new_shard_tag())
    assert {send(client, raw).status_code for _ in range(MAX_UNKNOWN + 2)} == {401}


def test_networks_of_ipv6_are_counted_as_one(client: FlaskClient) -> None:
    answers = [guess(client, address=f"2001:db8::{number}") for number in range(MAX_UNKNOWN + 1)]
    assert answers == [401] * MAX_UNKNOWN + [429]
    assert guess(client, address="2001:db8:0:1::1") == 401


def test_tokens_in_addresses_are_counted_too(client: FlaskClient, key: Key) -> None:
    for _ in range(MAX_UNKNOWN + 1):
        path = f"/docs?key={new_token(new_shard_tag())}"
        assert client.get(path, environ_overrides={"REMOTE_ADDR": HERE}).status_code == 400
    assert guess(client) == 429
    assert send(client, key.raw, address=ELSEWHERE).status_code == 200
