import re
import time
from dataclasses import astuple, replace
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config import ROOT
from tests.quantum.factories import random_circuit, random_clifford_circuit, random_dynamic_circuit
from webapp.quantum.circuits import Circuit, Profile, gate, measure, measured_circuit
from webapp.quantum.engines import (
    ENGINE_NAMES,
    CircuitTooLargeError,
    RunRequest,
    UnsupportedCircuitError,
    get_engine,
)
from webapp.quantum.engines.costs import (
    PROBABILITIES_MAX_QUBITS,
    Cost,
    Demands,
    Rates,
    Units,
    find_cheapest,
    load_rates,
)
from webapp.quantum.noise import NoiseModel
from webapp.quantum.observables import read_observable
from webapp.quantum.pricing import (
    HARDWARE_GATE_SHOT_MICROCREDITS,
    PICOCREDITS,
    PRICE_LIST_VERSION,
    PRICE_MARGIN,
    divide_rounding_up,
    list_picocredits,
    price_hardware_microcredits,
    price_microcredits,
)
from webapp.quantum.router import HANDOVER_SECONDS, choose_engine
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

_BELL = measure(get_template("bell-state").create_circuit({}))


def test_a_bell_state_with_a_thousand_shots_costs_about_two_thousandths_of_a_credit() -> None:
    price = price_microcredits(_BELL, Demands(1_000))
    # The base and the shots pay for more computing than it takes; there is always one micro-credit of work.
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
    price = price_microcredits(profile, Demands(shots))
    assert all(type(part) is int and part >= 0 for part in (price.base, price.work, price.shots, price.total))
    assert price.total == price.base + price.work + price.shots > 0


@_QUIET
@given(_PROFILES, _SHOTS, st.integers(0, 1_000), st.integers(0, 20), st.integers(0, 100_000))
def test_more_shots_qubits_or_gates_never_cost_less(
    profile: Profile, shots: int, gates: int, qubits: int, more_shots: int
) -> None:
    for engine in ("qulacs", "stim", "qsim"):
        price = partial(price_microcredits, engines=(engine,))
        total = price(profile, Demands(shots)).total
        assert price(profile, Demands(shots + more_shots)).total >= total
        assert price(replace(profile, gates=profile.gates + gates), Demands(shots)).total >= total
        more_qubits = profile.qubits + qubits
        # Wider circuits come without exact probabilities, so nobody pays for these.
        if (more_qubits > PROBABILITIES_MAX_QUBITS) is (profile.qubits > PROBABILITIES_MAX_QUBITS):
            assert price(replace(profile, qubits=more_qubits), Demands(shots)).total >= total


@_QUIET
@given(st.integers(0, 10**40), st.integers(1, 10**6))
def test_division_rounds_up_exactly_at_any_size(dividend: int, divisor: int) -> None:
    quotient = divide_rounding_up(dividend, divisor)
    assert (quotient - 1) * divisor < dividend <= quotient * divisor


def test_work_is_the_core_time_beyond_what_the_base_and_the_shots_pay_for() -> None:
    profile = replace(_BELL, gates=499, qubits=20)
    demands = Demands(1_000)
    for engine, method in (("qulacs", "qulacs"), ("qsim", "qsim")):
        price = price_microcredits(profile, demands, engines=(engine,))
        cost = find_cheapest(engine, profile, demands)
        assert isinstance(cost, Cost)
        assert cost.method == method
        # The rates of the list are the calibrated ones times the margin, rounded up to two digits.
        assert PRICE_MARGIN <= price.total / (cost.seconds * 1e6) <= PRICE_MARGIN * 1.1


def test_noise_is_priced_by_the_method_that_simulates_it() -> None:
    profile = replace(_BELL, is_clifford=False, qubits=10)
    noisy = price_microcredits(profile, Demands(1_000, NoiseModel(depolarizing=0.01)))
    assert noisy.work > price_microcredits(profile, Demands(1_000)).work


def test_everything_is_sold_for_what_it_was_measured_to_take_with_the_margin() -> None:
    for method, rates in load_rates().items():
        for seconds, picocredits in zip(astuple(rates), astuple(PICOCREDITS[method]), strict=True):
            assert PRICE_MARGIN * seconds * 1e12 <= picocredits <= PRICE_MARGIN * seconds * 1.1e12 + 1, method


def test_the_price_list_is_the_one_that_follows_from_the_calibration() -> None:
    assert {method: list_picocredits(rates) for method, rates in load_rates().items()} == PICOCREDITS, (
        "price_list.json and calibration.json belong together; `python -m bench.calibrate` writes both."
    )


def test_rates_are_sold_by_two_digits_never_rounded_down() -> None:
    rates = Rates(1.2345e-4, 5e-6, 1e-12, 0.0, 5.05e-11, 5.5e-10, 1.0, 4.949e-10)
    assert list_picocredits(rates) == Units(250_000_000, 10_000_000, 2, 0, 110, 1_100, 2_000_000_000_000, 990)


def test_the_documents_that_name_the_price_list_name_this_one() -> None:
    for path, pattern in (
        ("README.md", r"price list (\d+)"),
        ("CHANGELOG.md", r"Price list (\d+)"),
        # The last row of its table of versions.
        ("docs/adr/0020-price-lists.md", r"(?s).*\n\| (\d+) \|"),
    ):
        found = re.search(pattern, (ROOT / path).read_text())
        assert found, path
        assert found[1] == PRICE_LIST_VERSION, path


_NOISES = st.sampled_from([None, NoiseModel(depolarizing=0.01), NoiseModel(0.01, 0.02, 0.01, 0.1, 0.2)])
_ENGINES = st.sampled_from([ENGINE_NAMES, *((engine,) for engine in ENGINE_NAMES)])
_DEMANDS = st.builds(
    Demands,
    shots=_SHOTS,
    noise=_NOISES,
    wants_memory=st.just(value=False),
    wants_statevector=st.just(value=False),
    observable_terms=st.integers(0, 64),
    observable_paulis=st.integers(0, 64_000),
)
_CIRCUITS = st.one_of(
    _PROFILES,
    st.builds(
        replace,
        _PROFILES,
        qubits=st.integers(1, 12),
        gates=st.integers(0, 200),
        splits=st.integers(0, 20),
        entanglement_bits=st.integers(0, 6),
    ),
)


@_QUIET
@given(_CIRCUITS, _DEMANDS, _ENGINES, st.integers(0, 100_000))
def test_more_shots_never_cost_less_nor_does_a_mean_on_any_engine_or_between_them(
    profile: Profile, demands: Demands, engines: tuple[str, ...], more_shots: int
) -> None:
    total = price_microcredits(profile, demands, engines=engines).total
    assert (
        price_microcredits(profile, replace(demands, shots=demands.shots + more_shots), engines=engines).total >= total
    )
    without = replace(demands, observable_terms=0, observable_paulis=0)
    assert price_microcredits(profile, without, engines=engines).total <= total
    assert price_microcredits(profile, replace(demands, wants_memory=True), engines=engines).total >= total


@_QUIET
@given(_CIRCUITS, _NOISES, _SHOTS)
def test_the_price_covers_the_time_on_the_engine_that_the_router_chooses(
    profile: Profile, noise: NoiseModel | None, shots: int
) -> None:
    demands = Demands(shots, noise)
    try:
        route = choose_engine(profile, demands)
    except (CircuitTooLargeError, UnsupportedCircuitError):
        return
    # A light engine may be chosen that takes longer by what the wait for a worker would be.
    assert price_microcredits(profile, demands).total >= (route.cost.seconds - HANDOVER_SECONDS) * 1e6


def test_a_noisy_circuit_costs_no_less_where_more_shots_change_its_method() -> None:
    circuit = random_circuit(4, qubits=4, gates=55)
    noise = NoiseModel(depolarizing=0.001, two_qubit_depolarizing=0.01)
    demands = [Demands(shots, noise) for shots in (1, 10, 20, 50, 100, 1_000, 100_000)]
    methods = {choose_engine(circuit.profile, each).cost.method for each in demands}
    assert methods == {"aer_statevector", "aer_density_matrix"}
    totals = [price_microcredits(circuit.profile, each).total for each in demands]
    assert totals == sorted(totals)


def test_means_of_wide_terms_are_estimated_by_their_matrices_and_not_by_bits_that_nobody_reads() -> None:
    circuit = measured_circuit(1_000, [gate("h", qubit) for qubit in range(1_000)])
    request = RunRequest(100_000, 0, observables=(read_observable("Z" * 1_000),) * 64)
    plain, cost = (
        choose_engine(circuit.profile, demands, engines=("stim",)).cost
        for demands in (Demands(100_000), request.demands)
    )
    # A shot of the circuit has a thousand bits, and that of a term one: Stim measures the product, not its matrices.
    assert plain.units.bits == 10**8
    assert cost.units.bits == plain.units.bits + 64 * 100_000
    assert cost.units.gates == 65 * plain.units.gates + 64 * 1_000
    # The run took twice as long with the terms as without.
    assert 1.5 < cost.seconds / plain.seconds < 3


@pytest.mark.parametrize(
    ("engine", "circuit", "request_"),
    [
        ("stim", random_clifford_circuit(1, qubits=300, gates=600), RunRequest(2_000, 1)),
        (
            "stim",
            random_clifford_circuit(2, qubits=200, gates=200),
            RunRequest(1_000, 1, observables=(read_observable("Y" * 200),) * 3),
        ),
        # From 12 qubits on Qulacs starts threads where nothing keeps it from that, and idle ones take CPU time.
        ("qulacs", random_circuit(1, qubits=11, gates=200), RunRequest(10_000, 1, wants_memory=True)),
        ("qsim", random_circuit(2, qubits=16, gates=200), RunRequest(10_000, 1)),
        ("aer", random_circuit(3, qubits=4, gates=40), RunRequest(200, 1, NoiseModel(depolarizing=0.01))),
        ("aer", random_circuit(3, qubits=10, gates=40), RunRequest(200, 1, NoiseModel(depolarizing=0.01))),
        ("aer", random_dynamic_circuit(4, qubits=3), RunRequest(500, 1)),
    ],
)
def test_what_runs_really_take_stays_below_three_times_their_price(
    engine: str, circuit: Circuit, request_: RunRequest
) -> None:
    price = price_microcredits(circuit.profile, request_.demands, engines=(engine,))
    loaded = get_engine(engine)
    loaded.run(circuit, replace(request_, shots=1))

    def take() -> float:
        started = time.process_time()
        loaded.run(circuit, request_)
        return time.process_time() - started

    # CPU time, so that another program's share is not in it. A first run fills caches, and a machine that shares its
    # processors with others may be slow for a while: what a run takes is what it takes in any of several.
    assert any(take() * 1e6 <= 3 * price.total for _ in range(20))


def test_shots_that_aer_simulates_one_by_one_are_priced_and_timed_one_by_one() -> None:
    dynamic = replace(_BELL, splits=1, conditional_operations=1, gates=10)
    few, many = (price_microcredits(dynamic, Demands(shots), engines=("aer",)) for shots in (1_000, 2_000))
    # The shot, and each of its 11 gates and splits, on whichever of Aer's methods.
    least = min(rates.single_shots + 11 * rates.single_gates for name, rates in PICOCREDITS.items() if "aer" in name)
    assert many.total - few.total >= 1_000 * least // 10**6
    slow, quick = (find_cheapest("aer", dynamic, Demands(shots)) for shots in (10_000, 100))
    assert isinstance(slow, Cost)
    assert isinstance(quick, Cost)
    assert slow.seconds > 20 * quick.seconds
    noisy = find_cheapest("aer", replace(dynamic, qubits=14, splits=0), Demands(1_000, NoiseModel(depolarizing=0.01)))
    assert isinstance(noisy, Cost)
    assert noisy.seconds > 1_000 * load_rates()[noisy.method].single_shot_seconds > 0


def test_a_circuit_that_nothing_runs_still_has_a_price() -> None:
    profile = replace(_BELL, qubits=60, is_clifford=False, entanglement_bits=30)
    assert price_microcredits(profile, Demands(1)).total > 10**15


def test_hardware_is_priced_by_gates_times_shots() -> None:
    profile = _BELL
    price = price_hardware_microcredits(profile, 1_000)
    assert price.work == 2 * 1_000 * HARDWARE_GATE_SHOT_MICROCREDITS
    assert price.total == price.base + price.work + price.shots


def test_no_template_with_its_defaults_costs_more_than_a_hundredth_of_a_credit() -> None:
    for template in list_templates():
        assert price_microcredits(measure(template.create_circuit({})), Demands(1_000)).total < 10_000


def test_negative_shots_are_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="at least 0"):
        price_microcredits(_BELL, Demands(-1))
