"""The backends that a job may name: what each of them is, allows and costs."""

from dataclasses import dataclass
from functools import cache
from typing import Literal

from webapp.core.errors import NotFoundError
from webapp.core.text import ask_whether_meant
from webapp.quantum.engines import ENGINE_NAMES, get_capabilities
from webapp.quantum.gates import UNITARY_GATES
from webapp.quantum.limits import MAX_SHOTS

BackendKind = Literal["simulator", "hardware"]
BackendStatus = Literal["online", "disabled"]

DEFAULT_BACKEND_ID = "local-simulator"

_SIMULATOR_PRICE = (
    "0.001 credits per job and 0.000001 per shot, or what the run takes at most, in core-seconds, where that is more: "
    "gates x 2^qubits for a state vector, gates x 4^qubits for a density matrix, gates x bond dimension^3 for a matrix "
    "product state, polynomial for Clifford circuits; and every gate handed over, and every bit that is sampled."
)
_HARDWARE_REASON = (
    "No provider is configured for this machine. Paid hardware stays off until an operator of this service turns it on."
)


class BackendNotFoundError(NotFoundError):
    """There is no backend of that name."""


@dataclass(frozen=True, slots=True)
class Backend:
    """A place where jobs run. `engines` are those it may route to; hardware has none of ours."""

    id: str
    name: str
    description: str
    kind: BackendKind
    status: BackendStatus
    status_reason: str | None
    qubits: int
    max_shots: int
    gates: tuple[str, ...]
    engines: tuple[str, ...]
    price: str


def list_backends() -> tuple[Backend, ...]:
    """List every backend, the default one first."""
    return tuple(_backends_by_id().values())


def get_backend(backend_id: str) -> Backend:
    """Get one backend. Raises BackendNotFoundError."""
    backends = _backends_by_id()
    if backend_id not in backends:
        question = ask_whether_meant(backend_id, backends) or "."
        raise BackendNotFoundError(
            f"There is no such backend{question} There are {', '.join(backends)}.", target="backend"
        )
    return backends[backend_id]


@cache
def _backends_by_id() -> dict[str, Backend]:
    """Build the list once: it is read on every job."""
    return {backend.id: backend for backend in (*_simulators(), *_hardware())}


def _simulators() -> tuple[Backend, ...]:
    """Describe what runs on our own machines."""
    widest = get_capabilities("qsim").max_qubits
    return (
        _simulator(
            DEFAULT_BACKEND_ID,
            "Local simulator",
            "Looks at each circuit and runs it on the simulator that suits it best; the result says which and why. "
            f"State vectors take up to {widest} qubits; Clifford circuits and those with little entanglement, "
            "hundreds.",
            ENGINE_NAMES,
        ),
        _simulator(
            "qulacs",
            "Qulacs",
            "Computes the whole state vector exactly, in double precision. The quickest for small circuits.",
            ("qulacs",),
        ),
        _simulator(
            "stim",
            "Stim",
            "Samples Clifford circuits of hundreds of qubits, with measurements and resets anywhere and Pauli noise.",
            ("stim",),
        ),
        _simulator(
            "qsim",
            "qsim",
            "Computes the whole state vector in single precision with fused gates. The quickest for large circuits.",
            ("qsim",),
        ),
        _simulator(
            "aer",
            "Aer",
            "State vectors, density matrices, stabilizers and matrix product states, with noise of every kind.",
            ("aer",),
        ),
    )


def _simulator(backend_id: str, name: str, description: str, engines: tuple[str, ...]) -> Backend:
    """Describe one simulator."""
    capabilities = [get_capabilities(engine) for engine in engines]
    return Backend(
        id=backend_id,
        name=name,
        description=description,
        kind="simulator",
        status="online",
        status_reason=None,
        qubits=max(each.max_qubits for each in capabilities),
        max_shots=MAX_SHOTS,
        gates=tuple(name for name in UNITARY_GATES if any(name in each.gates for each in capabilities)),
        engines=engines,
        price=_SIMULATOR_PRICE,
    )


def _hardware() -> tuple[Backend, ...]:
    """Describe the quantum computers of others that a job could be sent to, were they turned on."""
    return (
        _disabled_hardware("ionq-forte", "IonQ Forte", "A trapped-ion quantum computer; every pair of ions talks.", 36),
        _disabled_hardware("ibm-heron", "IBM Heron", "A superconducting quantum computer on a heavy-hex lattice.", 133),
    )


def _disabled_hardware(backend_id: str, name: str, description: str, qubits: int) -> Backend:
    """Describe one quantum computer, turned off."""
    return Backend(
        id=backend_id,
        name=name,
        description=description,
        kind="hardware",
        status="disabled",
        status_reason=_HARDWARE_REASON,
        qubits=qubits,
        max_shots=10_000,
        gates=UNITARY_GATES,
        engines=(),
        price="The provider's own price; it will be quoted for confirmation before a job is sent.",
    )
