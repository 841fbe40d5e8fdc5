"""What becomes of a job that a worker has, as its owner would see it."""

from flask import Flask

from tests.live import wait_until
from webapp.core.db import db
from webapp.jobs.models import Job


def read_job(app: Flask, job_id: str) -> Job:
    """Read a job as it is now."""
    with app.app_context():
        return db.session.get_one(Job, job_id)


def wait_for_status(app: Flask, job_id: str, *statuses: str) -> Job:
    """Wait until a job has one of these statuses."""
    wait_until(lambda: read_job(app, job_id).status in statuses)
    return read_job(app, job_id)


def wait_for_end(app: Flask, job_id: str) -> Job:
    """Wait until a job has ended, in whichever way."""
    return wait_for_status(app, job_id, "completed", "failed", "cancelled")
