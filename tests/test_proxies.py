"""Proxy headers count only when a trusted proxy sends them."""

from ipaddress import ip_network
from typing import Any

import pytest

from webapp.proxies import TrustedProxies

PROXIES = (ip_network("10.0.0.0/8"), ip_network("::1"))


def serve(remote: str, *, forwarded: str | None = None, proto: str | None = None) -> tuple[str, str]:
    """Give the address and the scheme that the application sees."""
    seen: dict[str, Any] = {}

    def application(environ: dict[str, Any], _start: object) -> list[bytes]:
        seen.update(environ)
        return []

    environ = {"REMOTE_ADDR": remote, "wsgi.url_scheme": "http"}
    if forwarded is not None:
        environ["HTTP_X_FORWARDED_FOR"] = forwarded
    if proto is not None:
        environ["HTTP_X_FORWARDED_PROTO"] = proto
    TrustedProxies(application, PROXIES)(environ, None)
    return seen["REMOTE_ADDR"], seen["wsgi.url_scheme"]


@pytest.mark.parametrize(
    ("remote", "forwarded", "client"),
    [
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("::1", "2001:db8::7", "2001:db8::7"),
        # What the client wrote itself stands on the left.
        ("10.0.0.1", "198.51.100.1, 203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "203.0.113.9, 10.0.0.2", "203.0.113.9"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        # Nobody else is believed.
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
        ("10.0.0.1", "unknown", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9, unknown", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", None, "10.0.0.1"),
        ("", "203.0.113.9", ""),
    ],
)
def test_the_client_is_the_first_from_the_right_that_is_no_proxy(
    remote: str, forwarded: str | None, client: str
) -> None:
    assert serve(remote, forwarded=forwarded)[0] == client


@pytest.mark.parametrize(
    ("remote", "proto", "scheme"),
    [
        ("10.0.0.1", "https", "https"),
        ("10.0.0.1", "gopher", "http"),
        ("203.0.113.9", "https", "http"),
        ("10.0.0.1", None, "http"),
    ],
)
def test_the_scheme_is_what_a_trusted_proxy_says(remote: str, proto: str | None, scheme: str) -> None:
    assert serve(remote, proto=proto)[1] == scheme
