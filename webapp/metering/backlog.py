"""What waits in Redis to be flushed, and whether anybody flushes."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from webapp.core import redis_names as names
from webapp.core.ids import read_time
from webapp.core.redis import asking_redis, store
from webapp.metering.flush import Batch, parse_counters
from webapp.metering.groups import GROUPS


@dataclass(frozen=True)
class Backlog:
    """What has been counted and SQL does not have, and since when."""

    live_batches: int
    # Set aside by a flush that has not applied them yet: it is at work, or it died, or they cannot be charged.
    sealed_batches: int
    calls: int
    microcredits: int
    # The moment of the first call that waits, by the web process's clock; None where nothing waits.
    oldest_at: datetime | None
    # None where Redis does not know of any.
    last_flush_at: datetime | None


def read_backlog() -> Backlog:
    """Read all counters of Redis, for the price of a flush. Raises StoreAwayError.

    A batch that is sealed meanwhile is counted both as live and as sealed.
    """
    with asking_redis():
        flushed: Any = store.client.get(names.last_flush())
    live, sealed = list(each_live()), list(each_sealed())
    batches = live + sealed
    return Backlog(
        live_batches=len(live),
        sealed_batches=len(sealed),
        calls=sum(sum(batch.calls.values()) for batch in batches),
        microcredits=sum(sum(batch.charges.values()) for batch in batches),
        # A batch has the id of the first request that it counted.
        oldest_at=min((read_time(batch.id) for batch in batches), default=None),
        last_flush_at=datetime.fromtimestamp(int(flushed), UTC) if flushed else None,
    )


def each_live() -> Iterator[Batch]:
    """Give every group's live batch."""
    with asking_redis():
        pipeline = store.client.pipeline(transaction=False)
        for group in GROUPS:
            pipeline.hgetall(names.live_counters(group))
        found = pipeline.execute()
    for group, counters in zip(GROUPS, found, strict=True):
        if counters:
            yield parse_counters(group, counters[b"batch"].decode(), counters)


def each_sealed() -> Iterator[Batch]:
    """Give every batch that is sealed, and there."""
    with asking_redis():
        pipeline = store.client.pipeline(transaction=False)
        for group in GROUPS:
            pipeline.smembers(names.sealed_batches(group))
        waiting = [(group, id_.decode()) for group, ids in zip(GROUPS, pipeline.execute(), strict=True) for id_ in ids]
        for group, batch_id in waiting:
            pipeline.hgetall(names.sealed_counters(group, batch_id))
        found = pipeline.execute()
    for (group, batch_id), counters in zip(waiting, found, strict=True):
        if counters:
            yield parse_counters(group, batch_id, counters)
