"""What is known of jobs."""

from datetime import datetime

from sqlalchemy import Text, cast, func, literal, select
from sqlalchemy.orm import defer

from webapp.core.db import db
from webapp.core.errors import NotFoundError
from webapp.core.pages import Page, read_page
from webapp.jobs.models import Job, JobStatus, JobTag
from webapp.metering.queries import GroupedUsage

PROGRAMS = (Job.circuit, Job.circuits)
# What else its sender has written of a job, and how many characters of JSON that is.
SETTINGS = (Job.parameters, Job.options, Job.tags, Job.notes)
SETTINGS_SIZE = sum((func.coalesce(func.length(cast(column, Text)), 0) for column in SETTINGS), start=literal(0))


def get_job(*, organisation_id: str, job_id: str, is_fresh: bool = False) -> Job:
    """Give one of the organisation's jobs, read again where it must be fresh.

    Its programs, which may be large, are read when they are asked for. Raises NotFoundError, for somebody else's too.
    """
    later = [defer(column) for column in PROGRAMS]
    statement = select(Job).where(Job.id == job_id, Job.organisation_id == organisation_id).options(*later)
    if is_fresh:
        # Out of the transaction, whose view of the database is as old as its first statement.
        db.session.rollback()
        statement = statement.execution_options(populate_existing=True)
    job = db.session.scalar(statement)
    if job is None:
        raise NotFoundError("This account has no such job.", target="jobId")
    return job


def list_jobs(
    *,
    organisation_id: str,
    limit: int,
    cursor: str | None = None,
    status: str | None = None,
    backend: str | None = None,
    key_id: str | None = None,
    tag: str | None = None,
) -> Page[Job]:
    """Give the organisation's jobs, newest first: those before the cursor, with this status, backend, key and tag.

    Their programs, which may be large, are not read and cannot be asked for. Of jobs whose parameters and options are
    long, a page has fewer than its limit.
    """
    without_programs = [defer(column, raiseload=True) for column in PROGRAMS]
    statement = select(Job).where(Job.organisation_id == organisation_id).options(*without_programs)
    if status:
        statement = statement.where(Job.status == status)
    if backend:
        statement = statement.where(Job.backend == backend)
    if key_id:
        statement = statement.where(Job.key_id == key_id)
    if tag is None:
        return read_page(statement, Job.id, limit=limit, cursor=cursor, size=SETTINGS_SIZE)
    # In the order of the tags' own index, so that a page is read without sorting all that have the tag.
    statement = statement.join(JobTag, JobTag.job_id == Job.id)
    statement = statement.where(JobTag.organisation_id == organisation_id, JobTag.tag == tag)
    return read_page(statement, JobTag.job_id, limit=limit, cursor=cursor, size=SETTINGS_SIZE)


def list_usage_by_backend(organisation_id: str, *, since: datetime, until: datetime) -> list[GroupedUsage]:
    """Give how many jobs of the organisation ended on each backend in this time, and what they were charged."""
    statement = (
        select(Job.backend, func.count(), func.sum(Job.charged_microcredits))
        .where(Job.organisation_id == organisation_id, Job.completed_at >= since, Job.completed_at < until)
        .group_by(Job.backend)
        .order_by(Job.backend)
    )
    return [
        GroupedUsage(backend, None, jobs, int(microcredits))
        for backend, jobs, microcredits in db.session.execute(statement)
    ]


def count_ended(status: JobStatus, *, since: datetime) -> int:
    """Give how many jobs of all accounts have ended like this since then."""
    statement = select(func.count()).select_from(Job).where(Job.completed_at >= since, Job.status == status)
    return db.session.scalar(statement) or 0
