"""Proxy headers, believed only when they come from a proxy that the operator has named."""

from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from typing import Any

from config import Network


class TrustedProxies:
    """WSGI middleware that takes the client's address and scheme from a trusted proxy's X-Forwarded-For and -Proto.

    X-Forwarded-For is read from the right, past the proxies that are trusted: what stands further left was written by
    whoever called, and may say anything. The Host header is never replaced; PUBLIC_URL says what the service is called.
    """

    def __init__(self, application: Any, proxies: Sequence[Network]) -> None:  # noqa: ANN401 - a WSGI application
        self.application = application
        self.proxies = proxies

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:  # noqa: ANN401 - WSGI's
        """Serve a request as the client sent it."""
        if self.is_trusted(environ.get("REMOTE_ADDR", "")):
            environ["REMOTE_ADDR"] = self.find_client(environ)
            scheme = environ.get("HTTP_X_FORWARDED_PROTO", "")
            if scheme in {"http", "https"}:
                environ["wsgi.url_scheme"] = scheme
        answer: Iterable[bytes] = self.application(environ, start_response)
        return answer

    def find_client(self, environ: dict[str, Any]) -> str:
        """Give the first address from the right that is none of the proxies'."""
        client: str = environ["REMOTE_ADDR"]
        for address in reversed(environ.get("HTTP_X_FORWARDED_FOR", "").split(",")):
            if not is_address(address.strip()):
                break
            client = address.strip()
            if not self.is_trusted(client):
                break
        return client

    def is_trusted(self, address: str) -> bool:
        """Tell whether an address is one of the proxies'."""
        return is_address(address) and any(ip_address(address) in proxy for proxy in self.proxies)


def is_address(text: str) -> bool:
    """Tell whether this is an address, of version 4 or 6."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
