"""Choose the engine for a circuit by what it would cost on each, and say why."""

from dataclasses import dataclass
from functools import lru_cache

from webapp.quantum.circuits import Profile
from webapp.quantum.engines import ENGINE_NAMES, CircuitTooLargeError, UnsupportedCircuitError, get_capabilities
from webapp.quantum.engines.costs import (
    MEMORY_LIMIT_BYTES,
    Cost,
    Demands,
    Method,
    Refusal,
    count_courses,
    find_cheapest,
)

# What it takes to hand a job to a worker's child, where every engine but the light ones runs: the least that a Bell
# state took longer through the queue than in the request, 20 ms against 6 over HTTP; the median was 17 longer on two
# processors at rest, and 50 on busy ones. A small circuit is never better off there.
HANDOVER_SECONDS = 0.014

# What an engine must be quicker by than Qulacs where both run in the web process. Stim gives no exact probabilities,
# and is left unloaded where only the smallest circuits are run.
PREFERENCE_SECONDS = 0.001

_NO_DEMANDS = Demands()


@dataclass(frozen=True, slots=True)
class Route:
    """The engine chosen, the reason as a sentence for the user, and what the run will take."""

    engine: str
    reason: str
    cost: Cost


# Others run the same circuits.
@lru_cache(maxsize=1024)
def choose_engine(
    profile: Profile,
    demands: Demands = _NO_DEMANDS,
    *,
    engines: tuple[str, ...] = ENGINE_NAMES,
    requested: str | None = None,
) -> Route:
    """Choose the quickest of the engines that a backend offers; `requested` is the one that the user names.

    Raises CircuitTooLargeError or UnsupportedCircuitError, which say for each engine why it does not run the circuit.
    """
    candidates = list(engines) if requested is None else [requested]
    found = {engine: find_cheapest(engine, profile, demands) for engine in candidates}
    costs = {engine: cost for engine, cost in found.items() if isinstance(cost, Cost)}
    if not costs:
        raise _refuse({engine: refusal for engine, refusal in found.items() if isinstance(refusal, Refusal)})
    engine = min(costs, key=lambda name: add_handover(name, costs[name].seconds) + weigh(name))
    reason = f"{engine} {_describe(costs[engine].method, profile, demands)}"
    if requested is not None or len(candidates) == 1:
        return Route(engine, f"{reason}. You named it.", costs[engine])
    others = "no other engine here runs this circuit" if len(costs) == 1 else "it is the quickest engine for that here"
    return Route(engine, f"{reason}; {others}.", costs[engine])


def add_handover(engine: str, seconds: float) -> float:
    """Add what a job waits besides, on an engine that the web process may not load."""
    return seconds if get_capabilities(engine).is_light else seconds + HANDOVER_SECONDS


def weigh(engine: str) -> float:
    """Give by how many seconds an engine must be quicker than Qulacs, for what Qulacs gives besides."""
    is_rival = engine != "qulacs" and get_capabilities(engine).is_light
    return PREFERENCE_SECONDS if is_rival else 0.0


def _refuse(refusals: dict[str, Refusal]) -> CircuitTooLargeError | UnsupportedCircuitError:
    """Say why no engine runs the circuit."""
    # Several that refuse alike say so together.
    engines: dict[str, list[str]] = {}
    for engine, refusal in refusals.items():
        engines.setdefault(refusal.reason, []).append(engine)
    reasons = "; ".join(f"{', '.join(names)}: {reason}" for reason, names in engines.items())
    message = f"No engine of this backend runs this circuit. {reasons}."
    sizes = [refusal.memory_bytes for refusal in refusals.values() if refusal.memory_bytes is not None]
    if not sizes:
        return UnsupportedCircuitError(message, target="circuit")
    return CircuitTooLargeError(
        f"{message} Use fewer qubits, only Clifford gates, or fewer gates between distant qubits.",
        required_bytes=min(sizes),
        limit_bytes=MEMORY_LIMIT_BYTES,
    )


def _describe(method: Method, profile: Profile, demands: Demands) -> str:
    """Say what a method does with this circuit."""
    courses = count_courses(method, profile, demands)
    amplitudes = f"computes all 2^{profile.qubits} amplitudes exactly"
    if courses > 1:
        amplitudes = f"follows 2^{profile.qubits} amplitudes through up to {courses} courses of the circuit"
    return {
        "qulacs": amplitudes,
        "qsim": f"computes all 2^{profile.qubits} amplitudes in single precision, with gates fused",
        "stim": "samples Clifford circuits without any amplitude, so their width hardly matters",
        "aer_statevector": amplitudes,
        "aer_density_matrix": f"computes the density matrix of {profile.qubits} qubits, with all noise in it at once",
        "aer_stabilizer": "follows the stabilizers of a Clifford circuit, so its width hardly matters",
        "aer_matrix_product_state": (
            f"keeps a matrix product state: across no cut do more than 2^{profile.entanglement_bits} terms entangle"
        ),
    }[method]
