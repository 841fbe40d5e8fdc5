"""Jobs."""

from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from webapp.accounts.models import Organisation
from webapp.core.db import Base, UtcDateTime
from webapp.keys.models import ApiKey


class JobStatus(StrEnum):
    """Where a job is in its life; the last three are final."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Job(Base):
    """One submitted circuit, what it cost, and its result."""

    __tablename__ = "jobs"
    __table_args__ = (
        sa.Index(None, "organisation_id", "id"),
        sa.CheckConstraint("charged_microcredits <= held_microcredits", name="charged_within_held"),
    )

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    organisation_id: Mapped[str] = mapped_column(sa.ForeignKey(Organisation.id))
    key_id: Mapped[str] = mapped_column(sa.ForeignKey(ApiKey.id), index=True)
    name: Mapped[str | None] = mapped_column(sa.String(80))
    status: Mapped[str] = mapped_column(sa.String(10))
    template_id: Mapped[str | None] = mapped_column(sa.String(60))
    parameters: Mapped[dict[str, Any]] = mapped_column(sa.JSON)
    backend: Mapped[str] = mapped_column(sa.String(60))
    engine: Mapped[str] = mapped_column(sa.String(60))
    engine_version: Mapped[str | None] = mapped_column(sa.String(40))
    engine_reason: Mapped[str] = mapped_column(sa.String(255))
    qubits: Mapped[int]
    shots: Mapped[int]
    seed: Mapped[int] = mapped_column(sa.BigInteger)
    counts: Mapped[dict[str, int] | None] = mapped_column(sa.JSON)
    probabilities: Mapped[dict[str, float] | None] = mapped_column(sa.JSON)
    price_list: Mapped[str] = mapped_column(sa.String(20))
    estimated_microcredits: Mapped[int] = mapped_column(sa.BigInteger)
    held_microcredits: Mapped[int] = mapped_column(sa.BigInteger)
    charged_microcredits: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    error: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    completed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
