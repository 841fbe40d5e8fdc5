"""Carry out the statements of an OpenQASM program: unroll it into a plain circuit, within limits."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from webapp.core.errors import FieldError, InvalidFieldsError
from webapp.quantum.circuits import Circuit, Condition, Operation, measurement
from webapp.quantum.gates import BARRIER, MEASURE, RESET
from webapp.quantum.limits import MAX_CIRCUIT_CLBITS, MAX_CIRCUIT_OPERATIONS, MAX_CIRCUIT_QUBITS
from webapp.quantum.parsing.allowance import Allowance
from webapp.quantum.parsing.conditions import read_condition
from webapp.quantum.parsing.errors import Mistake, ProgramTooLargeError
from webapp.quantum.parsing.expressions import Expression, Name, Number, compute, evaluate
from webapp.quantum.parsing.gate_calls import Expander, Gate, check_shape, define_gate
from webapp.quantum.parsing.names import BitRegister, Names, QubitRegister, Value
from webapp.quantum.parsing.standard_library import get_library
from webapp.quantum.parsing.syntax import (
    Alias,
    Assignment,
    Barrier,
    Block,
    Declaration,
    End,
    For,
    GateCall,
    GateDefinition,
    If,
    Measure,
    Operand,
    Range,
    Reset,
    Statement,
)

_ONLY_MEASURED: Final = (
    "classical bits are written only by measurements here; assigning them would need a machine that computes "
    "while it runs."
)


class Interpreter:
    """Unrolls one program. `inputs` are the values of its input declarations, by name."""

    def __init__(self, inputs: Mapping[str, float], allowance: Allowance) -> None:
        self._inputs = dict(inputs)
        self._unused_inputs = set(inputs)
        self._names = Names()
        self._gates: dict[str, Gate] = {}
        self._opaque: set[str] = set()
        self._operations: list[Operation] = []
        self._conditions: tuple[Condition, ...] = ()
        self._qubits = 0
        self._clbits = 0
        self._expander = Expander(self._look_up, allowance)
        self._carriers: Mapping[type, Callable[..., None]] = {
            GateCall: self._call_gate,
            Measure: self._measure,
            Reset: self._reset,
            Barrier: self._barrier,
            If: self._branch,
            For: self._repeat,
            Block: self._enter,
            Declaration: self._declare,
            Alias: self._alias,
            Assignment: self._assign,
            GateDefinition: self._define_gate,
        }

    def run(self, statements: Iterable[Statement]) -> Circuit:
        """Carry out a program and give its circuit. Raises Mistake, ProgramTooLargeError or InvalidFieldsError."""
        for statement in statements:
            if isinstance(statement, End):
                break
            self._carry_out(statement)
        self._check_inputs()
        if self._qubits == 0:
            raise Mistake("the program has no qubits; declare a register of them.", 0)
        if not any(op.gate == MEASURE for op in self._operations):
            # A program that measures nothing means all of its qubits, as with other services.
            measured = [measurement(qubit, qubit) for qubit in range(self._qubits)]
            return Circuit(self._qubits, self._qubits, (*self._operations, *measured))
        return Circuit(self._qubits, self._clbits, tuple(self._operations))

    def _carry_out(self, statement: Statement) -> None:
        """Carry out one statement."""
        self._expander.count_steps()
        carry = self._carriers.get(type(statement))
        if carry is None:
            raise Mistake("'end' is supported only at the end of the program, outside of blocks.", statement.position)
        carry(statement)

    def _check_inputs(self) -> None:
        """Refuse values for inputs that the program does not declare."""
        if self._unused_inputs:
            raise InvalidFieldsError(
                [
                    FieldError(f"parameters.{name[:64]}", "The program declares no such input.", "its declared inputs")
                    for name in sorted(self._unused_inputs)
                ]
            )

    # Names and values

    def _look_up(self, name: Name) -> Number:
        """Get the number that a name stands for. Raises Mistake."""
        meaning = self._names.get(name.name, name.position)
        if not isinstance(meaning, Value) or name.index is not None:
            what = "measured only when the circuit runs" if isinstance(meaning, BitRegister) else "no number"
            raise Mistake(f"{name.name[:40]!r} is {what}, so its value cannot be used here.", name.position)
        return meaning.number

    def _evaluate(self, expression: Expression) -> Number:
        """Compute an expression. Raises Mistake."""
        return evaluate(expression, self._look_up)

    def _evaluate_whole(self, expression: Expression, position: int) -> int:
        """Compute a whole number. Raises Mistake."""
        value = self._evaluate(expression)
        if not isinstance(value, int):
            raise Mistake("expected a whole number.", position)
        return int(value)

    def _declare(self, declaration: Declaration) -> None:
        """Carry out a declaration."""
        if declaration.kind == "qubit":
            self._declare_qubits(declaration)
        elif declaration.kind == "bit":
            self._declare_bits(declaration)
        elif declaration.kind == "input":
            self._declare_input(declaration)
        else:
            self._declare_value(declaration)

    def _read_size(self, declaration: Declaration, *, used: int, limit: int, what: str) -> int:
        """Compute how wide a register is, and check that there is room for it."""
        size = 1 if declaration.size is None else self._evaluate_whole(declaration.size, declaration.position)
        if size < 1:
            raise Mistake("a register has at least one element.", declaration.position)
        if used + size > limit:
            raise ProgramTooLargeError(f"A program has at most {limit} {what}; this one wants {used + size}.")
        return size

    def _declare_qubits(self, declaration: Declaration) -> None:
        """Add qubits to the circuit."""
        if not self._names.is_outermost:
            raise Mistake("qubits are declared outside of blocks.", declaration.position)
        size = self._read_size(declaration, used=self._qubits, limit=MAX_CIRCUIT_QUBITS, what="qubits")
        register = QubitRegister(tuple(range(self._qubits, self._qubits + size)), declaration.size is None)
        self._names.declare(declaration.name, register, declaration.position)
        self._qubits += size

    def _declare_bits(self, declaration: Declaration) -> None:
        """Add classical bits to the circuit, above those that there are."""
        if not self._names.is_outermost:
            raise Mistake("bits are declared outside of blocks.", declaration.position)
        size = self._read_size(declaration, used=self._clbits, limit=MAX_CIRCUIT_CLBITS, what="classical bits")
        register = BitRegister(tuple(range(self._clbits, self._clbits + size)), declaration.size is None)
        self._names.declare(declaration.name, register, declaration.position)
        self._clbits += size
        value = declaration.value
        if isinstance(value, Operand):
            position = declaration.position
            self._measure(Measure(value, Operand(declaration.name, None, position), position))
        elif value is not None and self._evaluate(value) != 0:
            raise Mistake("bits start as 0; " + _ONLY_MEASURED, declaration.position)

    def _declare_input(self, declaration: Declaration) -> None:
        """Give an input the value that came with the request. Raises InvalidFieldsError if none did."""
        path = f"parameters.{declaration.name[:64]}"
        if declaration.name not in self._inputs:
            raise InvalidFieldsError([FieldError(path, "The program declares this input.", declaration.type)])
        number = self._inputs[declaration.name]
        try:
            value = compute(declaration.type, [number], declaration.position)
        except Mistake:
            raise InvalidFieldsError([FieldError(path, "It is no finite number.", declaration.type)]) from None
        if value != number:
            raise InvalidFieldsError([FieldError(path, "It is no whole number.", declaration.type)])
        self._unused_inputs.discard(declaration.name)
        self._names.declare(declaration.name, Value(value, declaration.type, is_constant=True), declaration.position)

    def _declare_value(self, declaration: Declaration) -> None:
        """Give a constant or a variable its first value."""
        number: Number = 0
        if isinstance(declaration.value, Operand):
            raise Mistake(_ONLY_MEASURED, declaration.position)
        if declaration.value is not None:
            number = self._evaluate(declaration.value)
        number = compute(declaration.type, [number], declaration.position)
        value = Value(number, declaration.type, is_constant=declaration.kind == "const")
        self._names.declare(declaration.name, value, declaration.position)

    def _assign(self, assignment: Assignment) -> None:
        """Change a variable; what only a running circuit would know is refused."""
        target, position = assignment.target, assignment.position
        meaning = self._names.get(target.name, position)
        if isinstance(meaning, BitRegister):
            raise Mistake(_ONLY_MEASURED, position)
        if not isinstance(meaning, Value) or meaning.is_constant or target.index is not None:
            raise Mistake(f"{target.name[:40]!r} cannot be assigned.", position)
        if self._conditions:
            raise Mistake("a variable cannot depend on a measured bit; assign it outside of the if.", position)
        number = self._evaluate(assignment.value)
        if assignment.operator != "=":
            number = compute(assignment.operator[:-1], [meaning.number, number], position)
        meaning.number = compute(meaning.type, [number], position)

    def _alias(self, alias: Alias) -> None:
        """Name parts of registers of qubits."""
        qubits: tuple[int, ...] = ()
        for part in alias.parts:
            qubits += self._select_qubits(part)[0]
            self._expander.count_steps(len(qubits))
        self._names.declare(alias.name, QubitRegister(qubits), alias.position)

    # Registers

    def _select_qubits(self, operand: Operand) -> tuple[tuple[int, ...], bool]:
        """Find the qubits that an operand names, and whether it is a single one. Raises Mistake."""
        meaning = self._names.get(operand.name, operand.position)
        if not isinstance(meaning, QubitRegister):
            raise Mistake(f"{operand.name[:40]!r} is no register of qubits.", operand.position)
        if operand.index is None:
            return meaning.qubits, meaning.is_single
        return self._pick(meaning.qubits, operand), not isinstance(operand.index, Range | tuple)

    def _select_clbits(self, operand: Operand) -> tuple[tuple[int, ...], bool]:
        """Find the classical bits that an operand names, and whether it is a single one. Raises Mistake."""
        meaning = self._names.get(operand.name, operand.position)
        if not isinstance(meaning, BitRegister):
            raise Mistake(f"{operand.name[:40]!r} is no register of classical bits.", operand.position)
        if operand.index is None:
            return meaning.clbits, meaning.is_single
        return self._pick(meaning.clbits, operand), not isinstance(operand.index, Range | tuple)

    def _pick(self, elements: tuple[int, ...], operand: Operand) -> tuple[int, ...]:
        """Pick elements of a register by their index."""
        index = operand.index
        if isinstance(index, Range):
            indices = self._list_range(index, operand.position, length=len(elements))
        elif isinstance(index, tuple):
            indices = [self._evaluate_whole(item, operand.position) for item in index]
        else:
            indices = [self._evaluate_whole(0 if index is None else index, operand.position)]
        for value in indices:
            if not -len(elements) <= value < len(elements):
                raise Mistake(
                    f"{operand.name[:40]} has no element {value}; it has {len(elements)}, counted from 0.",
                    operand.position,
                )
        return tuple([elements[value] for value in indices])

    def _list_range(self, span: Range, position: int, *, length: int | None) -> list[int]:
        """List the whole numbers of a range, its ends included."""
        step = 1 if span.step is None else self._evaluate_whole(span.step, position)
        if step == 0:
            raise Mistake("the step of a range is not 0.", position)
        if length is None and (span.start is None or span.stop is None):
            raise Mistake("a loop's range has a start and a stop.", position)
        last = (length or 1) - 1
        start = self._end_of(span.start, 0 if step > 0 else last, length, position)
        stop = self._end_of(span.stop, last if step > 0 else 0, length, position)
        values = range(start, stop + (1 if step > 0 else -1), step)
        self._expander.count_steps(max(0, (stop - start) // step + 1))
        return list(values)

    def _end_of(self, end: Expression | None, default: int, length: int | None, position: int) -> int:
        """Compute one end of a range; in a register, negative ones count from its end."""
        value = default if end is None else self._evaluate_whole(end, position)
        return value + length if length is not None and value < 0 else value

    # Quantum statements

    def _append(self, op: Operation, position: int) -> None:
        """Add an operation to the circuit, under the conditions of the blocks around it."""
        if len(self._operations) >= MAX_CIRCUIT_OPERATIONS:
            raise ProgramTooLargeError(f"A circuit has at most {MAX_CIRCUIT_OPERATIONS} operations.")
        if len(op.qubits) > 1 and len(set(op.qubits)) != len(op.qubits):
            raise Mistake("a gate names the same qubit twice; all of its qubits must differ.", position)
        if not all(map(math.isfinite, op.parameters)):
            raise Mistake("an angle of this gate, or of what its modifiers make of it, is infinite.", position)
        # Wide barriers and controls hold more qubits than there are operations.
        self._expander.count_wires(len(op.qubits))
        self._operations.append(replace(op, conditions=self._conditions) if self._conditions else op)

    def _define_gate(self, definition: GateDefinition) -> None:
        """Add a gate; the program's own definitions hide those of the library."""
        name = definition.name
        if name in self._gates or not self._names.is_outermost:
            raise Mistake(f"the gate {name[:40]!r} is already defined, or is defined in a block.", definition.position)
        if definition.body is not None:
            self._gates[name] = define_gate(definition, self._find_gate, self._look_up)
        elif name not in get_library():
            # A gate of the library may be announced as opaque: its meaning is known.
            self._opaque.add(name)

    def _find_gate(self, name: str, position: int) -> Gate:
        """Find a gate by its name. Raises Mistake."""
        gate = self._gates.get(name) or get_library().get(name)
        if name in self._opaque:
            raise Mistake(f"the gate {name[:40]!r} is opaque, so nobody knows what it does.", position)
        if gate is None:
            raise Mistake(f"there is no gate {name[:40]!r}; define it first.", position)
        return gate

    def _call_gate(self, call: GateCall) -> None:
        """Apply a gate, to every element of the registers that it is given."""
        gate = self._find_gate(call.name, call.position)
        angles = self._expander.evaluate_angles(call.arguments, {})
        powers = [self._evaluate(modifier.argument) for modifier in call.modifiers]
        if not call.modifiers:
            check_shape(call.name, gate, len(angles), len(call.operands), call.position)
        for qubits in self._broadcast(call):
            sink: list[Operation] = []
            if len(set(qubits)) != len(qubits):
                raise Mistake("a gate names the same qubit twice; all of its qubits must differ.", call.position)
            if call.modifiers:
                self._expander.expand_modified(
                    gate, call.modifiers, powers, angles=angles, qubits=qubits, sink=sink, position=call.position
                )
            else:
                self._expander.expand(gate, angles, qubits, sink, phased=False)
            for op in sink:
                if op.qubits:
                    self._append(op, call.position)

    def _broadcast(self, call: GateCall) -> Iterator[tuple[int, ...]]:
        """List the qubits of each application: registers go in step, single qubits stay the same."""
        selected = [self._select_qubits(operand) for operand in call.operands]
        widths = {len(qubits) for qubits, is_single in selected if not is_single}
        if not widths:
            yield tuple([qubits[0] for qubits, _ in selected])
            return
        if len(widths) > 1:
            raise Mistake(f"the registers have different widths: {', '.join(map(str, sorted(widths)))}.", call.position)
        for index in range(widths.pop()):
            yield tuple([qubits[0 if is_single else index] for qubits, is_single in selected])

    def _measure(self, statement: Measure) -> None:
        """Measure qubits into as many bits."""
        qubits, _ = self._select_qubits(statement.source)
        if statement.target is None:
            raise Mistake("expected a bit to measure into: c[0] = measure q[0];", statement.position)
        clbits, _ = self._select_clbits(statement.target)
        if len(qubits) != len(clbits):
            raise Mistake(f"{len(qubits)} qubit(s) cannot be measured into {len(clbits)} bit(s).", statement.position)
        for qubit, clbit in zip(qubits, clbits, strict=True):
            self._append(measurement(qubit, clbit), statement.position)

    def _reset(self, statement: Reset) -> None:
        """Set qubits to 0."""
        for qubit in self._select_qubits(statement.operand)[0]:
            self._append(Operation(RESET, (qubit,)), statement.position)

    def _barrier(self, statement: Barrier) -> None:
        """Keep gates on both sides of a barrier apart."""
        named: dict[int, None] = {}
        for operand in statement.operands:
            qubits, _ = self._select_qubits(operand)
            self._expander.count_wires(len(qubits))
            named.update(dict.fromkeys(qubits))
        wires = tuple(named) if statement.operands else tuple(range(self._qubits))
        if wires and not self._conditions:
            self._append(Operation(BARRIER, wires), statement.position)

    # Control

    def _enter(self, block: Block) -> None:
        """Carry out a block."""
        self._carry_out_all(block.body)

    def _carry_out_all(self, statements: tuple[Statement, ...]) -> None:
        """Carry out statements with names of their own."""
        self._names.open()
        for statement in statements:
            self._carry_out(statement)
        self._names.close()

    def _repeat(self, loop: For) -> None:
        """Unroll a loop."""
        if isinstance(loop.values, Range):
            values: list[Number] = list(self._list_range(loop.values, loop.position, length=None))
        else:
            values = [self._evaluate(value) for value in loop.values]
        for value in values:
            self._expander.count_steps()
            self._names.open()
            self._names.declare(loop.variable, Value(value, "int", is_constant=True), loop.position)
            self._carry_out_all(loop.body)
            self._names.close()

    def _branch(self, branch: If) -> None:
        """Carry out one block where the condition is known, and both under it where only the bits will tell."""
        condition = read_condition(
            branch.condition,
            find_bits=self._find_bits,
            look_up=self._look_up,
            count_steps=self._expander.count_steps,
            position=branch.position,
        )
        if isinstance(condition, bool):
            self._carry_out_all(branch.then if condition else branch.otherwise)
            return
        start, outer = len(self._operations), self._conditions
        self._conditions = (*outer, condition)
        self._carry_out_all(branch.then)
        self._conditions = (*outer, replace(condition, is_negated=not condition.is_negated))
        self._carry_out_all(branch.otherwise)
        self._conditions = outer
        self._check_condition_is_kept(condition, start, branch.position)

    def _find_bits(self, name: Name) -> tuple[int, ...] | None:
        """Find the classical bits that a name in a condition reads; None if it is none of them."""
        meaning = self._names.get(name.name, name.position)
        if not isinstance(meaning, BitRegister):
            return None
        return self._select_clbits(Operand(name.name, name.index, name.position))[0]

    def _check_condition_is_kept(self, condition: Condition, start: int, position: int) -> None:
        """Refuse a block that changes the bits of its own condition before it ends.

        The circuit asks the condition before each operation, and the program only once: they would differ.
        """
        read = set(condition.clbits)
        for op in self._operations[start:-1]:
            if not read.isdisjoint(op.clbits):
                raise Mistake(
                    "the block measures into a bit of its own condition and goes on; measure into another bit.",
                    position,
                )
