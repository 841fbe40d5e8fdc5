"""What may be chosen for a key."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv6Network, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.core.errors import InvalidFieldsError
from webapp.keys.networks import is_within
from webapp.keys.settings import KeySettings, RateLimit, check_settings, due_notice

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
GOOD = KeySettings(name="a key", scopes=("jobs:read",))


def paths_of_problems(settings: KeySettings) -> list[str]:
    try:
        check_settings(settings, at=NOW)
    except InvalidFieldsError as error:
        return [detail.path for detail in error.details]
    return []


@pytest.mark.parametrize(
    ("chosen", "path"),
    [
        ({"description": "x" * 501}, "description"),
        ({"description": "a\nb"}, "description"),
        ({"mode": "prod"}, "mode"),
        ({"expires_at": NOW}, "expiresAt"),
        ({"expires_at": NOW - timedelta(days=1)}, "expiresAt"),
        ({"expires_at": NOW + timedelta(days=4000)}, "expiresAt"),
        ({"rate_limits": [RateLimit(0, 60)]}, "rateLimits"),
        ({"rate_limits": [RateLimit(1, 86_401)]}, "rateLimits"),
        ({"rate_limits": [RateLimit(1, 60), RateLimit(2, 60)]}, "rateLimits"),
        ({"rate_limits": [RateLimit(1, seconds) for seconds in range(1, 6)]}, "rateLimits"),
        ({"addresses": ["256.1.1.1"]}, "addresses"),
        ({"addresses": ["10.0.0.0/33"]}, "addresses"),
        ({"addresses": ["fe80::1%any\ntext"]}, "addresses"),
        ({"addresses": [f"10.0.0.{n}" for n in range(51)]}, "addresses"),
        ({"tags": ["Upper"]}, "tags"),
        ({"tags": ["x" * 41]}, "tags"),
        ({"tags": [f"t{n}" for n in range(11)]}, "tags"),
    ],
)
def test_what_cannot_be_is_refused_where_it_is(chosen: dict[str, object], path: str) -> None:
    assert paths_of_problems(replace(GOOD, **chosen)) == [path]  # type: ignore[arg-type]  # wrong on purpose


def test_everything_wrong_is_named_at_once() -> None:
    wrong = replace(GOOD, name="", scopes=(), mode="", addresses=("x",), tags=("!",))
    assert paths_of_problems(wrong) == ["name", "scopes", "mode", "addresses", "tags"]


def test_networks_are_kept_as_networks_and_each_once() -> None:
    chosen = replace(GOOD, addresses=("10.1.2.3/8", "10.0.0.0/8", " 2001:DB8::1 "), tags=("ci", "ci"))
    kept = check_settings(chosen, at=NOW)
    assert (kept.addresses, kept.tags) == (("10.0.0.0/8", "2001:db8::1/128"), ("ci",))


addresses = st.ip_addresses()
networks = st.builds(
    lambda address, cut: str(ip_network((address, max(0, address.max_prefixlen - cut)), strict=False)),
    addresses,
    st.integers(0, 128),
)


def as_ipv6(network: str) -> IPv6Network:
    """Give a network of IPv4 as IPv6 maps it."""
    found = ip_network(network)
    if isinstance(found, IPv6Network):
        return found
    return IPv6Network((f"::ffff:{found.network_address}", 96 + found.prefixlen))


@given(addresses, st.lists(networks, max_size=4))
def test_an_address_is_in_a_network_as_the_standard_library_has_it(address: object, within: list[str]) -> None:
    [alone] = as_ipv6(str(address))
    assert is_within(str(address), within) == any(alone in as_ipv6(network) for network in within)


@pytest.mark.parametrize(
    ("address", "network", "answer"),
    [
        ("::ffff:10.0.0.1", "10.0.0.0/8", True),
        ("10.0.0.1", "::ffff:0:0/96", True),
        ("fe80::1%eth0", "fe80::/10", True),
        ("", "0.0.0.0/0", False),
        ("unix:", "10.0.0.0/8", False),
    ],
)
def test_an_ipv4_address_is_the_same_in_ipv6_and_what_is_none_is_nowhere(
    address: str, network: str, *, answer: bool
) -> None:
    assert is_within(address, [network]) is answer


@pytest.mark.parametrize(("days", "due"), [(15, None), (14, 14), (4, 14), (3, 3), (1.5, 3), (1, 1), (0.1, 1)])
def test_the_notice_that_is_due_is_the_nearest(days: float, due: int | None) -> None:
    assert due_notice(NOW + timedelta(days=days), at=NOW) == due
