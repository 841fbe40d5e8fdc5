"""The flush: counters move from Redis to SQL, each exactly once, whatever dies on the way.

1. Seal: the live counters of a group are renamed to a sealed batch, whose id its first call gave it.
2. Apply: one SQL transaction inserts the batch id, adds to the usage rows and posts the charges. An id that is there
   already means that the batch was applied, and nothing is done.
3. Drop: the sealed batch is deleted.

A crash before 2 leaves the batch for the next flush; a crash after 2 leaves a batch that the next flush only drops.
"""

import logging
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, cast

from sqlalchemy import CursorResult, delete, select
from sqlalchemy.orm import Session

from webapp.accounts.models import Organisation
from webapp.core import redis as names
from webapp.core.db import insert_for, transaction
from webapp.core.faults import fault
from webapp.core.redis import RedisScript, asking_redis, store
from webapp.ledger.operations import OverdraftError, add_charge
from webapp.metering.callers import NOWHERE, Caller
from webapp.metering.groups import GROUPS
from webapp.metering.models import FlushBatch
from webapp.metering.reconcile import SCRIPTS, reconcile_changed_accounts
from webapp.metering.usage import UsageChange, add_usage

SEAL = RedisScript(SCRIPTS / "seal.lua")
DROP = RedisScript(SCRIPTS / "drop.lua")

log = logging.getLogger(__name__)


@dataclass
class KeyHour:
    """What one key did in one hour."""

    calls: int = 0
    microcredits: int = 0


@dataclass
class Batch:
    """A sealed batch, read."""

    hours: dict[tuple[str, datetime], KeyHour] = field(default_factory=lambda: defaultdict(KeyHour))
    last_used: dict[str, datetime] = field(default_factory=dict)
    # What each key was last used for, and from which address.
    callers: dict[str, Caller] = field(default_factory=dict)
    # Shard tag to micro-credits.
    charges: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class FlushReport:
    """What one flush did; `waiting` batches charge an account more than SQL has, and were left as they are."""

    waiting: int
    batches: int
    keys: int
    calls: int
    microcredits: int


def flush(*, at: datetime) -> FlushReport:
    """Move every counter to SQL, and tell Redis of grants that it has not heard of. Raises StoreAwayError."""
    reconcile_changed_accounts()
    applied = []
    waiting = 0
    for group, batch_id in seal_all():
        fault("flush_after_seal")
        batch = read_batch(group, batch_id)
        if batch is None:
            # Applied by another flush; or Redis came back from a file from before it was sealed, and seals it again.
            continue
        try:
            row = apply_batch(batch_id, batch, at=at)
        except OverdraftError:
            # It waits for the account to be put right, and keeps no other batch back.
            log.exception("batch %s charges an account more than it has", batch_id)
            waiting += 1
            continue
        fault("flush_after_commit")
        DROP.run([names.sealed_counters(group, batch_id), names.sealed_batches(group)], [batch_id])
        if row is not None:
            applied.append(row)
    return FlushReport(
        waiting=waiting,
        batches=len(applied),
        keys=sum(row.keys for row in applied),
        calls=sum(row.calls for row in applied),
        microcredits=sum(row.microcredits for row in applied),
    )


def prune_batches(*, before: datetime) -> int:
    """Forget the batches applied before this moment, and give how many there were.

    A batch is asked for again only by a Redis that comes back from a file as old as that.
    """
    with transaction() as session:
        result = session.execute(delete(FlushBatch).where(FlushBatch.applied_at < before))
        return cast("CursorResult[Any]", result).rowcount


def seal_all() -> list[tuple[str, str]]:
    """Seal every group that has counted something; give group and id of each batch to apply, old ones included."""
    replies = SEAL.run_many(([names.live_counters(group), names.sealed_batches(group)], ()) for group in GROUPS)
    return [
        (group, batch_id.decode()) for group, batch_ids in zip(GROUPS, replies, strict=True) for batch_id in batch_ids
    ]


def read_batch(group: str, batch_id: str) -> Batch | None:
    """Read a sealed batch from Redis, or give None when it is not there."""
    with asking_redis():
        counters: Any = store.client.hgetall(names.sealed_counters(group, batch_id))
    if not counters:
        return None
    batch = Batch()
    for name, value in counters.items():
        kind, *rest = name.decode().split(":")
        if kind == "calls":
            batch.hours[rest[0], read_moment(rest[1])].calls = int(value)
        elif kind == "price":
            batch.hours[rest[0], read_moment(rest[1])].microcredits = int(value)
        elif kind == "used":
            batch.last_used[rest[0]] = read_moment(value.decode())
        elif kind == "from":
            batch.callers[rest[0]] = read_caller(value.decode())
        elif kind == "account":
            batch.charges[rest[0]] = int(value)
    return batch


@lru_cache(maxsize=4096)
def read_caller(text: str) -> Caller:
    """Read a caller as admission writes it: the address, a space, the operation."""
    address, _, operation = text.partition(" ")
    return Caller(address, operation)


@lru_cache(maxsize=4096)
def read_moment(unix_seconds: str) -> datetime:
    """Read a moment; a batch names the same few hours and seconds for all of its keys."""
    return datetime.fromtimestamp(int(unix_seconds), UTC)


def apply_batch(batch_id: str, batch: Batch, *, at: datetime) -> FlushBatch | None:
    """Add a batch to SQL in one transaction; give its row, or None when it had been applied before."""
    row = FlushBatch(
        id=batch_id,
        applied_at=at,
        keys=len(batch.last_used),
        calls=sum(hour.calls for hour in batch.hours.values()),
        microcredits=sum(batch.charges.values()),
    )
    with transaction() as session:
        if not insert_once(session, row):
            return None
        add_usage(
            session,
            [
                UsageChange(
                    key_id=key_id,
                    hour=hour,
                    calls=counted.calls,
                    microcredits=counted.microcredits,
                    last_used_at=batch.last_used.get(key_id),
                    last_address=batch.callers.get(key_id, NOWHERE).address,
                    last_operation=batch.callers.get(key_id, NOWHERE).operation,
                )
                for (key_id, hour), counted in batch.hours.items()
            ],
        )
        post_charges(session, batch_id, batch.charges, at=at)
        fault("flush_before_commit")
    log.debug("applied batch %s: %s keys, %s calls", batch_id, row.keys, row.calls)
    return row


def insert_once(session: Session, row: FlushBatch) -> bool:
    """Insert the batch's row; False when it is there already. Two flushes at once wait for each other here."""
    table = FlushBatch.__table__
    insert = insert_for(session.connection().dialect.name)(table).on_conflict_do_nothing().returning(table.c.id)
    return (
        session.execute(insert, {column.name: getattr(row, column.name) for column in table.columns}).scalar()
        is not None
    )


def post_charges(session: Session, batch_id: str, charges: dict[str, int], *, at: datetime) -> None:
    """Post each account's charge for its calls, in the order of their ids so that two flushes cannot deadlock."""
    found = session.execute(
        select(Organisation.id, Organisation.shard_tag)
        .where(Organisation.shard_tag.in_(list(charges)))
        .order_by(Organisation.id)
    ).all()
    for organisation_id, shard_tag in found:
        add_charge(
            session,
            organisation_id=organisation_id,
            microcredits=charges[shard_tag],
            reference=f"calls:{batch_id}:{shard_tag}",
            reason="API calls",
            at=at,
        )
