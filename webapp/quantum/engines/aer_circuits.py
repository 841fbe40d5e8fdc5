"""Write our circuits and noise models as Qiskit's, for Aer."""

from collections import defaultdict
from collections.abc import Callable, Container, Sequence
from functools import cache
from itertools import pairwise
from typing import Final

from qiskit import QuantumCircuit
from qiskit.circuit import Clbit, IfElseOp, Instruction
from qiskit.circuit.classical import expr
from qiskit.circuit.library import MCPhaseGate, get_standard_gate_name_mapping
from qiskit.quantum_info import SparsePauliOp
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel as AerNoiseModel
from qiskit_aer.noise import ReadoutError, amplitude_damping_error, pauli_error

from webapp.quantum.circuits import Circuit, Condition, Operation, list_mid_circuit
from webapp.quantum.engines.clifford import name_clifford
from webapp.quantum.gates import BARRIER, MEASURE, NOT_GATES
from webapp.quantum.noise import NoiseModel

SAVED_PROBABILITIES: Final = "probabilities"
SAVED_STATEVECTOR: Final = "statevector"
SAVED_MEAN: Final = "mean_"

_CLASSES: Final = {name: type(gate) for name, gate in get_standard_gate_name_mapping().items()}


@cache
def _list_gates(method: str) -> frozenset[str]:
    """List the gates that a method has by itself; the others are written with them."""
    return frozenset(AerSimulator(method=method).configuration().basis_gates)


def build_circuit(
    circuit: Circuit,
    *,
    noise: NoiseModel | None,
    method: str,
    saves_probabilities: bool,
    saves_statevector: bool,
    operators: Sequence[SparsePauliOp],
    saves_each_shot: bool = False,
) -> QuantumCircuit:
    """Write a circuit; what is to be saved is the state before the measurements on which nothing depends.

    Means of operators are saved of all shots together, or of each by itself.
    """
    built = QuantumCircuit(circuit.qubits, circuit.clbits)
    writer = _Writer(built, noise, method)
    mid_circuit = set(list_mid_circuit(circuit))
    # By the bit: one that is written again by the next would be read wrongly as often as it is written, as Aer adds the
    # errors of the readout to the bits of a sample.
    ends: dict[int, Operation] = {}
    for index, op in enumerate(circuit.operations):
        if op.gate == MEASURE and index not in mid_circuit:
            ends[op.clbits[0]] = op
        else:
            writer.write(op)
    wires = list(range(circuit.qubits))
    if saves_probabilities:
        built.save_probabilities(wires, label=SAVED_PROBABILITIES)
    if saves_statevector:
        built.save_statevector(label=SAVED_STATEVECTOR)
    for index, operator in enumerate(operators):
        built.save_expectation_value(operator, wires, label=f"{SAVED_MEAN}{index}", pershot=saves_each_shot)
    for op in ends.values():
        writer.write(op)
    return built


class _Writer:
    """Appends operations to a circuit of Qiskit's, each with the errors that follow it."""

    def __init__(self, built: QuantumCircuit, noise: NoiseModel | None, method: str) -> None:
        self._built = built
        self._gates = _list_gates(method)
        self._names_cliffords = method == "stabilizer"
        self._errors = _Errors(noise) if noise is not None and noise.has_gate_errors else None
        self._written: set[int] = set()
        self._expressions: dict[Condition, expr.Expr] = {}

    def write(self, op: Operation) -> None:
        """Append one operation."""
        known = [_drop_unwritten(condition, self._written) for condition in op.conditions]
        if op.gate == BARRIER or not all(condition.clbits or condition.holds(0) for condition in known):
            return
        conditions = [condition for condition in known if condition.clbits]
        if conditions:
            self._write_conditional(op, conditions)
        else:
            self._write_into(self._built, op)
        self._written.update(op.clbits)

    def _write_conditional(self, op: Operation, conditions: Sequence[Condition]) -> None:
        """Append one operation that happens only if all of some conditions hold."""
        body = QuantumCircuit(self._built.qubits, self._built.clbits)
        self._write_into(body, op)
        condition = _join(expr.logic_and, [self._write_condition(each) for each in conditions])
        self._built.append(IfElseOp(condition, body), self._built.qubits, self._built.clbits)

    def _write_condition(self, condition: Condition) -> expr.Expr:
        """Write a condition, once for all operations that have it."""
        if condition not in self._expressions:
            self._expressions[condition] = _write_condition(self._built.clbits, condition)
        return self._expressions[condition]

    def _write_into(self, built: QuantumCircuit, op: Operation) -> None:
        """Append one operation, whatever its conditions, and what goes wrong after a gate."""
        named = name_clifford(op) if self._names_cliffords and op.gate not in NOT_GATES else [op]
        for part in named:
            self._append(built, _make_instruction(part), part.qubits, part.clbits)
        if self._errors is not None and op.gate not in NOT_GATES:
            for error, qubits in self._errors.list_for(op.qubits):
                built.append(error, qubits, copy=False)

    def _append(
        self, built: QuantumCircuit, instruction: Instruction, qubits: Sequence[int], clbits: Sequence[int]
    ) -> None:
        """Append an instruction, or what Qiskit defines it by where the method does not have it."""
        if instruction.name in self._gates or instruction.name in NOT_GATES:
            built.append(instruction, qubits, clbits, copy=False)
            return
        definition = instruction.definition
        for part in definition.data:
            wires = [qubits[definition.find_bit(qubit).index] for qubit in part.qubits]
            self._append(built, part.operation, wires, ())


class _Errors:
    """The errors of a noise model, each made once."""

    def __init__(self, noise: NoiseModel) -> None:
        self._single = _build_single_error(noise.depolarizing) if noise.depolarizing else None
        self._pair = _build_pair_error(noise.two_qubit_depolarizing) if noise.two_qubit_depolarizing else None
        self._damping = (
            amplitude_damping_error(noise.amplitude_damping).to_instruction() if noise.amplitude_damping else None
        )

    def list_for(self, qubits: tuple[int, ...]) -> list[tuple[Instruction, list[int]]]:
        """List what follows a gate on these qubits: random Paulis, then the damping of each."""
        errors: list[tuple[Instruction, list[int]]] = []
        if len(qubits) == 1 and self._single is not None:
            errors.append((self._single, list(qubits)))
        if self._pair is not None:
            errors += [(self._pair, list(pair)) for pair in pairwise(qubits)]
        if self._damping is not None:
            errors += [(self._damping, [qubit]) for qubit in qubits]
        return errors


def _make_instruction(op: Operation) -> Instruction:
    """Make the instruction of the same name."""
    if op.gate == "mcp":
        width = len(op.qubits)
        return MCPhaseGate(op.parameters[0], width - 1) if width > 1 else _CLASSES["p"](*op.parameters)
    return _CLASSES[op.gate](*op.parameters)


def _drop_unwritten(condition: Condition, written: Container[int]) -> Condition:
    """Leave out the bits that nothing has written yet, which are 0: Aer may not have them, and then fails."""
    places = [place for place, clbit in enumerate(condition.clbits) if clbit in written]
    mask = sum(1 << place for place in places)
    values = frozenset(
        sum((value >> place & 1) << index for index, place in enumerate(places))
        for value in condition.values
        if not value & ~mask
    )
    return Condition(tuple(condition.clbits[place] for place in places), values, condition.is_negated)


def _write_condition(bits: Sequence[Clbit], condition: Condition) -> expr.Expr:
    """Write a condition as an expression over single bits."""
    chosen = [bits[clbit] for clbit in condition.clbits]
    written = _write_values(chosen, condition.values) if condition.values else expr.logic_not(_write_any(chosen))
    if written is None:
        written = _write_any(chosen)
    return expr.logic_not(written) if condition.is_negated else written


def _write_any(bits: Sequence[Clbit]) -> expr.Expr:
    """Write what holds whatever the bits read: Qiskit's constants are not all known to Aer."""
    return expr.logic_or(bits[0], expr.logic_not(bits[0]))


def _write_values(bits: Sequence[Clbit], values: frozenset[int]) -> expr.Expr | None:
    """Write that bits, the first as the lowest, read one of some values; None where they do whatever they read.

    Half of the bits at a time, so that an expression is not as deep as it is long: Qiskit and Aer go down in them by
    recursion. Values that differ only in some upper halves share what is asked of the lower.
    """
    if len(bits) == 1:
        bit = expr.lift(bits[0])
        return None if len(values) > 1 else bit if 1 in values else expr.logic_not(bit)
    half = len(bits) // 2
    lows: defaultdict[int, set[int]] = defaultdict(set)
    for value in values:
        lows[value >> half].add(value & (1 << half) - 1)
    highs: defaultdict[frozenset[int], set[int]] = defaultdict(set)
    for high, low in lows.items():
        highs[frozenset(low)].add(high)
    parts = [
        (_write_values(bits[:half], low), _write_values(bits[half:], frozenset(high))) for low, high in highs.items()
    ]
    asked = [[side for side in part if side is not None] for part in parts]
    return _join(expr.logic_or, [_join(expr.logic_and, sides) for sides in asked]) if all(asked) else None


def _join(operator: Callable[[expr.Expr, expr.Expr], expr.Expr], parts: Sequence[expr.Expr]) -> expr.Expr:
    """Join expressions by an operator, as a balanced tree."""
    half = len(parts) // 2
    return operator(_join(operator, parts[:half]), _join(operator, parts[half:])) if half else parts[0]


def build_readout_noise(noise: NoiseModel | None) -> AerNoiseModel | None:
    """Write the errors of the readout; those of gates are written into the circuit."""
    if noise is None or not (noise.readout_0_to_1 or noise.readout_1_to_0):
        return None
    up, down = noise.readout_0_to_1, noise.readout_1_to_0
    model = AerNoiseModel()
    model.add_all_qubit_readout_error(ReadoutError([[1 - up, up], [down, 1 - down]]))
    return model


def _build_single_error(chance: float) -> Instruction:
    """Make a random Pauli matrix on one qubit."""
    return pauli_error([("I", 1 - chance), *((pauli, chance / 3) for pauli in "XYZ")]).to_instruction()


def _build_pair_error(chance: float) -> Instruction:
    """Make one of the 15 pairs of Pauli matrices on two qubits."""
    pairs = [first + second for first in "IXYZ" for second in "IXYZ"][1:]
    return pauli_error([("II", 1 - chance), *((pair, chance / 15) for pair in pairs)]).to_instruction()
