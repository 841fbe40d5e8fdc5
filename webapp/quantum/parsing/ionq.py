"""Read IonQ's JSON circuits (https://docs.ionq.com/api-reference/v0.4/writing-quantum-programs)."""

import json
import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, NoReturn, TypeGuard

from webapp.core.errors import FieldError, InvalidFieldsError
from webapp.core.json_numbers import read_float
from webapp.core.text import count_of
from webapp.quantum.circuits import Circuit, Operation, gate, measured_circuit
from webapp.quantum.limits import MAX_CIRCUIT_OPERATIONS, MAX_CIRCUIT_QUBITS
from webapp.quantum.parsing.allowance import Allowance
from webapp.quantum.parsing.errors import InvalidProgramError, ProgramTooLargeError
from webapp.quantum.parsing.modifiers import control

_SINGLE: Final[Mapping[str, str]] = MappingProxyType(
    {
        **{name: name for name in ("x", "y", "z", "h", "s", "t")},
        "not": "x",
        "si": "sdg",
        "ti": "tdg",
        "v": "sx",
        "vi": "sxdg",
    }
)
_ROTATIONS: Final[Mapping[str, str]] = MappingProxyType({"rx": "rx", "ry": "ry", "rz": "rz"})
_PAIRS: Final[Mapping[str, str]] = MappingProxyType({"xx": "rxx", "yy": "ryy", "zz": "rzz"})
_QIS_NAMES: Final = (*_SINGLE, *_ROTATIONS, *_PAIRS, "cnot", "swap")
_NATIVE_NAMES: Final = ("gpi", "gpi2", "ms", "zz")
_MEMBERS: Final = frozenset({"qubits", "circuit", "gateset", "format", "name"})

# Two for each gate: no gate is written in so few characters that a mebibyte holds half as many.
MAX_JSON_BRACKETS: Final = 100_000

# The native entangling gates are fully so unless told.
_FULL_ANGLE: Final = 0.25


def read_ionq_circuit(
    source: str | Mapping[str, object], *, inputs: Mapping[str, float], allowance: Allowance
) -> Circuit:
    """Read a circuit; all of its qubits are measured at its end, as IonQ does.

    Raises InvalidProgramError, ProgramTooLargeError or InvalidFieldsError.
    """
    if inputs:
        raise InvalidFieldsError([FieldError("parameters", "A circuit in this format has no inputs.", "none")])
    program = _load(source) if isinstance(source, str) else source
    _check_members(program)
    gateset = program.get("gateset", "qis")
    if gateset not in ("qis", "native"):
        _refuse('"gateset" must be "qis" or "native".')
    steps = program.get("circuit")
    if not isinstance(steps, list):
        _refuse('"circuit" must be a list of gates.')
    if len(steps) > MAX_CIRCUIT_OPERATIONS:
        raise ProgramTooLargeError(f"A circuit has at most {MAX_CIRCUIT_OPERATIONS} operations.")
    qubits = _read_qubits(program.get("qubits"))
    read = _read_native if gateset == "native" else _read_qis
    operations: list[Operation] = []
    for index, step in enumerate(steps):
        if not isinstance(step, dict):
            _refuse(f"circuit[{index}] must be an object.")
        made = _Step(step, index, qubits).read_with(read)
        allowance.count_steps(len(made))
        operations.extend(made)
        if len(operations) > MAX_CIRCUIT_OPERATIONS:
            raise ProgramTooLargeError(f"A circuit has at most {MAX_CIRCUIT_OPERATIONS} operations.")
    return measured_circuit(qubits, operations)


def _load(source: str) -> Mapping[str, object]:
    """Read the JSON text of a circuit."""
    # Looked at before it is read: an empty list is three characters of text and thirty times as much memory.
    if source.count("[") + source.count("{") > MAX_JSON_BRACKETS:
        raise ProgramTooLargeError(f"A circuit has at most {MAX_JSON_BRACKETS} opening brackets and braces.")
    try:
        program = json.loads(source, parse_float=read_float, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise InvalidProgramError(f"this is no JSON: {error.msg}.", line=error.lineno, column=error.colno) from None
    except (RecursionError, ValueError):
        raise InvalidProgramError("This JSON is nested too deep, or has a number that is too long.") from None
    if not isinstance(program, dict):
        _refuse("the circuit must be an object.")
    return program


def _check_members(program: Mapping[str, object]) -> None:
    """Check the members beside the qubits and the gates."""
    unknown = sorted(str(name)[:40] for name in program.keys() - _MEMBERS)
    if unknown:
        _refuse(f"there is no member {unknown[0]!r}; there are {', '.join(sorted(_MEMBERS))}.")
    for name in ("format", "name"):
        # Whatever else it was would be kept, and taken along to the worker.
        if not isinstance(program.get(name, ""), str):
            _refuse(f'"{name}" is text.')


def _refuse_constant(name: str) -> NoReturn:
    """Refuse NaN and Infinity, which Python's JSON would let through."""
    _refuse(f"{name} is no number of JSON.")


def _refuse(message: str) -> NoReturn:
    """Raise what is wrong, where it is told by the message itself."""
    # A path stays as it is written in the program.
    is_path = message.startswith("circuit[")
    raise InvalidProgramError(message if is_path else message[0].upper() + message[1:])


def _read_qubits(value: object) -> int:
    """Read the number of qubits."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        _refuse('"qubits" must be a whole number from 1.')
    if value > MAX_CIRCUIT_QUBITS:
        raise ProgramTooLargeError(f"A program has at most {MAX_CIRCUIT_QUBITS} qubits; this one wants more.")
    return value


class _Step:
    """One gate of the list, its members taken one by one, so that what is left over can be refused."""

    def __init__(self, members: Mapping[str, object], index: int, qubits: int) -> None:
        self._members = dict(members)
        self._index = index
        self._qubits = qubits
        self.name = self._members.pop("gate", None)

    def read_with(self, read: Callable[["_Step"], list[Operation]]) -> list[Operation]:
        """Read the gate, and refuse members that it does not have."""
        operations = read(self)
        if self._members:
            self.refuse(f"the gate has no member {str(next(iter(self._members)))[:40]!r}")
        return operations

    def refuse(self, problem: str) -> NoReturn:
        """Raise what is wrong with this gate."""
        _refuse(f"circuit[{self._index}]: {problem}.")

    def take_qubits(self, one: str, several: str, *, count: int | None) -> tuple[int, ...]:
        """Take the qubits under `one` (a number) or `several` (a list); `count` of them, if told."""
        single, listed = self._members.pop(one, None), self._members.pop(several, None)
        if single is not None and listed is not None:
            self.refuse(f"give {one!r} or {several!r}, not both")
        given = listed if listed is not None else [] if single is None else [single]
        if not isinstance(given, list) or not all(self._is_qubit(qubit) for qubit in given):
            self.refuse(f"{one!r} must be a qubit from 0 to {self._qubits - 1}, and {several!r} a list of them")
        if count is not None and len(given) != count:
            self.refuse(f"expected {count_of(count, 'target qubit')}, found {len(given)}")
        return tuple(given)

    def _is_qubit(self, value: object) -> bool:
        """Tell whether a value is one of the circuit's qubits."""
        return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < self._qubits

    def take_number(self, name: str, default: float | None = None) -> float:
        """Take a finite number."""
        value = self._members.pop(name, default)
        if not _is_number(value):
            self.refuse(f"{name!r} must be a finite number")
        return float(value)

    def take_phases(self) -> tuple[float, float]:
        """Take the two phases of an entangling gate."""
        value = self._members.pop("phases", [0, 0])
        if not isinstance(value, list) or len(value) != 2 or not all(map(_is_number, value)):  # noqa: PLR2004
            self.refuse("'phases' must be a list of two finite numbers, in turns")
        return float(value[0]), float(value[1])


def _is_number(value: object) -> TypeGuard[float]:
    """Tell whether a value is a finite number."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    # An integer of JSON has any length; a double does not.
    return abs(value) < 1e15 and math.isfinite(value)  # noqa: PLR2004 - an angle beyond has no digits left


def _read_qis(step: _Step) -> list[Operation]:
    """Read a gate of the abstract gate set; angles are in radians, and any of them may have controls."""
    name = step.name
    if not isinstance(name, str) or name not in _QIS_NAMES:
        step.refuse(f"the gate set qis has no gate {str(name)[:40]!r}; there are {', '.join(_QIS_NAMES)}")
    width = 2 if name in _PAIRS or name == "swap" else None if name in {"x", "not"} else 1
    controls = step.take_qubits("control", "controls", count=None)
    targets = step.take_qubits("target", "targets", count=1 if width is None or name == "cnot" else width)
    if len(set(controls + targets)) != len(controls + targets):
        step.refuse("it names the same qubit twice")
    if name == "cnot":
        if not controls:
            step.refuse("a cnot needs a 'control'")
        name = "x"
    angles = (step.take_number("rotation"),) if name in _ROTATIONS or name in _PAIRS else ()
    plain = _SINGLE.get(name) or _ROTATIONS.get(name) or _PAIRS.get(name) or name
    made = [Operation(plain, targets, angles)]
    return control(made, controls) if controls else made


def _read_native(step: _Step) -> list[Operation]:
    """Read a gate of the trapped ions; phases and angles are in turns."""
    name = step.name
    if not isinstance(name, str) or name not in _NATIVE_NAMES:
        step.refuse(f"the gate set native has no gate {str(name)[:40]!r}; there are {', '.join(_NATIVE_NAMES)}")
    if name in {"gpi", "gpi2"}:
        return [_read_single_native(step, name)]
    targets = step.take_qubits("target", "targets", count=2)
    if targets[0] == targets[1]:
        step.refuse("it names the same qubit twice")
    if name == "zz":
        return [gate("rzz", *targets, angles=(math.tau * step.take_number("angle", _FULL_ANGLE),))]
    first, second = (math.tau * phase for phase in step.take_phases())
    angle = math.tau * step.take_number("angle", _FULL_ANGLE)
    # The gate turns about axes in the plane: rxx between rotations of the frames (https://docs.ionq.com).
    turns = [gate("rz", targets[0], angles=(first,)), gate("rz", targets[1], angles=(second,))]
    returns = [gate("rz", targets[0], angles=(-first,)), gate("rz", targets[1], angles=(-second,))]
    return [*returns, gate("rxx", *targets, angles=(angle,)), *turns]


def _read_single_native(step: _Step, name: str) -> Operation:
    """Read a half turn (gpi) or a quarter turn (gpi2) about an axis in the plane."""
    (target,) = step.take_qubits("target", "targets", count=1)
    phase = math.tau * step.take_number("phase")
    if name == "gpi":
        return gate("u", target, angles=(math.pi, phase, math.pi - phase))
    return gate("u", target, angles=(math.pi / 2, phase - math.pi / 2, math.pi / 2 - phase))
