"""What can be chosen for a key, and what of it is allowed."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network

from webapp.core.clock import format_time
from webapp.core.errors import FieldError, InvalidFieldsError
from webapp.core.text import has_control_characters
from webapp.keys.models import ApiKey, KeyMode
from webapp.keys.scopes import SCOPES, sort_scopes

MAX_NAME_LENGTH = 80
MAX_DESCRIPTION_LENGTH = 500
# How long before a key expires its owners are told.
NOTICE_DAYS = (14, 3, 1)
MAX_LIFETIME = timedelta(days=3660)
MAX_TAGS = 10
TAG = re.compile(r"[a-z0-9][a-z0-9._:/-]{0,39}")
MAX_ADDRESSES = 50
MAX_RATE_LIMITS = 4
MAX_QUOTA = 1_000_000
SECONDS_PER_DAY = 86_400


@dataclass(frozen=True)
class RateLimit:
    """`calls` in any `seconds`, refilled evenly."""

    calls: int
    seconds: int


@dataclass(frozen=True)
class KeySettings:
    """What a key may do. Its mode is chosen once."""

    name: str
    scopes: Collection[str]
    description: str = ""
    mode: str = KeyMode.LIVE
    expires_at: datetime | None = None
    rate_limits: Sequence[RateLimit] = ()
    addresses: Sequence[str] = ()
    tags: Sequence[str] = ()


def settings_of(key: ApiKey) -> KeySettings:
    """Give what was chosen for a key."""
    return KeySettings(
        name=key.name,
        scopes=tuple(key.scopes.split()),
        description=key.description,
        mode=key.mode,
        expires_at=key.expires_at,
        rate_limits=tuple(RateLimit(calls, seconds) for calls, seconds in key.rate_limits),
        addresses=tuple(key.addresses),
        tags=tuple(key.tags),
    )


def describe(settings: KeySettings) -> dict[str, str | list[str] | None]:
    """Write settings as the audit trail keeps them."""
    return {
        "name": settings.name,
        "description": settings.description,
        "mode": settings.mode,
        "scopes": list(settings.scopes),
        "expiresAt": format_time(settings.expires_at) if settings.expires_at else None,
        "rateLimits": [f"{limit.calls}/{limit.seconds}" for limit in settings.rate_limits],
        "addresses": list(settings.addresses),
        "tags": list(settings.tags),
    }


def due_notice(expires_at: datetime | None, *, at: datetime) -> int | None:
    """Give which notice of an expiry is due: the fewest days of NOTICE_DAYS that it is nearer than."""
    if expires_at is None:
        return None
    return min((days for days in NOTICE_DAYS if expires_at - timedelta(days=days) <= at), default=None)


def status_of(key: ApiKey, *, at: datetime) -> str:
    """Say what a key is now: revoked, disabled, expired or active."""
    if key.revoked_at:
        return "revoked"
    if key.disabled_at:
        return "disabled"
    return "expired" if key.expires_at and key.expires_at <= at else "active"


def check_settings(settings: KeySettings, *, at: datetime, expired_before: datetime | None = None) -> KeySettings:
    """Give the settings as they are kept, or name all that is wrong with them at once.

    A key that has expired before may keep its expiry. Raises InvalidFieldsError.
    """
    settings = replace(settings, name=settings.name.strip(), description=settings.description.strip())
    wrong = [*check_words(settings), *check_scopes(settings.scopes)]
    if settings.mode not in set(KeyMode):
        wrong.append(FieldError("mode", "This is not a mode of keys.", ", ".join(KeyMode)))
    if settings.expires_at != expired_before:
        wrong += check_expiry(settings.expires_at, at=at)
    wrong += check_rate_limits(settings.rate_limits)
    networks, problems = read_networks(settings.addresses)
    wrong += [*problems, *check_tags(settings.tags)]
    if wrong:
        raise InvalidFieldsError(wrong)
    return replace(
        settings,
        scopes=tuple(sort_scopes(settings.scopes)),
        addresses=tuple(dict.fromkeys(map(str, networks))),
        tags=tuple(dict.fromkeys(settings.tags)),
    )


def check_words(settings: KeySettings) -> Iterator[FieldError]:
    """Give what is wrong with a name and a description."""
    if not 1 <= len(settings.name) <= MAX_NAME_LENGTH:
        allowed = f"1 to {MAX_NAME_LENGTH} characters"
        yield FieldError("name", f"A key's name has {allowed}.", allowed)
    elif has_control_characters(settings.name):
        yield FieldError("name", "A key's name has no control characters.")
    if len(settings.description) > MAX_DESCRIPTION_LENGTH or has_control_characters(settings.description):
        allowed = f"at most {MAX_DESCRIPTION_LENGTH} characters on one line"
        yield FieldError("description", f"A description has {allowed}.", allowed)


def check_scopes(scopes: Collection[str]) -> Iterator[FieldError]:
    """Give what is wrong with scopes."""
    known = ", ".join(SCOPES)
    if not scopes:
        yield FieldError("scopes", "A key needs at least one scope.", known)
    yield from (FieldError("scopes", f"{scope!r} is not a scope.", known) for scope in scopes if scope not in SCOPES)


def check_expiry(expires_at: datetime | None, *, at: datetime) -> Iterator[FieldError]:
    """Give what is wrong with an expiry."""
    if expires_at and not at < expires_at <= at + MAX_LIFETIME:
        yield FieldError("expiresAt", "A key expires in the future, within ten years.", "a time in the next 10 years")


def check_rate_limits(limits: Sequence[RateLimit]) -> Iterator[FieldError]:
    """Give what is wrong with rate limits."""
    allowed = f"1 to {MAX_QUOTA} calls in 1 to {SECONDS_PER_DAY} seconds"
    if len(limits) > MAX_RATE_LIMITS or len({limit.seconds for limit in limits}) != len(limits):
        message = f"A key has at most {MAX_RATE_LIMITS} rate limits of its own, each for another time."
        yield FieldError("rateLimits", message, allowed)
    if not all(1 <= limit.calls <= MAX_QUOTA and 1 <= limit.seconds <= SECONDS_PER_DAY for limit in limits):
        yield FieldError("rateLimits", f"A rate limit is {allowed}.", allowed)


def read_networks(addresses: Sequence[str]) -> tuple[list[IPv4Network | IPv6Network], list[FieldError]]:
    """Read addresses and networks, and give what is wrong with those that are neither."""
    allowed = "addresses or networks such as 203.0.113.7, 203.0.113.0/24 or 2001:db8::/32"
    networks, wrong = [], []
    if len(addresses) > MAX_ADDRESSES:
        wrong.append(FieldError("addresses", f"A key is tied to at most {MAX_ADDRESSES} networks.", allowed))
    for text in addresses[:MAX_ADDRESSES]:
        try:
            if "%" in text:
                # The scope of a link-local address (RFC 4007): any text, and none of it in the address of a call.
                raise ValueError(text)  # noqa: TRY301 - as for what is no address
            networks.append(ip_network(text.strip(), strict=False))
        except ValueError:
            wrong.append(FieldError("addresses", f"{text[:50]!r} is neither an address nor a network.", allowed))
    return networks, wrong


def check_tags(tags: Sequence[str]) -> Iterator[FieldError]:
    """Give what is wrong with tags."""
    allowed = f"at most {MAX_TAGS} of 1 to 40 lower-case letters, digits and . _ : / -"
    if len(tags) > MAX_TAGS or not all(TAG.fullmatch(tag) for tag in tags):
        yield FieldError("tags", f"Tags are {allowed}.", allowed)
