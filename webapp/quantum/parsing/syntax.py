"""The statements of OpenQASM as data: what the parser makes and the interpreter carries out."""

from dataclasses import dataclass

from webapp.quantum.parsing.expressions import Expression


@dataclass(frozen=True, slots=True)
class Range:
    """From `start` by `step` to `stop`, ends included; None where the program leaves one out."""

    start: Expression | None
    step: Expression | None
    stop: Expression | None


@dataclass(frozen=True, slots=True)
class Operand:
    """A register or a part of one."""

    name: str
    index: "Expression | Range | tuple[Expression, ...] | None"
    position: int


@dataclass(frozen=True, slots=True)
class Modifier:
    """`ctrl`, `negctrl`, `inv` or `pow` before a gate; the first two have a number of qubits, the last an exponent."""

    kind: str
    argument: Expression
    position: int


@dataclass(frozen=True, slots=True)
class GateCall:
    """A gate on operands."""

    name: str
    modifiers: tuple[Modifier, ...]
    arguments: tuple[Expression, ...]
    operands: tuple[Operand, ...]
    position: int


@dataclass(frozen=True, slots=True)
class Barrier:
    """A barrier; on all qubits where it names none."""

    operands: tuple[Operand, ...]
    position: int


@dataclass(frozen=True, slots=True)
class Reset:
    """A reset to 0."""

    operand: Operand
    position: int


@dataclass(frozen=True, slots=True)
class Measure:
    """A measurement; `target` is None where the program names no bit for the outcome."""

    source: Operand
    target: Operand | None
    position: int


@dataclass(frozen=True, slots=True)
class If:
    """One of two blocks."""

    condition: Expression
    then: "tuple[Statement, ...]"
    otherwise: "tuple[Statement, ...]"
    position: int


@dataclass(frozen=True, slots=True)
class Case:
    """A block of a `switch`, for some values of its target."""

    values: tuple[Expression, ...]
    body: "tuple[Statement, ...]"
    position: int


@dataclass(frozen=True, slots=True)
class Switch:
    """One of several blocks, or `default` where none of the cases has the target's value."""

    target: Expression
    cases: tuple[Case, ...]
    default: "tuple[Statement, ...]"
    position: int


@dataclass(frozen=True, slots=True)
class For:
    """A block once for every value. `type` is that of the variable, and `size` how many bits it has."""

    type: str
    size: Expression | None
    variable: str
    values: Range | tuple[Expression, ...]
    body: "tuple[Statement, ...]"
    position: int


@dataclass(frozen=True, slots=True)
class Block:
    """Statements with names of their own."""

    body: "tuple[Statement, ...]"
    position: int


@dataclass(frozen=True, slots=True)
class Declaration:
    """A new name.

    `kind` is `qubit`, `bit`, `input`, `const`, or `variable`; `size` the width of a register, None for a single one, or
    the bits of a number's type.
    `value` is what a constant or a variable starts with, or the qubits that a bit is measured from at once.
    """

    kind: str
    type: str
    name: str
    size: Expression | None
    value: Expression | Operand | None
    position: int


@dataclass(frozen=True, slots=True)
class Alias:
    """Another name for parts of registers, one after the other."""

    name: str
    parts: tuple[Operand, ...]
    position: int


@dataclass(frozen=True, slots=True)
class Assignment:
    """A new value for a variable; `operator` is `=`, or `+=` and its like."""

    target: Operand
    operator: str
    value: Expression
    position: int


@dataclass(frozen=True, slots=True)
class GateDefinition:
    """A gate made of others; `body` is None where the program only announces it."""

    name: str
    parameters: tuple[str, ...]
    qubits: tuple[str, ...]
    body: tuple[GateCall, ...] | None
    position: int


@dataclass(frozen=True, slots=True)
class End:
    """The end of the program, before the end of its text."""

    position: int


Statement = (
    GateCall
    | Barrier
    | Reset
    | Measure
    | If
    | Switch
    | For
    | Block
    | Declaration
    | Alias
    | Assignment
    | GateDefinition
    | End
)
