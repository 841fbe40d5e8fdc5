"""Circuits as drawings: which sign stands where, for a template to draw as SVG."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from webapp.quantum.circuits import Circuit, Operation
from webapp.quantum.gates import BARRIER, MEASURE

# A larger drawing says less than the source does.
MAX_QUBITS = 10
MAX_COLUMNS = 40

CONTROLS = {"cx": 1, "cy": 1, "cz": 1, "ch": 1, "cp": 1, "crx": 1, "cry": 1, "crz": 1, "ccx": 2, "cswap": 1}
LABELS = {"sdg": "S†", "tdg": "T†", "sx": "√X", "sxdg": "√X†", "id": "I"}
# What is left of a controlled gate's name without its controls, where that is not a box with the rest of the name.
TARGETS = {"cx": "plus", "ccx": "plus", "cz": "dot", "cswap": "cross", "swap": "cross"}

DENOMINATORS = (1, 2, 3, 4, 6, 8, 16)


@dataclass(frozen=True, slots=True)
class Sign:
    """One sign on one wire. `kind` is box, dot, plus, cross, meter or barrier; only a box has labels."""

    kind: str
    column: int
    qubit: int
    label: str = ""
    angle: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """The line that joins the signs of one gate on several wires."""

    column: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Diagram:
    """A circuit laid out in columns, each gate as far left as its wires are free."""

    qubits: int
    columns: int
    gates: int
    signs: tuple[Sign, ...]
    links: tuple[Link, ...]


def draw(circuit: Circuit) -> Diagram | None:
    """Lay a circuit out, unless it is too large to be looked at."""
    if circuit.qubits > MAX_QUBITS:
        return None
    free = [0] * circuit.qubits
    signs: list[Sign] = []
    links: list[Link] = []
    for op in circuit.operations:
        wires = op.qubits or tuple(range(circuit.qubits))
        first, last = min(wires), max(wires)
        column = max(free[first : last + 1])
        if column >= MAX_COLUMNS:
            return None
        free[first : last + 1] = [column + 1] * (last + 1 - first)
        signs.extend(draw_operation(op, column, wires))
        if last > first and op.gate != BARRIER:
            links.append(Link(column, first, last))
    gates = sum(op.gate not in {MEASURE, BARRIER} for op in circuit.operations)
    return Diagram(circuit.qubits, max(free), gates, tuple(signs), tuple(links))


def draw_operation(op: Operation, column: int, wires: tuple[int, ...]) -> Iterator[Sign]:
    """Give one operation's signs."""
    if op.gate in {MEASURE, BARRIER}:
        kind = "meter" if op.gate == MEASURE else "barrier"
        yield from (Sign(kind, column, qubit) for qubit in wires)
        return
    controls = CONTROLS.get(op.gate, 0)
    yield from (Sign("dot", column, qubit) for qubit in wires[:controls])
    kind = TARGETS.get(op.gate, "box")
    name = op.gate[controls:]
    label = LABELS.get(name, name.upper())
    angle = format_angle(op.parameters[0]) if len(op.parameters) == 1 else ""
    yield from (Sign(kind, column, qubit, label, angle) for qubit in wires[controls:])


def format_angle(radians: float) -> str:
    """Write an angle in a few characters: as a simple fraction of π, or to two places."""
    for denominator in DENOMINATORS:
        numerator = round(radians * denominator / math.pi)
        if numerator and math.isclose(numerator * math.pi / denominator, radians, abs_tol=1e-9):
            sign, factor = "-" if numerator < 0 else "", "" if abs(numerator) == 1 else str(abs(numerator))
            return f"{sign}{factor}π" + (f"/{denominator}" if denominator > 1 else "")
    return f"{radians:.2f}"
