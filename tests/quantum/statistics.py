"""Compare counts with the distribution that they should come from."""

import math
from collections.abc import Mapping

# A fixed seed makes the verdict repeatable; at 4 standard deviations a right engine fails for 3 seeds in 100,000.
_DEVIATIONS = 4.0

# The usual rule for Pearson's test: rarer outcomes are put together.
_MIN_EXPECTED = 5.0


def assert_counts_fit(counts: Mapping[str, int], expected: Mapping[str, float]) -> None:
    """Assert that counts fit by Pearson's chi-squared test, and that nothing impossible was counted."""
    shots = sum(counts.values())
    impossible = {bits: count for bits, count in counts.items() if expected.get(bits, 0.0) < 1e-12}
    assert not impossible
    statistic, bins = _pearson(counts, {bits: value * shots for bits, value in expected.items()})
    assert statistic <= _critical_value(bins - 1), (statistic, bins)


def assert_same_distribution(actual: Mapping[str, float], expected: Mapping[str, float]) -> None:
    """Assert that two exact distributions agree to the rounding of doubles."""
    for bits in actual.keys() | expected.keys():
        assert math.isclose(actual.get(bits, 0.0), expected.get(bits, 0.0), abs_tol=1e-11), bits


def _pearson(counts: Mapping[str, int], expected: Mapping[str, float]) -> tuple[float, int]:
    """Compute the statistic and the number of bins, all rare outcomes in one."""
    common = [bits for bits, value in expected.items() if value >= _MIN_EXPECTED]
    pairs = [(counts.get(bits, 0), expected[bits]) for bits in common]
    rare = (sum(counts.values()) - sum(count for count, _ in pairs), sum(expected.values()) - sum(e for _, e in pairs))
    if rare[1] >= 1:
        pairs.append(rare)
    return sum((count - value) ** 2 / value for count, value in pairs), len(pairs)


def _critical_value(freedom: int) -> float:
    """Approximate the chi-squared quantile by Wilson and Hilferty's cube (PNAS 17, 684)."""
    if freedom == 0:
        return 1e-9
    part = 2 / (9 * freedom)
    return freedom * (1 - part + _DEVIATIONS * math.sqrt(part)) ** 3
