"""A worker of jobs: takes the job whose turn it is, runs it in an engine's process, and ends it; one at a time.

The table of jobs is the queue; a list in Redis only wakes workers that wait (docs/adr/0014).
"""

import logging
import signal
import time
from contextlib import suppress
from threading import Event

from flask import Flask

from config import Settings
from webapp import create_app
from webapp.core import clock
from webapp.core.db import AWAY, db
from webapp.core.errors import StoreAwayError, find_reason
from webapp.core.faults import fault
from webapp.core.redis import asking_redis, store
from webapp.core.redis_names import job_calls
from webapp.jobs.ending import Failure
from webapp.jobs.execution import write_order
from webapp.jobs.running import (
    Assignment,
    claim_job,
    complete_job,
    fail_job,
    is_assigned,
    renew_assignment,
    return_job,
)
from webapp.quantum.engines import RunResult
from worker.isolation import EngineProcess, Limits, StoppedError

# A worker looks for jobs at least this often, whether or not anybody calls. Redis has longer to answer a command.
IDLE_SECONDS = 1
HEARTBEAT_SECONDS = 5.0
RETRY_SECONDS = 1.0

log = logging.getLogger(__name__)


class JobWorker:
    """One worker, until it is told to stop."""

    def __init__(self, app: Flask, settings: Settings) -> None:
        self._app = app
        self._engine = EngineProcess(Limits(settings.job_timeout_seconds, settings.job_memory_bytes))
        self._stopping = Event()

    def serve(self) -> None:
        """Run jobs until told to stop; a job that runs at that moment goes back to the queue."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stopping.set())
        try:
            while not self._stopping.is_set():
                if not self._try_next():
                    self._wait_for_call()
        finally:
            self._engine.stop()

    def _try_next(self) -> bool:
        """Run the next job; False when there is none, or no store to ask for it."""
        with self._app.app_context():
            try:
                assignment = claim_job(at=clock.now())
                if assignment is None:
                    return False
                self._run(assignment)
            except (StoreAwayError, *AWAY) as error:
                log.warning("a store is away; jobs wait for it: %s", find_reason(error))
                return False
        return True

    def _wait_for_call(self) -> None:
        try:
            with asking_redis():
                store.client.blpop([job_calls()], timeout=IDLE_SECONDS)
        except StoreAwayError:
            self._stopping.wait(RETRY_SECONDS)

    def _run(self, assignment: Assignment) -> None:
        watch = Watch(assignment, self._stopping)
        try:
            outcome = self._engine.run(write_order(assignment.task, assignment.engines), look=watch.look)
        except StoppedError:
            if self._stopping.is_set():
                return_job(assignment)
            return
        except Exception:
            # Whatever it is, it is this job's: it must not take the worker with it, and then the next one.
            log.exception("job %s cannot be run", assignment.job.id)
            outcome = Failure.ENGINE_FAILED.error
        fault("job_before_result")
        self._end(assignment, outcome)

    def _end(self, assignment: Assignment, outcome: list[RunResult] | dict[str, str]) -> None:
        """Write down what came of the job, as often as it takes. Should that take too long, another has it by then."""
        while True:
            try:
                if isinstance(outcome, list):
                    complete_job(assignment, outcome, at=clock.now())
                else:
                    fail_job(assignment, outcome, at=clock.now())
            except (StoreAwayError, *AWAY) as error:
                log.warning("job %s has ended, and a store is away: %s", assignment.job.id, find_reason(error))
                if self._stopping.wait(RETRY_SECONDS):
                    return
            else:
                return


class Watch:
    """Looks after a job while its engine runs: says that the worker lives, and sees when the job is taken away."""

    def __init__(self, assignment: Assignment, stopping: Event) -> None:
        self._assignment = assignment
        self._stopping = stopping
        self._next_heartbeat = time.monotonic() + HEARTBEAT_SECONDS

    def look(self) -> bool:
        """Tell whether the run is still wanted."""
        if self._stopping.is_set():
            return False
        # While the database is away nobody can take the job away either.
        with suppress(StoreAwayError, *AWAY):
            if not is_assigned(self._assignment):
                return False
            if time.monotonic() >= self._next_heartbeat:
                renew_assignment(self._assignment, at=clock.now())
                self._next_heartbeat = time.monotonic() + HEARTBEAT_SECONDS
        return True


def serve_jobs(settings: Settings) -> None:
    """Run jobs until stopped."""
    app = create_app(settings)
    JobWorker(app, settings).serve()
    with app.app_context():
        db.engine.dispose()
