"""Numbers of JSON: whole ones are whole however they are written, as far as a double can say which."""

import pytest

from webapp.core.json_numbers import read_float

LARGEST = 2**53 - 1


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1000.0", 1000),
        ("1e3", 1000),
        ("-1E+3", -1000),
        ("10000e-1", 1000),
        ("-0.0", 0),
        (f"{LARGEST}.0", LARGEST),
        (f"-{LARGEST}.0", -LARGEST),
    ],
)
def test_a_whole_number_is_an_integer(text: str, number: int) -> None:
    read = read_float(text)
    assert (read, type(read)) == (number, int)


@pytest.mark.parametrize(
    "text", ["0.5", "1e-1", "9007199254740992.0", "-9007199254740992.0", "1e300", "-1e300", "1e400", "-1e400"]
)
def test_any_other_stays_a_float(text: str) -> None:
    read = read_float(text)
    assert (read, type(read)) == (float(text), float)
