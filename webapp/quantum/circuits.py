"""The plain circuit that parsers and templates make and engines run, its check, and its measures."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from webapp.core.errors import UpcubeError
from webapp.core.memo import remembered
from webapp.core.text import count_of
from webapp.quantum.formulas import count_literals
from webapp.quantum.gates import BARRIER, GATES, MEASURE, NOT_GATES, RESET, GateDefinition
from webapp.quantum.limits import MAX_CIRCUIT_CLBITS, MAX_CIRCUIT_OPERATIONS, MAX_CIRCUIT_QUBITS

# One amplitude is a complex number of two double precision floats.
BYTES_PER_AMPLITUDE = 16


class InvalidCircuitError(UpcubeError):
    """The circuit makes no sense as it stands; the message names the operation and what is allowed."""

    status = 422
    code = "invalid_circuit"


@dataclass(frozen=True, slots=True)
class Condition:
    """What classical bits must read for an operation to happen, at the moment when it would.

    The bits, the first as the lowest, are read as a number, which must be one of `values`; or none of them, where
    `is_negated`.
    """

    clbits: tuple[int, ...]
    values: frozenset[int]
    is_negated: bool = False

    def holds(self, bits: int) -> bool:
        """Tell whether it holds, given all classical bits as a number whose lowest bit is bit 0."""
        value = sum((bits >> clbit & 1) << index for index, clbit in enumerate(self.clbits))
        return (value in self.values) is not self.is_negated


@dataclass(frozen=True, slots=True)
class Operation:
    """One gate, barrier, reset or measurement.

    `parameters` are angles in radians. Only a measurement has `clbits`: the one classical bit that it writes. It all
    happens only if every one of `conditions` holds.
    """

    gate: str
    qubits: tuple[int, ...]
    parameters: tuple[float, ...] = ()
    clbits: tuple[int, ...] = ()
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True)
class Circuit:
    """Operations in the order in which they happen, on qubits that all start as 0."""

    qubits: int
    clbits: int
    operations: tuple[Operation, ...]

    @remembered
    def profile(self) -> "Profile":
        """Its measures, taken once; of a checked circuit."""
        return measure(self)

    @remembered
    def problem(self) -> "Problem | None":
        """The first thing that is wrong with it, looked for once."""
        return _find_first_problem(self)


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a circuit, and where."""

    message: str
    target: str


@dataclass(frozen=True, slots=True)
class Profile:
    """The measures of a circuit by which it is priced, admitted and routed.

    `gates` leaves out barriers, resets and measurements; `two_qubit_gates` are those on two or more qubits; `depth` is
    the longest chain of gates and measurements, where a barrier makes its qubits wait for each other. `memory_bytes` is
    the size of a double precision state vector, whether or not an engine needs one.

    `splits` counts the measurements and resets in mid-circuit: each can double the states that a circuit may be in.
    `is_dynamic` when it has any of them, or conditions. `has_only_pauli_feed_forward` when every conditional operation
    is X, Y or Z on one bit: what Stim can do. `entanglement_bits` bounds the base-2 logarithm of the bond dimension of
    a matrix product state, with the qubits in their own order: each gate across a cut adds at most one or two bits.
    `gate_qubits` adds up the qubits of all gates. `conditional_blocks` counts what happens or not as a whole, and
    `condition_literals` the bits that the formulas of their conditions ask for.
    """

    qubits: int
    clbits: int
    gates: int
    two_qubit_gates: int
    measurements: int
    depth: int
    is_clifford: bool
    has_mid_circuit_measurement: bool
    memory_bytes: int
    splits: int = 0
    conditional_operations: int = 0
    has_only_pauli_feed_forward: bool = True
    entanglement_bits: int = 0
    widest_gate: int = 1
    gate_qubits: int = 0
    conditional_blocks: int = 0
    condition_literals: int = 0

    @property
    def is_dynamic(self) -> bool:
        """Tell whether what happens later can depend on what was measured before."""
        return self.splits > 0 or self.conditional_operations > 0


# Most operations are on one qubit. Its tuple takes as much memory as the operation, so there is one for all of them.
_SINGLE_QUBITS = tuple((qubit,) for qubit in range(MAX_CIRCUIT_QUBITS))


def share(qubits: tuple[int, ...]) -> tuple[int, ...]:
    """Give the one tuple of a single qubit of a circuit in place of this one; several as they are."""
    return _SINGLE_QUBITS[qubits[0]] if len(qubits) == 1 else qubits


def gate(name: str, *qubits: int, angles: tuple[float, ...] = ()) -> Operation:
    """Make one gate: `gate("cx", 0, 1)`, `gate("rz", 0, angles=(0.5,))`."""
    return Operation(name, qubits, angles)


def measurement(qubit: int, clbit: int) -> Operation:
    """Make the measurement of a qubit into a classical bit."""
    return Operation(MEASURE, (qubit,), (), (clbit,))


def measured_circuit(qubits: int, operations: Iterable[Operation], *, measured: int | None = None) -> Circuit:
    """Make a circuit that ends by measuring its first `measured` qubits (all, unless told), qubit i into bit i."""
    clbits = qubits if measured is None else measured
    return Circuit(qubits, clbits, (*operations, *(measurement(index, index) for index in range(clbits))))


def measure(circuit: Circuit) -> Profile:
    """Measure a checked circuit."""
    unitary = [op for op in circuit.operations if op.gate not in NOT_GATES]
    conditional = [op for op in circuit.operations if op.conditions]
    splits = len(list_mid_circuit(circuit))
    # Most circuits have no conditions, and every job is measured.
    asked = [conditions for conditions, _ in list_blocks(circuit.operations) if conditions] if conditional else []
    literals_of = {each: count_literals(len(each.clbits), each.values) for each in set().union(*asked)}
    return Profile(
        qubits=circuit.qubits,
        clbits=circuit.clbits,
        gates=len(unitary),
        two_qubit_gates=sum(len(op.qubits) > 1 for op in unitary),
        measurements=sum(op.gate == MEASURE for op in circuit.operations),
        depth=_depth(circuit),
        is_clifford=all(GATES[op.gate].is_clifford(op.parameters) for op in unitary),
        has_mid_circuit_measurement=splits > 0,
        memory_bytes=BYTES_PER_AMPLITUDE << circuit.qubits,
        splits=splits,
        conditional_operations=len(conditional),
        has_only_pauli_feed_forward=all(map(_is_pauli_feed_forward, conditional)),
        entanglement_bits=_bound_entanglement(circuit.qubits, unitary),
        widest_gate=max((len(op.qubits) for op in unitary), default=1),
        gate_qubits=sum(len(op.qubits) for op in unitary),
        conditional_blocks=len(asked),
        condition_literals=sum(literals_of[condition] for conditions in asked for condition in conditions),
    )


def _depth(circuit: Circuit) -> int:
    """Count the steps of the circuit when every operation starts as early as its qubits and bits allow."""
    # Classical bits stand after the qubits: two measurements into one bit must follow each other as well.
    levels = [0] * (circuit.qubits + circuit.clbits)
    for op in circuit.operations:
        wires = op.qubits
        if op.clbits or op.conditions:
            read = [clbit for condition in op.conditions for clbit in condition.clbits]
            wires = (*wires, *(circuit.qubits + clbit for clbit in (*op.clbits, *read)))
        level = max([levels[wire] for wire in wires], default=0) + (op.gate != BARRIER)
        for wire in wires:
            levels[wire] = level
    return max(levels, default=0)


def list_mid_circuit(circuit: Circuit) -> list[int]:
    """List the places of the measurements and resets that something later depends on.

    That is a gate or a reset on the same qubit, or a condition on the bit; measuring a qubit once more changes nothing,
    unless its bit is written again by another. A reset of a qubit that nothing has touched does nothing.
    """
    found: list[int] = []
    touched: set[int] = set()
    read: set[int] = set()
    for index in range(len(circuit.operations) - 1, -1, -1):
        op = circuit.operations[index]
        if op.gate == MEASURE:
            if op.conditions or op.qubits[0] in touched or op.clbits[0] in read:
                found.append(index)
        elif op.gate != BARRIER:
            touched.update(op.qubits)
            if op.gate == RESET:
                found.append(index)
        for condition in op.conditions:
            read.update(condition.clbits)
    return found[::-1]


def list_blocks(operations: Iterable[Operation]) -> Iterator[tuple[tuple[Condition, ...], list[Operation]]]:
    """Part operations into blocks that happen or not as a whole, each with its conditions; barriers are left out.

    A block's operations follow each other under the same conditions, and only the last may write a bit that these read.
    """
    conditions: tuple[Condition, ...] = ()
    block: list[Operation] = []
    read: frozenset[int] = frozenset()
    for op in operations:
        if op.gate == BARRIER:
            continue
        if block and (op.conditions != conditions or not read.isdisjoint(block[-1].clbits)):
            yield conditions, block
            block = []
        if not block and op.conditions != conditions:
            conditions = op.conditions
            read = frozenset(clbit for condition in conditions for clbit in condition.clbits)
        block.append(op)
    if block:
        yield conditions, block


def drop_last_measurements(circuit: Circuit) -> Circuit:
    """Leave out the measurements on which nothing depends, and the classical bits above all that are left."""
    kept = set(list_mid_circuit(circuit))
    operations = tuple(op for index, op in enumerate(circuit.operations) if op.gate != MEASURE or index in kept)
    used = [
        clbit
        for op in operations
        for clbit in (*op.clbits, *(each for condition in op.conditions for each in condition.clbits))
    ]
    return Circuit(circuit.qubits, max(used, default=-1) + 1, operations)


def _is_pauli_feed_forward(op: Operation) -> bool:
    """Tell whether a conditional operation flips or turns a qubit by the value of a single bit."""
    return op.gate in {"x", "y", "z"} and len(op.conditions) == 1 and len(op.conditions[0].clbits) == 1


# Gates whose operator Schmidt rank across a cut is 4; for all others on two or more qubits it is 2.
_RANK_4 = frozenset({"swap", "cswap"})


def _bound_entanglement(qubits: int, unitary: Iterable[Operation]) -> int:
    """Bound the logarithm of the bond dimension at the worst cut between neighbours.

    Vidal, "Efficient classical simulation of slightly entangled quantum computations" (arXiv:quant-ph/0301063): a gate
    multiplies it by at most its own rank, and neither side of a cut has more dimensions than its qubits.
    """
    crossings = [0] * (qubits + 1)
    for op in unitary:
        if len(op.qubits) > 1:
            bits = 2 if op.gate in _RANK_4 else 1
            crossings[min(op.qubits) + 1] += bits
            crossings[max(op.qubits) + 1] -= bits
    worst = current = 0
    for cut in range(1, qubits):
        current += crossings[cut]
        worst = max(worst, min(current, cut, qubits - cut))
    return worst


def check_circuit(circuit: Circuit) -> None:
    """Check everything that a circuit must satisfy on its own, whatever engine would run it.

    Raises InvalidCircuitError at the first thing that is wrong.
    """
    problem = circuit.problem
    if problem is not None:
        raise InvalidCircuitError(problem.message, target=problem.target)


def _find_first_problem(circuit: Circuit) -> Problem | None:
    """Find the first thing that is wrong with a circuit: its totals before its operations."""
    for what, size, minimum, maximum in (
        ("qubits", circuit.qubits, 1, MAX_CIRCUIT_QUBITS),
        ("classical bits", circuit.clbits, 0, MAX_CIRCUIT_CLBITS),
        ("operations", len(circuit.operations), 0, MAX_CIRCUIT_OPERATIONS),
    ):
        if not minimum <= size <= maximum:
            return Problem(f"A circuit has from {minimum} to {maximum} {what}.", "circuit")
    for index, op in enumerate(circuit.operations):
        found = _find_problem(circuit, op)
        if found is not None:
            return Problem(f"Operation {index} ({op.gate[:32]}): {found}", f"circuit.operations[{index}]")
    return None


def _find_problem(circuit: Circuit, op: Operation) -> str | None:
    """Say what is wrong with one operation and what would be right, or None."""
    definition = GATES.get(op.gate)
    if definition is None:
        return f"there is no such gate; allowed are {', '.join(GATES)}."
    if definition.qubits is not None and len(op.qubits) != definition.qubits:
        return f"it acts on {count_of(definition.qubits, 'qubit')}, not {len(op.qubits)}."
    if not op.qubits:
        return "it acts on at least one qubit."
    return _find_qubit_problem(circuit, op) or _find_angle_problem(op, definition) or _find_clbit_problem(circuit, op)


def _find_qubit_problem(circuit: Circuit, op: Operation) -> str | None:
    """Say what is wrong with the qubits of one operation, beyond their number, or None."""
    if any(not 0 <= qubit < circuit.qubits for qubit in op.qubits):
        return f"a qubit does not exist; allowed are 0 to {circuit.qubits - 1}."
    if len(set(op.qubits)) != len(op.qubits):
        return "it names the same qubit twice; all of its qubits must differ."
    return None


def _find_angle_problem(op: Operation, definition: GateDefinition) -> str | None:
    """Say what is wrong with the angles of one operation, or None."""
    if len(op.parameters) != definition.parameters:
        return f"it takes {count_of(definition.parameters, 'angle')}, not {len(op.parameters)}."
    if not all(map(math.isfinite, op.parameters)):
        return "an angle is not a finite number; any finite number of radians is allowed."
    return None


def _find_clbit_problem(circuit: Circuit, op: Operation) -> str | None:
    """Say what is wrong with the classical bits of one operation, or None."""
    if len(op.clbits) != (op.gate == MEASURE):
        return "a measurement writes exactly one classical bit, and nothing else writes any."
    read = [clbit for condition in op.conditions for clbit in condition.clbits]
    if any(not 0 <= clbit < circuit.clbits for clbit in (*op.clbits, *read)):
        return f"a classical bit does not exist; there are {circuit.clbits}, counted from 0."
    return None
