"""Credits in and out of text, to the micro-credit."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.core.money import MAX_MICROCREDITS, InvalidAmountError, format_credits, parse_credits


@given(st.integers(min_value=0, max_value=MAX_MICROCREDITS))
def test_what_is_written_reads_back_the_same(microcredits: int) -> None:
    text = format_credits(microcredits)
    assert parse_credits(text) == microcredits
    assert len(text.partition(".")[2]) <= 6


@given(st.integers(min_value=0, max_value=10**9 - 1), st.text("0123456789", min_size=7, max_size=60))
def test_a_seventh_decimal_place_is_never_rounded_away(whole: int, places: str) -> None:
    text = f"{whole}.{places}"
    if places[6:].strip("0"):
        with pytest.raises(InvalidAmountError):
            parse_credits(text)
    elif len(places) <= 16:
        assert parse_credits(text) == whole * 1_000_000 + int(places[:6])


@given(st.text())
def test_text_is_an_amount_or_refused_without_being_repeated(text: str) -> None:
    try:
        microcredits = parse_credits(text)
    except InvalidAmountError as refused:
        message = str(refused)
    else:
        assert 0 <= microcredits <= MAX_MICROCREDITS
        return
    assert "not an amount of credits" in message
    assert len(message) < 120


@given(st.integers(min_value=-MAX_MICROCREDITS, max_value=-1))
def test_a_difference_may_be_negative(microcredits: int) -> None:
    assert format_credits(microcredits) == "-" + format_credits(-microcredits)


@pytest.mark.parametrize(
    ("text", "microcredits"),
    [("0", 0), ("0.000001", 1), ("12.5", 12_500_000), ("007", 7_000_000), ("1000000000", MAX_MICROCREDITS)],
)
def test_an_amount_is_decimal_digits(text: str, microcredits: int) -> None:
    assert parse_credits(text) == microcredits


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "-0",
        "-1",
        "+1",
        ".5",
        "1.",
        "1e3",
        "1_0",
        "1,5",
        "0x1",
        "NaN",
        "Infinity",
        "\u0661",
        "\uff11",
        "1\n",
        "1\0",
        "1000000000.000001",
        "1000000001",
        "9" * 5_000,
        "0.0000001",
        "0." + "0" * 5_000 + "1",
    ],
)
def test_anything_else_is_no_amount(text: str) -> None:
    with pytest.raises(InvalidAmountError):
        parse_credits(text)


@pytest.mark.parametrize("amount", ["100", "1E+2", "1E-6", "0.10"])
def test_a_setting_that_is_a_number_already_may_have_an_exponent(amount: str) -> None:
    assert parse_credits(Decimal(amount)) == Decimal(amount) * 1_000_000


@pytest.mark.parametrize("amount", ["NaN", "Infinity", "-1", "1E-7", "1E+10"])
def test_a_number_out_of_range_is_no_amount(amount: str) -> None:
    with pytest.raises(InvalidAmountError):
        parse_credits(Decimal(amount))


@pytest.mark.parametrize(
    ("microcredits", "text"), [(0, "0"), (1, "0.000001"), (1_500_000, "1.5"), (10_000_000, "10"), (-1, "-0.000001")]
)
def test_an_amount_is_written_with_as_few_places_as_it_needs(microcredits: int, text: str) -> None:
    assert format_credits(microcredits) == text
