"""Keys that manage keys: one never gives what it does not have, neither to a new key nor by a new token of another."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

from sqlalchemy.orm import Session

from webapp.accounts.audit import Actor
from webapp.core.db import db, transaction
from webapp.core.errors import FieldError, UpcubeError
from webapp.keys.models import ApiKey, KeyMode
from webapp.keys.operations import NewKey, add_key, change_locked_key, lock_active_key, set_key_disabled
from webapp.keys.queries import get_own_key
from webapp.keys.rotation import rotate_key
from webapp.keys.settings import KeySettings, RateLimit, check_settings, settings_of
from webapp.ledger.budgets import Budget, list_budgets, put_budget
from webapp.metering.budgets import lock_account, tell_redis


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


def create_delegated_key(
    *, giver_id: str, organisation_id: str, settings: KeySettings, actor: Actor, at: datetime
) -> NewKey:
    """Make a key on behalf of another one. Budgets that bound the giver bound the new key too, by as much.

    Raises InvalidFieldsError, BeyondKeyError, TooManyKeysError or StoreAwayError.
    """
    settings = check_settings(settings, at=at)
    giver = get_own_key(organisation_id=organisation_id, key_id=giver_id)
    check_within(giver, settings)
    created_by_id = giver.created_by_id
    with transaction() as session:
        shard_tag = lock_account(session, organisation_id, None)
        new = add_key(
            session,
            organisation_id=organisation_id,
            created_by_id=created_by_id,
            created_by_key_id=giver_id,
            settings=settings,
            actor=actor,
            at=at,
        )
        for budget in list_hard_budgets(session, organisation_id, giver_id):
            put_budget(
                session,
                organisation_id=organisation_id,
                spender=new.key.id,
                period=budget.period,
                microcredits=budget.microcredits,
                refuses=True,
                at=at,
            )
    tell_redis(shard_tag)
    return new


def update_delegated_key(
    *, giver_id: str, organisation_id: str, key_id: str, changes: Mapping[str, Any], actor: Actor, at: datetime
) -> ApiKey:
    """Change these settings of a key on behalf of another one, to nothing beyond that; the others stay what they are.

    Raises NotFoundError, InvalidFieldsError, BeyondKeyError, KeyOverError or StoreAwayError.
    """
    with transaction() as session:
        # What stays is read once nobody else can change it: an older copy would undo what others did meanwhile.
        target = lock_active_key(session, organisation_id, key_id)
        giver = get_own_key(organisation_id=organisation_id, key_id=giver_id)
        settings = check_settings(replace(settings_of(target), **changes), at=at, expired_before=target.expires_at)
        check_within(giver, settings)
        check_budgets_within(organisation_id, giver, target)
        change_locked_key(session, target, settings, actor=actor, at=at)
    return target


def switch_delegated_key(
    *, giver_id: str, organisation_id: str, key_id: str, disabled: bool, actor: Actor, at: datetime
) -> ApiKey:
    """Disable a key, or enable one that has nothing beyond the giver.

    Raises NotFoundError, BeyondKeyError, KeyOverError or StoreAwayError.
    """
    if not disabled:
        check_key_within(giver_id, organisation_id, key_id)
    return set_key_disabled(organisation_id=organisation_id, key_id=key_id, disabled=disabled, actor=actor, at=at)


def rotate_delegated_key(
    *, giver_id: str, organisation_id: str, key_id: str, grace: timedelta, actor: Actor, at: datetime
) -> NewKey:
    """Give a key that has nothing beyond the giver a new token: whoever gets the token has the key.

    Raises NotFoundError, InvalidFieldsError, BeyondKeyError, KeyOverError, KeyExpiredError or StoreAwayError.
    """
    check_key_within(giver_id, organisation_id, key_id)
    return rotate_key(organisation_id=organisation_id, key_id=key_id, grace=grace, actor=actor, at=at)


def check_key_within(giver_id: str, organisation_id: str, key_id: str) -> None:
    """Refuse a key that may do what the giver may not. Raises NotFoundError or BeyondKeyError."""
    giver = get_own_key(organisation_id=organisation_id, key_id=giver_id)
    target = get_own_key(organisation_id=organisation_id, key_id=key_id)
    check_within(giver, settings_of(target))
    check_budgets_within(organisation_id, giver, target)


def check_within(giver: ApiKey, settings: KeySettings) -> None:
    """Refuse settings that allow what the giver may not. Raises BeyondKeyError."""
    own = settings_of(giver)
    beyond = []
    if lacking := [scope for scope in settings.scopes if scope not in own.scopes]:
        message = f"This key does not have {', '.join(lacking)} itself."
        beyond.append(FieldError("scopes", message, ", ".join(own.scopes)))
    if own.mode == KeyMode.TEST and settings.mode != KeyMode.TEST:
        beyond.append(FieldError("mode", "This key is a test key.", "test"))
    if own.expires_at and not (settings.expires_at and settings.expires_at <= own.expires_at):
        beyond.append(FieldError("expiresAt", "This key expires before that.", "no later than its own expiry"))
    if not all(is_bounded(settings.rate_limits, limit) for limit in own.rate_limits):
        allowed = ", ".join(f"{limit.calls} calls in {limit.seconds} seconds" for limit in own.rate_limits)
        beyond.append(FieldError("rateLimits", "This key may call less often itself.", f"at most {allowed}"))
    if own.addresses and not are_within(settings.addresses, own.addresses):
        message = "This key may call from fewer addresses itself."
        beyond.append(FieldError("addresses", message, ", ".join(own.addresses)))
    if beyond:
        raise BeyondKeyError(beyond)


def is_bounded(limits: Sequence[RateLimit], by: RateLimit) -> bool:
    """Tell whether one of these limits allows no more than this one."""
    return any(limit.calls <= by.calls and limit.seconds >= by.seconds for limit in limits)


def are_within(inner: Sequence[str], outer: Sequence[str]) -> bool:
    """Tell whether there are inner networks, and each is part of one of the outer ones."""
    return bool(inner) and all(any(is_part(ip_network(a), ip_network(b)) for b in outer) for a in inner)


def is_part(inner: IPv4Network | IPv6Network, outer: IPv4Network | IPv6Network) -> bool:
    """Tell whether one network is part of another."""
    return inner.version == outer.version and inner.subnet_of(outer)  # type: ignore[arg-type]  # the versions are equal


def check_budgets_within(organisation_id: str, giver: ApiKey, target: ApiKey) -> None:
    """Refuse a key that may spend more than the giver. Raises BeyondKeyError."""
    if target.id == giver.id:
        return
    session = db.session()
    theirs = {budget.period: budget.microcredits for budget in list_hard_budgets(session, organisation_id, target.id)}
    for budget in list_hard_budgets(session, organisation_id, giver.id):
        if theirs.get(budget.period, budget.microcredits + 1) > budget.microcredits:
            raise BeyondKeyError([FieldError("budget", f"This key has less to spend itself ({budget.period}).")])


def list_hard_budgets(session: Session, organisation_id: str, key_id: str) -> list[Budget]:
    """Give the budgets of a key that refuse what goes beyond them."""
    return [budget for budget in list_budgets(session, organisation_id) if budget.spender == key_id and budget.refuses]
