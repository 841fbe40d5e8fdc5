"""What the lexer hands to one regular expression, which other threads wait for."""

import re

import pytest

from tests.quantum.parsing.hostile import HOSTILE
from webapp.quantum.parsing import tokens
from webapp.quantum.parsing.errors import Mistake
from webapp.quantum.parsing.tokens import MAX_TOKEN_CHARACTERS, Tokens


class Recorder:
    """Stands for the lexer's expression, and notes how many characters it may look at."""

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self.pattern = pattern
        self.largest = 0

    def match(self, source: str, start: int = 0, end: int | None = None) -> re.Match[str] | None:
        stop = len(source) if end is None else end
        self.largest = max(self.largest, stop - start)
        return self.pattern.match(source, start, stop)


LONG = [
    *("a mebibyte of comment", "a mebibyte of spaces", "a mebibyte of digits and underscores", "a mebibyte of snow"),
    *("a mebibyte of comment openings", "a mebibyte of quotes", "a mebibyte of one name", "a mebibyte of one number"),
]


@pytest.mark.parametrize("name", LONG)
def test_no_expression_sees_more_than_the_longest_token(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder(tokens._TOKEN)  # noqa: SLF001 - what is handed to it is the subject
    monkeypatch.setattr(tokens, "_TOKEN", recorder)
    _, source = HOSTILE[name]
    with pytest.raises(Mistake):  # noqa: PT012 - whichever of the tokens it is
        walk = Tokens(source)
        while walk.kind != tokens.END:
            walk.advance()
        raise Mistake("it was read to its end", 0)
    assert 0 < recorder.largest <= MAX_TOKEN_CHARACTERS


def read_all(source: str) -> list[tuple[str, str, int]]:
    """Walk over a source."""
    walk, found = Tokens(source), []
    while walk.kind != tokens.END:
        found.append((walk.kind, walk.text, walk.position))
        walk.advance()
    return found


def test_comments_and_spaces_longer_than_a_token_are_passed() -> None:
    long = 3 * MAX_TOKEN_CHARACTERS
    source = f"a{' ' * long}/*{'*' * long}*/b//{'/' * long}\nc"
    assert [text for _, text, _ in read_all(source)] == ["a", "b", "c"]
    assert read_all(source)[2][2] == len(source) - 1


def test_a_comment_may_be_empty_and_ends_at_its_first_end() -> None:
    assert [text for _, text, _ in read_all("/**/a/*/*/b//\nc//")] == ["a", "b", "c"]


@pytest.mark.parametrize("source", ["a /*", "/*/", "/* *"])
def test_a_comment_without_an_end_is_named_where_it_begins(source: str) -> None:
    with pytest.raises(Mistake, match="no end") as raised:
        read_all(source)
    assert raised.value.position == source.index("/*")


def test_the_longest_name_is_read_and_a_longer_one_refused() -> None:
    name = "a" * (MAX_TOKEN_CHARACTERS - 1)
    assert read_all(f"{name};")[0] == ("name", name, 0)
    with pytest.raises(Mistake, match="a name has fewer than 1024 characters"):
        read_all(f"a{name}")


def test_a_number_at_the_end_of_what_is_looked_at_is_whole() -> None:
    assert read_all(f"{' ' * (MAX_TOKEN_CHARACTERS - 2)}1.5e3")[0][:2] == ("real", "1.5e3")
