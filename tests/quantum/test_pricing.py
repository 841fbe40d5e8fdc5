from dataclasses import replace
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webapp.quantum.circuits import Profile, measure
from webapp.quantum.engines.costs import Cost, Demands, find_cheapest, load_rates
from webapp.quantum.noise import NoiseModel
from webapp.quantum.pricing import (
    HARDWARE_GATE_SHOT_MICROCREDITS,
    PRICE_LIST_VERSION,
    SINGLE_GATE_MICROCREDITS,
    SINGLE_SHOT_MICROCREDITS,
    STEPS_PER_MICROCREDIT,
    divide_rounding_up,
    price_hardware_microcredits,
    price_microcredits,
)
from webapp.quantum.templates import get_template, list_templates

_QUIET = settings(database=None, derandomize=True)

_PROFILES = st.builds(
    Profile,
    qubits=st.integers(1, 200),
    clbits=st.integers(0, 200),
    gates=st.integers(0, 200_000),
    two_qubit_gates=st.integers(0, 200_000),
    measurements=st.integers(0, 200),
    depth=st.integers(0, 200_000),
    is_clifford=st.booleans(),
    has_mid_circuit_measurement=st.booleans(),
    memory_bytes=st.integers(0, 2**40),
)
_SHOTS = st.integers(0, 100_000)


def test_a_bell_state_with_a_thousand_shots_costs_about_two_thousandths_of_a_credit() -> None:
    price = price_microcredits(measure(get_template("bell-state").create_circuit({})), 1_000)
    # One started micro-credit for 12 amplitudes; the base covers the first gates.
    assert (price.version, price.base, price.work, price.shots, price.total) == (
        PRICE_LIST_VERSION,
        1_000,
        1,
        1_000,
        2_001,
    )


@_QUIET
@given(_PROFILES, _SHOTS)
def test_a_price_is_whole_and_the_sum_of_its_parts(profile: Profile, shots: int) -> None:
    price = price_microcredits(profile, shots)
    assert all(type(part) is int and part >= 0 for part in (price.base, price.work, price.shots, price.total))
    assert price.total == price.base + price.work + price.shots > 0


@_QUIET
@given(_PROFILES, _SHOTS, st.integers(0, 1_000), st.integers(0, 20), st.integers(0, 100_000))
def test_more_shots_qubits_or_gates_never_cost_less(
    profile: Profile, shots: int, gates: int, qubits: int, more_shots: int
) -> None:
    for engine in ("qulacs", "stim", "qsim"):
        price = partial(price_microcredits, engine=engine)
        total = price(profile, shots).total
        assert price(profile, shots + more_shots).total >= total
        assert price(replace(profile, gates=profile.gates + gates), shots).total >= total
        assert price(replace(profile, qubits=profile.qubits + qubits), shots).total >= total


@_QUIET
@given(st.integers(0, 10**40), st.integers(1, 10**6))
def test_division_rounds_up_exactly_at_any_size(dividend: int, divisor: int) -> None:
    quotient = divide_rounding_up(dividend, divisor)
    assert (quotient - 1) * divisor < dividend <= quotient * divisor


def test_one_core_second_of_work_is_one_credit() -> None:
    # 500 gates on 20 qubits are 524 million amplitudes, at 500 million a second on qulacs and 2,000 million on qsim;
    # handing over all but the first 100 gates costs 2 micro-credits each.
    profile = replace(measure(get_template("bell-state").create_circuit({})), gates=499, qubits=20)
    assert price_microcredits(profile, 0, engine="qulacs").work == 1_048_576 + 798
    assert price_microcredits(profile, 0, engine="qsim").work == 262_144 + 798


def test_noise_is_priced_by_the_method_that_simulates_it() -> None:
    profile = replace(measure(get_template("bell-state").create_circuit({})), is_clifford=False, qubits=10)
    noisy = price_microcredits(profile, 1_000, noise=NoiseModel(depolarizing=0.01))
    assert noisy.work > price_microcredits(profile, 1_000).work


def test_nothing_is_sold_for_less_than_it_was_measured_to_take() -> None:
    for method, rates in load_rates().items():
        assert STEPS_PER_MICROCREDIT[method] * rates.work_seconds <= 1e-6, method
        assert rates.single_shot_seconds <= SINGLE_SHOT_MICROCREDITS * 1e-6, method
        assert rates.single_gate_seconds <= SINGLE_GATE_MICROCREDITS * 1e-6, method


def test_shots_that_aer_simulates_one_by_one_are_priced_and_timed_one_by_one() -> None:
    dynamic = replace(
        measure(get_template("bell-state").create_circuit({})), splits=1, conditional_operations=1, gates=10
    )
    price = partial(price_microcredits, dynamic, engine="aer")
    # 60 micro-credits for a shot, one for each of its 11 gates and splits, and one for its outcome.
    assert price(2_000).total - price(1_000).total >= 1_000 * (60 + 11 + 1)
    slow, quick = (find_cheapest("aer", dynamic, Demands(shots)) for shots in (10_000, 100))
    assert isinstance(slow, Cost)
    assert isinstance(quick, Cost)
    assert slow.seconds > 20 * quick.seconds
    noisy = find_cheapest("aer", replace(dynamic, qubits=14, splits=0), Demands(1_000, NoiseModel(depolarizing=0.01)))
    assert isinstance(noisy, Cost)
    assert noisy.seconds > 1_000 * load_rates()[noisy.method].single_shot_seconds > 0


def test_a_circuit_that_nothing_runs_still_has_a_price() -> None:
    profile = replace(
        measure(get_template("bell-state").create_circuit({})), qubits=60, is_clifford=False, entanglement_bits=30
    )
    assert price_microcredits(profile, 1).total > 10**15


def test_hardware_is_priced_by_gates_times_shots() -> None:
    profile = measure(get_template("bell-state").create_circuit({}))
    price = price_hardware_microcredits(profile, 1_000)
    assert price.work == 2 * 1_000 * HARDWARE_GATE_SHOT_MICROCREDITS
    assert price.total == price.base + price.work + price.shots


def test_no_template_with_its_defaults_costs_more_than_a_hundredth_of_a_credit() -> None:
    for template in list_templates():
        assert price_microcredits(measure(template.create_circuit({})), 1_000).total < 10_000


def test_negative_shots_are_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="at least 0"):
        price_microcredits(measure(get_template("bell-state").create_circuit({})), -1)
