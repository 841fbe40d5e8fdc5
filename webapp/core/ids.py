"""Identifiers that sort by the time they were made."""

import secrets
from datetime import datetime

# Crockford's base 32: digits and lower-case letters without i, l, o and u.
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
LENGTH = 26
RANDOM_BITS = 80


def new_id(prefix: str, *, at: datetime) -> str:
    """Make an identifier such as job_01jd…: 48 bits of milliseconds and 80 random bits (the layout of a ULID)."""
    number = int(at.timestamp() * 1000) << RANDOM_BITS | secrets.randbits(RANDOM_BITS)
    characters = [ALPHABET[number >> shift & 31] for shift in range(5 * (LENGTH - 1), -1, -5)]
    return f"{prefix}_{''.join(characters)}"
