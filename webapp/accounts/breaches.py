"""Passwords that are known from breaches elsewhere, asked of a service that is not told the password.

The protocol is the k-anonymity of Have I Been Pwned (https://haveibeenpwned.com/API/v3, "Searching by range"): five
hexadecimal digits of the password's SHA-1 go out, and hundreds of digests that begin so come back, padded with some
that nobody has (count 0), so that not even the length of the answer tells which it was.
"""

import hashlib
import logging
import time
from http.client import HTTPException, HTTPResponse
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
)

PREFIX_DIGITS = 5
# Somebody waits for the page meanwhile.
TIMEOUT_SECONDS = 1.5
# Who did not answer is not asked for so long: each who waits for it holds a thread.
AWAY_SECONDS = 30.0
# Of the longest answer so far, several times over.
MAX_BYTES = 1_048_576
CHUNK_BYTES = 65_536

log = logging.getLogger(__name__)


# What urlopen() has, but for what follows redirects: one after the other would have the whole time-out, and each may
# lead anywhere.
HANDLERS = (ProxyHandler, HTTPHandler, HTTPSHandler, HTTPDefaultErrorHandler, HTTPErrorProcessor)
opener = OpenerDirector()
for handler in HANDLERS:
    opener.add_handler(handler())


class BreachedPasswords:
    """The service that knows breached passwords; none is asked before use()."""

    def __init__(self) -> None:
        self._url = ""
        self._away_until = 0.0

    def use(self, url: str) -> None:
        """Ask the service at this address, to which the digits are added; with none, no service."""
        self._url, self._away_until = url, 0.0

    def has(self, password: str) -> bool:
        """Tell whether a password is known from breaches; while the service does not answer, none is."""
        if not self._url or time.monotonic() < self._away_until:
            return False
        # The protocol's; nothing secret rests on it.
        digest = hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper()
        try:
            answer = fetch(self._url + digest[:PREFIX_DIGITS])
        except (OSError, HTTPException) as error:
            self._away_until = time.monotonic() + AWAY_SECONDS
            # Not the address that was asked for, which has the digits.
            log.warning("the service of breached passwords does not answer: %s", type(error).__name__)
            return False
        return is_listed(digest[PREFIX_DIGITS:], answer)


def fetch(url: str) -> str:
    """Ask for the digests that begin so. Raises OSError or HTTPException, and TimeoutError where it takes too long."""
    ends = time.monotonic() + TIMEOUT_SECONDS
    request = Request(url, headers={"Add-Padding": "true", "User-Agent": "Upcube Quantum"})  # noqa: S310 - the operator's address, which is checked
    with opener.open(request, timeout=TIMEOUT_SECONDS) as response:
        return read_answer(response, ends=ends).decode(errors="replace")


def read_answer(response: HTTPResponse, *, ends: float) -> bytes:
    """Read an answer that ends in time, and not one byte more than there can be."""
    data = b""
    while len(data) < MAX_BYTES and (chunk := response.read1(CHUNK_BYTES)):
        data += chunk
        if time.monotonic() > ends:
            raise TimeoutError
    return data


def is_listed(suffix: str, answer: str) -> bool:
    """Tell whether lines of digest and count with a colon between have this one, counted at least once."""
    for line in answer.splitlines():
        found, _, count = line.strip().partition(":")
        if found.upper() == suffix:
            return count.strip() not in {"", "0"}
    return False


breached_passwords = BreachedPasswords()
