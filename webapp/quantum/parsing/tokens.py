"""Cut OpenQASM source into tokens, one at a time: a list of them all would be many times the source."""

import re
from collections.abc import Iterator
from typing import Final

from webapp.quantum.parsing.errors import Mistake

# Kinds of tokens, as the groups of the expression below.
NAME: Final = "name"
INTEGER: Final = "integer"
REAL: Final = "real"
STRING: Final = "string"
SYMBOL: Final = "symbol"
HARDWARE: Final = "hardware"
END: Final = "end"

# No part can be tried twice over the same text: each either matches or fails at its first characters, and an unclosed
# comment runs to the end. So the time is linear in the source.
_TOKEN = re.compile(
    r"""
      (?P<space>    \s+ | //[^\n]* | /\*[\s\S]*?(?:\*/|\Z) )
    | (?P<name>     [^\W\d]\w* )
    | (?P<real>     \d[\d_]*\.(?:\d[\d_]*)?(?:[eE][+-]?\d+)? | \.\d[\d_]*(?:[eE][+-]?\d+)? | \d[\d_]*[eE][+-]?\d+ )
    | (?P<integer>  0[xX][\da-fA-F_]+ | 0[bB][01_]+ | 0[oO][0-7_]+ | \d[\d_]* )
    | (?P<string>   "[^"\n]*" | '[^'\n]*' )
    | (?P<hardware> \$\d+ )
    | (?P<symbol>   -> | == | != | <= | >= | && | \|\| | \+\+ | \*\* | << | >> | [-+*/%^&|]=
                    | [-+*/%^&|~!<>=()\[\]{},;:@.\#] )
    """,
    re.VERBOSE,
)

# Longer literals hold no more digits than a double does.
_MAX_NUMBER_CHARACTERS = 64


class Tokens:
    """A walk over the tokens of a source: `kind`, `text` and `position` are those of the current one."""

    __slots__ = ("_matches", "_previous_end", "_source", "kind", "position", "text")

    def __init__(self, source: str) -> None:
        self._source = source
        self._matches: Iterator[re.Match[str]] = _TOKEN.finditer(source)
        self._previous_end = 0
        self.kind = END
        self.text = ""
        self.position = 0
        self.advance()

    def advance(self) -> str:
        """Go to the next token and give the text of the one that was current. Raises Mistake at a stray character."""
        passed = self.text
        for match in self._matches:
            start = match.start()
            if start != self._previous_end:
                break
            self._previous_end = match.end()
            kind = match.lastgroup
            if kind != "space":
                self.kind, self.text, self.position = str(kind), match.group(), start
                self._check_number()
                return passed
            self._check_comment(match)
        if self._previous_end != len(self._source):
            character = self._source[self._previous_end]
            raise Mistake(f"the character {character!r} has no meaning here.", self._previous_end)
        self.kind, self.text, self.position = END, "", len(self._source)
        return passed

    def describe(self) -> str:
        """Write the current token for a message."""
        return "the end of the program" if self.kind == END else repr(self.text[:40])

    def accept(self, text: str) -> bool:
        """Pass the current token if it is this symbol or word."""
        if self.text == text and self.kind != STRING:
            self.advance()
            return True
        return False

    def expect(self, text: str, *, after: str = "") -> None:
        """Pass this symbol or word. Raises Mistake if something else stands here."""
        if not self.accept(text):
            place = f" after {after}" if after else ""
            raise Mistake(f"expected {text!r}{place}, found {self.describe()}.", self.position)

    def expect_name(self, what: str) -> str:
        """Pass a name and give it. Raises Mistake."""
        if self.kind != NAME:
            raise Mistake(f"expected {what}, found {self.describe()}.", self.position)
        return self.advance()

    def skip_line(self) -> None:
        """Pass everything up to the end of the line."""
        end = self._source.find("\n", self.position)
        end = len(self._source) if end < 0 else end
        self._matches = _TOKEN.finditer(self._source, end)
        self._previous_end = end
        self.advance()

    def _check_number(self) -> None:
        """Refuse a number that nobody means."""
        if self.kind in {REAL, INTEGER} and len(self.text) > _MAX_NUMBER_CHARACTERS:
            raise Mistake(f"a number has at most {_MAX_NUMBER_CHARACTERS} characters.", self.position)

    @staticmethod
    def _check_comment(match: re.Match[str]) -> None:
        """Refuse a comment without an end."""
        text = match.group()
        if text.startswith("/*") and (len(text) < len("/**/") or not text.endswith("*/")):
            raise Mistake("this comment has no end; expected '*/'.", match.start())
