"""How pages write amounts of credits, and times."""

from datetime import UTC, datetime, timedelta

import pytest

from webapp.dashboard.formatting import format_amount, format_duration, format_grouped_credits, format_until


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


def test_a_duration_has_the_unit_of_its_size() -> None:
    durations = (timedelta(milliseconds=8.4), timedelta(seconds=1.25), timedelta(minutes=75, seconds=3))
    assert [format_duration(each) for each in durations] == ["8.4 ms", "1.25 s", "75 min 3 s"]


def test_a_wait_is_told_as_roughly_as_it_is_known() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    waits = (timedelta(seconds=-5), timedelta(seconds=59), timedelta(minutes=25.2), timedelta(minutes=170))
    told = [format_until(now + wait, now) for wait in waits]
    assert told == ["within a minute", "within a minute", "in about 26 minutes", "in about 3 hours"]
