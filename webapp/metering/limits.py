"""Rate limits: what the operator set for every key and account, and what a call finds of them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from webapp.core.memo import remembered
from webapp.keys.models import ApiKey


@dataclass(frozen=True)
class Limit:
    """A named rate limit: `quota` calls per `window_seconds`, refilled evenly."""

    name: str
    quota: int
    window_seconds: int


class LimitState(NamedTuple):
    """A limit as a call found it: how many more calls it allows now, and when it will be full again."""

    name: str
    quota: int
    window_seconds: int
    remaining: int
    reset_seconds: int


@dataclass(frozen=True)
class LimitPolicy:
    """The limits that the operator set for every key and every account."""

    key: tuple[Limit, ...]
    account: tuple[Limit, ...]

    @remembered
    def key_json(self) -> str:
        """Every key's limits as admit.lua reads them."""
        return encode_limits(self.key)

    @remembered
    def account_json(self) -> str:
        """Every account's limits as admit.lua reads them."""
        return encode_limits(self.account)


def encode_own_limits(line: Sequence[ApiKey]) -> str:
    """Write the limits of a key's line as admit.lua reads them, or nothing where there are none.

    Those of the keys that made it come with the names of their clocks: a key's calls move these too, so that all that
    a key makes calls no more often than it might itself.
    """
    encoded: list[tuple[str | int, ...]] = []
    for depth, key in enumerate(line):
        for calls, seconds in key.rate_limits:
            clock = f"own-{seconds}s"
            of_giver = (f"giver{depth}-{seconds}s", calls, seconds, f"{key.id}:{clock}")
            encoded.append(of_giver if depth else (clock, calls, seconds))
    return json.dumps(encoded) if encoded else ""


def encode_limits(limits: Sequence[Limit]) -> str:
    """Write limits as admit.lua reads them: a JSON array of [name, quota, window_seconds]."""
    return json.dumps([[limit.name, limit.quota, limit.window_seconds] for limit in limits])
