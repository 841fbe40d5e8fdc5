"""The names of the keys in Redis.

The hash tag in braces puts all keys of one call in one cluster slot. It is the first character of the account's shard
tag rather than all of it, so that the accounts fall into 62 groups and a flush can visit every group instead of having
to know every account (docs/adr/0003).
"""


def group_of(shard_tag: str) -> str:
    """Give the group that the account belongs to: one base 62 character."""
    return shard_tag[0]


def key_record(shard_tag: str, digest: str) -> str:
    """Name the hash that holds one API key's record and rate clocks."""
    return f"uq:{{{shard_tag[0]}}}:key:{digest}"


def account_record(shard_tag: str) -> str:
    """Name the hash that holds one account's available credits, limits and rate clocks."""
    return f"uq:{{{shard_tag[0]}}}:account:{shard_tag}"


def account_holds(shard_tag: str) -> str:
    """Name the hash of one account's open holds: hold id to micro-credits."""
    return f"uq:{{{shard_tag[0]}}}:holds:{shard_tag}"


def hold_deadlines(group: str) -> str:
    """Name the group's sorted set of open holds by the second when they are to be looked at."""
    return f"uq:{{{group}}}:deadlines"


def live_counters(group: str) -> str:
    """Name the hash that the group's calls are counted in."""
    return f"uq:{{{group}}}:counters"


def last_flush() -> str:
    """Name the moment of the last flush that ended, in seconds since 1970."""
    return "uq:flushed"


def last_check() -> str:
    """Name the moment of the last check of the ledger, and how many differences it found."""
    return "uq:checked"


def sealed_batches(group: str) -> str:
    """Name the set of the group's sealed batches that still wait to be applied to SQL."""
    return f"uq:{{{group}}}:sealed"


def sealed_counters(group: str, batch_id: str) -> str:
    """Name the hash of one sealed batch's counters."""
    return f"uq:{{{group}}}:sealed:{batch_id}"


def job_calls() -> str:
    """Name the list of calls to idle workers: one for each job that was queued."""
    return "uq:jobs:calls"


def unanswered_request(shard_tag: str, organisation_id: str, key: str) -> str:
    """Name the note that a request with this Idempotency-Key is being answered."""
    return f"uq:{{{shard_tag[0]}}}:unanswered:{organisation_id}:{key}"


def attempts(digest: str) -> str:
    """Name the counter of somebody's attempts at something; all in one slot, as one script counts several."""
    return f"uq:{{attempts}}:{digest}"


def challenge(digest: str) -> str:
    """Name the note that a passkey's challenge was given out and not used yet."""
    return f"uq:challenge:{digest}"
