"""Circuits for tests."""

import random

from webapp.quantum.circuits import Circuit, Condition, Operation, measured_circuit, measurement
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


def random_clifford_circuit(seed: int, *, qubits: int, gates: int) -> Circuit:
    """Make a circuit of random Clifford gates, those with angles at multiples of their steps."""
    chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
    return measured_circuit(qubits, [_random_clifford(chance, qubits) for _ in range(gates)])


def _random_clifford(chance: random.Random, qubits: int) -> Operation:
    names = [
        name for name in UNITARY_GATES if GATES[name].clifford_step is not None and (GATES[name].qubits or 0) <= qubits
    ]
    definition = GATES[chance.choice(names)]
    angles = tuple((definition.clifford_step or 0) * chance.randint(-5, 5) for _ in range(definition.parameters))
    return Operation(definition.name, tuple(chance.sample(range(qubits), definition.qubits or 1)), angles)


def random_dynamic_circuit(seed: int, *, qubits: int, only_pauli: bool = False) -> Circuit:
    """Make a circuit that measures, resets and decides in its middle; for Stim, only by a single bit and Paulis."""
    chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
    operations: list[Operation] = []
    for _ in range(6):
        if only_pauli:
            operations += [_random_clifford(chance, qubits) for _ in range(6)]
        else:
            operations += random_circuit(chance.randrange(10**6), qubits=qubits, gates=5).operations[:5]
        kind = chance.choice(["measure", "measure", "reset", "if"])
        qubit = chance.randrange(qubits)
        if kind == "measure":
            operations.append(measurement(qubit, chance.randrange(qubits)))
        elif kind == "reset":
            operations.append(Operation("reset", (qubit,)))
        else:
            operations.append(_random_conditional(chance, qubits, only_pauli=only_pauli))
    return measured_circuit(qubits, operations)


def _random_conditional(chance: random.Random, qubits: int, *, only_pauli: bool) -> Operation:
    gate_name = chance.choice("xyz" if only_pauli else ["x", "h", "t", "sx"])
    clbits = tuple(chance.sample(range(qubits), 1 if only_pauli else min(2, qubits)))
    values = frozenset(chance.sample(range(1 << len(clbits)), 1))
    condition = Condition(clbits, values, is_negated=chance.random() < 0.5)
    return Operation(gate_name, (chance.randrange(qubits),), conditions=(condition,))
