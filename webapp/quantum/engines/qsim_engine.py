"""Run circuits on qsim: state vectors in single precision with fused gates (https://quantumai.google/qsim).

The package's own Python side imports Cirq, which takes 2.5 s and 189 MB (and pandas, matplotlib and sympy to install)
to do what little is done here: describe gates to the compiled module. That module is loaded by itself; ADR 0013 says
why and what watches over it.
"""

import cmath
import importlib.machinery
import importlib.util
import math
import time
from collections.abc import Callable, Mapping
from importlib import metadata
from random import Random
from types import ModuleType
from typing import Final, Protocol

from webapp.quantum.circuits import Circuit, Operation
from webapp.quantum.engines.base import Capabilities, RunRequest, RunResult, check_request
from webapp.quantum.engines.outcomes import Readout
from webapp.quantum.engines.sampled_means import measure_term, sampled_result
from webapp.quantum.gates import NOT_GATES

# qsim's own names of what a processor can do, by the number that it detects.
_VARIANTS: Final = ("qsim_avx512", "qsim_avx2", "qsim_sse", "qsim_basic")

# Gates are fused into matrices on up to 4 qubits, on one thread, with no GPU and nothing printed.
_OPTIONS: Final[Mapping[str, object]] = {
    "f": 4,
    "t": 1,
    "r": 1,
    "v": 0,
    "z": False,
    "g": False,
    "gmode": 0,
    "gsst": 512,
    "gdb": 16,
}


class _Qsim(Protocol):
    """The part of the compiled module that is used here."""

    Circuit: Callable[[], object]

    def add_matrix_gate(self, time: int, qubits: list[int], matrix: list[float], circuit: object, /) -> None: ...

    def control_last_gate(self, qubits: list[int], values: list[int], circuit: object, /) -> None: ...

    def qsim_sample_final(self, options: dict[str, object], repetitions: int, /) -> list[int]: ...


class QsimEngine:
    """The state vector in single precision, sampled; made for circuits of 15 qubits and more."""

    name = "qsim"
    version = metadata.version("qsimcirq")

    def __init__(self, capabilities: Capabilities) -> None:
        self.capabilities = capabilities

    def run(self, circuit: Circuit, request: RunRequest) -> RunResult:
        """Run a circuit after checking it. Raises what `check_request` raises."""
        check_request(circuit, request, self.name, self.capabilities)
        started = time.perf_counter()
        outcomes = _sample(circuit, request)
        if request.wants_memory:
            # qsim gives them sorted; nobody should read an order of time into that.
            Random(request.seed).shuffle(outcomes)  # noqa: S311  # nosec B311  # samples, no secrets
        shots = Readout(circuit).read_all(outcomes)
        return sampled_result(self, circuit, request, shots, sample_term=measure_term(self), started=started)


def create_engine(capabilities: Capabilities) -> QsimEngine:
    """Create the engine for the catalogue."""
    return QsimEngine(capabilities)


def _load(name: str) -> ModuleType:
    """Load one compiled module of the package, without the package around it."""
    folder = metadata.distribution("qsimcirq").locate_file("qsimcirq")
    spec = importlib.machinery.PathFinder.find_spec(name, [str(folder)])
    if spec is None or spec.loader is None:
        raise ImportError(f"qsimcirq has no module {name}.", name=name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _load_fastest() -> _Qsim:
    """Load the variant for this processor."""
    qsim: _Qsim = _load(_VARIANTS[_load("qsim_decide").detect_instructions()])
    return qsim


_QSIM: Final = _load_fastest()


def _sample(circuit: Circuit, request: RunRequest) -> list[int]:
    """Simulate and sample: bit i of each outcome is qubit i."""
    program = _QSIM.Circuit()
    program.num_qubits = circuit.qubits  # type: ignore[attr-defined]
    # A qubit without any gate would be missing from the outcome.
    starts = [Operation("id", (qubit,)) for qubit in range(circuit.qubits)]
    gates = [op for op in circuit.operations if op.gate not in NOT_GATES]
    for moment, op in enumerate([*starts, *gates]):
        _add(op, moment, program)
    options = {**_OPTIONS, "c": program, "s": _fold_seed(request.seed)}
    return _QSIM.qsim_sample_final(options, request.shots)


def _fold_seed(seed: int) -> int:
    """Bring a seed to the 31 bits that qsim takes, leaving those that fit as they are."""
    return (seed ^ (seed >> 31) * 0x9E37_79B1) & 0x7FFF_FFFF


# Gates with controls: how many of their qubits control, and the gate on the others.
_CONTROLLED: Final[Mapping[str, tuple[int, str]]] = {
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

_Matrix = tuple[complex, ...]

_ROOT: Final = 1 / math.sqrt(2)


def _phase(angle: float) -> _Matrix:
    return (1, 0, 0, cmath.exp(1j * angle))


def _u(theta: float, phi: float, lam: float) -> _Matrix:
    cosine, sine = math.cos(theta / 2), math.sin(theta / 2)
    return (cosine, -cmath.exp(1j * lam) * sine, cmath.exp(1j * phi) * sine, cmath.exp(1j * (phi + lam)) * cosine)


def _rx(angle: float) -> _Matrix:
    cosine, sine = math.cos(angle / 2), -1j * math.sin(angle / 2)
    return (cosine, sine, sine, cosine)


def _ry(angle: float) -> _Matrix:
    cosine, sine = math.cos(angle / 2), math.sin(angle / 2)
    return (cosine, -sine, sine, cosine)


def _rz(angle: float) -> _Matrix:
    return (cmath.exp(-0.5j * angle), 0, 0, cmath.exp(0.5j * angle))


def _rxx(angle: float) -> _Matrix:
    cosine, sine = math.cos(angle / 2), -1j * math.sin(angle / 2)
    return (cosine, 0, 0, sine, 0, cosine, sine, 0, 0, sine, cosine, 0, sine, 0, 0, cosine)


def _ryy(angle: float) -> _Matrix:
    cosine, sine = math.cos(angle / 2), -1j * math.sin(angle / 2)
    return (cosine, 0, 0, -sine, 0, cosine, sine, 0, 0, sine, cosine, 0, -sine, 0, 0, cosine)


def _rzz(angle: float) -> _Matrix:
    same, different = cmath.exp(-0.5j * angle), cmath.exp(0.5j * angle)
    return (same, 0, 0, 0, 0, different, 0, 0, 0, 0, different, 0, 0, 0, 0, same)


# Row by row. Those on two qubits are the same whichever qubit comes first.
_MATRICES: Final[Mapping[str, _Matrix]] = {
    "id": (1, 0, 0, 1),
    "x": (0, 1, 1, 0),
    "y": (0, -1j, 1j, 0),
    "z": (1, 0, 0, -1),
    "h": (_ROOT, _ROOT, _ROOT, -_ROOT),
    "s": (1, 0, 0, 1j),
    "sdg": (1, 0, 0, -1j),
    "t": _phase(math.pi / 4),
    "tdg": _phase(-math.pi / 4),
    "sx": (0.5 + 0.5j, 0.5 - 0.5j, 0.5 - 0.5j, 0.5 + 0.5j),
    "sxdg": (0.5 - 0.5j, 0.5 + 0.5j, 0.5 + 0.5j, 0.5 - 0.5j),
    "swap": (1, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1),
}
_MATRIX_MAKERS: Final[Mapping[str, Callable[..., _Matrix]]] = {
    "p": _phase,
    "u": _u,
    "rx": _rx,
    "ry": _ry,
    "rz": _rz,
    "rxx": _rxx,
    "ryy": _ryy,
    "rzz": _rzz,
}


def _add(op: Operation, moment: int, program: object) -> None:
    """Add one gate at its moment, later than all before it."""
    controls, base = (len(op.qubits) - 1, "p") if op.gate == "mcp" else _CONTROLLED.get(op.gate, (0, op.gate))
    matrix = _MATRICES.get(base) or _MATRIX_MAKERS[base](*op.parameters)
    flat = [part for value in matrix for part in (complex(value).real, complex(value).imag)]
    _QSIM.add_matrix_gate(moment, list(op.qubits[controls:]), flat, program)
    if controls:
        _QSIM.control_last_gate(list(op.qubits[:controls]), [1] * controls, program)
