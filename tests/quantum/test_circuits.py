import math
from dataclasses import replace

import pytest

from webapp.quantum.circuits import (
    Circuit,
    Condition,
    InvalidCircuitError,
    Operation,
    check_circuit,
    gate,
    list_blocks,
    measure,
    measured_circuit,
    measurement,
)
from webapp.quantum.gates import GATES, UNITARY_GATES
from webapp.quantum.limits import MAX_CIRCUIT_CLBITS, MAX_CIRCUIT_OPERATIONS, MAX_CIRCUIT_QUBITS

from .factories import random_circuit


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (gate("hadamard", 0), "no such gate; allowed are id, x,"),
        (gate("cx", 0), "acts on 2 qubits, not 1"),
        (gate("x", 0, 1), "acts on 1 qubit, not 2"),
        (gate("rx", 0), "takes 1 angle, not 0"),
        (gate("u", 0, angles=(0.1, 0.2)), "takes 3 angles, not 2"),
        (gate("x", 2), "a qubit does not exist; allowed are 0 to 1"),
        (gate("x", -1), "a qubit does not exist"),
        (gate("cx", 1, 1), "the same qubit twice"),
        (gate("barrier", 0, 0), "the same qubit twice"),
        (gate("rx", 0, angles=(math.nan,)), "not a finite number"),
        (gate("rx", 0, angles=(-math.inf,)), "not a finite number"),
        (measurement(0, 2), "a classical bit does not exist; there are 2"),
        (measurement(0, -1), "a classical bit does not exist"),
        (gate("measure", 0), "a measurement writes exactly one classical bit"),
        (Operation("x", (0,), (), (0,)), "a measurement writes exactly one classical bit"),
    ],
)
def test_a_wrong_operation_is_named_with_what_is_wrong_and_what_is_allowed(wrong: Operation, message: str) -> None:
    with pytest.raises(InvalidCircuitError) as caught:
        check_circuit(Circuit(2, 2, (gate("h", 0), wrong)))
    assert f"Operation 1 ({wrong.gate})" in caught.value.message
    assert message in caught.value.message
    assert caught.value.target == "circuit.operations[1]"
    assert caught.value.status == 422


@pytest.mark.parametrize(
    "circuit",
    [
        Circuit(0, 0, ()),
        Circuit(-1, 0, ()),
        Circuit(MAX_CIRCUIT_QUBITS + 1, 0, ()),
        Circuit(1, -1, ()),
        Circuit(1, MAX_CIRCUIT_CLBITS + 1, ()),
        Circuit(1, 1, (gate("x", 0),) * (MAX_CIRCUIT_OPERATIONS + 1)),
    ],
)
def test_a_circuit_beyond_the_limits_is_refused(circuit: Circuit) -> None:
    with pytest.raises(InvalidCircuitError, match=r"A circuit has from \d+ to \d+ "):
        check_circuit(circuit)


def test_a_huge_gate_name_is_not_repeated_in_full() -> None:
    with pytest.raises(InvalidCircuitError) as caught:
        check_circuit(Circuit(1, 1, (gate("é" * 10_000, 0),)))
    assert len(caught.value.message) < 1_000


@pytest.mark.parametrize("seed", range(5))
def test_circuits_of_every_gate_are_accepted(seed: int) -> None:
    check_circuit(random_circuit(seed, qubits=5, gates=100))


def test_a_bell_circuit_measures_as_one_would_count_by_hand() -> None:
    profile = measure(measured_circuit(2, [gate("h", 0), gate("barrier", 0, 1), gate("cx", 0, 1)]))
    assert (profile.qubits, profile.clbits, profile.gates, profile.two_qubit_gates) == (2, 2, 2, 1)
    assert (profile.measurements, profile.depth, profile.memory_bytes) == (2, 3, 64)
    assert profile.is_clifford
    assert not profile.has_mid_circuit_measurement


def test_gates_on_different_qubits_share_a_step() -> None:
    assert measure(Circuit(3, 0, tuple(gate("x", qubit) for qubit in range(3)))).depth == 1


def test_a_barrier_makes_its_qubits_wait_but_is_no_step_itself() -> None:
    operations = (gate("x", 0), gate("x", 0), gate("barrier", 0, 1), gate("x", 1))
    assert measure(Circuit(2, 0, operations)).depth == 3


def test_measurements_into_one_bit_follow_each_other() -> None:
    assert measure(Circuit(2, 1, (measurement(0, 0), measurement(1, 0)))).depth == 2


def test_an_empty_circuit_has_no_depth() -> None:
    profile = measure(Circuit(1, 0, ()))
    assert (profile.depth, profile.gates, profile.is_clifford) == (0, 0, True)


def test_gates_on_three_qubits_count_as_two_qubit_gates() -> None:
    assert measure(Circuit(3, 0, (gate("ccx", 0, 1, 2),))).two_qubit_gates == 1


@pytest.mark.parametrize(
    ("operation", "is_clifford"),
    [
        (gate("s", 0), True),
        (gate("t", 0), False),
        (gate("ccx", 0, 1, 2), False),
        (gate("ch", 0, 1), False),
        (gate("rz", 0, angles=(-3 * math.pi / 2,)), True),
        (gate("rz", 0, angles=(math.pi / 4,)), False),
        (gate("u", 0, angles=(math.pi / 2, 0.0, math.pi)), True),
        (gate("u", 0, angles=(math.pi / 2, 0.1, math.pi)), False),
        (gate("cp", 0, 1, angles=(math.pi,)), True),
        (gate("cp", 0, 1, angles=(math.pi / 2,)), False),
        (gate("rzz", 0, 1, angles=(math.pi / 2,)), True),
    ],
)
def test_clifford_gates_are_told_by_name_and_angle(operation: Operation, is_clifford: bool) -> None:  # noqa: FBT001
    assert measure(Circuit(3, 0, (operation,))).is_clifford is is_clifford


def test_a_gate_after_a_measurement_of_its_qubit_is_mid_circuit() -> None:
    after = Circuit(2, 2, (measurement(0, 0), gate("cx", 1, 0)))
    beside = Circuit(2, 2, (measurement(0, 0), gate("x", 1), gate("barrier", 0, 1), measurement(0, 1)))
    assert measure(after).has_mid_circuit_measurement
    assert not measure(beside).has_mid_circuit_measurement


def test_the_memory_of_a_very_wide_circuit_is_a_number_and_nothing_is_allocated() -> None:
    assert measure(Circuit(1_000, 0, ())).memory_bytes == 16 * 2**1_000


def test_circuits_and_gates_cannot_be_changed() -> None:
    circuit = measured_circuit(1, [gate("x", 0)])
    with pytest.raises(AttributeError):
        circuit.qubits = 2  # type: ignore[misc]
    with pytest.raises(TypeError):
        GATES["new"] = GATES["x"]  # type: ignore[index]
    assert len(UNITARY_GATES) == len(set(UNITARY_GATES)) == len(GATES) - 3


_READ = Condition((0, 1), frozenset({1, 3}))


def _when(operation: Operation, *conditions: Condition) -> Operation:
    return replace(operation, conditions=conditions)


def test_what_follows_each_other_under_the_same_conditions_happens_or_not_as_a_whole() -> None:
    same = Condition((0, 1), frozenset({3, 1}))
    x, h = gate("x", 0), gate("h", 1)
    operations = [x, _when(x, _READ), gate("barrier", 0), _when(h, same), h, _when(x, _READ, same), _when(x, _READ)]
    assert list(list_blocks(operations)) == [
        ((), [x]),
        ((_READ,), [_when(x, _READ), _when(h, _READ)]),
        ((), [h]),
        ((_READ, same), [_when(x, _READ, same)]),
        ((_READ,), [_when(x, _READ)]),
    ]
    assert list(list_blocks([gate("barrier", 0)])) == []


def test_a_block_ends_where_it_writes_a_bit_of_its_own_condition() -> None:
    into_other, into_own, x = measurement(0, 2), measurement(0, 1), gate("x", 0)
    blocks = list_blocks([_when(each, _READ) for each in (x, into_other, x, into_own, x)])
    assert [len(block) for _, block in blocks] == [4, 1]
    assert [len(block) for _, block in list_blocks([into_own, x])] == [2]


def test_the_conditions_of_blocks_are_measured_once_each() -> None:
    exactly = Condition((0, 1), frozenset({2}), is_negated=True)
    begun = [gate("h", 0), measurement(0, 0), measurement(0, 1)]
    asked = [_when(gate("x", 1), _READ), _when(gate("h", 1), _READ), gate("x", 0), _when(gate("x", 1), _READ, exactly)]
    profile = measure(Circuit(2, 2, (*begun, *asked)))
    assert (profile.conditional_operations, profile.conditional_blocks, profile.condition_literals) == (3, 2, 1 + 1 + 2)
    plain = measure(Circuit(2, 2, tuple(begun)))
    assert (plain.conditional_blocks, plain.condition_literals) == (0, 0)
