"""The set of circuits on which engines are compared, and those with which they are calibrated."""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

from webapp.quantum.circuits import Circuit, Condition, Operation, gate, measured_circuit, measurement
from webapp.quantum.noise import NoiseModel


@dataclass(frozen=True)
class Example:
    """A circuit with the number of shots and the noise that it is run with."""

    name: str
    circuit: Circuit
    shots: int = 1_000
    noise: NoiseModel | None = None

    @property
    def unread(self) -> Circuit:
        """Give the circuit as one that nobody has checked or measured yet: a run begins with that."""
        return replace(self.circuit)


def list_examples() -> list[Example]:
    """List the published set."""
    noise = NoiseModel(depolarizing=0.001, two_qubit_depolarizing=0.01, readout_0_to_1=0.02, readout_1_to_0=0.02)
    damping = NoiseModel(amplitude_damping=0.005)
    return [
        Example("Bell", ghz(2)),
        Example("QFT, 8 qubits", qft(8)),
        Example("QFT, 16 qubits", qft(16)),
        Example("QFT, 20 qubits", qft(20)),
        Example("GHZ, 12 qubits", ghz(12)),
        Example("GHZ, 24 qubits", ghz(24)),
        Example("GHZ, 200 qubits", ghz(200)),
        Example("random, 8 qubits, 20 layers", layers(8, 20)),
        Example("random, 16 qubits, 20 layers", layers(16, 20)),
        Example("random, 20 qubits, 20 layers", layers(20, 20)),
        Example("random, 22 qubits, 10 layers", layers(22, 10)),
        Example("Clifford, 10 qubits", clifford(10, 20)),
        Example("Clifford, 50 qubits", clifford(50, 20)),
        Example("Clifford, 200 qubits", clifford(200, 20)),
        Example("QAOA, 10 qubits", qaoa(10)),
        Example("QAOA, 18 qubits", qaoa(18)),
        Example("low entanglement, 50 qubits", layers(50, 4)),
        Example("noisy QAOA, 10 qubits", qaoa(10), noise=noise),
        Example("noisy Clifford, 10 qubits", clifford(10, 10), noise=noise),
        Example("noisy random, 4 qubits, 20,000 shots", layers(4, 5), 20_000, noise),
        Example("noisy random, 8 qubits, 100 shots", layers(8, 5), 100, noise),
        Example("noisy random, 9 qubits", layers(9, 5), noise=noise),
        Example("noisy random, 12 qubits, 100 shots", layers(12, 5), 100, noise),
        Example("damped QFT, 8 qubits", qft(8), noise=damping),
        Example("damped random, 10 qubits", layers(10, 5), noise=damping),
        Example("damped pairs, 10 qubits, 5,000 shots", pairs(10, 30), 5_000, damping),
    ]


def qft(qubits: int) -> Circuit:
    """Make the Fourier transform of a state that is no basis state."""
    return measured_circuit(qubits, [gate("ry", q, angles=(0.3 + q,)) for q in range(qubits)] + list(_qft(qubits)))


def _qft(qubits: int) -> Iterator[Operation]:
    for target in reversed(range(qubits)):
        yield gate("h", target)
        for control in reversed(range(target)):
            yield gate("cp", control, target, angles=(math.pi / 2 ** (target - control),))
    for low in range(qubits // 2):
        yield gate("swap", low, qubits - 1 - low)


def ghz(qubits: int) -> Circuit:
    """Make all qubits equal."""
    return measured_circuit(qubits, [gate("h", 0), *(gate("cx", q, q + 1) for q in range(qubits - 1))])


def layers(qubits: int, depth: int) -> Circuit:
    """Make layers of random turns, and of cx between neighbours, even and odd pairs in turn."""
    chance = random.Random(qubits * 1_000 + depth)  # noqa: S311 - repeatable on purpose
    operations: list[Operation] = []
    for layer in range(depth):
        operations += [
            gate("u", qubit, angles=tuple(chance.uniform(0, math.tau) for _ in range(3))) for qubit in range(qubits)
        ]
        operations += [gate("cx", q, q + 1) for q in range(layer % 2, qubits - 1, 2)]
    return measured_circuit(qubits, operations)


def clifford(qubits: int, depth: int) -> Circuit:
    """Make layers of random Clifford gates."""
    chance = random.Random(qubits * 1_000 + depth)  # noqa: S311 - repeatable on purpose
    operations: list[Operation] = []
    for _ in range(depth):
        operations += [gate(chance.choice(["h", "s", "sx", "x"]), qubit) for qubit in range(qubits)]
        order = chance.sample(range(qubits), qubits)
        operations += [gate(chance.choice(["cx", "cz"]), a, b) for a, b in zip(order[::2], order[1::2], strict=False)]
    return measured_circuit(qubits, operations)


def turns(qubits: int, gates: int) -> Circuit:
    """Turn one qubit after the other."""
    return measured_circuit(qubits, [gate("rx", turn % qubits, angles=(0.3 + turn,)) for turn in range(gates)])


def pairs(qubits: int, gates: int) -> Circuit:
    """Entangle one pair of qubits after the other, by cx and rzz in turn."""
    operations = []
    for turn in range(gates):
        first, step = turn % qubits, 1 + turn // qubits % max(1, qubits - 1)
        second = (first + step) % qubits
        operations.append(gate("rzz", first, second, angles=(0.3,)) if turn % 2 else gate("cx", first, second))
    return measured_circuit(qubits, operations)


def dynamic(qubits: int, rounds: int, *, is_clifford: bool = False) -> Circuit:
    """Make rounds that measure a qubit in mid-circuit and turn another by its outcome."""
    operations: list[Operation] = []
    for turn in range(rounds):
        if is_clifford:
            operations += [gate("h", qubit) for qubit in range(qubits)]
        else:
            operations += [gate("ry", qubit, angles=(0.3 + qubit + turn,)) for qubit in range(qubits)]
        operations += [gate("cx", qubit, qubit + 1) for qubit in range(qubits - 1)]
        operations += [measurement(0, 0), replace(gate("x", qubits - 1), conditions=(Condition((0,), frozenset({1})),))]
    return measured_circuit(qubits, operations)


def qaoa(qubits: int, rounds: int = 3) -> Circuit:
    """Make MaxCut on a ring with chords."""
    edges = [(q, (q + step) % qubits) for q in range(qubits) for step in (1, 3)]
    operations = [gate("h", q) for q in range(qubits)]
    for turn in range(rounds):
        operations += [gate("rzz", a, b, angles=(0.4 + turn / 10,)) for a, b in edges]
        operations += [gate("rx", q, angles=(0.9 - turn / 10,)) for q in range(qubits)]
    return measured_circuit(qubits, operations)
