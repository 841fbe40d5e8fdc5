"""Identifiers that sort by the time they were made."""

import secrets
from datetime import UTC, datetime

# Crockford's base 32: digits and lower-case letters without i, l, o and u. Every call makes an id, so it is written two
# characters at a time.
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
PAIRS = tuple(first + second for first in ALPHABET for second in ALPHABET)
RANDOM_BITS = 80
LENGTH = 26
SHIFTS = tuple(range(120, -1, -10))


def new_id(prefix: str, *, at: datetime) -> str:
    """Make an identifier such as job_01jd…: 48 bits of milliseconds and 80 random bits (the layout of a ULID)."""
    number = int(at.timestamp() * 1000) << RANDOM_BITS | secrets.randbits(RANDOM_BITS)
    return prefix + "_" + "".join([PAIRS[number >> shift & 1023] for shift in SHIFTS])


def read_time(identifier: str) -> datetime:
    """Give the moment at which an identifier was made."""
    number = 0
    for character in identifier[-LENGTH:]:
        number = number * len(ALPHABET) + ALPHABET.index(character)
    return datetime.fromtimestamp((number >> RANDOM_BITS) / 1000, UTC)
