"""What a run would cost on each method of simulation: work, memory and time, before any of it is spent.

The work is counted in the steps of the textbook algorithm, in whole numbers. How long a step takes on a machine is
measured by `python -m bench.calibrate` and kept in calibration.json.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal

from webapp.core.text import format_bytes
from webapp.quantum.circuits import Profile
from webapp.quantum.engines.gate_errors import count_errors
from webapp.quantum.engines.obstacles import find_obstacle
from webapp.quantum.limits import MAX_STATEVECTOR_QUBITS
from webapp.quantum.noise import NoiseModel

Method = Literal[
    "qulacs",
    "qsim",
    "stim",
    "aer_statevector",
    "aer_density_matrix",
    "aer_stabilizer",
    "aer_matrix_product_state",
]

METHODS: Final[Mapping[str, tuple[Method, ...]]] = MappingProxyType(
    {
        "qulacs": ("qulacs",),
        "stim": ("stim",),
        "qsim": ("qsim",),
        "aer": ("aer_statevector", "aer_density_matrix", "aer_stabilizer", "aer_matrix_product_state"),
    }
)

# Peak resident memory per amplitude. qulacs 0.6: 16 bytes, and 8 for the running sum of probabilities from which it
# samples; measured at 20, 22 and 24 qubits. qsim: two floats of 4 bytes. Aer: 16 bytes, and as many to sample.
BYTES_PER_AMPLITUDE: Final[Mapping[Method, int]] = MappingProxyType(
    {"qulacs": 24, "qsim": 8, "aer_statevector": 32, "aer_density_matrix": 32}
)

MEMORY_LIMIT_BYTES: Final = 1 << 30

# Sampling a qubit of a matrix product state takes Aer as long as so many steps, however little it is entangled, and so
# many for each element of its matrices: 1.7 us where two terms entangle, 14 where 32 do.
_STEPS_PER_SITE: Final = 256
_STEPS_PER_BOND: Final = 3

_WORD_BITS: Final = 64

# A term of an observable is handed to Qulacs as text, which takes as long as so many gates on few qubits.
_GATES_PER_TERM: Final[Mapping[Method, int]] = MappingProxyType({"qulacs": 2})
# On many qubits it is work: an amplitude took Qulacs 3 ns where X or Y is in the term, and 15 where there are only Zs,
# of which the Hamiltonians of Ising models and cuts are; a gate takes one. Aer takes as long as two gates for either.
_STEPS_PER_TERM: Final[Mapping[Method, int]] = MappingProxyType({"qulacs": 8, "aer_statevector": 2})

# Aer is handed what happens under a condition as a circuit of its own, between barriers on all qubits: that takes as
# long as so many gates, and one for so many qubits. The condition is an expression: a gate for each bit that it asks
# for. For each shot Aer looks at so many bits in the time of a gate.
_GATES_PER_BLOCK: Final = 16
_BARRIER_QUBITS_PER_GATE: Final = 32
_LITERALS_PER_SINGLE_GATE: Final = 8

# Turning the axis of a sampled term's qubit onto Z takes at most two gates, and measuring it a third operation. Stim is
# handed each of its matrices as a target of one measurement.
_TURNS_PER_PAULI: Final = 2
_OPERATIONS_PER_PAULI: Final = 3
_TARGETS_PER_PAULI: Final = 1

# Exact probabilities come with results of circuits up to this width: reading 2^12 amplitudes one by one takes Qulacs
# 3 ms; it spares the web process numpy, 100 ms and 20 MB of it.
PROBABILITIES_MAX_QUBITS: Final = 12

_CALIBRATION = Path(__file__).with_name("calibration.json")

# No run takes so long; work beyond it is not counted exactly, as it would have hundreds of digits.
_MAX_WORK: Final = 10**24


@dataclass(frozen=True, slots=True)
class Demands:
    """What a job asks for beside its circuit, as far as it changes the cost.

    `observable_paulis` counts the matrices other than the identity in all terms.
    """

    shots: int = 1_000
    noise: NoiseModel | None = None
    wants_statevector: bool = False
    wants_memory: bool = False
    observable_terms: int = 0
    observable_paulis: int = 0


@dataclass(frozen=True, slots=True)
class Units:
    """What a run consists of, in the units in which a method is timed and priced.

    `work` is in the method's own steps; single shots and gates are those that Aer simulates one by one; `bits` are read
    from the shots, those of sampled means included. `outcomes` are the different ones that the shots may have, and the
    amplitudes that are read one by one for exact probabilities or a statevector.
    """

    runs: int
    gates: int
    work: int
    shots: int
    single_shots: int
    single_gates: int
    bits: int
    outcomes: int


@dataclass(frozen=True, slots=True)
class Cost:
    """What a run takes with one method; `seconds` on one core."""

    method: Method
    units: Units
    memory_bytes: int
    seconds: float

    @property
    def work(self) -> int:
        """The steps of the method, whatever else it takes."""
        return self.units.work


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a method does not run a circuit: a clause for a sentence. `memory_bytes` where only the memory is missing."""

    method: Method
    reason: str
    memory_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Rates:
    """How long a method takes: for itself, for each gate whatever its size, each step of work, and each shot.

    And where shots are simulated one by one: for each of them besides, and for each gate of each. And for each bit that
    is read from the shots, and each different outcome.
    """

    base_seconds: float
    gate_seconds: float
    work_seconds: float
    shot_seconds: float
    single_shot_seconds: float
    single_gate_seconds: float
    bit_seconds: float
    outcome_seconds: float


@cache
def load_rates() -> Mapping[Method, Rates]:
    """Read the rates of this machine."""
    return {name: Rates(**rates) for name, rates in json.loads(_CALIBRATION.read_text()).items()}


# A job asks several times over: for its route, its price, and when it is checked. Others run the same circuits.
@lru_cache(maxsize=1024)
def estimate(engine: str, profile: Profile, demands: Demands) -> tuple[Cost | Refusal, ...]:
    """Estimate a run with each method of an engine, or say why it cannot be."""
    return tuple(_estimate_method(method, profile, demands) for method in METHODS[engine])


def find_cheapest(engine: str, profile: Profile, demands: Demands) -> Cost | Refusal:
    """Find an engine's quickest method for a circuit, or the reason why none runs it."""
    estimates = estimate(engine, profile, demands)
    costs = [cost for cost in estimates if isinstance(cost, Cost)]
    return min(costs, key=lambda cost: cost.seconds) if costs else estimates[0]


def count_runs(method: Method, profile: Profile, demands: Demands) -> int:
    """Count how often the circuit is simulated: again for each sampled term of an observable."""
    is_exact = method not in {"stim", "qsim", "aer_stabilizer"} and not profile.is_dynamic
    if method in {"aer_statevector", "aer_matrix_product_state"} and demands.noise is not None:
        is_exact = False
    return 1 if is_exact else 1 + demands.observable_terms


def count_gates(method: Method, profile: Profile, demands: Demands) -> int:
    """Count the gates that a simulator is handed one by one, however small they are.

    Where shots part ways, Qulacs is handed the rest of the circuit for each course; the other engines are handed all of
    it once, and Aer each error that may follow a gate. A term of an observable that is computed exactly is handed over
    like a gate.
    """
    handed = profile.gates
    if method in METHODS["aer"]:
        handed += count_errors(profile, demands.noise).total + _count_condition_gates(profile)
    runs = count_runs(method, profile, demands)
    if method == "qulacs" and profile.splits:
        handed = (handed + profile.splits) * count_courses(method, profile, demands)
    if runs == 1:
        return handed + demands.observable_terms * _GATES_PER_TERM.get(method, 1)
    courses = count_courses(method, profile, demands) if method == "qulacs" else 1
    per_pauli = _TARGETS_PER_PAULI if method == "stim" else _OPERATIONS_PER_PAULI
    return runs * handed + per_pauli * demands.observable_paulis * courses


def _count_condition_gates(profile: Profile) -> int:
    """Count the gates that Aer could be handed in the time of all conditions."""
    per_block = _GATES_PER_BLOCK + profile.qubits // _BARRIER_QUBITS_PER_GATE
    return profile.conditional_blocks * per_block + profile.condition_literals


def count_courses(method: Method, profile: Profile, demands: Demands) -> int:
    """Count the different courses that a run may take: one for each shot, where every shot is simulated.

    Qulacs keeps together the shots that measured the same so far; Aer simulates each from the beginning.
    """
    if method != "aer_density_matrix" and count_errors(profile, demands.noise).total:
        return demands.shots
    if not profile.is_dynamic:
        return 1
    return demands.shots if method in METHODS["aer"] else min(demands.shots, 1 << min(profile.splits, 60))


def count_single_shots(method: Method, profile: Profile, demands: Demands) -> int:
    """Count the shots that Aer simulates one by one, over all runs; 0 where it samples them from one state."""
    is_one_by_one = method in METHODS["aer"] and (
        profile.is_dynamic or count_courses(method, profile, demands) == demands.shots > 1
    )
    return count_runs(method, profile, demands) * demands.shots if is_one_by_one else 0


def count_single_gates(method: Method, profile: Profile, demands: Demands) -> int:
    """Count the gates that Aer is handed again for each of those shots."""
    draws = 1 if method == "aer_density_matrix" else count_errors(profile, demands.noise).draws_per_gate
    shots = count_single_shots(method, profile, demands)
    ends = _OPERATIONS_PER_PAULI * demands.observable_paulis if count_runs(method, profile, demands) > 1 else 0
    looked_at = shots * (profile.condition_literals // _LITERALS_PER_SINGLE_GATE)
    return (shots * (profile.gates + profile.splits) + min(shots, demands.shots) * ends) * draws + looked_at


def count_bits(method: Method, profile: Profile, demands: Demands) -> int:
    """Count the bits that are read from the shots: of the circuit, of sampled terms, and of what decides on a course.

    A state vector of ours gives numbers, of which each different one is read once; other engines write each shot's
    bits. Terms are sampled beside what the circuit measures on its way. Stim measures a whole term at once, and only
    that bit of its packed shots is looked at.
    """
    written = _count_different(profile, demands) if method in {"qulacs", "qsim"} else demands.shots
    bits = written * profile.clbits + demands.shots * profile.splits
    if count_runs(method, profile, demands) == 1:
        return bits
    if method == "stim":
        return bits + demands.shots * demands.observable_terms
    kept = profile.clbits + profile.splits if profile.is_dynamic else 0
    return bits + demands.shots * (kept * demands.observable_terms + demands.observable_paulis)


def count_outcomes(method: Method, profile: Profile, demands: Demands) -> int:
    """Count the outcomes that are written, each different one once, and the amplitudes that are read."""
    outcomes = _count_different(profile, demands)
    if method in {"qulacs", "aer_statevector"}:
        has_probabilities = not profile.is_dynamic and demands.noise is None
        if has_probabilities and profile.qubits <= PROBABILITIES_MAX_QUBITS:
            outcomes += 1 << profile.qubits
        if demands.wants_statevector:
            outcomes += 1 << min(profile.qubits, MAX_STATEVECTOR_QUBITS)
    further = demands.observable_terms if method != "stim" and count_runs(method, profile, demands) > 1 else 0
    return outcomes + demands.shots * further


def _count_different(profile: Profile, demands: Demands) -> int:
    """Count the outcomes that are written down: every shot's, or those that differ, on average and where all are alike.

    N outcomes leave a shot's aside with the chance 1 - 1/N, so s shots have N (1 - (1 - 1/N)^s) of them, or about
    N (1 - exp(-s/N)); other chances give fewer.
    """
    if demands.wants_memory:
        return demands.shots
    wide = profile.clbits if profile.is_dynamic else min(profile.clbits, profile.qubits)
    possible = 1 << min(wide, 60)
    return min(demands.shots, math.ceil(possible * -math.expm1(-demands.shots / possible)))


def count_units(method: Method, profile: Profile, demands: Demands) -> Units:
    """Count what a run consists of, whether or not the method can run the circuit."""
    runs = count_runs(method, profile, demands)
    return Units(
        runs=runs,
        gates=count_gates(method, profile, demands),
        work=count_work(method, profile, demands),
        # Of the shots of a term Stim makes no numbers, one by one.
        shots=demands.shots if method == "stim" else runs * demands.shots,
        single_shots=count_single_shots(method, profile, demands),
        single_gates=count_single_gates(method, profile, demands),
        bits=count_bits(method, profile, demands),
        outcomes=count_outcomes(method, profile, demands),
    )


def _estimate_method(method: Method, profile: Profile, demands: Demands) -> Cost | Refusal:
    """Estimate a run with one method."""
    reason = find_obstacle(method, profile, noise=demands.noise, wants_statevector=demands.wants_statevector)
    if reason is not None:
        return Refusal(method, reason)
    memory_bytes = count_memory(method, profile)
    if memory_bytes > MEMORY_LIMIT_BYTES:
        return Refusal(
            method,
            f"{profile.qubits} qubits need {format_bytes(memory_bytes)} of memory, "
            f"and the limit is {format_bytes(MEMORY_LIMIT_BYTES)}",
            memory_bytes,
        )
    units = count_units(method, profile, demands)
    return Cost(method, units, memory_bytes, add_seconds(load_rates()[method], units))


def add_seconds(rates: Rates, units: Units) -> float:
    """Add up how long everything takes that a run consists of."""
    return (
        rates.base_seconds * units.runs
        + rates.gate_seconds * units.gates
        + rates.work_seconds * units.work
        + rates.shot_seconds * units.shots
        + rates.single_shot_seconds * units.single_shots
        + rates.single_gate_seconds * units.single_gates
        + rates.bit_seconds * units.bits
        + rates.outcome_seconds * units.outcomes
    )


def count_work(method: Method, profile: Profile, demands: Demands) -> int:
    """Count the steps of a method, whether or not it can run the circuit."""
    count, runs = _COUNTERS[method], count_runs(method, profile, demands)
    if runs == 1:
        # A term that is computed exactly is as much work as some gates, which cannot fail.
        quiet = replace(demands, noise=None)
        steps = demands.observable_terms * _STEPS_PER_TERM.get(method, 1)
        extended = replace(profile, gates=profile.gates + steps)
        terms = count(method, extended, quiet) - count(method, profile, quiet)
        return min(count(method, profile, demands) + terms, _MAX_WORK)
    paulis = demands.observable_paulis
    # Each further run leaves out the last measurements, for those of its term; all terms' are counted on the first.
    first = replace(
        profile, gates=profile.gates + _TURNS_PER_PAULI * paulis, measurements=profile.measurements + paulis
    )
    further = replace(profile, measurements=profile.splits)
    return min(count(method, first, demands) + (runs - 1) * count(method, further, demands), _MAX_WORK)


def count_memory(method: Method, profile: Profile) -> int:
    """Count the bytes that a run reserves."""
    per_amplitude = BYTES_PER_AMPLITUDE.get(method)
    if method == "aer_density_matrix":
        return BYTES_PER_AMPLITUDE[method] << (2 * profile.qubits)
    if per_amplitude is not None:
        # One state for every split that waits for its turn: see the branches of the engine.
        waiting = profile.splits if method == "qulacs" else 0
        return (per_amplitude << profile.qubits) + (16 * waiting << profile.qubits)
    if method == "aer_matrix_product_state":
        # Each site holds two matrices of complex doubles, and a contraction holds four at a time.
        return (2 * profile.qubits + 8) * 16 << (2 * profile.entanglement_bits)
    return 4 * (profile.qubits + 64) ** 2


def _count_amplitudes(method: Method, profile: Profile, demands: Demands) -> int:
    """Gates, and what may go wrong in them, times 2^qubits amplitudes, for each course."""
    steps = profile.gates + profile.splits + 1 + count_errors(profile, demands.noise).shot_steps
    return (steps << profile.qubits) * count_courses(method, profile, demands)


def _count_density(method: Method, profile: Profile, demands: Demands) -> int:
    """Gates and their errors times 4^qubits elements; noise is part of the matrix, and needs no courses of its own."""
    steps = profile.gates + profile.splits + 1 + count_errors(profile, demands.noise).density_steps
    return (steps << (2 * profile.qubits)) * count_courses(method, profile, demands)


def _count_frames(_method: Method, profile: Profile, demands: Demands) -> int:
    """Operations times qubits for the tableau, and times shots for the frames (Gidney, arXiv:2103.02202)."""
    return (profile.gates + profile.measurements + 1) * (profile.qubits + demands.shots)


def _count_tableau(method: Method, profile: Profile, demands: Demands) -> int:
    """Gates and measurements on a tableau, for each course; sampling is a measurement of each bit for each shot.

    A measurement looks at a row for each qubit, in words of 64 bits: it took 10 us on 300 qubits, and 36 on 600.
    Aaronson and Gottesman, "Improved simulation of stabilizer circuits" (arXiv:quant-ph/0406196).
    """
    rows = profile.qubits + profile.qubits**2 // _WORD_BITS
    measurements = profile.measurements * rows * demands.shots
    return profile.gates * profile.qubits * count_courses(method, profile, demands) + measurements


def _count_bonds(method: Method, profile: Profile, demands: Demands) -> int:
    """Gates times the cube of the bond dimension, and its square beside a fixed part for each qubit of each shot."""
    bits = profile.entanglement_bits
    courses = count_courses(method, profile, demands)
    gates = (profile.two_qubit_gates << (3 * bits)) + (profile.gates << (2 * bits))
    return (gates + 1) * courses + demands.shots * profile.qubits * (_STEPS_PER_SITE + (_STEPS_PER_BOND << (2 * bits)))


_COUNTERS: Final[Mapping[Method, Callable[[Method, Profile, Demands], int]]] = MappingProxyType(
    {
        "qulacs": _count_amplitudes,
        "qsim": _count_amplitudes,
        "stim": _count_frames,
        "aer_statevector": _count_amplitudes,
        "aer_density_matrix": _count_density,
        "aer_stabilizer": _count_tableau,
        "aer_matrix_product_state": _count_bonds,
    }
)
