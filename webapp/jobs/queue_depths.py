"""How many jobs wait for each backend, counted beside the requests that ask: none of them runs SQL for it."""

import contextvars
import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from sqlalchemy import Engine, func, select
from sqlalchemy.exc import SQLAlchemyError

from webapp.core.db import db
from webapp.jobs.models import IS_OPEN, Job, JobStatus

# A figure that is older is counted again, in the background.
FRESH_SECONDS = 1.0
# One that is older than this is not given any more: who asks then waits for the count, though not for long.
KNOWN_SECONDS = 5.0
PATIENCE_SECONDS = 0.5

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Figure:
    """What was counted, None where the database did not say, and when, by the monotonic clock."""

    depths: Mapping[str, int] | None
    counted_at: float


class QueueDepths:
    """The latest count of one database's queue."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._latest = Figure(None, -KNOWN_SECONDS)
        # Since when a thread has been counting; None while none does.
        self._counting_since: float | None = None

    def read(self, engine: Engine) -> Mapping[str, int] | None:
        """Give how many jobs are queued by backend, as they were in the last seconds; None where that is not known."""
        with self._changed:
            if self._age() > FRESH_SECONDS and self._counting_since is None:
                self._start(engine)
            while self._age() > KNOWN_SECONDS and (patience := self._patience()) > 0:
                self._changed.wait(patience)
            return self._latest.depths if self._age() <= KNOWN_SECONDS else None

    def _age(self) -> float:
        return time.monotonic() - self._latest.counted_at

    def _patience(self) -> float:
        """Give how much longer the count that runs is worth waiting for."""
        if self._counting_since is None:
            return 0
        return self._counting_since + PATIENCE_SECONDS - time.monotonic()

    def _start(self, engine: Engine) -> None:
        # In the request's context, so that a connection that this opens has the limits of a request's.
        context = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=(self._count, engine), name="queue depths", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            log.warning("the queue cannot be counted: %s", error)
        else:
            self._counting_since = time.monotonic()

    def _count(self, engine: Engine) -> None:
        depths = None
        try:
            depths = count_queued(engine)
        except SQLAlchemyError as error:
            log.warning("the queue cannot be counted: %s", type(error).__name__)
        finally:
            with self._changed:
                self._latest = Figure(depths, time.monotonic())
                self._counting_since = None
                self._changed.notify_all()


def count_queued(engine: Engine) -> Mapping[str, int]:
    """Count the queued jobs of all accounts by their backend. It has a connection of its own, and no session."""
    statement = select(Job.backend, func.count()).where(IS_OPEN, Job.status == JobStatus.QUEUED).group_by(Job.backend)
    with engine.connect() as connection:
        return dict(connection.execute(statement).all())


_by_engine: WeakKeyDictionary[Engine, QueueDepths] = WeakKeyDictionary()


def read_queue_depths() -> Mapping[str, int] | None:
    """Give how many jobs are queued by backend, a few seconds old at most; None where that is not known."""
    return _by_engine.setdefault(db.engine, QueueDepths()).read(db.engine)
