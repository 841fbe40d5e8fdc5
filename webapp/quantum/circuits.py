"""The plain circuit that parsers and templates make and engines run, its check, and its measures."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from webapp.core.errors import UpcubeError
from webapp.quantum.gates import BARRIER, GATES, MEASURE, GateDefinition
from webapp.quantum.limits import MAX_CIRCUIT_CLBITS, MAX_CIRCUIT_OPERATIONS, MAX_CIRCUIT_QUBITS

# One amplitude is a complex number of two double precision floats.
BYTES_PER_AMPLITUDE = 16


class InvalidCircuitError(UpcubeError):
    """The circuit makes no sense as it stands; the message names the operation and what is allowed."""

    status = 422
    code = "invalid_circuit"


@dataclass(frozen=True, slots=True)
class Operation:
    """One gate, barrier or measurement.

    `parameters` are angles in radians. Only a measurement has `clbits`: the one classical bit that it writes.
    """

    gate: str
    qubits: tuple[int, ...]
    parameters: tuple[float, ...] = ()
    clbits: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Circuit:
    """Operations in the order in which they happen, on qubits that all start as 0."""

    qubits: int
    clbits: int
    operations: tuple[Operation, ...]


@dataclass(frozen=True, slots=True)
class Profile:
    """The measures of a circuit by which it is priced, admitted and routed.

    `gates` leaves out barriers and measurements; `two_qubit_gates` are those on two or more qubits; `depth` is the
    longest chain of gates and measurements, where a barrier makes its qubits wait for each other. `memory_bytes` is
    the size of a double precision state vector, whether or not an engine needs one.
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
    """Measure a checked circuit, in one pass over its operations."""
    unitary = [op for op in circuit.operations if op.gate not in {MEASURE, BARRIER}]
    return Profile(
        qubits=circuit.qubits,
        clbits=circuit.clbits,
        gates=len(unitary),
        two_qubit_gates=sum(len(op.qubits) > 1 for op in unitary),
        measurements=sum(op.gate == MEASURE for op in circuit.operations),
        depth=_depth(circuit),
        is_clifford=all(GATES[op.gate].is_clifford(op.parameters) for op in unitary),
        has_mid_circuit_measurement=_has_mid_circuit_measurement(circuit),
        memory_bytes=BYTES_PER_AMPLITUDE << circuit.qubits,
    )


def _depth(circuit: Circuit) -> int:
    """Count the steps of the circuit when every operation starts as early as its qubits and bit allow."""
    # Classical bits stand after the qubits: two measurements into one bit must follow each other as well.
    levels = [0] * (circuit.qubits + circuit.clbits)
    for op in circuit.operations:
        wires = [*op.qubits, *(circuit.qubits + clbit for clbit in op.clbits)]
        level = max((levels[wire] for wire in wires), default=0) + (op.gate != BARRIER)
        for wire in wires:
            levels[wire] = level
    return max(levels, default=0)


def _has_mid_circuit_measurement(circuit: Circuit) -> bool:
    """Tell whether any gate acts on a qubit after its measurement; measuring it once more changes nothing."""
    measured: set[int] = set()
    for op in circuit.operations:
        if op.gate == MEASURE:
            measured.update(op.qubits)
        elif op.gate != BARRIER and not measured.isdisjoint(op.qubits):
            return True
    return False


def check_circuit(circuit: Circuit) -> None:
    """Check everything that a circuit must satisfy on its own, whatever engine would run it.

    Raises InvalidCircuitError at the first thing that is wrong.
    """
    _check_size("qubits", circuit.qubits, minimum=1, maximum=MAX_CIRCUIT_QUBITS)
    _check_size("classical bits", circuit.clbits, minimum=0, maximum=MAX_CIRCUIT_CLBITS)
    _check_size("operations", len(circuit.operations), minimum=0, maximum=MAX_CIRCUIT_OPERATIONS)
    for index, op in enumerate(circuit.operations):
        problem = _find_problem(circuit, op)
        if problem is not None:
            raise InvalidCircuitError(
                f"Operation {index} ({op.gate[:32]}): {problem}", target=f"circuit.operations[{index}]"
            )


def _check_size(what: str, size: int, *, minimum: int, maximum: int) -> None:
    """Check one of the circuit's totals."""
    if not minimum <= size <= maximum:
        raise InvalidCircuitError(f"A circuit has from {minimum} to {maximum} {what}.", target="circuit")


def _find_problem(circuit: Circuit, op: Operation) -> str | None:
    """Say what is wrong with one operation and what would be right, or None."""
    definition = GATES.get(op.gate)
    if definition is None:
        return f"there is no such gate; allowed are {', '.join(GATES)}."
    if definition.qubits is not None and len(op.qubits) != definition.qubits:
        return f"it acts on {definition.qubits} qubit(s), not {len(op.qubits)}."
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
        return f"it takes {definition.parameters} angle(s), not {len(op.parameters)}."
    if not all(map(math.isfinite, op.parameters)):
        return "an angle is not a finite number; any finite number of radians is allowed."
    return None


def _find_clbit_problem(circuit: Circuit, op: Operation) -> str | None:
    """Say what is wrong with the classical bits of one operation, or None."""
    if len(op.clbits) != (op.gate == MEASURE):
        return "a measurement writes exactly one classical bit, and nothing else writes any."
    if any(not 0 <= clbit < circuit.clbits for clbit in op.clbits):
        return f"a classical bit does not exist; there are {circuit.clbits}, counted from 0."
    return None
