"""Keys that manage keys: one never gives what it does not have, neither to a new key nor by a new token of another.

What a key made draws on that key's budgets and rate limits (docs/adr/0017): however many it makes, they spend and call
no more together than it might alone.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from types import MappingProxyType
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from webapp.accounts.audit import Actor
from webapp.accounts.models import Organisation
from webapp.core.db import ROW_LOCK, transaction
from webapp.core.errors import FieldError, NotFoundError, UpcubeError
from webapp.core.faults import fault
from webapp.core.money import format_credits
from webapp.core.text import has_control_characters
from webapp.keys.families import get_line
from webapp.keys.models import ApiKey, KeyMode
from webapp.keys.operations import KeyOverError, NewKey, add_key, change_locked_key, switch_locked_key
from webapp.keys.rotation import check_grace, rotate_locked_key
from webapp.keys.settings import KeySettings, RateLimit, check_settings, settings_of
from webapp.ledger.budgets import Budget, BudgetTerms, list_budgets_of
from webapp.metering.budgets import set_key_budgets
from webapp.metering.reconcile import chill_account

# A key, the one that made it, and so on: each call looks at the budgets and limits of all of them.
MAX_LINE = 5


class BeyondKeyError(UpcubeError):
    """A key would give more than it has; the details say what of it."""

    status = 403
    code = "beyond_own_key"

    def __init__(self, details: Sequence[FieldError]) -> None:
        super().__init__(
            "A key can give no more than it has itself; details says what is beyond it. Use a key that has more, or "
            "the console.",
            details=details,
        )


class GiverOverError(UpcubeError):
    """The key that asks was revoked or disabled after its call had been admitted."""

    status = 401
    code = "revoked_api_key"
    headers = MappingProxyType({"WWW-Authenticate": 'Bearer realm="Upcube Quantum", error="invalid_token"'})

    def __init__(self) -> None:
        super().__init__(
            "This API key has been revoked or disabled meanwhile; nothing was done.", target="Authorization"
        )


def create_delegated_key(
    *,
    giver_id: str,
    organisation_id: str,
    settings: KeySettings,
    budgets: Sequence[BudgetTerms] = (),
    actor: Actor,
    at: datetime,
) -> NewKey:
    """Make a key on behalf of another one, on whose budgets and rate limits it draws, beside any of its own.

    Raises InvalidFieldsError, BeyondKeyError, TooManyKeysError, GiverOverError or StoreAwayError.
    """
    settings = check_settings(settings, at=at)
    with transaction() as session:
        organisation = session.get_one(Organisation, organisation_id, with_for_update=ROW_LOCK)
        giver, _ = lock_pair(session, organisation_id, giver_id, giver_id)
        line = get_line(session, giver)
        bounds = list_budgets_of(session, [key.id for key in line])
        check_within(line, settings, [*find_wide_budgets(bounds, budgets), *find_long_line(line)])
        new = add_key(
            session,
            organisation_id=organisation_id,
            created_by_id=giver.created_by_id,
            created_by_key_id=giver_id,
            settings=settings,
            actor=actor,
            at=at,
        )
        set_key_budgets(session, new.key, budgets, actor=actor, at=at)
        if budgets or bounds:
            # The next call waits for this transaction, and finds what bounds the new key.
            session.flush()
            chill_account(organisation.shard_tag)
            fault("delegation_before_commit")
    return new


def update_delegated_key(
    *,
    giver_id: str,
    organisation_id: str,
    key_id: str,
    changes: Mapping[str, Any],
    budgets: Sequence[BudgetTerms] | None = None,
    disabled: bool | None = None,
    actor: Actor,
    at: datetime,
) -> ApiKey:
    """Change these settings of a key on behalf of another one, to nothing beyond that, all or none; the others stay.

    To disable a key needs no more than to revoke it. Raises NotFoundError, InvalidFieldsError, BeyondKeyError,
    KeyOverError, GiverOverError or StoreAwayError.
    """
    with transaction() as session:
        # What stays is read once nobody else can change it: an older copy would undo what others did meanwhile.
        organisation = session.get_one(
            Organisation, organisation_id, with_for_update=None if budgets is None else ROW_LOCK
        )
        giver, target = lock_pair(session, organisation_id, giver_id, key_id)
        settings = check_settings(replace(settings_of(target), **changes), at=at, expired_before=target.expires_at)
        if changes or budgets is not None or disabled is False:
            check_change(session, giver, target, settings, budgets)
        change_locked_key(session, target, settings, actor=actor, at=at)
        if disabled is not None:
            switch_locked_key(session, target, disabled=disabled, actor=actor, at=at)
        if budgets is not None and set_key_budgets(session, target, budgets, actor=actor, at=at):
            session.flush()
            chill_account(organisation.shard_tag)
    return target


def rotate_delegated_key(
    *, giver_id: str, organisation_id: str, key_id: str, grace: timedelta, actor: Actor, at: datetime
) -> NewKey:
    """Give a key that has nothing beyond the giver a new token: whoever gets the token has the key.

    Raises NotFoundError, InvalidFieldsError, BeyondKeyError, KeyOverError, KeyExpiredError, GiverOverError or
    StoreAwayError.
    """
    check_grace(grace)
    with transaction() as session:
        giver, target = lock_pair(session, organisation_id, giver_id, key_id)
        check_change(session, giver, target, settings_of(target), None)
        return rotate_locked_key(session, target, grace=grace, actor=actor, at=at)


# --- What a key has -------------------------------------------------------------------------------------------------


def lock_pair(session: Session, organisation_id: str, giver_id: str, key_id: str) -> tuple[ApiKey, ApiKey]:
    """Give the key that asks and the one that it is about, and keep both from changing until this transaction ends.

    Raises NotFoundError, KeyOverError or GiverOverError.
    """
    # PostgreSQL fails when asked for a NUL.
    wanted = [giver_id] if has_control_characters(key_id) else [giver_id, key_id]
    both = select(ApiKey).where(ApiKey.id.in_(wanted), ApiKey.organisation_id == organisation_id)
    found = {key.id: key for key in session.scalars(both.order_by(ApiKey.id).with_for_update(of=ApiKey))}
    giver, target = found.get(giver_id), found.get(key_id)
    if giver is None or giver.revoked_at or giver.disabled_at:
        raise GiverOverError
    if target is None:
        raise NotFoundError("This account has no such key.", target="keyId")
    if target.revoked_at:
        raise KeyOverError
    return giver, target


def check_change(
    session: Session, giver: ApiKey, target: ApiKey, settings: KeySettings, budgets: Sequence[BudgetTerms] | None
) -> None:
    """Refuse settings of a key, or a new token, that give more than the giver has. Raises BeyondKeyError.

    A key with budgets or rate limits has power over those alone that draw on them: itself and what it made. Its own,
    and those of the keys that made it, are beyond it.
    """
    line = get_line(session, giver)
    line_of_target = {key.id for key in get_line(session, target)}
    bounds = list_budgets_of(session, [key.id for key in line])
    beyond = []
    if {budget.spender for budget in bounds if budget.refuses} - line_of_target:
        beyond.append(FieldError("budgets", "This key has less to spend itself.", "keys that this key made"))
    if {key.id for key in line if key.rate_limits} - line_of_target:
        beyond.append(FieldError("rateLimits", "This key may call less often itself.", "keys that this key made"))
    of_itself = "A key cannot change what bounds itself."
    if target in line and budgets is not None:
        beyond.append(FieldError("budgets", of_itself, "keys that this key made"))
    if target in line and [*settings.rate_limits] != [*settings_of(target).rate_limits]:
        beyond.append(FieldError("rateLimits", of_itself, "keys that this key made"))
    check_within(line, settings, [*beyond, *find_wide_budgets(bounds, budgets or ())])


def check_within(line: Sequence[ApiKey], settings: KeySettings, beyond: Iterable[FieldError]) -> None:
    """Refuse settings that allow what the first of this line may not, or what is known to be beyond it already.

    Raises BeyondKeyError.
    """
    own = settings_of(line[0])
    beyond = list(beyond)
    if lacking := [scope for scope in settings.scopes if scope not in own.scopes]:
        message = f"This key does not have {', '.join(lacking)} itself."
        beyond.append(FieldError("scopes", message, ", ".join(own.scopes)))
    if own.mode == KeyMode.TEST and settings.mode != KeyMode.TEST:
        beyond.append(FieldError("mode", "This key is a test key.", "test"))
    if own.expires_at and not (settings.expires_at and settings.expires_at <= own.expires_at):
        beyond.append(FieldError("expiresAt", "This key expires before that.", "no later than its own expiry"))
    limits = [limit for key in line for limit in settings_of(key).rate_limits]
    if any(is_wider(limit, bound) for limit in settings.rate_limits for bound in limits):
        allowed = ", ".join(f"{limit.calls} calls in {limit.seconds} seconds" for limit in limits)
        beyond.append(FieldError("rateLimits", "This key may call less often itself.", f"at most {allowed}"))
    if own.addresses and not are_within(settings.addresses, own.addresses):
        message = "This key may call from fewer addresses itself."
        beyond.append(FieldError("addresses", message, ", ".join(own.addresses)))
    if beyond:
        raise BeyondKeyError(beyond)


def is_wider(limit: RateLimit, bound: RateLimit) -> bool:
    """Tell whether a limit allows more calls in the same time."""
    return limit.seconds == bound.seconds and limit.calls > bound.calls


def are_within(inner: Sequence[str], outer: Sequence[str]) -> bool:
    """Tell whether there are inner networks, and each is part of one of the outer ones."""
    return bool(inner) and all(any(is_part(ip_network(a), ip_network(b)) for b in outer) for a in inner)


def is_part(inner: IPv4Network | IPv6Network, outer: IPv4Network | IPv6Network) -> bool:
    """Tell whether one network is part of another."""
    return inner.version == outer.version and inner.subnet_of(outer)  # type: ignore[arg-type]  # the versions are equal


def find_wide_budgets(bounds: Sequence[Budget], budgets: Sequence[BudgetTerms]) -> Iterator[FieldError]:
    """Give what is beyond the budgets that bound the giver."""
    for index, wanted in enumerate(budgets):
        for bound in bounds:
            if bound.refuses and bound.period == wanted.period and wanted.microcredits > bound.microcredits:
                allowed = f"at most {format_credits(bound.microcredits)} credits"
                yield FieldError(f"budgets[{index}].limit", "This key has less to spend itself.", allowed)
                break


def find_long_line(line: Sequence[ApiKey]) -> Iterator[FieldError]:
    """Give what is wrong with one more key at the end of a line."""
    if len(line) >= MAX_LINE:
        message = "This key was made by a key that a key made, and so on, too many times. Rotate it instead."
        yield FieldError("createdByKeyId", message, f"at most {MAX_LINE} keys, each made by the one before")
