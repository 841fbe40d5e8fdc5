"""How pages write amounts of credits."""

import pytest

from webapp.dashboard.formatting import format_amount, format_grouped_credits


@pytest.mark.parametrize(
    ("microcredits", "text"),
    [
        (0, "0"),
        (1, "0.000001"),
        (1_000_000, "1"),
        (97_728_871_603, "97,728.871603"),
        (-500_000, "-0.5"),
        (10**15, "1,000,000,000"),
    ],
)
def test_credits_are_written_exactly_with_commas(microcredits: int, text: str) -> None:
    assert format_grouped_credits(microcredits) == text
    assert format_amount(microcredits).striptags() == text


def test_only_the_fraction_of_more_than_a_credit_is_drawn_back() -> None:
    assert format_amount(1_500_000) == '1<wbr><span class="amount-fraction">.5</span>'
    assert format_amount(500_000) == "0.5"
