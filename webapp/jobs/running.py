"""What workers do with jobs: take the next, say that they live, end it; and what becomes of a dead worker's jobs."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, update

from webapp.core.db import db, transaction
from webapp.core.faults import fault
from webapp.jobs.ending import Failure, StoredJob, end_stored_job, identify
from webapp.jobs.models import IS_OPEN, Job, JobStatus
from webapp.jobs.results import write_outcome
from webapp.jobs.states import move_job
from webapp.jobs.tasks import Task, task_of
from webapp.jobs.turns import call_workers, count_jobs, list_turns, record_turn
from webapp.ledger.operations import OverdraftError
from webapp.metering.reconcile import reconcile_account
from webapp.quantum.engines import RunResult

# A worker that has not said for so long that it lives is dead, and its job is another's.
LEASE = timedelta(seconds=30)
# A job whose worker dies this often is more likely the reason than the victim.
MAX_LOSSES = 3
MAX_TRIES = 3

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Assignment:
    """A job that this worker runs, for as long as `attempt` is the job's; and what it takes to run it.

    `engines` has one for each circuit.
    """

    job: StoredJob
    attempt: int
    task: Task
    engines: tuple[str, ...]


def claim_job(*, at: datetime) -> Assignment | None:
    """Take the job whose turn it is, or give None when none is queued. Raises StoreAwayError."""
    if not count_jobs(JobStatus.QUEUED):
        db.session.rollback()
        return None
    for _ in range(MAX_TRIES):
        with transaction() as session:
            turns = list_turns(session)
            if not turns:
                return None
            job_id = turns[0].first_job_id
            values = {"attempt": Job.attempt + 1, "started_at": at, "heartbeat_at": at}
            has_moved = move_job(session, job_id, JobStatus.RUNNING, values=values)
            if has_moved:
                record_turn(session, turns[0].organisation_id, at=at)
                job = session.get_one(Job, job_id, populate_existing=True)
        if has_moved:
            fault("job_after_claim")
            engines = tuple(job.engines or [job.engine])
            return Assignment(job=identify(job), attempt=job.attempt, task=task_of(job), engines=engines)
    return None


def is_assigned(assignment: Assignment) -> bool:
    """Tell whether the job is still this worker's: neither cancelled nor given to another."""
    db.session.rollback()
    found = db.session.execute(select(Job.status, Job.attempt).where(Job.id == assignment.job.id)).one()
    db.session.rollback()
    return (found.status, found.attempt) == (JobStatus.RUNNING, assignment.attempt)


def renew_assignment(assignment: Assignment, *, at: datetime) -> None:
    """Say that the worker lives."""
    with transaction() as session:
        session.execute(
            update(Job)
            .where(Job.id == assignment.job.id, Job.status == JobStatus.RUNNING, Job.attempt == assignment.attempt)
            .values(heartbeat_at=at)
        )


def complete_job(assignment: Assignment, results: Sequence[RunResult], *, at: datetime) -> bool:
    """Store the results and charge for them; False when the job is no longer this worker's. Raises StoreAwayError."""
    job = assignment.job
    try:
        return end_stored_job(
            job,
            JobStatus.COMPLETED,
            attempt=assignment.attempt,
            charged_microcredits=job.held_microcredits,
            outcome=write_outcome(assignment.task, results),
            at=at,
        )
    except OverdraftError:
        # Redis allowed what SQL does not have: it must learn better before it allows the next.
        log.exception("job %s cannot be paid", job.id)
        has_failed = fail_job(assignment, Failure.INSUFFICIENT_CREDITS.error, at=at)
        reconcile_account(shard_tag=job.shard_tag)
        return has_failed


def fail_job(assignment: Assignment, error: Mapping[str, str], *, at: datetime) -> bool:
    """End the job without a result and without a charge; False when it is no longer this worker's."""
    return end_stored_job(
        assignment.job, JobStatus.FAILED, attempt=assignment.attempt, values={"error": dict(error)}, at=at
    )


def return_job(assignment: Assignment) -> bool:
    """Put the job back into the queue, as its worker must stop; False when it is no longer this worker's."""
    with transaction() as session:
        has_moved = move_job(
            session, assignment.job.id, JobStatus.QUEUED, attempt=assignment.attempt, values={"started_at": None}
        )
    if has_moved:
        call_workers()
    return has_moved


@dataclass(frozen=True)
class RecoveryReport:
    """How many jobs of dead workers went back to the queue, and how many were given up."""

    returned: int
    failed: int


@dataclass(frozen=True)
class LostJob:
    """A job whose worker was silent for too long when this was read, and the attempt that was that worker's."""

    job: StoredJob
    attempt: int
    losses: int


def recover_jobs(*, at: datetime) -> RecoveryReport:
    """Give dead workers' jobs to others, and see to it that every queued job is known to a worker."""
    returned = failed = 0
    for lost in list_lost_jobs(at=at):
        if lost.losses + 1 >= MAX_LOSSES:
            failed += give_up_job(lost, at=at)
        else:
            returned += requeue_job(lost, at=at)
    queued = count_jobs(JobStatus.QUEUED)
    if queued:
        call_workers(queued)
    return RecoveryReport(returned=returned, failed=failed)


def give_up_job(lost: LostJob, *, at: datetime) -> bool:
    """Fail a job that has lost its worker too often; False where its worker lives after all."""
    return end_stored_job(
        lost.job,
        JobStatus.FAILED,
        attempt=lost.attempt,
        silent_since=at - LEASE,
        values={"losses": lost.losses + 1, "error": Failure.WORKER_LOST.error},
        at=at,
    )


def requeue_job(lost: LostJob, *, at: datetime) -> bool:
    """Put the job of a dead worker back into the queue; False where its worker lives after all."""
    with transaction() as session:
        return move_job(
            session,
            lost.job.id,
            JobStatus.QUEUED,
            attempt=lost.attempt,
            silent_since=at - LEASE,
            values={"losses": lost.losses + 1, "started_at": None},
        )


def list_lost_jobs(*, at: datetime) -> list[LostJob]:
    """Give the jobs whose worker has not said for too long that it lives.

    Each is a copy: a row of the session would be read again after the next transaction, and then tell of a worker that
    has the job by now.
    """
    db.session.rollback()
    statement = select(Job).where(IS_OPEN, Job.status == JobStatus.RUNNING, Job.heartbeat_at < at - LEASE)
    return [LostJob(identify(job), job.attempt, job.losses) for job in db.session.scalars(statement).all()]
