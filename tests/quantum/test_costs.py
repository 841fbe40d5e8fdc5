from dataclasses import replace
from random import Random

import pytest

from bench.circuits import ghz, layers, pairs, qaoa, turns
from webapp.quantum.circuits import Circuit, Condition, Operation, gate, measure, measured_circuit, measurement
from webapp.quantum.engines.costs import (
    PROBABILITIES_MAX_QUBITS,
    Cost,
    Demands,
    Method,
    count_units,
    count_work,
    estimate,
    find_cheapest,
    load_rates,
)
from webapp.quantum.engines.gate_errors import count_errors
from webapp.quantum.noise import NoiseModel

_PAULIS = NoiseModel(depolarizing=0.001, two_qubit_depolarizing=0.01)
_DAMPING = NoiseModel(amplitude_damping=0.005)
_ALL = NoiseModel(0.001, 0.01, 0.005, 0.01, 0.02)


def _compare_noisy(method: Method, circuit: Circuit, noise: NoiseModel) -> float:
    """Give how many times the work of a circuit is with noise what it is with noise of its readout alone."""
    readout = NoiseModel(readout_0_to_1=0.01)
    profile = measure(circuit)
    work, quiet = (count_work(method, profile, Demands(1, each)) for each in (noise, readout))
    return work / quiet


@pytest.mark.parametrize(
    ("circuit", "noise", "measured"),
    # Aer 0.17 on 9 qubits: an element of the density matrix took this many times as long with the errors as without.
    [
        (turns(9, 40), _PAULIS, 177.6 / 24.5),
        (turns(9, 40), _DAMPING, 174.9 / 24.5),
        (turns(9, 40), _ALL, 245.0 / 24.5),
        (pairs(9, 40), _PAULIS, (196.6 + 225.2) / (20.9 + 55.3)),
        (pairs(9, 40), _DAMPING, (164.4 + 192.1) / (20.9 + 55.3)),
        (pairs(9, 40), _ALL, (333.6 + 363.6) / (20.9 + 55.3)),
    ],
)
def test_errors_are_work_in_a_density_matrix_beside_the_gates(
    circuit: Circuit, noise: NoiseModel, measured: float
) -> None:
    # Gates alone are fused, more or less: turns more, so that noise costs them twice as much again.
    assert 0.4 <= _compare_noisy("aer_density_matrix", circuit, noise) / measured <= 1.3


def test_damping_is_worked_out_shot_by_shot_and_random_paulis_are_drawn_before() -> None:
    circuit = pairs(12, 40)
    paulis, damping, everything = (
        _compare_noisy("aer_statevector", circuit, noise) for noise in (_PAULIS, _DAMPING, _ALL)
    )
    assert 1 < paulis < damping < everything
    # A gate, its pair of Paulis and two dampings, against a gate alone: 132 us to 34 a shot on 12 qubits.
    assert everything / paulis == pytest.approx(132 / 34, rel=0.3)


def test_errors_are_counted_where_they_follow_a_gate() -> None:
    wide = measured_circuit(5, [gate("h", 0), gate("ccx", 0, 1, 2), gate("cx", 3, 4)])
    errors = count_errors(measure(wide), _ALL)
    # A gate on three qubits has two pairs of neighbours, and three qubits that may fall.
    assert (errors.singles, errors.pairs, errors.dampings) == (1, 3, 6)
    assert count_errors(measure(wide), NoiseModel(readout_0_to_1=0.1)).total == 0
    assert count_errors(measure(wide), None).total == 0


def test_shots_are_sampled_from_one_state_where_no_gate_of_the_circuit_can_fail() -> None:
    only_turns = NoiseModel(depolarizing=0.01)
    noisy, quiet = (
        count_units("aer_statevector", measure(each), Demands(1_000, only_turns))
        for each in (turns(4, 20), pairs(4, 20))
    )
    assert noisy.single_shots == 1_000
    assert quiet.single_shots == 0
    assert noisy.work > 1_000 * quiet.work


def test_the_measured_boundary_between_density_matrices_and_trajectories_is_found() -> None:
    # By CPU time, in ms: 1,291 to 532; 108 to 343; 55 to 241; 482 to 88; 1,331 to 2,666.
    for circuit, noise, shots, method in (
        (layers(10, 5), _PAULIS, 1_000, "aer_statevector"),
        (qaoa(10), _PAULIS, 1_000, "aer_statevector"),
        (layers(8, 5), _ALL, 1_000, "aer_density_matrix"),
        (layers(8, 5), _PAULIS, 1_000, "aer_density_matrix"),
        (layers(9, 5), _ALL, 100, "aer_statevector"),
        (layers(10, 5), _PAULIS, 20_000, "aer_density_matrix"),
        (layers(4, 5), _ALL, 1_000, "aer_density_matrix"),
    ):
        cost = find_cheapest("aer", measure(circuit), Demands(shots, noise))
        assert isinstance(cost, Cost)
        assert cost.method == method, (circuit.qubits, noise, shots)


def test_exact_means_cost_a_gate_each_that_cannot_fail() -> None:
    profile = measure(layers(6, 5))
    plain, with_terms = (
        count_work("aer_density_matrix", profile, Demands(100, _ALL, observable_terms=terms)) for terms in (0, 10)
    )
    assert with_terms - plain == 10 << 12


def test_exact_means_are_as_much_work_as_they_were_measured_to_be_on_many_qubits() -> None:
    # An amplitude and a term took Qulacs 3.3 ns where X or Y is in it, and 15.5 where only Zs are; a gate takes 1.1. It
    # had been counted as one gate: 80 terms of an Ising model on 18 qubits took six times as long as they said.
    profile = measure(layers(18, 1))
    expected: dict[Method, int] = {"qulacs": 8, "aer_statevector": 2}
    for method, steps in expected.items():
        plain, with_terms = (count_work(method, profile, Demands(observable_terms=terms)) for terms in (0, 10))
        assert with_terms - plain == 10 * steps << 18


def test_outcomes_are_those_that_are_written_and_the_amplitudes_that_are_read() -> None:
    profile = measure(ghz(10))
    assert count_units("qsim", profile, Demands(1)).outcomes == 1
    assert count_units("qsim", profile, Demands(100, wants_memory=True)).outcomes == 100
    assert count_units("qsim", profile, Demands(100_000)).outcomes == 1 << 10
    assert count_units("qulacs", profile, Demands(1)).outcomes == 1 + (1 << 10)
    assert count_units("qulacs", profile, Demands(1, wants_statevector=True)).outcomes == 1 + (2 << 10)
    wide = measure(ghz(PROBABILITIES_MAX_QUBITS + 1))
    assert count_units("qulacs", wide, Demands(1)).outcomes == 1


def test_as_many_shots_as_outcomes_are_expected_to_give_two_thirds_of_them() -> None:
    chance = Random(1)  # noqa: S311 - repeatable on purpose
    found = len({chance.randrange(1 << 10) for _ in range(1 << 10)})
    counted = count_units("qsim", measure(ghz(10)), Demands(1 << 10)).outcomes
    assert counted == pytest.approx(found, rel=0.05)
    assert counted < 0.7 * (1 << 10)


def test_a_thousand_bits_of_every_outcome_cost_less_than_a_thousand_outcomes() -> None:
    # They are read by tables and written at once; bit by bit in Python they took forty times as long.
    profile = replace(measure(ghz(15)), clbits=1_000)
    wide, narrow = (
        next(cost for cost in estimate("qulacs", each, Demands(20_000)) if isinstance(cost, Cost))
        for each in (profile, measure(ghz(15)))
    )
    assert narrow.seconds < wide.seconds < 8 * narrow.seconds


@pytest.mark.parametrize(("qubits", "microseconds"), [(200, 4.4), (300, 9.9), (400, 18.3), (600, 35.8)])
def test_measuring_a_wide_tableau_is_as_much_work_as_it_was_measured_to_be(qubits: int, microseconds: float) -> None:
    # Aer 0.18, one measurement of a qubit in a shot.
    measurements = measure(ghz(qubits)).measurements * 1_000
    work = count_work("aer_stabilizer", measure(ghz(qubits)), Demands(1_000)) / measurements
    assert work * load_rates()["aer_stabilizer"].work_seconds * 1e6 == pytest.approx(microseconds, rel=0.15)


def test_a_sampled_mean_of_stims_takes_a_bit_a_shot_and_none_of_them_is_written() -> None:
    wanted = (Demands(1_000), Demands(1_000, observable_terms=3, observable_paulis=30))
    plain, means = (count_units("stim", measure(ghz(10)), demands) for demands in wanted)
    assert means.bits - plain.bits == 3 * 1_000
    assert (means.outcomes, means.shots) == (plain.outcomes, plain.shots)
    assert means.gates == 4 * plain.gates + 30


@pytest.mark.parametrize(
    ("bits", "values", "blocks", "shots", "milliseconds"),
    # Aer 0.17: a condition on random values of bits of which ten are random, before each gate.
    [(10, 512, 50, 10, 1257), (10, 512, 50, 1_000, 2554), (10, 1, 300, 10, 255), (60, 1, 300, 10, 448)],
)
def test_conditions_take_aer_as_long_as_they_were_measured_to_take(
    bits: int, values: int, blocks: int, shots: int, milliseconds: float
) -> None:
    chance = Random(1)  # noqa: S311 - repeatable on purpose
    begun = [op for bit in range(bits) for op in (gate("h", 0), measurement(0, bit))]
    conditions = [
        Condition(tuple(range(bits)), frozenset(chance.sample(range(1 << min(bits, 60)), values)))
        for _ in range(blocks)
    ]
    turned = [replace(gate("x", 0), conditions=(condition,)) for condition in conditions]
    found = find_cheapest("aer", measure(Circuit(1, bits, (*begun, *turned))), Demands(shots))
    assert isinstance(found, Cost)
    assert 0.5 <= found.seconds * 1_000 / milliseconds <= 2


def test_a_condition_costs_once_for_all_that_follows_under_it() -> None:
    begun = (gate("h", 0), measurement(0, 0))
    flip = replace(gate("x", 0), conditions=(Condition((0,), frozenset({1})),))

    def count_gates(*operations: Operation) -> int:
        return count_units("aer_statevector", measure(Circuit(1, 1, (*begun, *operations))), Demands()).gates

    assert count_gates(flip, flip) == count_gates(flip) + 1
    assert count_gates(flip, gate("x", 0), flip) > count_gates(flip, gate("x", 0)) + 10
