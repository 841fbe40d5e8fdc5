"""The engines that there are and what each can do, known without importing any simulator."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Final, cast

from webapp.core.errors import NotFoundError
from webapp.quantum.engines.base import Capabilities, Engine
from webapp.quantum.engines.costs import BYTES_PER_AMPLITUDE, MEMORY_LIMIT_BYTES, PROBABILITIES_MAX_QUBITS
from webapp.quantum.gates import GATES, UNITARY_GATES


class UnknownEngineError(NotFoundError):
    """There is no engine of that name."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """Where an engine lives: its module has a function `create_engine` that takes the capabilities."""

    module: str
    capabilities: Capabilities


_ALL_GATES: Final = frozenset(UNITARY_GATES)

_ENTRIES: Final[Mapping[str, _Entry]] = {
    "qulacs": _Entry(
        "webapp.quantum.engines.qulacs_engine",
        Capabilities(
            gates=_ALL_GATES,
            bytes_per_amplitude=BYTES_PER_AMPLITUDE["qulacs"],
            memory_limit_bytes=MEMORY_LIMIT_BYTES,
            probabilities_max_qubits=PROBABILITIES_MAX_QUBITS,
            is_light=True,
        ),
    ),
    "stim": _Entry(
        "webapp.quantum.engines.stim_engine",
        Capabilities(
            # Which angles are Clifford is asked of each gate.
            gates=frozenset(name for name in UNITARY_GATES if GATES[name].clifford_step is not None),
            bytes_per_amplitude=0,
            memory_limit_bytes=MEMORY_LIMIT_BYTES,
            probabilities_max_qubits=0,
            statevector=False,
            noise="pauli",
            # Loaded with numpy by the first circuit that it is best for: 75 ms of CPU once, and 16 MB resident, 7 of
            # them the process's own. A web process with Qulacs has 115 MB, so 131; 140 after load on all its threads.
            is_light=True,
        ),
    ),
    "qsim": _Entry(
        "webapp.quantum.engines.qsim_engine",
        Capabilities(
            gates=_ALL_GATES,
            bytes_per_amplitude=BYTES_PER_AMPLITUDE["qsim"],
            memory_limit_bytes=MEMORY_LIMIT_BYTES,
            probabilities_max_qubits=0,
            dynamic=False,
            statevector=False,
        ),
    ),
    "aer": _Entry(
        "webapp.quantum.engines.aer_engine",
        Capabilities(
            gates=_ALL_GATES,
            bytes_per_amplitude=0,
            memory_limit_bytes=MEMORY_LIMIT_BYTES,
            probabilities_max_qubits=PROBABILITIES_MAX_QUBITS,
            noise="any",
        ),
    ),
}

ENGINE_NAMES: Final = tuple(_ENTRIES)


def get_capabilities(engine_name: str) -> Capabilities:
    """Get what an engine can do, without loading it. Raises UnknownEngineError."""
    return _get_entry(engine_name).capabilities


@cache
def get_engine(engine_name: str) -> Engine:
    """Get an engine, importing its simulator the first time. Raises UnknownEngineError."""
    entry = _get_entry(engine_name)
    create_engine = cast("Callable[[Capabilities], Engine]", import_module(entry.module).create_engine)
    return create_engine(entry.capabilities)


def _get_entry(engine_name: str) -> _Entry:
    """Get the entry of an engine."""
    if engine_name not in _ENTRIES:
        raise UnknownEngineError(f"There is no such engine; there are {', '.join(_ENTRIES)}.", target="engine")
    return _ENTRIES[engine_name]
