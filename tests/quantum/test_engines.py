"""What all engines have in common: they agree with exact distributions, and keep the promises of a run."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from webapp.core.errors import InvalidFieldsError
from webapp.quantum.circuits import Circuit, Condition, Operation, gate, measured_circuit, measurement
from webapp.quantum.engines import (
    ENGINE_NAMES,
    CircuitTooLargeError,
    RunRequest,
    UnsupportedCircuitError,
    get_capabilities,
    get_engine,
)
from webapp.quantum.engines.base import check_request
from webapp.quantum.noise import PRESETS, NoiseModel
from webapp.quantum.observables import read_observable

from .factories import random_circuit, random_clifford_circuit, random_dynamic_circuit, scrambled_measurements
from .reference import exact_branches, exact_distribution, noisy_distribution, simulate
from .statistics import assert_counts_fit, assert_same_distribution

_SHOTS = 4_000
_ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("engine", ["aer", "qsim"])
@pytest.mark.parametrize("seed", range(10))
def test_random_circuits_agree_with_the_reference(engine: str, seed: int) -> None:
    circuit = random_circuit(seed, qubits=1 + seed % 5, gates=40)
    expected = exact_distribution(circuit)
    result = get_engine(engine).run(circuit, RunRequest(_SHOTS, seed))
    assert result.engine == engine
    _assert_fit_in_single_precision(result.counts, expected)
    if result.probabilities is not None:
        assert_same_distribution(result.probabilities, expected)


@pytest.mark.parametrize("engine", ["aer", "qsim"])
@pytest.mark.parametrize("seed", range(10))
def test_measurements_in_any_order_agree_with_the_reference(engine: str, seed: int) -> None:
    circuit = scrambled_measurements(seed, qubits=4, clbits=5)
    expected = exact_distribution(circuit)
    _assert_fit_in_single_precision(get_engine(engine).run(circuit, RunRequest(_SHOTS, seed)).counts, expected)


@pytest.mark.parametrize("engine", ["stim", "aer", "qulacs"])
@pytest.mark.parametrize("seed", range(10))
def test_random_clifford_circuits_agree_with_the_reference(engine: str, seed: int) -> None:
    circuit = random_clifford_circuit(seed, qubits=2 + seed % 4, gates=40)
    counts = get_engine(engine).run(circuit, RunRequest(_SHOTS, seed)).counts
    assert_counts_fit(counts, exact_distribution(circuit))


@pytest.mark.parametrize("engine", ["aer", "qulacs"])
@pytest.mark.parametrize("seed", range(10))
def test_circuits_that_decide_in_their_middle_agree_with_the_reference(engine: str, seed: int) -> None:
    circuit = random_dynamic_circuit(seed, qubits=2 + seed % 3)
    counts = get_engine(engine).run(circuit, RunRequest(_SHOTS, seed)).counts
    assert_counts_fit(counts, exact_branches(circuit))


@pytest.mark.parametrize("engine", ["stim", "aer", "qulacs"])
@pytest.mark.parametrize("seed", range(10))
def test_clifford_circuits_that_decide_by_single_bits_agree_with_the_reference(engine: str, seed: int) -> None:
    circuit = random_dynamic_circuit(seed, qubits=2 + seed % 3, only_pauli=True)
    counts = get_engine(engine).run(circuit, RunRequest(_SHOTS, seed)).counts
    assert_counts_fit(counts, exact_branches(circuit))


@pytest.mark.parametrize(
    "noise",
    [
        NoiseModel(depolarizing=0.1),
        NoiseModel(two_qubit_depolarizing=0.2),
        NoiseModel(amplitude_damping=0.1),
        NoiseModel(readout_0_to_1=0.2, readout_1_to_0=0.05),
        NoiseModel(0.05, 0.1, 0.05, 0.1, 0.1),
        PRESETS["superconducting"],
    ],
)
@pytest.mark.parametrize("seed", range(3))
def test_noise_agrees_with_the_density_matrix(noise: NoiseModel, seed: int) -> None:
    circuit = random_circuit(seed, qubits=3, gates=12)
    circuit = Circuit(3, 3, tuple(op for op in circuit.operations if op.gate != "mcp"))
    counts = get_engine("aer").run(circuit, RunRequest(_SHOTS, seed, noise=noise)).counts
    assert_counts_fit(counts, noisy_distribution(circuit, noise))


@pytest.mark.parametrize("engine", ["stim", "aer"])
@pytest.mark.parametrize("seed", range(6))
def test_pauli_noise_on_clifford_circuits_agrees_with_the_density_matrix(engine: str, seed: int) -> None:
    noise = NoiseModel(depolarizing=0.05, two_qubit_depolarizing=0.1, readout_0_to_1=0.1, readout_1_to_0=0.1)
    circuit = random_clifford_circuit(seed, qubits=3, gates=12)
    counts = get_engine(engine).run(circuit, RunRequest(_SHOTS, seed, noise=noise)).counts
    assert_counts_fit(counts, noisy_distribution(circuit, noise))


@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_the_same_seed_gives_the_same_counts_and_another_one_others(engine: str) -> None:
    circuit = measured_circuit(5, [gate("h", qubit) for qubit in range(5)])
    first, again, other = (get_engine(engine).run(circuit, RunRequest(1_000, seed)).counts for seed in (7, 7, 8))
    assert first == again != other


@pytest.mark.parametrize("engine", ENGINE_NAMES)
def test_memory_is_every_shot_and_adds_up_to_the_counts(engine: str) -> None:
    circuit = measured_circuit(3, [gate("h", 0), gate("cx", 0, 2)])
    result = get_engine(engine).run(circuit, RunRequest(200, 3, wants_memory=True))
    assert result.memory is not None
    assert {bits: result.memory.count(bits) for bits in set(result.memory)} == result.counts
    # In the order in which they were drawn, which is not that of the bitstrings.
    assert result.memory != sorted(result.memory)
    assert get_engine(engine).run(circuit, RunRequest(200, 3)).memory is None


@pytest.mark.parametrize("engine", ["qulacs", "aer"])
def test_a_statevector_has_qubit_0_as_the_lowest_bit_of_the_index(engine: str) -> None:
    circuit = random_circuit(4, qubits=3, gates=20)
    result = get_engine(engine).run(circuit, RunRequest(10, 1, wants_statevector=True))
    assert result.statevector is not None
    actual = [complex(real, imaginary) for real, imaginary in result.statevector]
    expected = simulate(circuit)
    # Up to a phase of the whole.
    overlap = sum(a.conjugate() * b for a, b in zip(actual, expected, strict=True))
    assert abs(overlap) == pytest.approx(1.0)


@pytest.mark.parametrize("engine", ["stim", "qsim"])
def test_an_engine_without_statevectors_says_which_have_them(engine: str) -> None:
    with pytest.raises(UnsupportedCircuitError, match="qulacs and aer do"):
        get_engine(engine).run(measured_circuit(1, [gate("h", 0)]), RunRequest(1, 1, wants_statevector=True))


@pytest.mark.parametrize("engine", ["qulacs", "qsim"])
def test_an_engine_without_noise_says_which_has_it(engine: str) -> None:
    with pytest.raises(UnsupportedCircuitError, match="aer does"):
        get_engine(engine).run(measured_circuit(1, []), RunRequest(1, 1, noise=NoiseModel(depolarizing=0.1)))


@pytest.mark.parametrize("seed", range(6))
def test_exact_means_of_observables_agree_with_the_amplitudes(seed: int) -> None:
    circuit = random_circuit(seed, qubits=3, gates=20)
    observables = (read_observable("XIZ"), read_observable({"YY": 0.5, "III": 2.0, "ZIX": -1}))
    for engine in ("qulacs", "aer"):
        means = get_engine(engine).run(circuit, RunRequest(1, seed, observables=observables)).expectation_values
        assert [mean.observable for mean in means] == ["XIZ", "0.5*YY + 2*III - 1*ZIX"]
        assert [mean.standard_error for mean in means] == [0.0, 0.0]
        x_z, y_y, z_x = (_mean_of(circuit, text) for text in ("XIZ", "IYY", "ZIX"))
        assert [mean.value for mean in means] == pytest.approx([x_z, 0.5 * y_y + 2 - z_x], abs=1e-9)


@pytest.mark.parametrize("engine", ["stim", "qsim", "aer"])
def test_sampled_means_are_within_their_standard_errors(engine: str) -> None:
    circuit = measured_circuit(2, [gate("h", 0), gate("cx", 0, 1), gate("s", 1)])
    noise = None if engine == "qsim" else NoiseModel(readout_0_to_1=0.1, readout_1_to_0=0.1)
    observables = (read_observable("YX"), read_observable("ZZ"), read_observable({"XX": 2.0, "IZ": 1.0}))
    result = get_engine(engine).run(circuit, RunRequest(_SHOTS, 5, noise=noise, observables=observables))
    # The readout is no part of the state.
    for mean, expected in zip(result.expectation_values, (1.0, 1.0, 0.0), strict=True):
        assert abs(mean.value - expected) <= 5 * mean.standard_error + 1e-9


@pytest.mark.parametrize(
    ("engine", "noise", "kept"),
    [
        ("stim", NoiseModel(depolarizing=0.3), 1 - 4 / 3 * 0.3),
        ("aer", NoiseModel(depolarizing=0.3), 1 - 4 / 3 * 0.3),
        ("aer", NoiseModel(amplitude_damping=0.3), 0.7**0.5),
    ],
)
def test_the_sampled_mean_of_a_noisy_state_has_no_error_but_those_of_its_circuit(
    engine: str, noise: NoiseModel, kept: float
) -> None:
    # The reset makes the means of Aer sampled ones; turning the axis of X onto Z is no gate of the circuit.
    circuit = Circuit(2, 1, (gate("h", 0), Operation("reset", (1,)), measurement(0, 0)))
    request = RunRequest(_SHOTS, 3, noise=noise, observables=(read_observable("IX"), read_observable("ZI")))
    plus, zero = get_engine(engine).run(circuit, request).expectation_values
    assert abs(plus.value - kept) <= 4 * plus.standard_error < 0.1
    assert zero.value == 1


@pytest.mark.parametrize("engine", ["stim", "aer"])
def test_a_wrong_readout_misleads_the_circuit_but_not_the_mean_at_its_end(engine: str) -> None:
    flipped = replace(gate("x", 1), conditions=(Condition((0,), frozenset({1})),))
    circuit = Circuit(2, 3, (gate("x", 0), measurement(0, 0), flipped, measurement(0, 1), measurement(1, 2)))
    noise = NoiseModel(readout_0_to_1=0.2, readout_1_to_0=0.2)
    request = RunRequest(_SHOTS, 4, noise=noise, observables=(read_observable("IZ"), read_observable("ZI")))
    first, second = get_engine(engine).run(circuit, request).expectation_values
    assert first.value == -1
    assert abs(second.value + 0.6) <= 4 * second.standard_error < 0.1


@pytest.mark.parametrize("engine", ["stim", "aer"])
def test_a_bit_that_is_measured_twice_is_misread_once(engine: str) -> None:
    circuit = Circuit(2, 1, (gate("x", 1), measurement(0, 0), measurement(1, 0)))
    noise = NoiseModel(depolarizing=0.0, readout_0_to_1=0.2, readout_1_to_0=0.2)
    assert_counts_fit(get_engine(engine).run(circuit, RunRequest(_SHOTS, 6, noise=noise)).counts, {"0": 0.2, "1": 0.8})


def test_a_condition_of_any_values_holds_for_these_and_no_others() -> None:
    sets = [frozenset(), frozenset({5}), frozenset(range(8)), frozenset({0, 3, 9, 14}), frozenset(range(16))]
    conditions = [Condition((0, 1, 2, 3), values, is_negated) for values in sets for is_negated in (False, True)]
    for bits in range(16):
        written = [gate("x", place) for place in range(4) if bits >> place & 1]
        written += [measurement(place, place) for place in range(4)]
        asked: list[Operation] = []
        for index, condition in enumerate(conditions):
            asked += [
                gate("x", 4),
                replace(measurement(4, 4 + index), conditions=(condition,)),
                Operation("reset", (4,)),
            ]
        circuit = Circuit(5, 4 + len(conditions), (*written, *asked))
        (counted,) = get_engine("aer").run(circuit, RunRequest(shots=3, seed=1)).counts
        held = [outcome == "1" for outcome in reversed(counted[: len(conditions)])]
        assert held == [condition.holds(bits) for condition in conditions], bits


@pytest.mark.parametrize("seed", range(20))
def test_flips_under_conditions_happen_in_their_order(seed: int) -> None:
    chance = Random(seed)  # noqa: S311 - repeatable on purpose
    qubits, clbits = [False] * 3, [False] * 4
    operations: list[Operation] = []
    conditions = [
        Condition(tuple(chance.sample(range(4), 2)), frozenset(chance.sample(range(4), 2)), chance.random() < 0.5)
        for _ in range(2)
    ]
    for _ in range(60):
        asked = tuple(chance.sample(conditions, chance.choice([0, 1, 1, 1, 2])))
        qubit, clbit = chance.randrange(3), chance.randrange(4)
        op = chance.choice([gate("x", qubit), measurement(qubit, clbit), gate("reset", qubit), gate("barrier", qubit)])
        operations.append(replace(op, conditions=asked))
        if op.gate == "barrier" or not all(each.holds(int(_write(clbits), 2)) for each in asked):
            continue
        if op.gate == "measure":
            clbits[clbit] = qubits[qubit]
        else:
            qubits[qubit] = op.gate == "x" and not qubits[qubit]
    for engine in ("aer", "qulacs"):
        result = get_engine(engine).run(Circuit(3, 4, tuple(operations)), RunRequest(shots=3, seed=1))
        assert result.counts == {_write(clbits): 3}, engine


def _write(clbits: list[bool]) -> str:
    """Write classical bits, the highest first."""
    return "".join(str(int(bit)) for bit in reversed(clbits))


def test_a_condition_may_have_a_thousand_values_and_one_read_a_thousand_bits() -> None:
    odd = Condition(tuple(range(10)), frozenset(value for value in range(1_024) if value.bit_count() % 2))
    wide = Condition(tuple(range(1_000)), frozenset({1, 3}))
    written = [gate("x", 0), measurement(0, 0), gate("x", 0), *(measurement(0, clbit) for clbit in range(1, 1_000))]
    circuit = Circuit(1, 1_001, (*written, replace(gate("x", 0), conditions=(odd, wide)), measurement(0, 1_000)))
    (counted,) = get_engine("aer").run(circuit, RunRequest(shots=3, seed=1)).counts
    assert counted == "1" + "0" * 999 + "1"


def test_a_condition_may_read_bits_that_nothing_writes_under_noise_as_well() -> None:
    read = Condition((0, 1, 2), frozenset({0}))
    happens = replace(gate("x", 0), conditions=(read,))
    never = replace(gate("x", 0), conditions=(replace(read, is_negated=True), Condition((1,), frozenset({0}))))
    circuit = Circuit(1, 3, (happens, never, measurement(0, 1)))
    noise = NoiseModel(amplitude_damping=0.2)
    assert_counts_fit(
        get_engine("aer").run(circuit, RunRequest(_SHOTS, 6, noise=noise)).counts, {"000": 0.2, "010": 0.8}
    )


@pytest.mark.parametrize("engine", ["stim", "qsim"])
def test_a_sampled_mean_is_never_said_to_be_exact(engine: str) -> None:
    bell = measured_circuit(2, [gate("h", 0), gate("cx", 0, 1)])
    for shots in (1, 100):
        request = RunRequest(shots, 1, observables=(read_observable("ZZ"),))
        [mean] = get_engine(engine).run(bell, request).expectation_values
        assert mean.value == 1
        assert 0 < mean.standard_error < 2 / shots**0.5


def test_a_mean_over_a_thousand_qubits_is_sampled_though_as_many_bits_are_written() -> None:
    ghz = [gate("h", 0), *(gate("cx", qubit, qubit + 1) for qubit in range(999))]
    observables = (read_observable("Z" * 1_000), read_observable("X" * 1_000))
    result = get_engine("stim").run(measured_circuit(1_000, ghz), RunRequest(100, 2, observables=observables))
    assert [mean.value for mean in result.expectation_values] == [1.0, 1.0]


def test_a_mean_that_leaves_no_room_to_be_sampled_is_refused_before_anything_runs() -> None:
    turned = replace(gate("x", 1), conditions=(Condition((1_000,), frozenset({1})),))
    circuit = Circuit(100, 1_001, (gate("h", 0), measurement(0, 1_000), turned, measurement(1, 0)))
    with pytest.raises(InvalidFieldsError) as caught:
        check_request(
            circuit, RunRequest(1, 1, observables=(read_observable("Z" * 100),)), "stim", get_capabilities("stim")
        )
    [wrong] = caught.value.details
    assert (wrong.path, wrong.allowed) == ("observables[0]", "at most 200000 operations and 1024 classical bits")
    assert "1101 classical bits" in wrong.message


def test_an_observable_wider_than_the_circuit_is_refused() -> None:
    with pytest.raises(InvalidFieldsError) as caught:
        get_engine("qulacs").run(measured_circuit(1, []), RunRequest(1, 1, observables=(read_observable("ZZ"),)))
    assert caught.value.details[0].path == "observables[0]"


@pytest.mark.parametrize(
    ("engine", "circuit", "message"),
    [
        ("stim", measured_circuit(1, [gate("t", 0)]), "has no gate t"),
        ("stim", measured_circuit(1, [gate("rz", 0, angles=(0.1,))]), "other than Clifford"),
        ("qsim", random_dynamic_circuit(1, qubits=2), "in mid-circuit"),
    ],
)
def test_what_an_engine_cannot_run_it_refuses_with_the_reason(engine: str, circuit: Circuit, message: str) -> None:
    with pytest.raises(UnsupportedCircuitError, match=message):
        get_engine(engine).run(circuit, RunRequest(1, 1))


def test_a_circuit_too_large_for_every_method_is_refused_with_the_memory_that_it_needs() -> None:
    entangled = [gate("cx", first, second) for first in range(60) for second in range(first)]
    with pytest.raises(CircuitTooLargeError, match="60 qubits need 32 EiB of memory, and the limit is 1 GiB") as caught:
        get_engine("aer").run(measured_circuit(60, [gate("t", 0), *entangled]), RunRequest(1, 1))
    assert caught.value.extra["limitBytes"] == 2**30


def test_wide_circuits_run_where_the_method_allows() -> None:
    ladder = [gate("ry", 0, angles=(0.7,)), *(gate("cx", qubit, qubit + 1) for qubit in range(49))]
    counts = get_engine("aer").run(measured_circuit(50, ladder), RunRequest(_SHOTS, 2)).counts
    assert_counts_fit(counts, {"0" * 50: 0.8824210936422443, "1" * 50: 0.1175789063577557})
    ghz = [gate("h", 0), *(gate("cx", qubit, qubit + 1) for qubit in range(999))]
    assert set(get_engine("stim").run(measured_circuit(1_000, ghz), RunRequest(100, 2)).counts) == {
        "0" * 1_000,
        "1" * 1_000,
    }


def test_only_qulacs_and_stim_may_be_loaded_in_the_web_process_and_the_catalogue_loads_none() -> None:
    assert [name for name in ENGINE_NAMES if get_capabilities(name).is_light] == ["qulacs", "stim"]
    program = (
        "import sys; from webapp.quantum.engines import ENGINE_NAMES, get_capabilities; "
        "from webapp.quantum import backends, pricing, programs, router; "
        "[get_capabilities(name) for name in ENGINE_NAMES]; "
        "print([m for m in ('stim', 'qiskit', 'qiskit_aer', 'cirq', 'qsimcirq', 'numpy', 'qulacs') "
        "if m in sys.modules])"
    )
    command = [sys.executable, "-c", program]
    assert subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=True).stdout == "[]\n"


def test_qsim_runs_without_cirq() -> None:
    program = (
        "import sys; from webapp.quantum.engines import RunRequest, get_engine; "
        "from webapp.quantum.circuits import gate, measured_circuit; "
        "print(get_engine('qsim').run(measured_circuit(2, [gate('x', 1)]), RunRequest(5, 1)).counts, "
        "'cirq' in sys.modules)"
    )
    command = [sys.executable, "-c", program]
    assert subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=True).stdout == "{'10': 5} False\n"


def _mean_of(circuit: Circuit, paulis: str) -> float:
    """Compute the mean of a Pauli string from the amplitudes."""
    state = simulate(circuit)
    turned = Circuit(
        circuit.qubits,
        0,
        tuple(gate(pauli.lower(), qubit) for qubit, pauli in enumerate(reversed(paulis)) if pauli != "I"),
    )
    total = 0j
    for start, amplitude in enumerate(state):
        column = simulate(turned, start=start)
        total += amplitude * sum(a.conjugate() * b for a, b in zip(state, column, strict=True))
    return total.real


def _assert_fit_in_single_precision(counts: dict[str, int], expected: dict[str, float]) -> None:
    """Compare counts, letting single precision leave a trace of what is impossible in double precision."""
    assert_counts_fit(counts, {bits: value + 1e-9 for bits, value in expected.items()})


@pytest.mark.parametrize("engine", ["qulacs", "aer"])
def test_what_is_computed_has_no_digits_of_rounding_noise(engine: str) -> None:
    bell = measured_circuit(2, [gate("h", 0), gate("cx", 0, 1)])
    request = RunRequest(10, 1, observables=tuple(map(read_observable, ("ZZ", "XX", "ZI"))))
    result = get_engine(engine).run(bell, request)
    assert result.probabilities == {"00": 0.5, "11": 0.5}
    assert [str(mean.value) for mean in result.expectation_values] == ["1.0", "1.0", "0.0"]
