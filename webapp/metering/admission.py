"""Admission: one Redis round trip decides on a call, counts it and pays for it."""

import json
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple

from webapp.accounts.models import Organisation
from webapp.accounts.queries import get_organisation
from webapp.core import clock
from webapp.core import redis_names as names
from webapp.core.db import db, transaction
from webapp.core.errors import StoreAwayError
from webapp.core.key_tokens import KeyToken
from webapp.core.redis import store
from webapp.core.redis_scripts import RedisScript
from webapp.keys.families import get_line
from webapp.keys.models import ApiKey, StoredToken
from webapp.keys.networks import encode_address, encode_network, is_within
from webapp.keys.queries import get_token_by_digest
from webapp.metering.budgets import BudgetState, read_budgets
from webapp.metering.callers import NOWHERE, Caller
from webapp.metering.limits import LimitPolicy, LimitState, encode_own_limits
from webapp.metering.reconcile import BUDGETS, SCRIPTS, reconcile_account
from webapp.metering.unknown_tokens import is_stored

ADMIT = RedisScript(SCRIPTS / "admit.lua", library=BUDGETS, takes_epoch=True, takes_deadline=True)
FILL_KEY = RedisScript(SCRIPTS / "fill_key.lua", takes_epoch=True)

# The state of a token that is good.
ACTIVE = "active"

# A token that SQL does not know is remembered this long, so that one sent again is not looked up again.
ABSENT_SECONDS = 30

# A key that Redis does not know takes one more try, an account another. More means that Redis forgets what it is told.
MAX_TRIES = 4


class Verdict(StrEnum):
    """What became of a call. All but ADMITTED are refusals, which count and cost nothing."""

    ADMITTED = "admitted"
    ABSENT = "absent"
    REVOKED = "revoked"
    # The key; DISABLED is its account.
    OFF = "off"
    EXPIRED = "expired"
    DISABLED = "disabled"
    ADDRESS = "address"
    SCOPE = "scope"
    RATE = "rate"
    BUDGET = "budget"
    CREDITS = "credits"


class Principal(NamedTuple):
    """The key that calls, and the account that it belongs to."""

    key_id: str
    organisation_id: str
    shard_tag: str
    name: str
    prefix: str
    mode: str
    # With spaces between.
    scope_names: str

    @property
    def scopes(self) -> list[str]:
        """What the key may do."""
        return self.scope_names.split()


class Admission(NamedTuple):
    """The verdict on one call, with what its response headers need."""

    verdict: Verdict
    # As Redis has it: most of what only reads never asks whose key it was.
    profile: bytes = b""
    limits: tuple[LimitState, ...] = ()
    retry_after_seconds: int = 0
    available_microcredits: int = 0
    budgets: tuple[BudgetState, ...] = ()

    @property
    def principal(self) -> Principal | None:
        """The key that calls, where it is known."""
        return read_profile(self.profile) if self.profile else None


def admit(
    *,
    token: KeyToken,
    scope: str | None,
    price_microcredits: int,
    request_id: str,
    policy: LimitPolicy,
    caller: Caller = NOWHERE,
) -> Admission:
    """Decide on one call, in one round trip once Redis knows the key and its account.

    `request_id` must be unique: it may come to name a batch of counters. Raises StoreAwayError or
    TooManyUnknownKeysError.
    """
    keys = [
        names.key_record(token.shard_tag, token.digest),
        names.account_record(token.shard_tag),
        names.live_counters(names.group_of(token.shard_tag)),
        names.sealed_batches(names.group_of(token.shard_tag)),
    ]
    arguments: list[str | int] = [
        *(scope or "", price_microcredits, request_id, policy.key_json, policy.account_json),
        *(encode_address(caller.address), caller.address, caller.operation),
    ]
    for _ in range(MAX_TRIES):
        reply = ADMIT.run(keys, arguments)
        outcome = reply[0].decode()
        if outcome == "unknown":
            fill_key(token, address=caller.address)
        elif outcome == "late":
            # Either it took too long, or the two clocks have drifted apart since they were compared.
            store.disconnect()
        elif outcome == "cold":
            reconcile_account(shard_tag=token.shard_tag)
        else:
            return read_admission(Verdict(outcome), reply)
    raise StoreAwayError("The metering store lost what it was told; nothing was charged. Try again shortly.")


def admit_without_redis(*, token: KeyToken, scope: str | None, at: datetime, caller: Caller = NOWHERE) -> Admission:
    """Decide on a free call that only reads, by SQL alone, while Redis is away.

    Nothing is counted and no rate limit holds meanwhile; a revoked or expired key is refused as ever.
    """
    found = get_token_by_digest(token.digest)
    if found is None:
        return Admission(verdict=Verdict.ABSENT)
    key = found.key
    organisation = get_organisation(key.organisation_id)
    verdict = Verdict.ADMITTED
    if (state := state_of(found, at=at)) != ACTIVE:
        verdict = Verdict(state)
    elif organisation.disabled_at:
        verdict = Verdict.DISABLED
    elif key.addresses and not is_within(caller.address, key.addresses):
        verdict = Verdict.ADDRESS
    elif scope is not None and scope not in key.scopes.split():
        verdict = Verdict.SCOPE
    return Admission(verdict=verdict, profile=write_profile(key, organisation).encode())


def read_admission(verdict: Verdict, reply: list[Any]) -> Admission:
    """Read the script's answer. A refused key has no more to it than the verdict."""
    if len(reply) == 1:
        return Admission(verdict=verdict)
    _, profile, retry_after_us, available, budgets, *limits = reply
    return Admission(
        verdict=verdict,
        profile=profile,
        limits=tuple([LimitState(name.decode(), *numbers) for name, *numbers in limits]),
        retry_after_seconds=-(-retry_after_us // 1_000_000),
        available_microcredits=int(available),
        budgets=read_budgets(budgets),
    )


@lru_cache(maxsize=4096)
def read_profile(profile: bytes) -> Principal:
    """Read the part of a key's record that views need."""
    return Principal(*json.loads(profile))


def fill_key(token: KeyToken, *, address: str) -> None:
    """Give Redis the token's record from SQL, or a short-lived note that there is no such token.

    Raises TooManyUnknownKeysError.
    """
    record_name = names.key_record(token.shard_tag, token.digest)
    if not is_stored(token, address=address):
        # Nobody has a token before it is stored. Found without a write lock: anybody can send tokens that nobody has.
        FILL_KEY.run([record_name], [ABSENT_SECONDS, "state", Verdict.ABSENT])
        return
    with transaction():
        # The row stays as it is until Redis has been told: a key cannot be revoked in between, whatever Redis does.
        found = get_token_by_digest(token.digest, is_locked=True)
        if found is not None:
            record = token_record(found, get_organisation(found.key.organisation_id))
            FILL_KEY.run([record_name], [0, *(text for pair in record.items() for text in pair)])


def token_record(token: StoredToken, organisation: Organisation) -> dict[str, str]:
    """Write a token and its key as admit.lua reads them."""
    key = token.key
    ends_at = end_of(token)
    record = {
        "state": state_of(token, at=clock.now()),
        "id": key.id,
        "mode": key.mode,
        "profile": write_profile(key, organisation),
        # A space on both sides of each, so that one is found by plain search and never inside another.
        "scopes": f" {key.scopes} ",
        "expires": str(int(ends_at.timestamp())) if ends_at else "",
    }
    if limits := encode_own_limits(get_line(db.session(), key)):
        record["limits"] = limits
    if key.addresses:
        record["networks"] = " ".join(map(encode_network, key.addresses))
    return record


def state_of(token: StoredToken, *, at: datetime) -> str:
    """Say whether a token is good: active, or the verdict on its calls.

    One that has ended is said to have, and not left to the store's clock: that may be behind.
    """
    ends_at = end_of(token)
    if token.key.revoked_at:
        return Verdict.REVOKED
    if token.key.disabled_at:
        return Verdict.OFF
    return Verdict.EXPIRED if ends_at and ends_at <= at else ACTIVE


def end_of(token: StoredToken) -> datetime | None:
    """Give when a token ends: with its key, or after it was replaced."""
    return min(filter(None, (token.expires_at, token.key.expires_at)), default=None)


def write_profile(key: ApiKey, organisation: Organisation) -> str:
    """Write the part of a key that views need."""
    return json.dumps(
        Principal(
            key_id=key.id,
            organisation_id=organisation.id,
            shard_tag=organisation.shard_tag,
            name=key.name,
            prefix=key.prefix,
            mode=key.mode,
            scope_names=key.scopes,
        )
    )
