"""Usage as flushed from Redis, the record of which batches have been applied, and the holds of open jobs."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from webapp.accounts.models import Organisation
from webapp.core.db import Base, UtcDateTime
from webapp.keys.models import ApiKey


class Usage(Base):
    """What one spender did with one operation in one hour, in UTC; or in one day, in the row of its first hour.

    Days are for what is old. Whatever adds rows up need not tell the two apart.
    """

    __tablename__ = "usage"

    # No foreign key: a count for a key that SQL does not know (it was restored from a backup, say) must not keep the
    # other keys of its batch from being flushed. And what is run in the console has the organisation's id in its place.
    key_id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    hour: Mapped[datetime] = mapped_column(UtcDateTime, primary_key=True)
    # The endpoint: read_me, say. Without a name, what was not called through the API.
    operation: Mapped[str] = mapped_column(sa.String(60), primary_key=True, default="", server_default="")
    calls: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    # Everything the key was charged: for calls and for jobs.
    microcredits: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # Of that last call.
    last_address: Mapped[str] = mapped_column(sa.String(45), default="")
    # How many hours the row covers: 1, or 24.
    hours: Mapped[int] = mapped_column(sa.SmallInteger, default=1, server_default="1")


class FlushBatch(Base):
    """A sealed batch of counters that has been applied. Its id makes applying it again a no-op."""

    __tablename__ = "flush_batches"

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    applied_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    keys: Mapped[int]
    calls: Mapped[int] = mapped_column(sa.BigInteger)
    microcredits: Mapped[int] = mapped_column(sa.BigInteger)


class OpenHold(Base):
    """The hold of a job that waits or runs, for as long as it does.

    Such a hold is never overdue, and Redis is given it back should it lose it. The row is added with the job's and
    deleted in the transaction that ends the job, both while the balance is locked.
    """

    __tablename__ = "open_holds"

    hold_id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    organisation_id: Mapped[str] = mapped_column(sa.ForeignKey(Organisation.id), index=True)
    microcredits: Mapped[int] = mapped_column(sa.BigInteger)
    # The key that spends them, none in the console, and when: budgets count both.
    key_id: Mapped[str | None] = mapped_column(sa.ForeignKey(ApiKey.id))
    held_at: Mapped[datetime] = mapped_column(UtcDateTime)
