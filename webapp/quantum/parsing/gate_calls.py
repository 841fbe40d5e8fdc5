"""The gates that a program can call, and their expansion into plain ones, counted."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from webapp.core.text import count_of
from webapp.quantum.circuits import Operation, share
from webapp.quantum.limits import MAX_GATE_DEPTH, MAX_PROGRAM_STEPS
from webapp.quantum.parsing.allowance import Allowance
from webapp.quantum.parsing.errors import Mistake, ProgramTooLargeError
from webapp.quantum.parsing.expressions import Expression, Name, Number, evaluate, substitute
from webapp.quantum.parsing.gate_statements import check_is_own_qubit
from webapp.quantum.parsing.modifiers import GPHASE, control, invert, raise_to
from webapp.quantum.parsing.syntax import GateCall, GateDefinition, Modifier

Angles = tuple[float, ...]
Qubits = tuple[int, ...]

# An expansion larger than this is refused; counts stop growing there, or they would have thousands of digits.
_COUNT_LIMIT: Final = MAX_PROGRAM_STEPS + 1

# No controlled form of a plain gate is longer, up to the controls of the controls.
_CONTROL_FACTOR: Final = 16


@dataclass(frozen=True, slots=True)
class PlainGate:
    """A gate that engines know, perhaps under another name or with other angles; `phase` is what a control sees."""

    gate: str
    parameters: int
    qubits: int
    convert: Callable[..., Angles] | None = None
    phase: Callable[..., float] | None = None
    count: int = 1
    depth: int = 0


@dataclass(frozen=True, slots=True)
class BodyCall:
    """A call inside of a gate's body: `wires` are places in the gate's own list of qubits."""

    gate: "Gate"
    modifiers: tuple[Modifier, ...]
    arguments: tuple[Expression, ...]
    wires: tuple[int, ...]
    position: int


@dataclass(frozen=True, slots=True)
class DefinedGate:
    """A gate that a program, or the library, defines from others; `count` is what it expands to, at most."""

    name: str
    parameter_names: tuple[str, ...]
    qubits: int
    body: tuple[BodyCall, ...]
    count: int
    depth: int

    @property
    def parameters(self) -> int:
        """How many angles it takes."""
        return len(self.parameter_names)


Gate = PlainGate | DefinedGate


def _define(names: str, parameters: int, qubits: int) -> dict[str, Gate]:
    """Name gates that engines know under the same name."""
    return {name: PlainGate(name, parameters, qubits) for name in names.split()}


PLAIN_GATES: Final[Mapping[str, Gate]] = MappingProxyType(
    {
        **_define("id x y z h s sdg t tdg sx sxdg", 0, 1),
        **_define("p rx ry rz", 1, 1),
        **_define("u", 3, 1),
        **_define("cx cy cz ch swap", 0, 2),
        **_define("cp crx cry crz rxx ryy rzz", 1, 2),
        **_define("ccx cswap", 0, 3),
        "CX": PlainGate("cx", 0, 2),
        "u0": PlainGate("id", 1, 1, lambda _gamma: ()),
        "u1": PlainGate("p", 1, 1),
        "u2": PlainGate("u", 2, 1, lambda phi, lam: (math.pi / 2, phi, lam), lambda phi, lam: -(phi + lam) / 2),
        "u3": PlainGate("u", 3, 1, phase=lambda _theta, phi, lam: -(phi + lam) / 2),
        "cu1": PlainGate("cp", 1, 2),
        "phase": PlainGate("p", 1, 1),
        "cphase": PlainGate("cp", 1, 2),
        # The built-in U of OpenQASM 3 has this phase; that of OpenQASM 2 another, which nothing there can see.
        "U": PlainGate("u", 3, 1, phase=lambda theta, _phi, _lam: theta / 2),
        GPHASE: PlainGate(GPHASE, 1, 0),
    }
)


def define_gate(
    definition: GateDefinition, find: Callable[[str, int], Gate], constants: Callable[[Name], Number]
) -> DefinedGate:
    """Check a definition and bring it into a form that expands quickly. Raises Mistake or ProgramTooLargeError."""
    places = {name: place for place, name in enumerate(definition.qubits)}
    body = tuple(_bind(call, find(call.name, call.position), places) for call in definition.body or ())
    depth = 1 + max((call.gate.depth for call in body), default=0)
    if depth > MAX_GATE_DEPTH:
        raise ProgramTooLargeError(f"Gates are defined by others at most {MAX_GATE_DEPTH} deep.")
    bound = tuple(_fold(call, set(definition.parameters), constants) for call in body)
    return DefinedGate(
        definition.name, definition.parameters, len(places), bound, min(1 + sum(map(_count, body)), _COUNT_LIMIT), depth
    )


def _bind(call: GateCall, gate: Gate, places: Mapping[str, int]) -> BodyCall:
    """Find out which of the gate's own qubits a call in its body acts on."""
    wires = []
    for operand in call.operands:
        check_is_own_qubit(operand, places)
        wires.append(places[operand.name])
    if not call.modifiers:
        check_shape(call.name, gate, len(call.arguments), len(wires), call.position)
    if len(set(wires)) != len(wires):
        raise Mistake("a gate names the same qubit twice; all of its qubits must differ.", call.position)
    return BodyCall(gate, call.modifiers, call.arguments, tuple(wires), call.position)


def _fold(call: BodyCall, parameters: set[str], constants: Callable[[Name], Number]) -> BodyCall:
    """Put constants in place of their names, which mean something else where the gate is called."""

    def look_up(name: Name) -> Number | None:
        return None if name.name in parameters and name.index is None else constants(name)

    arguments = tuple([substitute(argument, look_up) for argument in call.arguments])
    modifiers = tuple(
        [replace(modifier, argument=substitute(modifier.argument, look_up)) for modifier in call.modifiers]
    )
    return BodyCall(call.gate, modifiers, arguments, call.wires, call.position)


def _count(call: BodyCall) -> int:
    """Bound how many steps a call expands to; powers are counted when they are known."""
    factor = _CONTROL_FACTOR if any(modifier.kind != "inv" for modifier in call.modifiers) else 1
    return min(call.gate.count * factor, _COUNT_LIMIT)


def check_shape(name: str, gate: Gate, arguments: int, qubits: int, position: int) -> None:
    """Check how many angles and qubits a gate is given. Raises Mistake."""
    if arguments != gate.parameters:
        raise Mistake(f"{name[:40]} takes {count_of(gate.parameters, 'angle')}, not {arguments}.", position)
    if qubits != gate.qubits:
        raise Mistake(f"{name[:40]} acts on {count_of(gate.qubits, 'qubit')}, not {qubits}.", position)


def evaluate_angles(arguments: tuple[Expression, ...], look_up: Callable[[Name], Number]) -> Angles:
    """Compute a call's angles."""
    return tuple([float(evaluate(argument, look_up)) for argument in arguments])


class Expander:
    """Expands calls into plain gates and counts every step, so that no program expands for ever."""

    def __init__(self, allowance: Allowance) -> None:
        self._allowance = allowance
        self.count_steps = allowance.count_steps
        self.count_wires = allowance.count_wires

    def expand(self, gate: Gate, angles: Angles, qubits: Qubits, sink: list[Operation], *, phased: bool) -> None:
        """Append a gate's expansion to `sink`; `phased` where a control may see its global phase."""
        if isinstance(gate, PlainGate):
            self.count_steps()
            if gate.gate == GPHASE and not phased:
                return
            if phased and gate.phase is not None:
                sink.append(Operation(GPHASE, (), (gate.phase(*angles),)))
            sink.append(Operation(gate.gate, share(qubits), gate.convert(*angles) if gate.convert else angles))
            return
        if gate.count + self._allowance.steps > MAX_PROGRAM_STEPS:
            self.count_steps(gate.count)
        self.count_steps()
        values = dict(zip(gate.parameter_names, angles, strict=True))

        def look_up(name: Name) -> Number:
            # Constants are numbers since the definition.
            return values[name.name]

        for call in gate.body:
            inner = evaluate_angles(call.arguments, look_up)
            wires = tuple([qubits[wire] for wire in call.wires])
            if call.modifiers:
                powers = [evaluate(modifier.argument, look_up) for modifier in call.modifiers]
                self.expand_modified(
                    call.gate, call.modifiers, powers, angles=inner, qubits=wires, sink=sink, position=call.position
                )
            else:
                self.expand(call.gate, inner, wires, sink, phased=phased)

    def expand_modified(
        self,
        gate: Gate,
        modifiers: tuple[Modifier, ...],
        values: list[Number],
        *,
        angles: Angles,
        qubits: Qubits,
        sink: list[Operation],
        position: int,
    ) -> None:
        """Append a gate under modifiers; the first of them is the outermost, and takes the first qubits."""
        widths = [_count_controls(modifier, value) for modifier, value in zip(modifiers, values, strict=True)]
        if len(qubits) != sum(widths) + gate.qubits:
            wanted = count_of(sum(widths) + gate.qubits, "qubit")
            raise Mistake(f"with its controls the gate acts on {wanted}, not {len(qubits)}.", position)
        if len(angles) != gate.parameters:
            raise Mistake(f"the gate takes {count_of(gate.parameters, 'angle')}, not {len(angles)}.", position)
        made: list[Operation] = []
        self.expand(gate, angles, qubits[sum(widths) :], made, phased=True)
        end = sum(widths)
        for modifier, value, width in zip(reversed(modifiers), reversed(values), reversed(widths), strict=True):
            made = self._modify(made, modifier, value, qubits[end - width : end])
            end -= width
            self.count_steps(len(made))
        sink.extend(made)

    def _modify(
        self, operations: list[Operation], modifier: Modifier, value: Number, controls: Qubits
    ) -> list[Operation]:
        """Apply one modifier to a list of gates."""
        if modifier.kind == "inv":
            return invert(operations)
        if modifier.kind == "pow":
            return self._raise(operations, value, modifier.position)
        self.count_steps(len(operations) * (_CONTROL_FACTOR + len(controls)))
        made = control(operations, controls)
        if modifier.kind == "negctrl":
            flips = [Operation("x", (qubit,)) for qubit in controls]
            return [*flips, *made, *flips]
        return made

    def _raise(self, operations: list[Operation], exponent: Number, position: int) -> list[Operation]:
        """Raise gates to a power: a whole one by repeating them, any other where it is one gate again."""
        powered = raise_to(operations, float(exponent))
        if powered is not None and abs(exponent) != 1:
            return powered
        if exponent != int(exponent):
            raise Mistake("only single standard gates can be raised to a power that is no whole number.", position)
        self.count_steps(len(operations) * abs(int(exponent)))
        return (operations if exponent > 0 else invert(operations)) * abs(int(exponent))


def _count_controls(modifier: Modifier, value: Number) -> int:
    """Count the qubits that a modifier takes. Raises Mistake."""
    if modifier.kind in {"inv", "pow"}:
        return 0
    if not isinstance(value, int) or not 1 <= value <= 1_000:  # noqa: PLR2004 - more than a circuit has qubits
        raise Mistake("the number of controls must be a whole number from 1.", modifier.position)
    return int(value)
