"""Text from strangers."""

import unicodedata

# Controls (among them NUL, which PostgreSQL cannot store), line and paragraph separators, halves of surrogate pairs.
CONTROL_CATEGORIES = frozenset({"Cc", "Zl", "Zp", "Cs"})


def has_control_characters(text: str) -> bool:
    """Tell whether text has characters that cannot be stored, or shown on one line."""
    return any(unicodedata.category(character) in CONTROL_CATEGORIES for character in text)
