"""The gates that a circuit may use, under their OpenQASM names."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

MEASURE: Final = "measure"
BARRIER: Final = "barrier"
RESET: Final = "reset"

# Operations that are no gates.
NOT_GATES: Final = frozenset({MEASURE, BARRIER, RESET})

# How far an angle may lie from a multiple of its step and still count as Clifford; amplitudes err by less than this.
_ANGLE_TOLERANCE = 1e-12


@dataclass(frozen=True, slots=True)
class GateDefinition:
    """What a gate needs: how many qubits and angles, and when it is a Clifford gate.

    `qubits` is None for a gate that takes any number of them. A gate is Clifford when each of its angles is a multiple
    of `clifford_step`; None means never. A gate without angles and with a step is always Clifford.
    """

    name: str
    qubits: int | None
    parameters: int
    clifford_step: float | None

    def is_clifford(self, angles: Iterable[float]) -> bool:
        """Tell whether the gate maps Pauli operators to Pauli operators at these angles."""
        step = self.clifford_step
        return step is not None and all(abs(math.remainder(angle, step)) <= _ANGLE_TOLERANCE for angle in angles)


def _define(names: str, qubits: int | None, parameters: int, clifford_step: float | None) -> list[GateDefinition]:
    """Define several gates of one shape."""
    return [GateDefinition(name, qubits, parameters, clifford_step) for name in names.split()]


_QUARTER = math.pi / 2

_DEFINITIONS = (
    _define("id x y z h s sdg sx sxdg", 1, 0, _QUARTER)
    + _define("t tdg", 1, 0, None)
    + _define("rx ry rz p", 1, 1, _QUARTER)
    + _define("u", 1, 3, _QUARTER)
    + _define("cx cy cz swap", 2, 0, _QUARTER)
    + _define("ch", 2, 0, None)
    + _define("cp crx cry crz", 2, 1, math.pi)
    + _define("rxx ryy rzz", 2, 1, _QUARTER)
    + _define("ccx cswap", 3, 0, None)
    # A phase where all of any number of qubits are 1: what every gate with many controls comes down to.
    + _define("mcp", None, 1, None)
    + _define(MEASURE, 1, 0, _QUARTER)
    + _define(RESET, 1, 0, _QUARTER)
    + _define(BARRIER, None, 0, _QUARTER)
)

GATES: Final[Mapping[str, GateDefinition]] = MappingProxyType({gate.name: gate for gate in _DEFINITIONS})

# The names that users may call gates: what is left acts on no amplitude by itself.
UNITARY_GATES: Final = tuple(name for name in GATES if name not in NOT_GATES)
