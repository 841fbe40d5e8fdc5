"""A second opinion: gates as the matrices of the textbook, applied by the definition, in plain Python.

Slow and short on purpose. It shares nothing with the engines but the circuit itself.
"""

import cmath
import math
from collections.abc import Callable, Mapping
from itertools import pairwise

from webapp.quantum.circuits import Circuit, Operation
from webapp.quantum.gates import BARRIER, MEASURE, NOT_GATES
from webapp.quantum.noise import NoiseModel

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
    """Multiply by the gate's matrix."""
    matrix = _multi_controlled_phase(op) if op.gate == "mcp" else MATRICES[op.gate](*op.parameters)
    return _apply_matrix(matrix, op.qubits, amplitudes)


def _apply_matrix(matrix: Matrix, targets: tuple[int, ...], amplitudes: list[complex]) -> list[complex]:
    """Multiply by a matrix, whose index has the first target as its highest bit."""
    qubits = targets[::-1]
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


def exact_branches(circuit: Circuit) -> dict[str, float]:
    """Compute the probability of each bitstring of any circuit, by following every outcome of every measurement."""
    start = [0j] * (1 << circuit.qubits)
    start[0] = 1
    branches = {0: [start]}
    for op in circuit.operations:
        branches = _follow(op, branches)
    totals: dict[str, float] = {}
    for bits, states in branches.items():
        name = f"{bits:0{circuit.clbits}b}"
        totals[name] = sum(abs(amplitude) ** 2 for state in states for amplitude in state)
    return totals


def _follow(op: Operation, branches: dict[int, list[list[complex]]]) -> dict[int, list[list[complex]]]:
    """Carry out one operation on every branch: unnormalised states, by the classical bits that led to them."""
    followed: dict[int, list[list[complex]]] = {}
    for bits, states in branches.items():
        for state in states:
            for new_bits, new_state in _follow_one(op, bits, state):
                if sum(abs(amplitude) ** 2 for amplitude in new_state) > 1e-15:
                    followed.setdefault(new_bits, []).append(new_state)
    return followed


def _follow_one(op: Operation, bits: int, state: list[complex]) -> list[tuple[int, list[complex]]]:
    if op.gate == BARRIER or not all(condition.holds(bits) for condition in op.conditions):
        return [(bits, state)]
    if op.gate not in NOT_GATES:
        return [(bits, _apply(op, state))]
    qubit = op.qubits[0]
    halves = [
        [amplitude if index >> qubit & 1 == outcome else 0j for index, amplitude in enumerate(state)]
        for outcome in (0, 1)
    ]
    if op.gate == MEASURE:
        clear = bits & ~(1 << op.clbits[0])
        return [(clear | outcome << op.clbits[0], half) for outcome, half in enumerate(halves)]
    return [(bits, halves[0]), (bits, _apply(Operation("x", (qubit,)), halves[1]))]


def noisy_distribution(circuit: Circuit, noise: NoiseModel) -> dict[str, float]:
    """Compute the probabilities of a circuit that measures at its end, under noise, from its density matrix."""
    # Kept as a state of twice the qubits: the second half are the columns.
    density = [0j] * (1 << (2 * circuit.qubits))
    density[0] = 1
    for op in circuit.operations:
        if op.gate in NOT_GATES:
            continue
        density = _apply_both(op.qubits, MATRICES[op.gate](*op.parameters), density, circuit.qubits)
        for qubits, kraus in _errors(op.qubits, noise):
            density = _mix(qubits, kraus, density, circuit.qubits)
    size = 1 << circuit.qubits
    diagonal = [density[index * size + index].real for index in range(size)]
    return _read_out(diagonal, circuit, noise)


def _errors(qubits: tuple[int, ...], noise: NoiseModel) -> list[tuple[tuple[int, ...], list[Matrix]]]:
    identity = _phase(0)
    paulis = [identity, _X, _Y, _Z]
    errors: list[tuple[tuple[int, ...], list[Matrix]]] = []
    if len(qubits) == 1:
        weights = [1 - noise.depolarizing] + [noise.depolarizing / 3] * 3
        errors.append((qubits, [_scale(p, math.sqrt(w)) for p, w in zip(paulis, weights, strict=True)]))
    for pair in pairwise(qubits):
        chance = noise.two_qubit_depolarizing
        weights = [1 - chance] + [chance / 15] * 15
        products = [_kron(a, b) for a in paulis for b in paulis]
        errors.append((pair, [_scale(p, math.sqrt(w)) for p, w in zip(products, weights, strict=True)]))
    damping = noise.amplitude_damping
    kraus: list[Matrix] = [[[1, 0], [0, math.sqrt(1 - damping)]], [[0, math.sqrt(damping)], [0, 0]]]
    return errors + [((qubit,), kraus) for qubit in qubits]


def _scale(matrix: Matrix, factor: float) -> Matrix:
    return [[factor * value for value in row] for row in matrix]


def _mix(qubits: tuple[int, ...], kraus: list[Matrix], density: list[complex], width: int) -> list[complex]:
    parts = [_apply_both(qubits, matrix, density, width) for matrix in kraus]
    return [sum(values, 0j) for values in zip(*parts, strict=True)]


def _apply_both(qubits: tuple[int, ...], matrix: Matrix, density: list[complex], width: int) -> list[complex]:
    conjugate = [[complex(value).conjugate() for value in row] for row in matrix]
    left = _apply_matrix(matrix, tuple(qubit + width for qubit in qubits), density)
    return _apply_matrix(conjugate, qubits, left)


def _read_out(diagonal: list[float], circuit: Circuit, noise: NoiseModel) -> dict[str, float]:
    qubit_of = {op.clbits[0]: op.qubits[0] for op in circuit.operations if op.gate == MEASURE}
    flips = (noise.readout_0_to_1, noise.readout_1_to_0)
    totals: dict[str, float] = {}
    for read in range(1 << circuit.clbits):
        total = 0.0
        for index, probability in enumerate(diagonal):
            for clbit, qubit in qubit_of.items():
                value = index >> qubit & 1
                probability *= flips[value] if read >> clbit & 1 != value else 1 - flips[value]  # noqa: PLW2901
            total += probability
        totals[f"{read:0{circuit.clbits}b}"] = total
    return totals
