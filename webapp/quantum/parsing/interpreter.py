"""Carry out the statements of an OpenQASM program: unroll it into a plain circuit, within limits."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar

from webapp.core.text import count_of
from webapp.quantum.circuits import Circuit, Condition, Operation, measurement, share
from webapp.quantum.gates import BARRIER, MEASURE, RESET
from webapp.quantum.limits import MAX_CIRCUIT_OPERATIONS, MAX_SWITCH_VALUES
from webapp.quantum.parsing.allowance import Allowance
from webapp.quantum.parsing.conditions import ConditionReader, Target
from webapp.quantum.parsing.environment import Environment, fit, refuse_missing
from webapp.quantum.parsing.errors import Mistake, ProgramTooLargeError
from webapp.quantum.parsing.expressions import Number
from webapp.quantum.parsing.gate_calls import Expander, Gate, check_shape, define_gate, evaluate_angles
from webapp.quantum.parsing.names import Value
from webapp.quantum.parsing.standard_library import find_meant_gate, get_library
from webapp.quantum.parsing.syntax import (
    Alias,
    Assignment,
    Barrier,
    Block,
    Case,
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
    Switch,
)


class Interpreter:
    """Unrolls one program. `inputs` are the values of its input declarations, by name."""

    def __init__(self, inputs: Mapping[str, float], allowance: Allowance) -> None:
        self._environment = Environment(inputs, allowance.count_steps)
        self._gates: dict[str, Gate] = {}
        self._opaque: set[str] = set()
        self._operations: list[Operation] = []
        self._conditions: tuple[Condition, ...] = ()
        self._expander = Expander(allowance)
        self._reader = ConditionReader(self._environment.find_bits, self._environment.look_up, allowance.count_steps)

    def run(self, statements: Iterable[Statement]) -> Circuit:
        """Carry out a program and give its circuit. Raises Mistake, ProgramTooLargeError or InvalidFieldsError."""
        remaining = iter(statements)
        for statement in remaining:
            if isinstance(statement, End):
                break
            if self._environment.lacks(statement):
                # All of them at once: what follows is read, and not carried out.
                refuse_missing([statement, *filter(self._environment.lacks, remaining)])
            self._carry_out(statement)
        self._environment.check_inputs()
        qubits, clbits = self._environment.qubits, self._environment.clbits
        if qubits == 0:
            raise Mistake("the program has no qubits; declare a register of them.", 0)
        if not any(op.gate == MEASURE for op in self._operations):
            # A program that measures nothing means all of its qubits, as with other services. It may read bits all the
            # same, which are 0.
            read = {clbit for op in self._operations for each in op.conditions for clbit in each.clbits}
            measured = (*self._operations, *(measurement(qubit, qubit) for qubit in range(qubits)))
            return Circuit(qubits, max([qubits, *(clbit + 1 for clbit in read)]), measured)
        return Circuit(qubits, clbits, tuple(self._operations))

    def _carry_out(self, statement: Statement) -> None:
        """Carry out one statement."""
        self._expander.count_steps()
        carry = self._CARRIERS.get(type(statement))
        if carry is None:
            raise Mistake("'end' is supported only at the end of the program, outside of blocks.", statement.position)
        carry(self, statement)

    # Names

    def _declare(self, declaration: Declaration) -> None:
        """Give a name its meaning, and a register of bits the outcomes that it starts with."""
        self._environment.declare(declaration)
        if declaration.kind == "bit" and isinstance(declaration.value, Operand):
            target = Operand(declaration.name, None, declaration.position)
            self._measure(Measure(declaration.value, target, declaration.position))

    def _assign(self, assignment: Assignment) -> None:
        """Change a variable."""
        self._environment.assign(assignment)

    def _alias(self, alias: Alias) -> None:
        """Name parts of registers."""
        self._environment.alias(alias)

    # Quantum statements

    def _append(self, op: Operation, position: int) -> None:
        """Add an operation to the circuit, under the conditions of the blocks around it."""
        if len(self._operations) >= MAX_CIRCUIT_OPERATIONS:
            raise ProgramTooLargeError(f"A circuit has at most {MAX_CIRCUIT_OPERATIONS} operations.")
        if len(op.qubits) > 1 and len(set(op.qubits)) != len(op.qubits):
            raise Mistake("a gate names the same qubit twice; all of its qubits must differ.", position)
        if not all(map(math.isfinite, op.parameters)):
            raise Mistake("an angle of this gate, or of what its modifiers make of it, is infinite.", position)
        # Wide barriers, controls and conditions hold more qubits and bits than there are operations.
        self._expander.count_wires(len(op.qubits) + sum(len(condition.clbits) for condition in self._conditions))
        self._operations.append(replace(op, conditions=self._conditions) if self._conditions else op)
        if op.clbits:
            self._environment.note_measurement(op.clbits)

    def _define_gate(self, definition: GateDefinition) -> None:
        """Add a gate; the program's own definitions hide those of the library."""
        name = definition.name
        if name in self._gates or not self._environment.names.is_outermost:
            raise Mistake(f"the gate {name[:40]!r} is already defined, or is defined in a block.", definition.position)
        if definition.body is not None:
            self._gates[name] = define_gate(definition, self._find_gate, self._environment.look_up_constant)
        elif name not in get_library():
            # A gate of the library may be announced as opaque: its meaning is known.
            self._opaque.add(name)

    def _find_gate(self, name: str, position: int) -> Gate:
        """Find a gate by its name. Raises Mistake."""
        gate = self._gates.get(name) or get_library().get(name)
        if name in self._opaque:
            raise Mistake(f"the gate {name[:40]!r} is opaque, so nobody knows what it does.", position)
        if gate is None:
            meant = find_meant_gate(name, self._gates)
            what = f"did you mean {meant!r}?" if meant else "define it first."
            raise Mistake(f"there is no gate {name[:40]!r}; {what}", position)
        return gate

    def _call_gate(self, call: GateCall) -> None:
        """Apply a gate, to every element of the registers that it is given."""
        gate = self._find_gate(call.name, call.position)
        angles = evaluate_angles(call.arguments, self._environment.look_up)
        powers = [self._environment.evaluate(modifier.argument) for modifier in call.modifiers]
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
        selected = [self._environment.select_qubits(operand) for operand in call.operands]
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
        qubits, _ = self._environment.select_qubits(statement.source)
        if statement.target is None:
            raise Mistake("expected a bit to measure into: c[0] = measure q[0];", statement.position)
        clbits, _ = self._environment.select_clbits(statement.target)
        if len(qubits) != len(clbits):
            wanted, given = count_of(len(qubits), "qubit"), count_of(len(clbits), "bit")
            raise Mistake(f"{wanted} cannot be measured into {given}.", statement.position)
        for qubit, clbit in zip(qubits, clbits, strict=True):
            self._append(measurement(qubit, clbit), statement.position)

    def _reset(self, statement: Reset) -> None:
        """Set qubits to 0."""
        for qubit in self._environment.select_qubits(statement.operand)[0]:
            self._append(Operation(RESET, share((qubit,))), statement.position)

    def _barrier(self, statement: Barrier) -> None:
        """Keep gates on both sides of a barrier apart."""
        named: dict[int, None] = {}
        for operand in statement.operands:
            qubits, _ = self._environment.select_qubits(operand)
            self._expander.count_wires(len(qubits))
            named.update(dict.fromkeys(qubits))
        wires = tuple(named) if statement.operands else tuple(range(self._environment.qubits))
        if wires and not self._conditions:
            self._append(Operation(BARRIER, wires), statement.position)

    # Control

    def _enter(self, block: Block) -> None:
        """Carry out a block."""
        self._carry_out_all(block.body)

    def _carry_out_all(self, statements: tuple[Statement, ...]) -> None:
        """Carry out statements with names of their own."""
        self._environment.names.open()
        for statement in statements:
            self._carry_out(statement)
        self._environment.names.close()

    def _repeat(self, loop: For) -> None:
        """Unroll a loop."""
        if isinstance(loop.values, Range):
            values: list[Number] = list(self._environment.list_range(loop.values, loop.position, length=None))
        else:
            values = [self._environment.evaluate(value) for value in loop.values]
        width = self._environment.read_width(loop)
        for value in values:
            self._expander.count_steps()
            self._environment.names.open()
            number = fit(loop.type, width, value, loop.position)
            self._environment.names.declare(loop.variable, Value(number, loop.type, is_constant=True), loop.position)
            self._carry_out_all(loop.body)
            self._environment.names.close()

    def _branch(self, branch: If) -> None:
        """Carry out one block where the condition is known, and both under it where only the bits will tell."""
        condition = self._reader.read(branch.condition, branch.position)
        if isinstance(condition, bool):
            self._carry_out_all(branch.then if condition else branch.otherwise)
            return
        otherwise = replace(condition, is_negated=not condition.is_negated)
        self._carry_out_under([(condition, branch.then), (otherwise, branch.otherwise)], branch.position)

    def _switch(self, switch: Switch) -> None:
        """Carry out the block of one case where the target is known, and all under it where only bits will tell."""
        target = self._reader.read_target(switch.target, switch.position)
        chosen = switch.default
        blocks: list[tuple[Condition, tuple[Statement, ...]]] = []
        seen: set[int] = set()
        for case in switch.cases:
            numbers = self._read_case(case, seen)
            if isinstance(target, Target):
                blocks.append((target.is_one_of(numbers), case.body))
            elif target in numbers:
                chosen = case.body
        if isinstance(target, Target):
            default = replace(target.is_one_of(seen), is_negated=True)
            self._carry_out_under([*blocks, (default, switch.default)], switch.position)
        else:
            self._carry_out_all(chosen)

    def _read_case(self, case: Case, seen: set[int]) -> list[int]:
        """Read the values of one case, which no other case has."""
        numbers = []
        for value in case.values:
            self._expander.count_steps()
            number = self._environment.evaluate_whole(value, case.position)
            if number in seen:
                raise Mistake(f"two cases have the value {number}.", case.position)
            if len(seen) == MAX_SWITCH_VALUES:
                raise Mistake(f"a switch has at most {MAX_SWITCH_VALUES} values.", case.position)
            seen.add(number)
            numbers.append(number)
        return numbers

    def _carry_out_under(self, blocks: list[tuple[Condition, tuple[Statement, ...]]], position: int) -> None:
        """Carry out blocks of which only one will happen, each under a condition on the same bits."""
        start, outer = len(self._operations), self._conditions
        for condition, body in blocks:
            self._conditions = (*outer, condition)
            with self._environment.in_doubt():
                self._carry_out_all(body)
        self._conditions = outer
        self._check_condition_is_kept(blocks[0][0], start, position)

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

    # Functions and not bound methods: an interpreter that held those would hold itself, and all that it made, for as
    # long as the collector of cycles takes.
    _CARRIERS: ClassVar[Mapping[type, Callable[["Interpreter", Any], None]]] = {
        GateCall: _call_gate,
        Measure: _measure,
        Reset: _reset,
        Barrier: _barrier,
        If: _branch,
        Switch: _switch,
        For: _repeat,
        Block: _enter,
        Declaration: _declare,
        Alias: _alias,
        Assignment: _assign,
        GateDefinition: _define_gate,
    }
