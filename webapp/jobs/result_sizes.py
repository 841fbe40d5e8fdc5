"""How large a result may become, known before anything runs: of many circuits, many small results are a large one."""

from webapp.core.errors import UpcubeError
from webapp.quantum.circuits import Profile
from webapp.quantum.engines import RunRequest, get_capabilities
from webapp.quantum.engines.costs import Method, count_runs

# As JSON, of all circuits of a job. A worker reads no more from an engine.
MAX_RESULT_BYTES = 24 * 1024 * 1024
# What the web process may hold for a request that waits for several circuits.
MAX_INLINE_RESULT_BYTES = 1024 * 1024
# What it may count on the way to the means of observables, which are single numbers in the result.
MAX_INLINE_SAMPLED_BYTES = 4 * 1024 * 1024

# In JSON: a count and its quotes, a float and its quotes, the two floats of an amplitude, and an observable's mean.
COUNT_BYTES = 12
PROBABILITY_BYTES = 30
AMPLITUDE_BYTES = 56
MEAN_BYTES = 120


class ResultTooLargeError(UpcubeError):
    """A job would give more than is kept, or its circuits together may."""

    status = 422
    code = "result_too_large"

    def __init__(self, size_bytes: int, *, is_single: bool) -> None:
        may = "The memory of this job takes" if is_single else "The circuits of this job may give"
        less = "leave out memory" if is_single else "leave out memory or statevector, or send fewer circuits"
        super().__init__(
            f"{may} {size_bytes} bytes of results, and a job gives at most {MAX_RESULT_BYTES}. "
            f"Ask for fewer shots, or {less}.",
            target="shots",
            extra={"requiredBytes": size_bytes, "limitBytes": MAX_RESULT_BYTES},
        )


def bound_result_bytes(profile: Profile, request: RunRequest, engine: str) -> int:
    """Give the most that one circuit's result may take as JSON."""
    outcomes = 1 << min(profile.clbits, 60)
    size = min(request.shots, outcomes) * (profile.clbits + COUNT_BYTES)
    if profile.qubits <= get_capabilities(engine).probabilities_max_qubits:
        size += min(outcomes, 1 << profile.qubits) * (profile.clbits + PROBABILITY_BYTES)
    size += count_memory_bytes(profile, request)
    if request.wants_statevector:
        size += (1 << profile.qubits) * AMPLITUDE_BYTES
    return size + sum(len(observable.label) + MEAN_BYTES for observable in request.observables)


def count_memory_bytes(profile: Profile, request: RunRequest) -> int:
    """Give what every shot's bitstring takes as JSON, which is known exactly."""
    return request.shots * (profile.clbits + len('"", ')) if request.wants_memory else 0


def bound_sampled_bytes(profile: Profile, request: RunRequest, method: Method) -> int:
    """Give the most that the counts may take of which means of observables are made; 0 where they are exact.

    Each term is sampled with a bit for each of its qubits, whatever the circuit itself measures.
    """
    if count_runs(method, profile, request.demands) == 1:
        return 0
    kept = profile.clbits if profile.is_dynamic else 0
    widths = [kept + len(term.paulis) for observable in request.observables for term in observable.terms]
    return sum(min(request.shots, 1 << min(width, 60)) * (width + COUNT_BYTES) for width in widths)
