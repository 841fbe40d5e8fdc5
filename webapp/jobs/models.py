"""Jobs, whose turn it is, and the answers that are kept for requests that may be repeated."""

from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from webapp.accounts.models import Organisation, User
from webapp.core.db import Base, UtcDateTime
from webapp.keys.models import ApiKey
from webapp.metering.spenders import spender_of


class JobStatus(StrEnum):
    """Where a job is in its life; the last three are final."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Lane(StrEnum):
    """Where a job runs: in the web process while its request waits, or on a worker."""

    INLINE = "inline"
    WORKER = "worker"


# Written into a statement, and not bound: only then does SQLite see that the index of open jobs has all that it needs.
IS_OPEN = sa.text("status IN ('queued', 'running')")


class Job(Base):
    """A submitted circuit, or several in a batch or a sweep, what they cost, and what came of them.

    `status` is changed by webapp/jobs/states.py alone. `attempt` counts the times that a worker has taken the job, and
    fences them off from each other: what a worker writes counts only while its own attempt is the job's. `losses` are
    those whose worker died.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        sa.Index(None, "organisation_id", "id"),
        # What workers look for, over and over; finished jobs, which are nearly all, are not in it.
        sa.Index("ix_jobs_open", "status", "organisation_id", "id", sqlite_where=IS_OPEN, postgresql_where=IS_OPEN),
        sa.Index(None, "completed_at"),
        sa.CheckConstraint("charged_microcredits <= held_microcredits", name="charged_within_held"),
    )

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    organisation_id: Mapped[str] = mapped_column(sa.ForeignKey(Organisation.id))
    # The key that it was sent with; or, for a job that was run in the console, none, and the member who did.
    key_id: Mapped[str | None] = mapped_column(sa.ForeignKey(ApiKey.id), index=True)
    created_by_id: Mapped[str | None] = mapped_column(sa.ForeignKey(User.id))
    name: Mapped[str | None] = mapped_column(sa.String(80))
    # What its sender wants to find it again by, and to know of it; `metadata` is a name of SQLAlchemy's own.
    tags: Mapped[list[str] | None] = mapped_column(sa.JSON(none_as_null=True))
    notes: Mapped[dict[str, str] | None] = mapped_column("metadata", sa.JSON(none_as_null=True))
    status: Mapped[str] = mapped_column(sa.String(10))
    lane: Mapped[str] = mapped_column(sa.String(10))
    attempt: Mapped[int] = mapped_column(default=0)
    losses: Mapped[int] = mapped_column(default=0)
    # When the worker that runs it last said so.
    heartbeat_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    template_id: Mapped[str | None] = mapped_column(sa.String(60))
    # The program as it was sent, in place of a template: its format and its source.
    circuit: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON(none_as_null=True))
    # The programs of a batch, in place of the one.
    circuits: Mapped[list[dict[str, Any]] | None] = mapped_column(sa.JSON(none_as_null=True))
    # Lists among them make a sweep: one circuit for each place in the lists.
    parameters: Mapped[dict[str, Any]] = mapped_column(sa.JSON)
    # What was asked for besides the counts: noise, observables, memory, statevector.
    options: Mapped[dict[str, Any]] = mapped_column(sa.JSON)
    backend: Mapped[str] = mapped_column(sa.String(60))
    engine: Mapped[str] = mapped_column(sa.String(60))
    engine_version: Mapped[str | None] = mapped_column(sa.String(40))
    engine_reason: Mapped[str] = mapped_column(sa.String(255))
    # Each circuit's engine, of a batch or a sweep; null for a single circuit.
    engines: Mapped[list[str] | None] = mapped_column(sa.JSON(none_as_null=True))
    # Of the widest circuit.
    qubits: Mapped[int]
    # Of each circuit.
    shots: Mapped[int]
    seed: Mapped[int] = mapped_column(sa.BigInteger)
    # How large its result is, which is in job_results; null where there is none.
    result_bytes: Mapped[int | None]
    price_list: Mapped[str] = mapped_column(sa.String(20))
    estimated_microcredits: Mapped[int] = mapped_column(sa.BigInteger)
    held_microcredits: Mapped[int] = mapped_column(sa.BigInteger)
    charged_microcredits: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    error: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    completed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # When its result was deleted, which is not kept for ever; the rest of the row is.
    result_deleted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    @property
    def spender(self) -> str:
        """Whom usage and budgets count it for: see webapp/metering/spenders.py."""
        return spender_of(self.key_id, self.organisation_id)


class JobResult(Base):
    """A piece of what came of one of a job's circuits: see webapp/jobs/results.py."""

    __tablename__ = "job_results"

    job_id: Mapped[str] = mapped_column(sa.ForeignKey(Job.id), primary_key=True)
    circuit: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    piece: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    content: Mapped[str] = mapped_column(sa.Text)


class JobTag(Base):
    """A job's tag, by which the jobs that have it are found in their order."""

    __tablename__ = "job_tags"

    organisation_id: Mapped[str] = mapped_column(sa.ForeignKey(Organisation.id), primary_key=True)
    tag: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    job_id: Mapped[str] = mapped_column(sa.ForeignKey(Job.id), primary_key=True)


class JobTurn(Base):
    """When an account's turn last came to have a job run by a worker."""

    __tablename__ = "job_turns"

    organisation_id: Mapped[str] = mapped_column(sa.ForeignKey(Organisation.id), primary_key=True)
    served_at: Mapped[datetime] = mapped_column(UtcDateTime)


class SavedAnswer(Base):
    """The answer to a request with an Idempotency-Key, for whoever sends it again."""

    __tablename__ = "saved_answers"

    organisation_id: Mapped[str] = mapped_column(sa.ForeignKey(Organisation.id), primary_key=True)
    key: Mapped[str] = mapped_column(sa.String(255), primary_key=True)
    # The SHA-256 of what was asked for.
    digest: Mapped[str] = mapped_column(sa.String(64))
    job_id: Mapped[str] = mapped_column(sa.ForeignKey(Job.id))
    status: Mapped[int]
    body: Mapped[dict[str, Any]] = mapped_column(sa.JSON)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
