"""The queue of the workers, which is the table of jobs: whose turn it is, who is told, and how long it takes.

Accounts take turns: first the one with the fewest jobs running, then the one that has waited longest since its last
turn. Within an account, the oldest job is first. So an account that sends a thousand jobs delays another's by one.
"""

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from webapp.core.db import db, insert_for
from webapp.core.errors import StoreAwayError
from webapp.core.money import MICROCREDITS_PER_CREDIT
from webapp.core.redis import asking_redis, store
from webapp.core.redis_names import job_calls
from webapp.jobs.models import IS_OPEN, Job, JobStatus, JobTurn

# Workers that are told of jobs that others have taken look once in vain for each: no more than these.
MAX_CALLS = 64
LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Turn:
    """An account that waits for its turn: its first job, how many it has queued, and what they take in all."""

    organisation_id: str
    first_job_id: str
    queued: int
    running: int
    queued_microcredits: int
    served_at: datetime


@dataclass(frozen=True)
class QueuePlace:
    """Where a queued job stands, 1 being the next to start, and when its turn may come."""

    position: int
    estimated_start_at: datetime


def list_turns(session: Session) -> list[Turn]:
    """Give the accounts that have jobs queued, in the order of their turns."""
    is_queued = Job.status == JobStatus.QUEUED
    counted = (
        select(
            Job.organisation_id,
            func.min(case((is_queued, Job.id))).label("first_job_id"),
            func.sum(case((is_queued, 1), else_=0)).label("queued"),
            func.sum(case((is_queued, 0), else_=1)).label("running"),
            func.sum(case((is_queued, Job.estimated_microcredits), else_=0)).label("queued_microcredits"),
        )
        .where(IS_OPEN)
        .group_by(Job.organisation_id)
        .subquery()
    )
    rows = session.execute(
        select(counted, JobTurn.served_at)
        .outerjoin(JobTurn, JobTurn.organisation_id == counted.c.organisation_id)
        .where(counted.c.queued > 0)
    )
    turns = [
        Turn(organisation_id, first, int(queued), int(running), int(microcredits), served_at or LONG_AGO)
        for organisation_id, first, queued, running, microcredits, served_at in rows
    ]
    return sorted(turns, key=lambda turn: (turn.running, turn.served_at, turn.first_job_id))


def record_turn(session: Session, organisation_id: str, *, at: datetime) -> None:
    """Put the account behind all others."""
    insert = insert_for(session.connection().dialect.name)(JobTurn.__table__)
    session.execute(
        insert.values(organisation_id=organisation_id, served_at=at).on_conflict_do_update(
            index_elements=["organisation_id"], set_={"served_at": at}
        )
    )


def count_jobs(status: JobStatus) -> int:
    """Give how many jobs of all accounts are queued, or running."""
    statement = select(func.count()).select_from(Job).where(IS_OPEN, Job.status == status)
    return db.session.scalar(statement) or 0


def find_place(job: Job, *, workers: int, at: datetime) -> QueuePlace | None:
    """Say where a queued job stands; None for any other."""
    turns = list_turns(db.session())
    order = [turn.organisation_id for turn in turns]
    if job.status != JobStatus.QUEUED or job.organisation_id not in order:
        return None
    own = order.index(job.organisation_id)
    older = (
        select(func.count())
        .select_from(Job)
        .where(IS_OPEN, Job.organisation_id == job.organisation_id, Job.status == JobStatus.QUEUED, Job.id < job.id)
    )
    rounds = db.session.scalar(older) or 0
    # Before this one: the account's own older jobs, and of each other account one for each round, and one more where
    # its turn comes first.
    ahead = rounds + sum(min(turn.queued, rounds + (index < own)) for index, turn in enumerate(turns) if index != own)
    seconds = estimate_seconds(turns, ahead=ahead, workers=workers)
    return QueuePlace(position=ahead + 1, estimated_start_at=at + timedelta(seconds=seconds))


def estimate_seconds(turns: list[Turn], *, ahead: int, workers: int) -> float:
    """Estimate how long so many jobs take from the prices of the queued ones, one credit being one core-second."""
    queued = sum(turn.queued for turn in turns)
    mean_seconds = sum(turn.queued_microcredits for turn in turns) / queued / MICROCREDITS_PER_CREDIT
    # What runs is half done, on average.
    return mean_seconds * (ahead + count_jobs(JobStatus.RUNNING) / 2) / workers


def call_workers(count: int = 1) -> None:
    """Tell idle workers that jobs are queued. Where Redis does not hear it, they look by themselves soon."""
    with suppress(StoreAwayError), asking_redis():
        pipeline = store.client.pipeline(transaction=False)
        pipeline.rpush(job_calls(), *[""] * min(count, MAX_CALLS))
        pipeline.ltrim(job_calls(), 0, MAX_CALLS - 1)
        pipeline.execute()
