"""Which characters text from strangers may have."""

import pytest

from webapp.core.text import count_of, find_meant, format_bytes, has_control_characters


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


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("bell_state", "bell-state"),
        ("BELLSTATE", "bell-state"),
        ("bel-state", "bell-state"),
        ("bell", "bell-state"),
        ("grover-search-3", "grover-search"),
        ("", None),
        ("be", None),
        ("teleport", None),
        ("x" * 1_000_000, None),
    ],
)
def test_a_mistyped_name_is_taken_for_the_known_one_that_is_like_it(name: str, meant: str | None) -> None:
    assert find_meant(name, ["bell-state", "grover-search"]) == meant


def test_one_thing_is_counted_in_the_singular() -> None:
    assert [count_of(number, "qubit") for number in (0, 1, 2)] == ["0 qubits", "1 qubit", "2 qubits"]


def test_only_so_many_names_are_compared() -> None:
    names = (f"name{number}" for number in range(10**9))
    assert find_meant("something-else", names) is None


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (1536, "1.5 KiB"),
        (24 << 24, "384 MiB"),
        (24 << 36, "1.5 TiB"),
        (24 << 1024, "more than a million EiB"),
    ],
)
def test_sizes_are_written_for_people(size_bytes: int, text: str) -> None:
    assert format_bytes(size_bytes) == text
