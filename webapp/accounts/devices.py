"""Browsers that somebody has logged in from before, known by a cookie (OWASP's "device cookies").

An attacker who guesses uses up what strangers may try on an account; its owner, on a browser that is known, has a
budget of their own and is not locked out. The cookie lets nobody in: it is only a budget for guesses.
"""

import hmac
import re
import secrets
from datetime import timedelta

from webapp.core.sealing import sealer

LIFETIME = timedelta(days=180)
# People who share a browser.
MAX_ACCOUNTS = 4
COOKIE = re.compile(rf"[\w-]{{24}}(\.[\w-]{{43}}){{1,{MAX_ACCOUNTS}}}", re.ASCII)


def find_device(cookie: str, email: str) -> str | None:
    """Give the name of this browser where the account's owner has logged in from it before."""
    if not COOKIE.fullmatch(cookie):
        return None
    name, *tags = cookie.split(".")
    expected = make_tag(name, email)
    return name if any(hmac.compare_digest(tag, expected) for tag in tags) else None


def remember_device(cookie: str, email: str) -> str:
    """Give the cookie that this browser is known by from now on, for this account and those that it was known for."""
    name, *tags = cookie.split(".") if COOKIE.fullmatch(cookie) else [secrets.token_urlsafe(18)]
    tag = make_tag(name, email)
    return ".".join([name, tag, *[other for other in tags if other != tag]][: 1 + MAX_ACCOUNTS])


def make_tag(name: str, email: str) -> str:
    """Give the proof that we have seen this account's owner on this browser."""
    return sealer.tag(f"{name} {email}", purpose="device")
