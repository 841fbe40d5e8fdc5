"""The bare application with its work handed to RQ: the view enqueues it, waits for the result and inserts one row."""

from typing import Any

from flask import request
from redis import Redis
from rq import Queue

from bench.apps.bare_job import app, insert_job
from bench.apps.bell import QUEUE_NAME, run_bell
from config import load_settings

WAIT_SECONDS = 10

queue = Queue(QUEUE_NAME, connection=Redis.from_url(load_settings().redis_url))


@app.post("/queued")
def create_queued_job() -> tuple[dict[str, Any], int]:
    """Have a worker run it, store it, and answer."""
    body = request.get_json()
    job = queue.enqueue(run_bell, body["shots"])
    result = job.latest_result(timeout=WAIT_SECONDS)
    if result is None or result.return_value is None:
        raise RuntimeError("RQ's job failed")
    return insert_job(body, result.return_value)
