import pytest

from webapp.quantum.circuits import Circuit, Operation
from webapp.quantum.gates import GATES, UNITARY_GATES

from .factories import random_circuit
from .reference import MATRICES, simulate

_FIXED_WIDTH = [name for name in UNITARY_GATES if GATES[name].qubits is not None]


def test_the_reference_knows_every_gate() -> None:
    assert set(MATRICES) == set(_FIXED_WIDTH)


@pytest.mark.parametrize("name", _FIXED_WIDTH)
def test_every_matrix_of_the_reference_is_unitary(name: str) -> None:
    matrix = MATRICES[name](*(0.3, 0.5, 0.7)[: GATES[name].parameters])
    size = len(matrix)
    for row in range(size):
        for other in range(size):
            product = sum((matrix[row][k] * complex(matrix[other][k]).conjugate() for k in range(size)), 0j)
            assert product == pytest.approx(float(row == other))


def test_the_reference_keeps_the_norm() -> None:
    assert sum(abs(a) ** 2 for a in simulate(random_circuit(1, qubits=4, gates=40))) == pytest.approx(1.0)


def test_the_first_qubit_of_a_controlled_gate_is_the_control() -> None:
    circuit = Circuit(2, 0, (Operation("x", (0,)), Operation("cx", (0, 1))))
    assert simulate(circuit) == [0, 0, 0, 1]
