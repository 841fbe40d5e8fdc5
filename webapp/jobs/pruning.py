"""Old results, deleted when they have been kept for long enough."""

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import delete, select, update

from webapp.core import clock
from webapp.core.db import db, transaction
from webapp.core.faults import fault
from webapp.jobs.models import Job, JobResult

# What one transaction deletes: other writers wait meanwhile on SQLite. One result may be larger, and then goes alone.
RESULTS_AT_A_TIME = 500
BYTES_AT_A_TIME = 16 * 1024 * 1024


def prune_results(*, before: datetime) -> int:
    """Delete the results of jobs that ended before this moment, and give how many there were; their rows stay.

    It may run twice, or die between transactions: the next run goes on.
    """
    return sum(map(delete_results, each_batch(before=before)))


def each_batch(*, before: datetime) -> Iterator[list[str]]:
    """Give the ids of the jobs whose results are old, oldest first, as many at a time as one transaction deletes."""
    has_old_result = (Job.completed_at < before) & Job.result_bytes.is_not(None)
    some = select(Job.id, Job.completed_at, Job.result_bytes).where(has_old_result)
    some = some.order_by(Job.completed_at, Job.id).limit(RESULTS_AT_A_TIME)
    # Only the first look passes over the jobs whose results were deleted by earlier runs, of which there are ever more.
    since = None
    while True:
        rows = db.session.execute(some if since is None else some.where(Job.completed_at >= since)).all()
        db.session.rollback()
        if not rows:
            return
        batch: list[str] = []
        size_bytes = 0
        for job_id, completed_at, result_bytes in rows:
            size_bytes += result_bytes or 0
            if batch and size_bytes > BYTES_AT_A_TIME:
                break
            batch.append(job_id)
            since = completed_at
        yield batch


def delete_results(job_ids: list[str]) -> int:
    """Delete the results of these jobs in one transaction, and give how many of them still had one."""
    still_there = Job.id.in_(job_ids) & Job.result_bytes.is_not(None)
    with transaction() as session:
        pruned = session.scalars(
            update(Job)
            .where(still_there)
            .values(result_bytes=None, result_deleted_at=clock.now())
            .returning(Job.id)
            .execution_options(synchronize_session=False)
        ).all()
        session.execute(delete(JobResult).where(JobResult.job_id.in_(pruned)))
        fault("prune_before_commit")
    return len(pruned)
