"""Requests that may be sent again: the first answer is saved with the job, and given to whoever repeats the request.

What counts is the row in SQL, whose primary key two answers cannot share: whoever finds it is answered from it,
whatever became of the process that wrote it. A note in Redis keeps a repeat from running beside the first: it is not
relied on, and is gone by itself should the process die.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, cast

from sqlalchemy import CursorResult, delete, update
from sqlalchemy.exc import IntegrityError

from webapp.core import redis_names as names
from webapp.core.db import AnyConnection, db, insert_rows, is_violation_of, transaction
from webapp.core.errors import StoreAwayError, UpcubeError
from webapp.core.redis import asking_redis, store
from webapp.jobs.models import Job, SavedAnswer

KEPT_FOR = timedelta(hours=24)
# A note older than this was left by a process that died, or by one that waits for a store: a repeat may run beside
# that one, and SQL lets one of the two through.
NOTE_SECONDS = 10


class IdempotencyConflictError(UpcubeError):
    """The Idempotency-Key belongs to another request."""

    status = 409
    code = "idempotency_conflict"


class StillAnsweringError(UpcubeError):
    """The same request is being answered at this moment."""

    status = 409
    code = "idempotency_in_progress"
    headers = MappingProxyType({"Retry-After": "1"})

    def __init__(self) -> None:
        super().__init__(
            "The same request is being answered at this moment. Send it again in a second.", target="Idempotency-Key"
        )


class AnsweredMeanwhileError(StillAnsweringError):
    """Another request with the same key was answered while this one ran; nothing of this one was stored."""


@dataclass(frozen=True)
class Repeatable:
    """A request's Idempotency-Key, the digest of what it asks for, and how its answer is written."""

    key: str
    digest: str
    write_answer: Callable[[Job], tuple[Mapping[str, Any], int]]


def find_answer(organisation_id: str, repeatable: Repeatable) -> SavedAnswer | None:
    """Give the answer that was saved under this key. Raises IdempotencyConflictError where it is another request's."""
    saved = db.session.get(SavedAnswer, (organisation_id, repeatable.key), populate_existing=True)
    if saved is not None and saved.digest != repeatable.digest:
        raise IdempotencyConflictError(
            "This Idempotency-Key was sent before with a body that asks for something else. "
            "Use a new key for a new request.",
            target="Idempotency-Key",
        )
    return saved


def save_answer(connection: AnyConnection, job: Job, repeatable: Repeatable, *, at: datetime) -> None:
    """Save the answer in the transaction that stores the job. Raises AnsweredMeanwhileError."""
    body, status = repeatable.write_answer(job)
    answer = {
        "organisation_id": job.organisation_id,
        "key": repeatable.key,
        "digest": repeatable.digest,
        "job_id": job.id,
        "status": status,
        "body": dict(body),
        "created_at": at,
    }
    try:
        insert_rows(connection, SavedAnswer, [answer])
    except IntegrityError as error:
        if is_violation_of(error, "saved_answers"):
            raise AnsweredMeanwhileError from error
        raise


def replace_answer(job: Job, key: str, *, body: Mapping[str, Any], status: int) -> None:
    """Save what was answered in the end, after a wait, in place of what would have been answered at once.

    Where the database is away, a repeat is told what would have been: that the job is queued, and where to read it.
    """
    with suppress(StoreAwayError), transaction() as session:
        session.execute(
            update(SavedAnswer)
            .where(SavedAnswer.organisation_id == job.organisation_id, SavedAnswer.key == key)
            .where(SavedAnswer.job_id == job.id)
            .values(status=status, body=dict(body))
        )


@contextmanager
def answering(shard_tag: str, organisation_id: str, repeatable: Repeatable) -> Iterator[None]:
    """Keep repeats of this request from running beside it. Raises StillAnsweringError or StoreAwayError."""
    name = names.unanswered_request(shard_tag, organisation_id, repeatable.key)
    with asking_redis():
        is_first = store.client.set(name, "", nx=True, ex=NOTE_SECONDS)
    if not is_first:
        raise StillAnsweringError
    try:
        yield
    finally:
        # Where Redis does not answer, the note goes by itself.
        with suppress(StoreAwayError), asking_redis():
            store.client.delete(name)


def prune_answers(*, at: datetime) -> int:
    """Forget the answers that are too old to be asked for again, and give how many there were."""
    with transaction() as session:
        result = session.execute(delete(SavedAnswer).where(SavedAnswer.created_at < at - KEPT_FOR))
        return cast("CursorResult[Any]", result).rowcount
