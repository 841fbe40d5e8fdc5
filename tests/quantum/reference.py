"""A second opinion: gates as the matrices of the textbook, applied by the definition, in plain Python.

Slow and short on purpose. It shares nothing with the engines but the circuit itself.
"""

import cmath
import math
from collections.abc import Callable, Mapping

from webapp.quantum.circuits import Circuit, Operation
from webapp.quantum.gates import MEASURE, NOT_GATES

Matrix = list[list[complex]]

_R = 1 / math.sqrt(2)
_X: Matrix = [[0, 1], [1, 0]]
_Y: Matrix = [[0, -1j], [1j, 0]]
_Z: Matrix = [[1, 0], [0, -1]]
_H: Matrix = [[_R, _R], [_R, -_R]]
_SX: Matrix = [[0.5 + 0.5j, 0.5 - 0.5j], [0.5 - 0.5j, 0.5 + 0.5j]]
_SWAP: Matrix = [[1, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1]]


def _phase(angle: float) -> Matrix:
    return [[1, 0], [0, cmath.exp(1j * angle)]]


def _u(theta: float, phi: float, lam: float) -> Matrix:
    cosine, sine = math.cos(theta / 2), math.sin(theta / 2)
    return [
        [cosine, -cmath.exp(1j * lam) * sine],
        [cmath.exp(1j * phi) * sine, cmath.exp(1j * (phi + lam)) * cosine],
    ]


def _rotation(generator: Matrix, angle: float) -> Matrix:
    """exp(-i angle/2 G) = cos(angle/2) - i sin(angle/2) G, for any G with G^2 = 1."""
    cosine, sine = math.cos(angle / 2), math.sin(angle / 2)
    return [
        [(cosine if row == column else 0) - 1j * sine * value for column, value in enumerate(values)]
        for row, values in enumerate(generator)
    ]


def _kron(left: Matrix, right: Matrix) -> Matrix:
    return [[a * b for a in row for b in other] for row in left for other in right]


def _controlled(matrix: Matrix) -> Matrix:
    size = len(matrix)
    identity: Matrix = [[complex(row == column) for column in range(2 * size)] for row in range(size)]
    return identity + [[0j] * size + row for row in matrix]


def _adjoint(matrix: Matrix) -> Matrix:
    return [[complex(matrix[row][column]).conjugate() for row in range(len(matrix))] for column in range(len(matrix))]


MATRICES: Mapping[str, Callable[..., Matrix]] = {
    "id": lambda: _phase(0),
    "x": lambda: _X,
    "y": lambda: _Y,
    "z": lambda: _Z,
    "h": lambda: _H,
    "s": lambda: _phase(math.pi / 2),
    "sdg": lambda: _phase(-math.pi / 2),
    "t": lambda: _phase(math.pi / 4),
    "tdg": lambda: _phase(-math.pi / 4),
    "sx": lambda: _SX,
    "sxdg": lambda: _adjoint(_SX),
    "rx": lambda angle: _rotation(_X, angle),
    "ry": lambda angle: _rotation(_Y, angle),
    "rz": lambda angle: _rotation(_Z, angle),
    "p": _phase,
    "u": _u,
    "cx": lambda: _controlled(_X),
    "cy": lambda: _controlled(_Y),
    "cz": lambda: _controlled(_Z),
    "ch": lambda: _controlled(_H),
    "cp": lambda angle: _controlled(_phase(angle)),
    "crx": lambda angle: _controlled(_rotation(_X, angle)),
    "cry": lambda angle: _controlled(_rotation(_Y, angle)),
    "crz": lambda angle: _controlled(_rotation(_Z, angle)),
    "swap": lambda: _SWAP,
    "rxx": lambda angle: _rotation(_kron(_X, _X), angle),
    "ryy": lambda angle: _rotation(_kron(_Y, _Y), angle),
    "rzz": lambda angle: _rotation(_kron(_Z, _Z), angle),
    "ccx": lambda: _controlled(_controlled(_X)),
    "cswap": lambda: _controlled(_SWAP),
}


def _multi_controlled_phase(op: Operation) -> Matrix:
    matrix = _phase(*op.parameters)
    for _ in op.qubits[1:]:
        matrix = _controlled(matrix)
    return matrix


def simulate(circuit: Circuit, *, start: int = 0) -> list[complex]:
    """Compute all amplitudes; bit i of an index is qubit i."""
    amplitudes = [0j] * (1 << circuit.qubits)
    amplitudes[start] = 1
    for op in circuit.operations:
        if op.gate not in NOT_GATES:
            amplitudes = _apply(op, amplitudes)
    return amplitudes


def _apply(op: Operation, amplitudes: list[complex]) -> list[complex]:
    """Multiply by the gate's matrix, whose index has the first qubit as its highest bit."""
    matrix = _multi_controlled_phase(op) if op.gate == "mcp" else MATRICES[op.gate](*op.parameters)
    qubits = op.qubits[::-1]
    mask = sum(1 << qubit for qubit in qubits)
    spread = [sum((k >> bit & 1) << qubit for bit, qubit in enumerate(qubits)) for k in range(len(matrix))]
    result = [0j] * len(amplitudes)
    for index in range(len(amplitudes)):
        row = sum((index >> qubit & 1) << bit for bit, qubit in enumerate(qubits))
        rest = index & ~mask
        result[index] = sum((matrix[row][k] * amplitudes[rest | spread[k]] for k in range(len(matrix))), 0j)
    return result


def exact_distribution(circuit: Circuit) -> dict[str, float]:
    """Compute the probability of each classical bitstring of a circuit whose measurements all come last."""
    qubit_of = {op.clbits[0]: op.qubits[0] for op in circuit.operations if op.gate == MEASURE}
    totals: dict[str, float] = {}
    for index, amplitude in enumerate(simulate(circuit)):
        characters = ["0"] * circuit.clbits
        for clbit, qubit in qubit_of.items():
            characters[-1 - clbit] = str(index >> qubit & 1)
        bits = "".join(characters)
        totals[bits] = totals.get(bits, 0.0) + abs(amplitude) ** 2
    return totals
