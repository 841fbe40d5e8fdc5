"""Rate limits as Redis keeps them with a key or an account."""

import json
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Limit:
    """A named rate limit: `quota` calls per `window_seconds`, refilled evenly."""

    name: str
    quota: int
    window_seconds: int


@dataclass(frozen=True)
class LimitState:
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


def encode_limits(limits: Sequence[Limit]) -> str:
    """Write limits as admit.lua reads them: a JSON array of [name, quota, window_seconds]."""
    return json.dumps([[limit.name, limit.quota, limit.window_seconds] for limit in limits])
