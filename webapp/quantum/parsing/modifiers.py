"""What `ctrl`, `inv` and `pow` make of a gate: lists of plain gates, equal to it including the phase.

A global phase means nothing until it is controlled; lists carry it as the operation `gphase`, which acts on no qubit.
The controlled forms follow Barenco et al., "Elementary gates for quantum computation" (arXiv:quant-ph/9503016).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from webapp.quantum.circuits import Operation, gate

GPHASE: Final = "gphase"

_SELF_INVERSE: Final = frozenset({"id", "x", "y", "z", "h", "cx", "cy", "cz", "ch", "swap", "ccx", "cswap"})
_ADJOINTS: Final[Mapping[str, str]] = MappingProxyType(
    {"s": "sdg", "sdg": "s", "t": "tdg", "tdg": "t", "sx": "sxdg", "sxdg": "sx"}
)

# Phase gates by another name, and their angle.
_PHASES: Final[Mapping[str, float]] = MappingProxyType(
    {"z": math.pi, "s": math.pi / 2, "sdg": -math.pi / 2, "t": math.pi / 4, "tdg": -math.pi / 4}
)

# Gates with controls of their own: how many, and what they control.
_CONTROLLED: Final[Mapping[str, tuple[int, str]]] = MappingProxyType(
    {
        "cx": (1, "x"),
        "cy": (1, "y"),
        "cz": (1, "z"),
        "ch": (1, "h"),
        "cp": (1, "p"),
        "crx": (1, "rx"),
        "cry": (1, "ry"),
        "crz": (1, "rz"),
        "ccx": (2, "x"),
        "cswap": (1, "swap"),
    }
)
_WITH_CONTROLS: Final[Mapping[tuple[int, str], str]] = MappingProxyType(
    {shape: name for name, shape in _CONTROLLED.items()}
)


def invert(operations: Sequence[Operation]) -> list[Operation]:
    """Undo gates, the last first."""
    return [_adjoint(op) for op in reversed(operations)]


def _adjoint(op: Operation) -> Operation:
    """Undo one gate."""
    if op.gate in _SELF_INVERSE:
        return op
    if op.gate in _ADJOINTS:
        return Operation(_ADJOINTS[op.gate], op.qubits)
    if op.gate == "u":
        theta, phi, lam = op.parameters
        return Operation("u", op.qubits, (-theta, -lam, -phi))
    return Operation(op.gate, op.qubits, tuple(-angle for angle in op.parameters))


# How far an angle may lie from half of its period and still be that.
_TURN_TOLERANCE: Final = 1e-12

# Gates whose power is the same gate with a multiple of its angle, and after how many radians they are the same again.
_PERIODS: Final[Mapping[str, float]] = MappingProxyType(
    {
        **dict.fromkeys(("p", "mcp", "cp", GPHASE), math.tau),
        **dict.fromkeys(("rx", "ry", "rz", "rxx", "ryy", "rzz", "crx", "cry", "crz"), 2 * math.tau),
    }
)


def raise_to(operations: Sequence[Operation], exponent: float) -> list[Operation] | None:
    """Raise a single gate to any power; None where that is no single known gate."""
    if len(operations) != 1:
        return None
    op = operations[0]
    if op.gate in _PERIODS:
        return [_raise_turn(op, exponent)]
    if op.gate == "id":
        return [op]
    controls, base = _CONTROLLED.get(op.gate, (0, op.gate))
    turned = _raise_base(base, op.qubits[controls:], exponent)
    return turned if turned is None or not controls else control(turned, op.qubits[:controls])


def _raise_turn(op: Operation, exponent: float) -> Operation:
    """Raise a turn to a power: on the principal branch, so that the half power of p(3*pi/2) is that of p(-pi/2)."""
    [angle], period = op.parameters, _PERIODS[op.gate]
    if exponent.is_integer():
        return Operation(op.gate, op.qubits, (angle * exponent,))
    angle = math.remainder(angle, period)
    if period / 2 - abs(angle) > _TURN_TOLERANCE:
        return Operation(op.gate, op.qubits, (angle * exponent,))
    # Half of a period is -1, whose phase is pi: of one state, or after a rotation of all of them.
    if period == math.tau:
        return Operation(op.gate, op.qubits, (math.pi * exponent,))
    controls = op.qubits[: _CONTROLLED.get(op.gate, (0, ""))[0]]
    return _phase(math.pi * exponent, controls) if controls else Operation(GPHASE, (), (math.pi * exponent,))


def _raise_base(name: str, qubits: tuple[int, ...], exponent: float) -> list[Operation] | None:
    """Raise an uncontrolled gate to a power, on the principal branch: its eigenvalues are 1 and a phase."""
    if name in _PHASES:
        return [gate("p", *qubits, angles=(_PHASES[name] * exponent,))]
    halves = {"x": 1.0, "sx": 0.5, "sxdg": -0.5}
    if name in halves:
        turn = gate("p", *qubits, angles=(math.pi * halves[name] * exponent,))
        return [gate("h", *qubits), turn, gate("h", *qubits)]
    turn = gate("p", *qubits, angles=(math.pi * exponent,))
    if name == "y":
        return [gate("sdg", *qubits), gate("h", *qubits), turn, gate("h", *qubits), gate("s", *qubits)]
    if name == "h":
        tilt = math.pi / 4
        return [gate("ry", *qubits, angles=(-tilt,)), turn, gate("ry", *qubits, angles=(tilt,))]
    return None


def control(operations: Sequence[Operation], controls: tuple[int, ...]) -> list[Operation]:
    """Let gates happen only where all controls are 1."""
    return [made for op in operations for made in _control_one(op, controls)]


def _control_one(op: Operation, controls: tuple[int, ...]) -> list[Operation]:
    """Control one gate."""
    if op.gate in {"id", "barrier"}:
        return []
    if op.gate == GPHASE:
        return [_phase(op.parameters[0], controls)]
    if op.gate == "mcp":
        return [_phase(op.parameters[0], controls + op.qubits)]
    own, base = _CONTROLLED.get(op.gate, (0, op.gate))
    controls += op.qubits[:own]
    targets = op.qubits[own:]
    known = _WITH_CONTROLS.get((len(controls), base))
    if known is not None:
        return [Operation(known, controls + targets, op.parameters)]
    if base in _PHASES:
        return [_phase(_PHASES[base], controls + targets)]
    return _CONTROLLERS[base](controls, targets, op.parameters)


def _phase(angle: float, qubits: tuple[int, ...]) -> Operation:
    """Turn the phase where all of some qubits are 1."""
    return Operation({1: "p", 2: "cp"}.get(len(qubits), "mcp"), qubits, (angle,))


def _flip(controls: tuple[int, ...], target: int) -> list[Operation]:
    """Flip a qubit where all controls are 1."""
    if len(controls) <= 2:  # noqa: PLR2004 - cx and ccx
        return [Operation("cx" if len(controls) == 1 else "ccx", (*controls, target))]
    return [gate("h", target), _phase(math.pi, (*controls, target)), gate("h", target)]


def _conjugate(before: list[Operation], inner: list[Operation]) -> list[Operation]:
    """Do something, something else in between, and undo the first."""
    return [*before, *inner, *invert(before)]


def _control_x(controls: tuple[int, ...], targets: tuple[int, ...], _angles: tuple[float, ...]) -> list[Operation]:
    return _flip(controls, targets[0])


def _control_y(controls: tuple[int, ...], targets: tuple[int, ...], _angles: tuple[float, ...]) -> list[Operation]:
    return _conjugate([gate("sdg", *targets)], _flip(controls, targets[0]))


def _control_h(controls: tuple[int, ...], targets: tuple[int, ...], _angles: tuple[float, ...]) -> list[Operation]:
    return _conjugate([gate("ry", *targets, angles=(-math.pi / 4,))], [_phase(math.pi, controls + targets)])


def _control_sx(controls: tuple[int, ...], targets: tuple[int, ...], _angles: tuple[float, ...]) -> list[Operation]:
    return _conjugate([gate("h", *targets)], [_phase(math.pi / 2, controls + targets)])


def _control_sxdg(controls: tuple[int, ...], targets: tuple[int, ...], _angles: tuple[float, ...]) -> list[Operation]:
    return _conjugate([gate("h", *targets)], [_phase(-math.pi / 2, controls + targets)])


def _control_p(controls: tuple[int, ...], targets: tuple[int, ...], angles: tuple[float, ...]) -> list[Operation]:
    return [_phase(angles[0], controls + targets)]


def _control_rz(controls: tuple[int, ...], targets: tuple[int, ...], angles: tuple[float, ...]) -> list[Operation]:
    # diag(e^(-ia/2), e^(ia/2)) is a phase of a on the target and of -a/2 on everything.
    return [_phase(-angles[0] / 2, controls), _phase(angles[0], controls + targets)]


def _control_rx(controls: tuple[int, ...], targets: tuple[int, ...], angles: tuple[float, ...]) -> list[Operation]:
    return _conjugate([gate("h", *targets)], _control_rz(controls, targets, angles))


def _control_ry(controls: tuple[int, ...], targets: tuple[int, ...], angles: tuple[float, ...]) -> list[Operation]:
    return _conjugate([gate("sdg", *targets), gate("h", *targets)], _control_rz(controls, targets, angles))


def _control_u(controls: tuple[int, ...], targets: tuple[int, ...], angles: tuple[float, ...]) -> list[Operation]:
    # u(theta, phi, lambda) = e^(i (phi + lambda)/2) rz(phi) ry(theta) rz(lambda)
    theta, phi, lam = angles
    turns = [
        gate("rz", *targets, angles=(lam,)),
        gate("ry", *targets, angles=(theta,)),
        gate("rz", *targets, angles=(phi,)),
    ]
    return [_phase((phi + lam) / 2, controls), *control(turns, controls)]


def _control_swap(controls: tuple[int, ...], targets: tuple[int, ...], _angles: tuple[float, ...]) -> list[Operation]:
    first, second = targets
    return _conjugate([gate("cx", second, first)], _flip((*controls, first), second))


def _control_rzz(controls: tuple[int, ...], targets: tuple[int, ...], angles: tuple[float, ...]) -> list[Operation]:
    turn = control([gate("rz", targets[1], angles=angles)], controls)
    return _conjugate([gate("cx", *targets)], turn)


def _control_rxx(controls: tuple[int, ...], targets: tuple[int, ...], angles: tuple[float, ...]) -> list[Operation]:
    basis = [gate("h", target) for target in targets]
    return _conjugate(basis, _control_rzz(controls, targets, angles))


def _control_ryy(controls: tuple[int, ...], targets: tuple[int, ...], angles: tuple[float, ...]) -> list[Operation]:
    basis = [gate("rx", target, angles=(math.pi / 2,)) for target in targets]
    return _conjugate(basis, _control_rzz(controls, targets, angles))


_Controller = Callable[[tuple[int, ...], tuple[int, ...], tuple[float, ...]], list[Operation]]

_CONTROLLERS: Final[Mapping[str, _Controller]] = MappingProxyType(
    {
        "x": _control_x,
        "y": _control_y,
        "h": _control_h,
        "sx": _control_sx,
        "sxdg": _control_sxdg,
        "p": _control_p,
        "rx": _control_rx,
        "ry": _control_ry,
        "rz": _control_rz,
        "u": _control_u,
        "swap": _control_swap,
        "rxx": _control_rxx,
        "ryy": _control_ryy,
        "rzz": _control_rzz,
    }
)
