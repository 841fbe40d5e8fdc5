"""What waits to be flushed, and whether anybody flushes."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.factories import API, Key, make_account, make_key, now
from webapp.metering.backlog import Backlog, read_backlog
from webapp.metering.flush import flush, seal_all

ME = f"{API}/me"


@pytest.fixture
def environ() -> dict[str, str]:
    return {"CALL_PRICE_CREDITS": "0.0001"}


@pytest.fixture
def keys(app: Flask) -> list[Key]:
    """Keys of two accounts, which may or may not be of one group."""
    with app.app_context():
        return [make_key(make_account()), make_key(make_account())]


@pytest.mark.usefixtures("context")
def test_nothing_waits_in_an_empty_redis() -> None:
    assert read_backlog() == Backlog(0, 0, 0, 0, None, None)


def test_calls_wait_live_and_sealed_until_a_flush_moves_them(app: Flask, client: FlaskClient, keys: list[Key]) -> None:
    before = now()
    for key in keys:
        client.get(ME, headers=key.headers)
    with app.app_context():
        seal_all()
        sealed = read_backlog()
    for key in keys:
        client.get(ME, headers=key.headers)
    groups = len({key.raw[-12] for key in keys})
    with app.app_context():
        found = read_backlog()
        assert (sealed.live_batches, sealed.sealed_batches, sealed.calls) == (0, groups, 2)
        assert (found.live_batches, found.sealed_batches) == (groups, groups)
        assert (found.calls, found.microcredits) == (4, 400)
        assert found.oldest_at is not None
        assert found.oldest_at == sealed.oldest_at
        assert before.replace(microsecond=before.microsecond // 1000 * 1000) <= found.oldest_at <= now()
        assert found.last_flush_at is None
        flush(at=now())
        flushed = read_backlog()
        assert (flushed.calls, flushed.sealed_batches, flushed.oldest_at) == (0, 0, None)
        assert flushed.last_flush_at is not None
        assert flushed.last_flush_at >= before.replace(microsecond=0)
