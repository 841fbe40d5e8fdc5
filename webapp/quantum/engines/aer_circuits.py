"""Write our circuits and noise models as Qiskit's, for Aer."""

from collections.abc import Callable, Container, Iterable, Sequence
from functools import cache
from itertools import pairwise
from typing import Final

from qiskit import QuantumCircuit
from qiskit.circuit import IfElseOp, Instruction
from qiskit.circuit.classical import expr
from qiskit.circuit.library import MCPhaseGate, get_standard_gate_name_mapping
from qiskit.quantum_info import SparsePauliOp
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel as AerNoiseModel
from qiskit_aer.noise import ReadoutError, amplitude_damping_error, pauli_error

from webapp.quantum.circuits import Circuit, Condition, Operation, list_blocks, list_mid_circuit
from webapp.quantum.engines.clifford import name_clifford
from webapp.quantum.formulas import write_formula
from webapp.quantum.gates import MEASURE, NOT_GATES
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
    begun: list[Operation] = []
    for index, op in enumerate(circuit.operations):
        if op.gate == MEASURE and index not in mid_circuit:
            ends[op.clbits[0]] = op
        else:
            begun.append(op)
    writer.write(begun)
    wires = list(range(circuit.qubits))
    if saves_probabilities:
        built.save_probabilities(wires, label=SAVED_PROBABILITIES)
    if saves_statevector:
        built.save_statevector(label=SAVED_STATEVECTOR)
    for index, operator in enumerate(operators):
        built.save_expectation_value(operator, wires, label=f"{SAVED_MEAN}{index}", pershot=saves_each_shot)
    writer.write(ends.values())
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

    def write(self, operations: Iterable[Operation]) -> None:
        """Append operations, those that happen or not together as one block."""
        for conditions, block in list_blocks(operations):
            known = [_drop_unwritten(condition, self._written) for condition in conditions]
            if all(condition.clbits or condition.holds(0) for condition in known):
                self._write_block([condition for condition in known if condition.clbits], block)
                self._written.update(clbit for op in block for clbit in op.clbits)

    def _write_block(self, conditions: Sequence[Condition], block: Sequence[Operation]) -> None:
        """Append operations that happen only if all of some conditions hold."""
        if not conditions:
            self._write_into(self._built, block)
            return
        # Whatever takes part in a body costs Qiskit time, so the rest of the circuit does not.
        qubits = [self._built.qubits[qubit] for qubit in sorted({qubit for op in block for qubit in op.qubits})]
        clbits = [self._built.clbits[clbit] for clbit in sorted({clbit for op in block for clbit in op.clbits})]
        body = QuantumCircuit(qubits, clbits)
        self._write_into(body, block)
        condition = _join(expr.logic_and, [self._write_condition(each) for each in conditions])
        self._built.append(IfElseOp(condition, body), qubits, clbits)

    def _write_condition(self, condition: Condition) -> expr.Expr:
        """Write a condition, once for all blocks that have it."""
        if condition not in self._expressions:
            self._expressions[condition] = self._express(condition)
        return self._expressions[condition]

    def _express(self, condition: Condition) -> expr.Expr:
        """Write a condition as an expression over single bits."""

        def express_literal(clbit: int, value: int) -> expr.Expr:
            bit = expr.lift(self._built.clbits[clbit])
            return bit if value else expr.logic_not(bit)

        # Qiskit's constants are not all known to Aer.
        always = expr.logic_or(*(express_literal(condition.clbits[0], value) for value in (0, 1)))
        written = write_formula(
            condition.clbits,
            condition.values,
            express_literal,
            lambda parts: _join(expr.logic_and, parts),
            lambda parts: _join(expr.logic_or, parts) if parts else expr.logic_not(always),
        )
        if written is None:
            written = always
        return expr.logic_not(written) if condition.is_negated else written

    def _write_into(self, built: QuantumCircuit, operations: Iterable[Operation]) -> None:
        """Append operations, whatever their conditions, and what goes wrong after their gates."""
        for op in operations:
            named = name_clifford(op) if self._names_cliffords and op.gate not in NOT_GATES else [op]
            for part in named:
                self._append(built, _make_instruction(part), part.qubits, part.clbits)
            if self._errors is not None and op.gate not in NOT_GATES:
                for error, qubits in self._errors.list_for(op.qubits):
                    self._append_as_it_is(built, error, qubits, ())

    def _append(
        self, built: QuantumCircuit, instruction: Instruction, qubits: Sequence[int], clbits: Sequence[int]
    ) -> None:
        """Append an instruction, or what Qiskit defines it by where the method does not have it."""
        if instruction.name in self._gates or instruction.name in NOT_GATES:
            self._append_as_it_is(built, instruction, qubits, clbits)
            return
        definition = instruction.definition
        for part in definition.data:
            wires = [qubits[definition.find_bit(qubit).index] for qubit in part.qubits]
            self._append(built, part.operation, wires, ())

    def _append_as_it_is(
        self, built: QuantumCircuit, instruction: Instruction, qubits: Sequence[int], clbits: Sequence[int]
    ) -> None:
        """Append an instruction to a circuit that has some of the qubits and bits of the whole."""
        bits = [self._built.qubits[qubit] for qubit in qubits], [self._built.clbits[clbit] for clbit in clbits]
        built.append(instruction, *bits, copy=False)


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
