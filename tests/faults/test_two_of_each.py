"""Two clocks and two workers on one queue: what is run twice is done once."""

import pytest
from flask import Flask
from redis import Redis
from rq.cron import CronScheduler
from rq.worker import Worker

from config import Settings
from tests import stores
from tests.factories import API, Key, count_jobs, make_account, make_holds_overdue, make_key, now, post_bell
from tests.live import wait_until, worker_process
from webapp.core.db import db
from webapp.metering.credits import get_credits
from webapp.metering.flush import flush
from webapp.metering.holds import hold_credits
from webapp.metering.models import FlushBatch
from webapp.metering.queries import list_keys_with_usage
from webapp.metering.reconcile import peek_account
from webapp.metering.verify import verify

CALL_MICROCREDITS = 100
BELL_MICROCREDITS = 1_101

# The database that several processes can write to at once.
pytestmark = pytest.mark.parametrize("database_url", stores.DATABASES[-1:], indirect=True)


@pytest.fixture
def environ() -> dict[str, str]:
    limits = "1000000/1"
    return {
        "CALL_PRICE_CREDITS": "0.0001",
        "KEY_RATE_LIMITS": limits,
        "ACCOUNT_RATE_LIMITS": limits,
        "FLUSH_INTERVAL_SECONDS": "1",
    }


@pytest.fixture
def key(app: Flask) -> Key:
    with app.app_context():
        return make_key(make_account(microcredits=100_000_000))


def test_two_clocks_and_two_workers_do_everything_once(
    settings: Settings, app: Flask, key: Key, environ: dict[str, str]
) -> None:
    tag = key.raw[-12:-6]
    with app.app_context():
        hold_credits(shard_tag=tag, hold_id="lost", microcredits=75, max_holds=16)
        make_holds_overdue()
    with (
        Redis.from_url(settings.queue_redis_url) as queue,
        worker_process(settings, "work", **environ),
        worker_process(settings, "work", **environ),
        worker_process(settings, "clock", **environ),
        worker_process(settings, "clock", **environ),
    ):
        wait_until(lambda: (len(Worker.all(queue)), len(CronScheduler.all(queue))) == (2, 2))
        client = app.test_client()
        calls = jobs = 0
        while count_batches(app) < 4:
            calls += client.get(f"{API}/me", headers=key.headers).status_code == 200
            jobs += post_bell(client, key).status_code == 201
        wait_until(lambda: not peek_account(tag).holds)
    with app.app_context():
        flush(at=now())
        assert verify() == []
        [usage] = list_keys_with_usage(key.row.organisation_id)
        found = get_credits(key.row.organisation_id)
        assert (usage.calls, count_jobs(key.row.organisation_id)) == (calls + jobs, jobs)
        assert found.spent == (calls + jobs) * CALL_MICROCREDITS + jobs * BELL_MICROCREDITS
        assert (found.held, found.unflushed) == (0, 0)


def count_batches(app: Flask) -> int:
    """Give how many batches the workers have applied."""
    with app.app_context():
        return db.session.query(FlushBatch).count()
