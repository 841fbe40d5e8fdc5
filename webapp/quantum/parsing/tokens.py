"""Cut OpenQASM source into tokens, one at a time: a list of them all would be many times the source."""

import re
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

# A regular expression holds the interpreter's lock for as long as it runs, and looks at so many characters at most: no
# name, number or string is longer. Comments, which may be, are passed by plain search.
MAX_TOKEN_CHARACTERS: Final = 1_024

_TOKEN = re.compile(
    r"""
      (?P<space>    \s+ )
    | (?P<comment>  // | /\* )
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

_COMMENT: Final = "comment"
_SPACE: Final = "space"

# Longer literals hold no more digits than a double does.
_MAX_NUMBER_CHARACTERS = 64


class Tokens:
    """A walk over the tokens of a source: `kind`, `text` and `position` are those of the current one."""

    __slots__ = ("_end", "_reserved", "_source", "kind", "position", "text")

    def __init__(self, source: str, *, reserved: frozenset[str] = frozenset()) -> None:
        self._source = source
        self._reserved = reserved
        # Of the current token. Some editors begin a file with a byte order mark.
        self._end = len("\ufeff") if source.startswith("\ufeff") else 0
        self.kind = END
        self.text = ""
        self.position = 0
        self.advance()

    def advance(self) -> str:
        """Go to the next token and give the text of the one that was current. Raises Mistake at a stray character."""
        passed, source, place = self.text, self._source, self._end
        while match := _TOKEN.match(source, place, place + MAX_TOKEN_CHARACTERS):
            kind = match.lastgroup
            if kind == _SPACE:
                place = match.end()
            elif kind == _COMMENT:
                place = self._find_end_of_comment(match.group(), place)
            else:
                self.kind, self.text, self.position, self._end = str(kind), match.group(), place, match.end()
                self._check_length()
                return passed
        if place < len(source):
            raise Mistake(f"the character {source[place]!r} has no meaning here.", place)
        self.kind, self.text, self.position, self._end = END, "", place, place
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

    @property
    def is_reserved(self) -> bool:
        """Tell whether the token is a word that the language has a use for."""
        return self.kind == NAME and self.text in self._reserved

    def expect_new_name(self, what: str) -> str:
        """Pass a name that the program gives to something. Raises Mistake if the language has a use for it."""
        if self.is_reserved:
            raise Mistake(f"{self.text!r} is a word of the language; choose another name for {what}.", self.position)
        return self.expect_name(what)

    def skip_line(self) -> None:
        """Pass everything up to the end of the line."""
        self._end = self._find_end_of_line(self.position)
        self.advance()

    def _find_end_of_line(self, place: int) -> int:
        """Find the end of the line that this place is on."""
        end = self._source.find("\n", place)
        return len(self._source) if end < 0 else end

    def _find_end_of_comment(self, opening: str, place: int) -> int:
        """Find the end of the comment that opens here. Raises Mistake where it has none."""
        if opening == "//":
            return self._find_end_of_line(place)
        end = self._source.find("*/", place + len(opening))
        if end < 0:
            raise Mistake("this comment has no end; expected '*/'.", place)
        return end + len("*/")

    def _check_length(self) -> None:
        """Refuse a number that nobody means, and whatever the expression did not see the end of."""
        if self.kind in {REAL, INTEGER} and len(self.text) > _MAX_NUMBER_CHARACTERS:
            raise Mistake(f"a number has at most {_MAX_NUMBER_CHARACTERS} characters.", self.position)
        if len(self.text) >= MAX_TOKEN_CHARACTERS:
            raise Mistake(f"a name has fewer than {MAX_TOKEN_CHARACTERS} characters.", self.position)
