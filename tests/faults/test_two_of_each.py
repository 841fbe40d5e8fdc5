"""Two clocks and two workers on one queue: what is run twice is done once."""

import pytest
from flask import Flask
from redis import Redis
from rq.cron import CronScheduler
from rq.worker import Worker

from config import Settings
from tests import stores
from tests.factories import API, Key, hold_credits, make_holds_overdue, post_bell
from tests.faults.service import LOADED, count_exactly
from tests.live import wait_until, worker_process
from webapp.core.db import db
from webapp.metering.models import FlushBatch
from webapp.metering.reconcile import peek_account

# The database that several processes can write to at once.
pytestmark = pytest.mark.parametrize("database_url", stores.DATABASES[-1:], indirect=True)


@pytest.fixture
def environ() -> dict[str, str]:
    return LOADED | {"FLUSH_INTERVAL_SECONDS": "1"}


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
    assert count_exactly(app, key) == (calls + jobs, jobs)


def count_batches(app: Flask) -> int:
    """Give how many batches the workers have applied."""
    with app.app_context():
        return db.session.query(FlushBatch).count()
