from dataclasses import astuple
from random import Random

import pytest

from bench.calibrate import fit_rates
from webapp.quantum.engines.costs import Rates, Units, add_seconds


def _make_units(count: int) -> list[Units]:
    """Make runs of very different sizes."""
    chance = Random(1)  # noqa: S311 - repeatable on purpose
    sizes = (3, 1_000, 10**9, 10**5, 10**4, 10**6, 10**6, 10**5)
    return [Units(*(int(size ** chance.random()) for size in sizes)) for _ in range(count)]


def test_a_fit_finds_the_rates_that_made_the_times() -> None:
    units = _make_units(80)
    rates = Rates(1e-3, 2e-5, 2e-9, 5e-7, 6e-5, 3e-7, 5e-8, 8e-7)
    found = fit_rates(units, [add_seconds(rates, each) for each in units])
    assert astuple(found) == pytest.approx(astuple(rates), rel=0.02)


def test_a_fit_takes_half_and_twice_for_as_far_off_and_has_no_rate_below_nothing() -> None:
    units = [Units(1, 0, 0, 0, 0, 0, 0, 0)] * 2
    found = fit_rates(units, [0.001, 0.004])
    assert astuple(found) == (pytest.approx(0.002, rel=1e-3), *[0.0] * 7)
    shrinking = [Units(1, gates, 0, 0, 0, 0, 0, 0) for gates in (1, 100)]
    assert fit_rates(shrinking, [0.002, 0.001]).gate_seconds == 0
