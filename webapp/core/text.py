"""Text from strangers, and for people."""

import unicodedata
from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice

# Controls (among them NUL, which PostgreSQL cannot store), line and paragraph separators, halves of surrogate pairs.
CONTROL_CATEGORIES = frozenset({"Cc", "Zl", "Zp", "Cs"})

# How much of a mistyped name is compared, and how much of one a name must begin with to be taken for it.
MAX_NAME_CHARACTERS = 40
MIN_STEM_CHARACTERS = 4
# With how many it is compared: a program may define tens of thousands.
MAX_COMPARED_NAMES = 200

BINARY_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def has_control_characters(text: str) -> bool:
    """Tell whether text has characters that cannot be stored, or shown on one line."""
    return any(unicodedata.category(character) in CONTROL_CATEGORIES for character in text)


def find_meant(name: str, known: Iterable[str]) -> str | None:
    """Find which known name a mistyped one was meant to be: capitals, hyphens and underscores aside, and cut short."""
    plain = {fold_name(each): each for each in islice(known, MAX_COMPARED_NAMES)}
    meant = fold_name(name[:MAX_NAME_CHARACTERS])
    if meant in plain:
        return plain[meant]
    close = get_close_matches(meant, plain, n=1, cutoff=0.7)
    longer = [each for each in plain if len(meant) >= MIN_STEM_CHARACTERS and each.startswith(meant)]
    shorter = [each for each in plain if len(each) >= MIN_STEM_CHARACTERS and meant.startswith(each)]
    return next((plain[each] for each in (*close, *longer, *shorter)), None)


def fold_name(name: str) -> str:
    """Give a name as people compare it."""
    return name.lower().replace("_", "").replace("-", "").replace(" ", "")


def ask_whether_meant(name: str, known: Iterable[str]) -> str:
    """Write what a mistyped name was probably meant to be, to follow a clause; nothing where none is like it."""
    meant = find_meant(name, known)
    return f"; did you mean {meant}?" if meant else ""


def count_of(number: int, noun: str) -> str:
    """Write a number of things: 1 qubit, 2 qubits."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def format_bytes(size_bytes: int) -> str:
    """Write a number of bytes for people, in binary units: 805306368 is "768 MiB"."""
    power = min(max(size_bytes.bit_length() - 1, 0) // 10, len(BINARY_UNITS) - 1)
    whole, rest = divmod(size_bytes, 1024**power)
    # Nobody reads more digits than these, and a thousand qubits would have three hundred.
    if whole >= 10**6:
        return f"more than a million {BINARY_UNITS[power]}"
    tenths = rest * 10 // 1024**power
    return f"{whole}.{tenths} {BINARY_UNITS[power]}" if tenths else f"{whole} {BINARY_UNITS[power]}"
