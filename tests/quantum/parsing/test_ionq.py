import json
import math
from typing import Any

import pytest

from tests.quantum.reference import exact_distribution, simulate
from webapp.core.errors import InvalidFieldsError
from webapp.quantum.circuits import Circuit, check_circuit, gate, measurement
from webapp.quantum.programs import InvalidProgramError, Program, ProgramTooLargeError, read_program


def read(circuit: list[dict[str, Any]], *, qubits: int = 3, **members: object) -> Circuit:
    read_circuit = read_program(Program("ionq.circuit.v1", {"qubits": qubits, "circuit": circuit, **members}))
    check_circuit(read_circuit)
    return read_circuit


def test_a_bell_state_is_read_from_an_object_or_its_text() -> None:
    program = {"qubits": 2, "circuit": [{"gate": "h", "target": 0}, {"gate": "cnot", "target": 1, "control": 0}]}
    expected = Circuit(2, 2, (gate("h", 0), gate("cx", 0, 1), measurement(0, 0), measurement(1, 1)))
    assert read_program(Program("ionq.circuit.v1", program)) == expected
    assert read_program(Program("ionq.circuit.v1", json.dumps(program))) == expected


def test_every_gate_of_the_abstract_set_is_read() -> None:
    plain = ["x", "not", "y", "z", "h", "s", "si", "t", "ti", "v", "vi"]
    steps: list[dict[str, Any]] = [{"gate": name, "target": 0} for name in plain]
    steps += [{"gate": name, "target": 0, "rotation": 0.5} for name in ("rx", "ry", "rz")]
    steps += [{"gate": name, "targets": [0, 1], "rotation": 0.5} for name in ("xx", "yy", "zz")]
    steps += [{"gate": "swap", "targets": [0, 1]}, {"gate": "x", "target": 2, "controls": [0, 1]}]
    steps += [{"gate": "rz", "target": 2, "controls": [0, 1], "rotation": 1.0}]
    names = [op.gate for op in read(steps).operations]
    assert names[:18] == [
        "x", "x", "y", "z", "h", "s", "sdg", "t", "tdg", "sx", "sxdg", "rx", "ry", "rz", "rxx", "ryy", "rzz", "swap"
    ]  # fmt: skip
    assert names[18] == "ccx"


@pytest.mark.parametrize("phase", [0.0, 0.1, 0.25, -0.3])
def test_native_gates_are_the_matrices_that_ionq_publishes(phase: float) -> None:
    turn = complex(math.cos(math.tau * phase), math.sin(math.tau * phase))
    gpi = [simulate(_unmeasured([{"gate": "gpi", "target": 0, "phase": phase}], 1), start=start) for start in (0, 1)]
    assert gpi[0] == pytest.approx([0, turn])
    assert gpi[1] == pytest.approx([turn.conjugate(), 0])
    gpi2 = [simulate(_unmeasured([{"gate": "gpi2", "target": 0, "phase": phase}], 1), start=start) for start in (0, 1)]
    root = 1 / math.sqrt(2)
    assert gpi2[0] == pytest.approx([root, -1j * root * turn])
    assert gpi2[1] == pytest.approx([-1j * root * turn.conjugate(), root])


def test_the_moelmer_soerensen_gate_is_the_matrix_that_ionq_publishes() -> None:
    step = {"gate": "ms", "targets": [0, 1], "phases": [0.1, 0.3], "angle": 0.2}
    column = simulate(_unmeasured([step], 2), start=0)
    turn = math.tau * (0.1 + 0.3)
    sine = math.sin(math.pi * 0.2)
    assert column == pytest.approx(
        [math.cos(math.pi * 0.2), 0, 0, -1j * sine * complex(math.cos(turn), math.sin(turn))]
    )


def test_a_native_bell_state_has_its_two_outcomes() -> None:
    distribution = exact_distribution(read([{"gate": "ms", "targets": [0, 1]}], qubits=2, gateset="native"))
    assert distribution == pytest.approx({"00": 0.5, "01": 0.0, "10": 0.0, "11": 0.5}, abs=1e-12)


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"gate": "warp", "target": 0}, "the gate set qis has no gate"),
        ({"target": 0}, "the gate set qis has no gate"),
        ({"gate": "h", "target": 3}, "a qubit from 0 to 2"),
        ({"gate": "h", "target": True}, "a qubit from 0 to 2"),
        ({"gate": "h", "targets": [0, 1]}, "expected 1 target qubit, found 2"),
        ({"gate": "h"}, "expected 1 target qubit, found 0"),
        ({"gate": "h", "target": 0, "targets": [0]}, "not both"),
        ({"gate": "cnot", "target": 0}, "a cnot needs a 'control'"),
        ({"gate": "cnot", "target": 0, "control": 0}, "the same qubit twice"),
        ({"gate": "rx", "target": 0}, "'rotation' must be a finite number"),
        ({"gate": "rx", "target": 0, "rotation": float("inf")}, "'rotation' must be a finite number"),
        ({"gate": "rx", "target": 0, "rotation": 10**400}, "'rotation' must be a finite number"),
        ({"gate": "h", "target": 0, "rotation": 1}, "no member 'rotation'"),
        ({"gate": "gpi", "target": 0, "phase": 0}, "the gate set qis has no gate"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(step: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidProgramError) as caught:
        read([{"gate": "x", "target": 0}, step])
    assert caught.value.message.startswith("circuit[1]: ")
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ('{"qubits": 1,\n "circuit": [}', "Line 2, column 14: this is no JSON"),
        ("[" * 100_000, "nested too deep"),
        ('{"qubits": NaN, "circuit": []}', "NaN is no number of JSON"),
        ('{"qubits": 1' + "0" * 5_000 + "}", "a number that is too long"),
        ("[]", "the circuit must be an object"),
        ('{"qubits": 0, "circuit": []}', "a whole number from 1"),
        ('{"qubits": 1}', "a list of gates"),
        ('{"qubits": 1, "circuit": [1]}', "must be an object"),
        ('{"qubits": 1, "circuit": [], "gateset": "other"}', '"qis" or "native"'),
        ('{"qubits": 1, "circuit": [], "gateset": []}', '"qis" or "native"'),
        ('{"qubits": 1, "circuit": [], "name": [[]]}', '"name" is text'),
        ('{"qubits": 1, "circuit": [], "shots": 3}', "no member 'shots'"),
    ],
)
def test_text_that_is_no_circuit_is_refused(source: str, message: str) -> None:
    with pytest.raises(InvalidProgramError) as caught:
        read_program(Program("ionq.circuit.v1", source))
    assert message.lower() in caught.value.message.lower()


def test_too_many_qubits_are_refused_and_inputs_as_well() -> None:
    with pytest.raises(ProgramTooLargeError):
        read([], qubits=10**400)
    with pytest.raises(InvalidFieldsError):
        read_program(Program("ionq.circuit.v1", {"qubits": 1, "circuit": []}), inputs={"theta": 1.0})


def _unmeasured(steps: list[dict[str, Any]], qubits: int) -> Circuit:
    circuit = read(steps, qubits=qubits, gateset="native")
    return Circuit(qubits, 0, tuple(op for op in circuit.operations if op.gate != "measure"))
