"""Write Clifford gates that are given by angles as gates with names, for simulators that know only those."""

import math

from webapp.quantum.circuits import Operation, gate

# Sequences in the order in which they act, by how many quarter turns, from 0 to 3. A turn by 360 degrees is a sign that
# nobody sees.
_QUARTERS = {
    "rx": ((), ("sx",), ("x",), ("sxdg",)),
    "ry": ((), ("z", "h"), ("y",), ("h", "z")),
    "rz": ((), ("s",), ("z",), ("sdg",)),
    "p": ((), ("s",), ("z",), ("sdg",)),
}

# A controlled half turn is the controlled gate and a phase on the control: by how many half turns, from 0 to 3.
_CONTROLLED_HALVES = {"crx": "cx", "cry": "cy", "crz": "cz"}
_CONTROL_PHASES = ((), ("sdg",), ("z",), ("s",))

# What turns XX and YY into ZZ, and what turns it back.
_BASES = {"rzz": ((), ()), "rxx": (("h",), ("h",)), "ryy": (("sx",), ("sxdg",))}


def name_clifford(op: Operation) -> list[Operation]:
    """Write one Clifford gate as x, y, z, h, s, sdg, sx, sxdg, cx, cy, cz, swap or id, up to a global phase."""
    if not op.parameters:
        return [op]
    if op.gate == "u":
        theta, phi, lam = op.parameters
        return [*_turn("rz", lam, op.qubits[0]), *_turn("ry", theta, op.qubits[0]), *_turn("rz", phi, op.qubits[0])]
    if op.gate in _QUARTERS:
        return _turn(op.gate, op.parameters[0], op.qubits[0])
    if op.gate == "cp":
        return [gate("cz", *op.qubits)] * (round(op.parameters[0] / math.pi) % 2)
    if op.gate in _BASES:
        return _turn_pair(op)
    halves = round(op.parameters[0] / math.pi) % 4
    phases = [gate(name, op.qubits[0]) for name in _CONTROL_PHASES[halves]]
    return [*phases, *([gate(_CONTROLLED_HALVES[op.gate], *op.qubits)] * (halves % 2))]


def _turn(name: str, angle: float, qubit: int) -> list[Operation]:
    """Write a rotation by quarter turns."""
    return [gate(plain, qubit) for plain in _QUARTERS[name][round(angle / (math.pi / 2)) % 4]]


def _turn_pair(op: Operation) -> list[Operation]:
    """Write a rotation about XX, YY or ZZ."""
    there, back = _BASES[op.gate]
    first, second = op.qubits
    turn = _turn("rz", op.parameters[0], second)
    middle = [gate("cx", first, second), *turn, gate("cx", first, second)] if turn else []
    return [
        *(gate(name, qubit) for qubit in op.qubits for name in there),
        *middle,
        *(gate(name, qubit) for qubit in op.qubits for name in back),
    ]
