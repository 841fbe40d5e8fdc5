"""What the names of a program stand for while it is unrolled: inputs, constants, variables and registers."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, NoReturn, TypeGuard

from webapp.core.errors import FieldError, InvalidFieldsError
from webapp.core.text import count_of
from webapp.quantum.limits import MAX_CIRCUIT_CLBITS, MAX_CIRCUIT_QUBITS
from webapp.quantum.parsing.angles import MACHINE_BITS, Angle
from webapp.quantum.parsing.errors import Mistake, ProgramTooLargeError
from webapp.quantum.parsing.expressions import Expression, Name, Number, compute, evaluate
from webapp.quantum.parsing.names import BitRegister, Names, QubitRegister, Value
from webapp.quantum.parsing.syntax import Alias, Assignment, Declaration, For, Operand, Range, Statement
from webapp.quantum.parsing.widths import check_width, list_limits

# How many of its inputs a program is told that it has.
_NAMED_INPUTS: Final = 20

_ONLY_MEASURED: Final = (
    "classical bits are written only by measurements here; assigning them would need a machine that computes "
    "while it runs."
)

# The types of variables that bits are read into.
_READ_INTO: Final = frozenset({"int", "uint", "bool"})
# Before every measurement: a variable that was read then is never up to date.
_UNKNOWN: Final = -1


def refuse_missing(declarations: Sequence[Declaration]) -> NoReturn:
    """Refuse a program of which inputs have no values, naming each with its type."""
    raise InvalidFieldsError(
        [
            FieldError(
                f"parameters.{declaration.name[:64]}",
                "The program declares this input, and no value was sent.",
                f"a number ({declaration.type})",
            )
            for declaration in declarations
        ]
    )


def fit(type_name: str, width: int | None, number: Number, position: int) -> Number:
    """Bring a number to a variable's type. Raises Mistake where it does not fit, as few authors mean it to wrap.

    Angles do wrap, which they are for.
    """
    if type_name == "angle":
        return compute("angle[]", [number, width or MACHINE_BITS], position)
    limits = list_limits(type_name, width)
    if limits is not None and not isinstance(number, Angle) and not limits[0] <= math.trunc(number) <= limits[1]:
        size = "" if width is None else f"[{width}]"
        raise Mistake(
            f"{number} does not fit {type_name}{size}, which holds {limits[0]} to {limits[1]}; nothing wraps round.",
            position,
        )
    return compute(type_name, [number], position)


class Environment:
    """The values and registers of one program. `inputs` are the values of its input declarations, by name."""

    def __init__(self, inputs: Mapping[str, float], count_steps: Callable[[int], None]) -> None:
        self._inputs = dict(inputs)
        self._unused_inputs = set(inputs)
        self._inputs_declared: list[str] = []
        self._count_steps = count_steps
        self.names = Names()
        self.qubits = 0
        self.clbits = 0
        self._measurements = 0
        self._measured_at: dict[int, int] = {}
        # The variables that were given bits in each of the open blocks that may not happen.
        self._doubtful: list[list[Value]] = []

    def check_inputs(self) -> None:
        """Refuse values for inputs that the program does not declare."""
        if self._unused_inputs:
            named = tuple(self._inputs_declared[:_NAMED_INPUTS])
            allowed = f"only {', '.join(named)}" if named else "nothing: the program has no inputs"
            raise InvalidFieldsError(
                [
                    FieldError(f"parameters.{name[:64]}", "The program declares no such input.", allowed, named)
                    for name in sorted(self._unused_inputs)
                ]
            )

    def lacks(self, statement: Statement) -> TypeGuard[Declaration]:
        """Tell whether a statement declares an input of which no value was sent."""
        return isinstance(statement, Declaration) and statement.kind == "input" and statement.name not in self._inputs

    def look_up(self, name: Name) -> Number:
        """Get the number that a name stands for. Raises Mistake."""
        meaning = self.names.get(name.name, name.position)
        if not isinstance(meaning, Value) or name.index is not None or meaning.clbits:
            is_read = isinstance(meaning, BitRegister) or (isinstance(meaning, Value) and meaning.clbits)
            what = "measured only when the circuit runs" if is_read else "no number"
            raise Mistake(f"{name.name[:40]!r} is {what}, so its value cannot be used here.", name.position)
        return meaning.number

    def look_up_constant(self, name: Name) -> Number:
        """Get the number that a name will always stand for: what a gate's body may use. Raises Mistake."""
        number, meaning = self.look_up(name), self.names.get(name.name, name.position)
        if isinstance(meaning, Value) and meaning.is_constant:
            return number
        raise Mistake(
            f"a gate's body uses only its parameters and constants; declare {name.name[:40]!r} as const.", name.position
        )

    def evaluate(self, expression: Expression) -> Number:
        """Compute an expression. Raises Mistake."""
        return evaluate(expression, self.look_up)

    def evaluate_whole(self, expression: Expression, position: int) -> int:
        """Compute a whole number. Raises Mistake."""
        value = self.evaluate(expression)
        if not isinstance(value, int):
            raise Mistake("expected a whole number.", position)
        return int(value)

    def declare(self, declaration: Declaration) -> None:
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
        size = 1 if declaration.size is None else self.evaluate_whole(declaration.size, declaration.position)
        if size < 1:
            raise Mistake("a register has at least one element.", declaration.position)
        if used + size > limit:
            raise ProgramTooLargeError(f"A program has at most {limit} {what}; this one wants {used + size}.")
        return size

    def read_width(self, statement: Declaration | For) -> int | None:
        """Compute how many bits a number's type has, where the program says so. Raises Mistake."""
        if statement.size is None:
            return None
        return check_width(self.evaluate(statement.size), statement.position)

    def _declare_qubits(self, declaration: Declaration) -> None:
        """Add qubits to the circuit."""
        if not self.names.is_outermost:
            raise Mistake("qubits are declared outside of blocks.", declaration.position)
        size = self._read_size(declaration, used=self.qubits, limit=MAX_CIRCUIT_QUBITS, what="qubits")
        register = QubitRegister(tuple(range(self.qubits, self.qubits + size)), declaration.size is None)
        self.names.declare(declaration.name, register, declaration.position)
        self.qubits += size

    def _declare_bits(self, declaration: Declaration) -> None:
        """Add classical bits to the circuit, above those that there are."""
        if not self.names.is_outermost:
            raise Mistake("bits are declared outside of blocks.", declaration.position)
        size = self._read_size(declaration, used=self.clbits, limit=MAX_CIRCUIT_CLBITS, what="classical bits")
        register = BitRegister(tuple(range(self.clbits, self.clbits + size)), declaration.size is None)
        self.names.declare(declaration.name, register, declaration.position)
        self.clbits += size
        value = declaration.value
        # What it is measured from is carried out by whoever makes the circuit.
        if value is not None and not isinstance(value, Operand) and self.evaluate(value) != 0:
            raise Mistake("bits start as 0; " + _ONLY_MEASURED, declaration.position)

    def _declare_input(self, declaration: Declaration) -> None:
        """Give an input the value that came with the request. Raises InvalidFieldsError if none did."""
        path = f"parameters.{declaration.name[:64]}"
        if self.lacks(declaration):
            refuse_missing([declaration])
        number = self._inputs[declaration.name]
        width = self.read_width(declaration)
        limits = list_limits(declaration.type, width)
        if limits is not None and not limits[0] <= number <= limits[1]:
            allowed = f"a whole number from {limits[0]} to {limits[1]}"
            raise InvalidFieldsError([FieldError(path, "It does not fit the type of the input.", allowed)])
        try:
            value = fit(declaration.type, width, number, declaration.position)
        except Mistake:
            raise InvalidFieldsError([FieldError(path, "It is no finite number.", declaration.type)]) from None
        if value != number and not isinstance(value, Angle):
            raise InvalidFieldsError([FieldError(path, "It is no whole number.", declaration.type)])
        self._unused_inputs.discard(declaration.name)
        self._inputs_declared.append(declaration.name[:64])
        self.names.declare(
            declaration.name, Value(value, declaration.type, is_constant=True, width=width), declaration.position
        )

    def _declare_value(self, declaration: Declaration) -> None:
        """Give a constant or a variable its first value."""
        if isinstance(declaration.value, Operand):
            raise Mistake(_ONLY_MEASURED, declaration.position)
        width, is_constant = self.read_width(declaration), declaration.kind == "const"
        value = Value(fit(declaration.type, width, 0, declaration.position), declaration.type, is_constant, width)
        if declaration.value is not None and (
            is_constant or not self._read_bits(value, declaration.value, declaration.position)
        ):
            value.number = fit(declaration.type, width, self.evaluate(declaration.value), declaration.position)
        self.names.declare(declaration.name, value, declaration.position)

    def assign(self, assignment: Assignment) -> None:
        """Change a variable; what only a running circuit would know is refused."""
        target, position = assignment.target, assignment.position
        meaning = self.names.get(target.name, position)
        if isinstance(meaning, BitRegister):
            raise Mistake(_ONLY_MEASURED, position)
        if not isinstance(meaning, Value) or meaning.is_constant or target.index is not None:
            raise Mistake(f"{target.name[:40]!r} cannot be assigned.", position)
        if assignment.operator == "=" and self._read_bits(meaning, assignment.value, position):
            return
        if self._doubtful:
            raise Mistake("a variable cannot depend on a measured bit; assign it outside of the if.", position)
        number = self.evaluate(assignment.value)
        if assignment.operator != "=":
            number = compute(
                assignment.operator[:-1], [self.look_up(Name(target.name, None, position)), number], position
            )
        meaning.number, meaning.clbits = fit(meaning.type, meaning.width, number, position), ()

    def _read_bits(self, variable: Value, value: Expression, position: int) -> bool:
        """Have a variable stand for the bits that it is given, as they are now; False if it is given no bits.

        What Qiskit writes for a `switch` begins so. Raises Mistake where the variable's type changes what they read.
        """
        clbits = self.find_bits(value) if isinstance(value, Name) else None
        if clbits is None or variable.type not in _READ_INTO:
            return False
        limits = list_limits(variable.type, variable.width)
        most = 1 if limits is None else limits[1]
        if (1 << len(clbits)) - 1 > most:
            raise Mistake(f"{count_of(len(clbits), 'bit')} may read more than {variable.type} holds.", position)
        variable.clbits, variable.read_at = clbits, self._measurements
        if self._doubtful:
            self._doubtful[-1].append(variable)
        return True

    @contextmanager
    def in_doubt(self) -> Iterator[None]:
        """Carry out a block that may not happen: nobody knows after it what was read in it."""
        self._doubtful.append([])
        yield
        for variable in self._doubtful.pop():
            variable.read_at = _UNKNOWN

    def note_measurement(self, clbits: tuple[int, ...]) -> None:
        """Remember that bits have been written."""
        self._measurements += 1
        self._measured_at.update(dict.fromkeys(clbits, self._measurements))

    def alias(self, alias: Alias) -> None:
        """Name parts of registers of qubits."""
        qubits: tuple[int, ...] = ()
        is_single = len(alias.parts) == 1
        for part in alias.parts:
            selected, is_one = self.select_qubits(part)
            qubits += selected
            is_single = is_single and is_one
            self._count_steps(len(qubits))
        if len(set(qubits)) < len(qubits):
            raise Mistake("the alias names the same qubit twice; all of its qubits must differ.", alias.position)
        self.names.declare(alias.name, QubitRegister(qubits, is_single), alias.position)

    def select_qubits(self, operand: Operand) -> tuple[tuple[int, ...], bool]:
        """Find the qubits that an operand names, and whether it is a single one. Raises Mistake."""
        meaning = self.names.get(operand.name, operand.position)
        if not isinstance(meaning, QubitRegister):
            raise Mistake(f"{operand.name[:40]!r} is no register of qubits.", operand.position)
        if operand.index is None:
            return meaning.qubits, meaning.is_single
        return self._pick(meaning.qubits, operand), not isinstance(operand.index, Range | tuple)

    def select_clbits(self, operand: Operand) -> tuple[tuple[int, ...], bool]:
        """Find the classical bits that an operand names, and whether it is a single one. Raises Mistake."""
        meaning = self.names.get(operand.name, operand.position)
        if not isinstance(meaning, BitRegister):
            raise Mistake(f"{operand.name[:40]!r} is no register of classical bits.", operand.position)
        if operand.index is None:
            return meaning.clbits, meaning.is_single
        return self._pick(meaning.clbits, operand), not isinstance(operand.index, Range | tuple)

    def _pick(self, elements: tuple[int, ...], operand: Operand) -> tuple[int, ...]:
        """Pick elements of a register by their index."""
        index = operand.index
        if isinstance(index, Range):
            indices = self.list_range(index, operand.position, length=len(elements))
        elif isinstance(index, tuple):
            indices = [self.evaluate_whole(item, operand.position) for item in index]
        else:
            indices = [self.evaluate_whole(0 if index is None else index, operand.position)]
        # Negative elements of a range are counted from the end already: one that is still negative is not there.
        lowest = 0 if isinstance(index, Range) else -len(elements)
        for value in indices:
            if not lowest <= value < len(elements):
                missing = value - len(elements) if isinstance(index, Range) and value < 0 else value
                raise Mistake(
                    f"{operand.name[:40]} has no element {missing}; it has {len(elements)}, counted from 0.",
                    operand.position,
                )
        picked = tuple([elements[value] for value in indices])
        if not picked:
            raise Mistake(f"this part of {operand.name[:40]} has no elements.", operand.position)
        if len(set(picked)) < len(picked):
            raise Mistake(f"this names an element of {operand.name[:40]} twice; they must differ.", operand.position)
        return picked

    def list_range(self, span: Range, position: int, *, length: int | None) -> list[int]:
        """List the whole numbers of a range, its ends included."""
        step = 1 if span.step is None else self.evaluate_whole(span.step, position)
        if step == 0:
            raise Mistake("the step of a range is not 0.", position)
        if length is None and (span.start is None or span.stop is None):
            raise Mistake("a loop's range has a start and a stop.", position)
        last = (length or 1) - 1
        start = self._end_of(span.start, 0 if step > 0 else last, length, position)
        stop = self._end_of(span.stop, last if step > 0 else 0, length, position)
        values = range(start, stop + (1 if step > 0 else -1), step)
        self._count_steps(max(0, (stop - start) // step + 1))
        return list(values)

    def _end_of(self, end: Expression | None, default: int, length: int | None, position: int) -> int:
        """Compute one end of a range; in a register, negative ones count from its end."""
        value = default if end is None else self.evaluate_whole(end, position)
        return value + length if length is not None and value < 0 else value

    def find_bits(self, name: Name) -> tuple[int, ...] | None:
        """Find the classical bits that a name in a condition reads; None if it is none of them."""
        meaning = self.names.get(name.name, name.position)
        if isinstance(meaning, BitRegister):
            return self.select_clbits(Operand(name.name, name.index, name.position))[0]
        if not isinstance(meaning, Value) or not meaning.clbits or name.index is not None:
            return None
        if any(self._measured_at.get(clbit, 0) > meaning.read_at for clbit in meaning.clbits):
            raise Mistake(
                f"{name.name[:40]!r} no longer tells its bits, which have been measured again, or were read in a block "
                "that may not have happened.",
                name.position,
            )
        return meaning.clbits
