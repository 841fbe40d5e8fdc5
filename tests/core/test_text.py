"""Which characters text from strangers may have."""

import pytest

from webapp.core.text import has_control_characters


@pytest.mark.parametrize(
    "character", ["\0", "\n", "\t", "\x1b", "\x7f", "\x85", "\u009f", "\u2028", "\u2029", "\ud800"]
)
def test_what_cannot_be_stored_or_shown_on_a_line_is_found(character: str) -> None:
    assert has_control_characters(f"a{character}b")


@pytest.mark.parametrize(
    "text", ["", "name", "a\u00a0b", "👩\u200d🔬", "\u0645\u06cc\u200c\u062e", "\U0010ffff", "<b>"]
)
def test_words_of_any_script_are_not(text: str) -> None:
    assert not has_control_characters(text)
