"""The flush: counters move from Redis to SQL, each exactly once, whatever dies on the way.

1. Seal: the live counters of a group are renamed to a sealed batch, whose id its first call gave it.
2. Apply: one SQL transaction inserts the ids of a few batches, adds to the usage rows and posts the charges. An id that
   is there already means that the batch was applied, and nothing is done.
3. Drop: the sealed batches are deleted.

A crash before 2 leaves the batch for the next flush; a crash after 2 leaves a batch that the next flush only drops.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, lru_cache
from itertools import starmap
from operator import itemgetter
from typing import Any, cast

from sqlalchemy import CursorResult, Executable, delete, select
from sqlalchemy.orm import Session

from webapp.accounts.models import Organisation
from webapp.core import redis_names as names
from webapp.core.db import insert_for, transaction
from webapp.core.errors import StoreAwayError
from webapp.core.faults import fault
from webapp.core.redis import asking_redis, store
from webapp.core.redis_scripts import RedisScript
from webapp.ledger.operations import OverdraftError, add_charge
from webapp.metering.groups import GROUPS
from webapp.metering.models import FlushBatch
from webapp.metering.reconcile import SCRIPTS, reconcile_changed_accounts
from webapp.metering.usage import UsageChange, add_usage

SEAL = RedisScript(SCRIPTS / "seal.lua")
DROP = RedisScript(SCRIPTS / "drop.lua")

# How much one transaction takes, in usage rows: a commit costs as much as hundreds of them, and others wait meanwhile.
MAX_CHUNK_WEIGHT = 5_000
CHARGE_WEIGHT = 20
SECONDS_PER_HOUR = 3600
NEVER = (None, "")

log = logging.getLogger(__name__)


@dataclass
class Batch:
    """A batch of counters, read. Usage is named as admit.lua names it: key:hour:operation."""

    group: str
    id: str
    calls: dict[str, int] = field(default_factory=dict)
    # Micro-credits, as are the charges.
    prices: dict[str, int] = field(default_factory=dict)
    # By key: the second, the address and the operation of its last call, with spaces between.
    last_calls: dict[str, str] = field(default_factory=dict)
    # By shard tag.
    charges: dict[str, int] = field(default_factory=dict)

    @property
    def weight(self) -> int:
        """How much it is to apply, in usage rows."""
        return len(self.calls) + CHARGE_WEIGHT * len(self.charges)

    def summarise(self, *, at: datetime) -> FlushBatch:
        """Give the row that says that this batch was applied."""
        return FlushBatch(
            id=self.id,
            applied_at=at,
            keys=len(self.last_calls),
            calls=sum(self.calls.values()),
            microcredits=sum(self.charges.values()),
        )


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
    applied: list[FlushBatch] = []
    waiting = 0
    for batches in each_chunk(seal_all()):
        rows, refused = apply_or_leave(batches, at=at)
        fault("flush_after_commit")
        done = [batch for batch in batches if batch not in refused]
        DROP.run_many(
            ([names.sealed_counters(batch.group, batch.id), names.sealed_batches(batch.group)], [batch.id])
            for batch in done
        )
        applied += rows
        waiting += len(refused)
    # A full Redis refuses the note, and nothing before it: the flush is what makes room again.
    with suppress(StoreAwayError), asking_redis():
        store.client.set(names.last_flush(), int(at.timestamp()))
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


def each_chunk(sealed: Iterable[tuple[str, str]]) -> Iterator[list[Batch]]:
    """Read the sealed batches, and give as many at a time as one transaction takes."""
    chunk: list[Batch] = []
    for group, batch_id in sealed:
        fault("flush_after_seal")
        batch = read_batch(group, batch_id)
        if batch is None:
            # Applied by another flush; or Redis came back from a file from before it was sealed, and seals it again.
            continue
        if chunk and sum(each.weight for each in chunk) + batch.weight > MAX_CHUNK_WEIGHT:
            yield chunk
            chunk = []
        chunk.append(batch)
    if chunk:
        yield chunk


def read_batch(group: str, batch_id: str) -> Batch | None:
    """Read a sealed batch from Redis, or give None when it is not there."""
    with asking_redis():
        counters: Any = store.client.hgetall(names.sealed_counters(group, batch_id))
    return parse_counters(group, batch_id, counters) if counters else None


def parse_counters(group: str, batch_id: str, counters: Mapping[bytes, bytes]) -> Batch:
    """Read what admit.lua has counted, live or sealed."""
    batch = Batch(group, batch_id)
    for name, value in counters.items():
        kind, _, rest = name.decode().partition(":")
        if kind == "calls":
            batch.calls[rest] = int(value)
        elif kind == "price":
            batch.prices[rest] = int(value)
        elif kind == "used":
            batch.last_calls[rest] = value.decode()
        elif kind == "account":
            batch.charges[rest] = int(value)
    return batch


@lru_cache(maxsize=4096)
def read_moment(unix_seconds: str) -> datetime:
    """Read a moment; a batch names the same few hours and seconds for all of its keys."""
    return datetime.fromtimestamp(int(unix_seconds), UTC)


def apply_or_leave(batches: Sequence[Batch], *, at: datetime) -> tuple[list[FlushBatch], list[Batch]]:
    """Apply the batches, together or else each by itself; give the rows of the new ones, and what cannot be charged."""
    try:
        return apply_batches(batches, at=at), []
    except OverdraftError:
        if len(batches) == 1:
            # It waits for the account to be put right, and keeps no other batch back.
            log.exception("batch %s charges an account more than it has", batches[0].id)
            return [], list(batches)
    rows, refused = [], []
    for batch in batches:
        of_one, left = apply_or_leave([batch], at=at)
        rows += of_one
        refused += left
    return rows, refused


def apply_batches(batches: Sequence[Batch], *, at: datetime) -> list[FlushBatch]:
    """Add batches to SQL in one transaction; give the rows of those that had not been applied before."""
    rows = {batch.id: batch.summarise(at=at) for batch in batches}
    with transaction() as session:
        new_ids = insert_once(session, rows.values())
        new = [batch for batch in batches if batch.id in new_ids]
        add_usage(session.connection(), add_up_usage(new))
        post_charges(session, new, at=at)
        fault("flush_before_commit")
    log.debug("applied %s of %s batches", len(new), len(batches))
    return [rows[batch.id] for batch in new]


def insert_once(session: Session, rows: Iterable[FlushBatch]) -> set[str]:
    """Insert the rows and give the ids of those that were not there. Two flushes at once wait for each other here."""
    columns = [column.name for column in FlushBatch.__table__.columns]
    # In one order, so that they cannot wait in a circle.
    values = sorted(({name: getattr(row, name) for name in columns} for row in rows), key=itemgetter("id"))
    return set(session.scalars(insert_batch(session.connection().dialect.name), values))


@cache
def insert_batch(dialect_name: str) -> Executable:
    """Build the statement once for each kind of database."""
    table = FlushBatch.__table__
    insert: Executable = insert_for(dialect_name)(table).on_conflict_do_nothing().returning(table.c.id)
    return insert


def add_up_usage(batches: Iterable[Batch]) -> list[UsageChange]:
    """Add up what each key did in each hour: a batch and the one sealed after it may both have counted it."""
    calls: dict[str, int] = {}
    prices: dict[str, int] = {}
    last_calls: dict[str, str] = {}
    for batch in batches:
        for name, count in batch.calls.items():
            calls[name] = calls.get(name, 0) + count
        for name, microcredits in batch.prices.items():
            prices[name] = prices.get(name, 0) + microcredits
        for key_id, call in batch.last_calls.items():
            # Seconds since 1970 are of one length, and sort as texts.
            last_calls[key_id] = max(call, last_calls.get(key_id, ""))
    last_uses = dict(starmap(read_last_call, last_calls.items()))
    return [
        UsageChange(*read_usage(name), count, prices.get(name, 0), *last_uses.get(name, NEVER))
        for name, count in calls.items()
    ]


def read_usage(name: str) -> tuple[str, datetime, str]:
    """Read the name of a key's usage: the key, the hour, and the operation."""
    key_id, _, rest = name.partition(":")
    hour, _, operation = rest.partition(":")
    return key_id, read_moment(hour), operation


def read_last_call(key_id: str, call: str) -> tuple[str, tuple[datetime, str]]:
    """Read a key's last call: the name of the usage that it is part of; when, and from which address, it was."""
    second, _, rest = call.partition(" ")
    address, _, operation = rest.rpartition(" ")
    name = f"{key_id}:{int(second) // SECONDS_PER_HOUR * SECONDS_PER_HOUR}"
    # Before operations were counted, there was nothing after the second.
    return f"{name}:{operation}" if rest else name, (read_moment(second), address)


def post_charges(session: Session, batches: Iterable[Batch], *, at: datetime) -> None:
    """Post each account's charges for its calls, in the order of their ids so that two flushes cannot deadlock."""
    charges = [(shard_tag, batch.id, cost) for batch in batches for shard_tag, cost in batch.charges.items()]
    if not charges:
        return
    found = select(Organisation.shard_tag, Organisation.id)
    found = found.where(Organisation.shard_tag.in_({shard_tag for shard_tag, _, _ in charges}))
    organisation_ids = dict(session.execute(found).all())
    known = [charge for charge in charges if charge[0] in organisation_ids]
    for shard_tag, batch_id, microcredits in sorted(known, key=lambda charge: organisation_ids[charge[0]]):
        add_charge(
            session.connection(),
            organisation_id=organisation_ids[shard_tag],
            microcredits=microcredits,
            reference=f"calls:{batch_id}:{shard_tag}",
            reason="API calls",
            at=at,
        )
