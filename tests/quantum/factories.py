"""Circuits for tests."""

import random

from webapp.quantum.circuits import Circuit, Operation, measured_circuit, measurement
from webapp.quantum.gates import GATES, UNITARY_GATES


def random_circuit(seed: int, *, qubits: int, gates: int) -> Circuit:
    """Make a circuit of random gates at random places and angles, the same for the same seed."""
    chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
    names = [name for name in UNITARY_GATES if (GATES[name].qubits or 0) <= qubits]
    operations = []
    for name in chance.choices(names, k=gates):
        definition = GATES[name]
        angles = tuple(chance.uniform(-7, 7) for _ in range(definition.parameters))
        width = definition.qubits or chance.randint(1, qubits)
        operations.append(Operation(name, tuple(chance.sample(range(qubits), width)), angles))
    return measured_circuit(qubits, operations)


def scrambled_measurements(seed: int, *, qubits: int, clbits: int) -> Circuit:
    """Make a random circuit that measures some of its qubits into random places."""
    chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
    circuit = random_circuit(seed, qubits=qubits, gates=20)
    unitary = [op for op in circuit.operations if not op.clbits]
    used = chance.sample(range(clbits), chance.randint(1, clbits))
    return Circuit(qubits, clbits, (*unitary, *(measurement(chance.randrange(qubits), clbit) for clbit in used)))
