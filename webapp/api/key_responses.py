"""The shapes of what the API answers about API keys."""

# pydantic reads the standard library's own TypedDict only from Python 3.12 on.
from typing_extensions import TypedDict


class LimitJson(TypedDict):
    """A rate limit and what remains of it."""

    name: str
    quota: int
    windowSeconds: int
    remaining: int


class BudgetJson(TypedDict):
    """A budget, in decimal credits; one that does not refuse only warns, and one in all never resets.

    Whose it is: this key's, that of a key that made it, or the account's, which has no key's id.
    """

    source: str
    keyId: str | None
    period: str
    limit: str
    used: str
    remaining: str
    refuses: bool
    resetsAt: str | None


class KeyJson(TypedDict):
    """An API key, as it sees itself."""

    id: str
    name: str
    prefix: str
    mode: str
    organisationId: str
    scopes: list[str]
    limits: list[LimitJson]
    # What bounds the key: its own budgets, then the account's.
    budget: list[BudgetJson]


class RateLimitJson(TypedDict):
    """A rate limit of a key's own."""

    calls: int
    seconds: int


class KeyBudgetJson(TypedDict):
    """A budget of a key's own, in decimal credits; one that does not refuse only warns."""

    period: str
    limit: str
    refuses: bool


class ManagedKeyJson(TypedDict):
    """An API key, as those see it who manage it."""

    id: str
    name: str
    description: str
    prefix: str
    status: str
    mode: str
    scopes: list[str]
    rateLimits: list[RateLimitJson]
    budgets: list[KeyBudgetJson]
    addresses: list[str]
    tags: list[str]
    createdAt: str
    createdByKeyId: str | None
    expiresAt: str | None
    revokedAt: str | None


class NewKeyJson(ManagedKeyJson):
    """A key with a token just made: the raw key, which is never shown again."""

    key: str


class RevokedKeyJson(ManagedKeyJson):
    """A key that was revoked, and the ids of those that were revoked with it because it had made them."""

    revokedDescendants: list[str]


class ManagedKeyListJson(TypedDict):
    """Some of the account's keys, newest first, and the cursor of the next page."""

    keys: list[ManagedKeyJson]
    nextCursor: str | None


class LeakReceiptJson(TypedDict):
    """How many reports were received; whether there is such a key is not said."""

    received: int
