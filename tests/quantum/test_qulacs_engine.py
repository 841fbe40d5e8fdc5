from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import qulacs

from webapp.core.errors import InvalidFieldsError
from webapp.quantum.circuits import Circuit, InvalidCircuitError, gate, measured_circuit, measurement
from webapp.quantum.engines import (
    CircuitTooLargeError,
    RunRequest,
    UnknownEngineError,
    UnsupportedCircuitError,
    get_capabilities,
    get_engine,
    qulacs_engine,
)
from webapp.quantum.limits import MAX_SEED, MAX_SHOTS

from .factories import random_circuit, scrambled_measurements
from .reference import exact_distribution
from .statistics import assert_counts_fit, assert_same_distribution

_BELL = measured_circuit(2, [gate("h", 0), gate("cx", 0, 1)])


class _FakeState:
    """A state whose sampling falls off its end."""

    def __init__(self, amplitudes: list[complex]) -> None:
        self._amplitudes = amplitudes

    def sampling(self, sampling_count: int, random_seed: int, /) -> list[int]:
        raise NotImplementedError(sampling_count, random_seed)

    def get_amplitude(self, comp_basis: int, /) -> complex:
        return self._amplitudes[comp_basis]


def test_a_bell_state_gives_only_00_and_11() -> None:
    result = get_engine("qulacs").run(_BELL, RunRequest(10_000, 1))
    assert set(result.counts) == {"00", "11"}
    assert sum(result.counts.values()) == 10_000
    assert_counts_fit(result.counts, {"00": 0.5, "11": 0.5})
    assert result.probabilities == pytest.approx({"00": 0.5, "11": 0.5})


def test_a_result_names_its_engine_and_the_time_it_took() -> None:
    engine = get_engine("qulacs")
    result = engine.run(_BELL, RunRequest(1, 0))
    assert (result.engine, result.engine_version) == ("qulacs", engine.version)
    assert result.engine_version.split(".")[0].isdigit()
    assert result.seconds > 0


@pytest.mark.parametrize(
    ("circuit", "bits"),
    [
        (measured_circuit(2, [gate("x", 0)]), "01"),
        (measured_circuit(2, [gate("x", 1)]), "10"),
        (measured_circuit(3, [gate("x", 2), gate("cx", 2, 0)]), "101"),
        (Circuit(2, 2, (gate("x", 0), measurement(0, 1), measurement(1, 0))), "10"),
        (Circuit(1, 4, (gate("x", 0), measurement(0, 2))), "0100"),
        (Circuit(3, 1, (gate("x", 2), measurement(2, 0))), "1"),
        (Circuit(2, 1, (gate("x", 1), measurement(0, 0), measurement(1, 0))), "1"),
        (Circuit(2, 2, (gate("x", 0), measurement(0, 0), measurement(0, 1))), "11"),
        (Circuit(2, 2, (gate("x", 1), measurement(0, 0))), "00"),
    ],
)
def test_classical_bit_0_is_the_rightmost_and_bits_never_written_are_0(circuit: Circuit, bits: str) -> None:
    result = get_engine("qulacs").run(circuit, RunRequest(7, 3))
    assert result.counts == {bits: 7}
    assert result.probabilities == pytest.approx({bits: 1.0})


@pytest.mark.parametrize("seed", range(60))
def test_random_circuits_agree_with_the_reference(seed: int) -> None:
    circuit = random_circuit(seed, qubits=1 + seed % 5, gates=40)
    expected = exact_distribution(circuit)
    result = get_engine("qulacs").run(circuit, RunRequest(2_000, seed))
    assert result.probabilities is not None
    assert_same_distribution(result.probabilities, expected)
    assert_counts_fit(result.counts, expected)


@pytest.mark.parametrize("seed", range(30))
def test_measurements_in_any_order_agree_with_the_reference(seed: int) -> None:
    circuit = scrambled_measurements(seed, qubits=4, clbits=5)
    expected = exact_distribution(circuit)
    result = get_engine("qulacs").run(circuit, RunRequest(2_000, seed))
    assert result.probabilities is not None
    assert_same_distribution(result.probabilities, expected)
    assert_counts_fit(result.counts, expected)


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1, 2**32, MAX_SEED])
def test_the_same_seed_gives_the_same_counts(seed: int) -> None:
    circuit = random_circuit(5, qubits=5, gates=50)
    first = get_engine("qulacs").run(circuit, RunRequest(1_000, seed))
    again = get_engine("qulacs").run(circuit, RunRequest(1_000, seed))
    assert first.counts == again.counts
    assert first.probabilities == again.probabilities


def test_different_seeds_give_different_counts() -> None:
    circuit = measured_circuit(8, [gate("h", qubit) for qubit in range(8)])
    seeds = [0, 1, 2, 3, 2**32 - 1, 2**33, MAX_SEED]
    counts = [get_engine("qulacs").run(circuit, RunRequest(1_000, seed)).counts for seed in seeds]
    assert all(counts.count(each) == 1 for each in counts)


def test_other_threads_do_not_change_what_a_seed_gives() -> None:
    circuit = random_circuit(6, qubits=10, gates=60)
    engine = get_engine("qulacs")
    alone = {seed: engine.run(circuit, RunRequest(500, seed)).counts for seed in range(8)}
    with ThreadPoolExecutor(max_workers=8) as pool:
        seeds = [seed for seed in range(8) for _ in range(4)]
        together = list(pool.map(lambda seed: engine.run(circuit, RunRequest(500, seed)).counts, seeds))
    assert together == [alone[seed] for seed in seeds]


def test_counts_are_in_the_order_of_the_bitstrings() -> None:
    counts = get_engine("qulacs").run(random_circuit(7, qubits=5, gates=50), RunRequest(1_000, 1)).counts
    assert list(counts) == sorted(counts)


def test_exact_probabilities_come_up_to_the_width_that_the_capabilities_declare() -> None:
    engine = qulacs_engine.create_engine(replace(get_capabilities("qulacs"), probabilities_max_qubits=4))
    narrow = engine.run(measured_circuit(4, [gate("h", 0)]), RunRequest(1, 1))
    wide = engine.run(measured_circuit(5, [gate("h", 0)]), RunRequest(1, 1))
    assert narrow.probabilities == pytest.approx({"0000": 0.5, "0001": 0.5})
    assert wide.probabilities is None


def test_rounding_noise_is_no_probability() -> None:
    # Two half turns in ten parts: what should be exactly 0 is only nearly so.
    turns = [gate("rx", 0, angles=(0.62831853071795862,)) for _ in range(10)]
    result = get_engine("qulacs").run(measured_circuit(1, turns), RunRequest(100, 1))
    assert result.probabilities == pytest.approx({"0": 1.0})


@pytest.mark.parametrize("qubits", [26, 36, 64, 1_024])
def test_a_circuit_too_large_for_memory_is_refused_before_anything_is_allocated(
    qubits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def allocate(_qubits: int) -> None:
        pytest.fail("memory was asked for")

    monkeypatch.setattr(qulacs, "QuantumState", allocate)
    with pytest.raises(CircuitTooLargeError, match=rf"{qubits} qubits need .* the limit is 1 GiB") as caught:
        get_engine("qulacs").run(measured_circuit(qubits, [gate("h", 0)]), RunRequest(1, 1))
    assert caught.value.status == 403
    assert caught.value.extra["limitBytes"] == 2**30


def test_the_widest_circuit_that_fits_is_accepted_and_the_next_is_not() -> None:
    small = replace(get_capabilities("qulacs"), memory_limit_bytes=24 * 2**4)
    engine = qulacs_engine.create_engine(small)
    assert engine.run(measured_circuit(small.max_qubits, []), RunRequest(1, 1)).counts == {"0000": 1}
    with pytest.raises(CircuitTooLargeError, match="which is enough for 4 qubits"):
        engine.run(measured_circuit(small.max_qubits + 1, []), RunRequest(1, 1))


def test_a_circuit_that_measures_nothing_is_refused() -> None:
    with pytest.raises(UnsupportedCircuitError, match="measures nothing"):
        get_engine("qulacs").run(Circuit(1, 1, (gate("h", 0),)), RunRequest(1, 1))


def test_a_gate_that_the_engine_lacks_is_refused() -> None:
    engine = qulacs_engine.create_engine(replace(get_capabilities("qulacs"), gates=frozenset({"x"})))
    with pytest.raises(UnsupportedCircuitError, match="has no gate cx, h"):
        engine.run(_BELL, RunRequest(1, 1))


def test_a_wrong_circuit_never_reaches_the_simulator() -> None:
    with pytest.raises(InvalidCircuitError):
        get_engine("qulacs").run(measured_circuit(1, [gate("x", 5)]), RunRequest(1, 1))


@pytest.mark.parametrize(
    ("shots", "seed", "paths"),
    [
        (0, 1, ["shots"]),
        (MAX_SHOTS + 1, 1, ["shots"]),
        (True, 1, ["shots"]),
        (1, -1, ["seed"]),
        (1, MAX_SEED + 1, ["seed"]),
        (-5, 10**400, ["shots", "seed"]),
    ],
)
def test_every_wrong_number_of_shots_and_seed_is_named_with_its_range(shots: int, seed: int, paths: list[str]) -> None:
    with pytest.raises(InvalidFieldsError) as caught:
        get_engine("qulacs").run(_BELL, RunRequest(shots, seed))
    assert [detail.path for detail in caught.value.details] == paths
    assert all(detail.allowed for detail in caught.value.details)


def test_samples_beyond_the_last_amplitude_move_to_the_last_possible_outcome() -> None:
    state = _FakeState([1.0, 0.0, 1.0, 1e-9])
    repaired = qulacs_engine._repair([0, 4, 2, 2**64 - 1], state, dimension=4)  # noqa: SLF001
    assert repaired == [0, 2, 2, 2]


def test_an_unknown_engine_is_not_found_and_the_known_ones_are_named() -> None:
    for get in (get_engine, get_capabilities):
        with pytest.raises(UnknownEngineError, match="qulacs"):
            get("abacus")
