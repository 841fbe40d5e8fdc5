"""API key tokens: made, checked and masked here, and stored nowhere.

A token is `upcube_sk_` + 6 characters shown in lists + 22 secret ones + the account's 6-character shard tag + a
6-character checksum. The 28 random characters of base 62 hold 166 bits. The checksum is the CRC-32 of all that stands
before it, in base 62 (the layout GitHub uses, so that secret scanners can tell a token from noise without asking us).
"""

import hashlib
import re
import secrets
import string
import zlib
from typing import NamedTuple

BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
SCHEME = "upcube_sk_"
SHOWN_LENGTH = 6
SECRET_LENGTH = 22
TAG_LENGTH = 6
CHECKSUM_LENGTH = 6
# What a secret scanner looks for; the checksum then tells a token from noise.
TOKEN = re.compile(r"upcube_sk_[0-9A-Za-z]{40}")
TOKEN_LENGTH = len(SCHEME) + SHOWN_LENGTH + SECRET_LENGTH + TAG_LENGTH + CHECKSUM_LENGTH


class KeyToken(NamedTuple):
    """A well-formed token, as its SHA-256 digest in hex, the prefix shown in lists, and the account's shard tag."""

    digest: str
    prefix: str
    shard_tag: str


def new_token(shard_tag: str) -> str:
    """Make a raw token for the account with this shard tag."""
    body = SCHEME + random_base62(SHOWN_LENGTH + SECRET_LENGTH) + shard_tag
    return body + checksum(body)


def parse_token(raw: str) -> KeyToken | None:
    """Read a raw token, or give None for one that is malformed or mistyped, without asking any store."""
    if len(raw) != TOKEN_LENGTH or not raw.startswith(SCHEME) or not raw.isascii():
        return None
    body, found = raw[:-CHECKSUM_LENGTH], raw[-CHECKSUM_LENGTH:]
    if not secrets.compare_digest(checksum(body), found) or not body[len(SCHEME) :].isalnum():
        return None
    return KeyToken(
        digest=hashlib.sha256(raw.encode()).hexdigest(),
        prefix=raw[: len(SCHEME) + SHOWN_LENGTH],
        shard_tag=body[-TAG_LENGTH:],
    )


def new_shard_tag() -> str:
    """Make an account's shard tag."""
    return random_base62(TAG_LENGTH)


def random_base62(length: int) -> str:
    """Draw characters from the system's secure source."""
    return "".join(secrets.choice(BASE62) for _ in range(length))


def checksum(body: str) -> str:
    """Give the CRC-32 of the text in base 62, padded to six characters."""
    number = zlib.crc32(body.encode())
    digits = ""
    for _ in range(CHECKSUM_LENGTH):
        number, remainder = divmod(number, len(BASE62))
        digits = BASE62[remainder] + digits
    return digits
