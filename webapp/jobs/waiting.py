"""Waiting for a job to end, which takes a thread of the web process: so only a few requests may at one time."""

import threading
import time

from sqlalchemy import select

from webapp.core.db import db
from webapp.jobs.models import Job
from webapp.jobs.queries import get_job
from webapp.jobs.states import OPEN

# Of the web process's 20 threads (see Procfile): with those of large results and large programs, two are always free.
MAX_WAITING = 8
FIRST_PAUSE_SECONDS = 0.01
MAX_PAUSE_SECONDS = 0.2
MAX_WAIT_SECONDS = 60

places = threading.BoundedSemaphore(MAX_WAITING)


def wait_for_job(job: Job, *, seconds: float) -> Job:
    """Give the job when it has ended, or as it is when the time is over, or at once where too many wait already."""
    if job.status not in OPEN or not places.acquire(blocking=False):
        return job
    try:
        wait_for_end(job.id, seconds=seconds)
    finally:
        places.release()
    return get_job(organisation_id=job.organisation_id, job_id=job.id, is_fresh=True)


def wait_for_end(job_id: str, *, seconds: float) -> None:
    """Look again and again, ever less often, keeping no connection to the database in between."""
    deadline = time.monotonic() + seconds
    pause = FIRST_PAUSE_SECONDS
    while (left := deadline - time.monotonic()) > 0:
        status = db.session.scalar(select(Job.status).where(Job.id == job_id))
        db.session.rollback()
        if status not in OPEN:
            return
        time.sleep(min(pause, left))
        pause = min(pause * 1.5, MAX_PAUSE_SECONDS)
