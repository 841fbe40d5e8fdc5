"""The check of the ledger, run on demand, and what the last one found."""

import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from webapp.core import redis_names as names
from webapp.core.errors import StoreAwayError
from webapp.core.redis import asking_redis, store
from webapp.metering.verify import Difference, verify


@dataclass(frozen=True)
class LastCheck:
    """When the invariant was last checked, and how many differences there were."""

    at: datetime
    differences: int


def run_check(*, at: datetime) -> list[Difference]:
    """Check every account, give what differs, and note how many that is. Raises StoreAwayError."""
    found = verify()
    # The note is a convenience: a full Redis refuses it, and what was found counts all the same.
    with suppress(StoreAwayError), asking_redis():
        store.client.set(names.last_check(), json.dumps([int(at.timestamp()), len(found)]))
    return found


def get_last_check() -> LastCheck | None:
    """Give the last check, or None where Redis knows of none. Raises StoreAwayError."""
    with asking_redis():
        noted: Any = store.client.get(names.last_check())
    if noted is None:
        return None
    seconds, differences = json.loads(noted)
    return LastCheck(datetime.fromtimestamp(seconds, UTC), differences)
