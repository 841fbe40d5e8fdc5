"""What may become of a job: the one table of it, and the only code that changes a job's state."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, cast

from sqlalchemy import CursorResult, update
from sqlalchemy.orm import Session

from webapp.jobs.models import Job, JobStatus

TRANSITIONS: Final[Mapping[JobStatus, frozenset[JobStatus]]] = MappingProxyType(
    {
        JobStatus.QUEUED: frozenset({JobStatus.RUNNING, JobStatus.CANCELLED}),
        # Back to the queue when its worker died or was told to stop.
        JobStatus.RUNNING: frozenset({JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.QUEUED}),
        JobStatus.COMPLETED: frozenset(),
        JobStatus.FAILED: frozenset(),
        JobStatus.CANCELLED: frozenset(),
    }
)
OPEN: Final = tuple(status for status, targets in TRANSITIONS.items() if targets)


def list_sources(target: JobStatus) -> list[JobStatus]:
    """Give the states that a job can come from to this one."""
    return [source for source, targets in TRANSITIONS.items() if target in targets]


def move_job(
    session: Session,
    job_id: str,
    target: JobStatus,
    *,
    attempt: int | None = None,
    silent_since: datetime | None = None,
    values: Mapping[str, Any] = MappingProxyType({}),
) -> bool:
    """Move a stored job to another state and set these columns; False, and nothing is changed, where that cannot be.

    With an `attempt`, only while it is the job's: of all that would end a job, one does. With `silent_since`, only
    while its worker has not said since then that it lives.
    """
    statement = update(Job).where(Job.id == job_id, Job.status.in_(list_sources(target)))
    if attempt is not None:
        statement = statement.where(Job.attempt == attempt)
    if silent_since is not None:
        statement = statement.where(Job.heartbeat_at < silent_since)
    statement = statement.values(status=target, **values).execution_options(synchronize_session=False)
    return cast("CursorResult[Any]", session.execute(statement)).rowcount == 1


def move_new_job(job: Job, target: JobStatus, **values: object) -> None:
    """Move a job that runs inline, and is stored only when it has ended."""
    if target not in TRANSITIONS[JobStatus(job.status)]:
        raise ValueError(f"a job that is {job.status} cannot become {target}")
    job.status = target
    for name, value in values.items():
        setattr(job, name, value)
