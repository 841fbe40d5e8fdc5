"""The versioned price list: what running a circuit costs, in integer micro-credits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from webapp.quantum.circuits import Profile
from webapp.quantum.engines import CircuitTooLargeError, UnsupportedCircuitError
from webapp.quantum.engines.costs import (
    Demands,
    Method,
    count_gates,
    count_single_gates,
    count_single_shots,
    count_work,
)
from webapp.quantum.noise import NoiseModel
from webapp.quantum.router import choose_engine

# One credit is one core-second of the reference machine, so one micro-credit is one core-microsecond. A change of any
# number below needs a new version: jobs keep the version under which they were priced.
PRICE_LIST_VERSION = "3"

# Taking, storing and answering a job, whatever it computes.
BASE_MICROCREDITS = 1_000

# Writing the outcome of one shot.
SHOT_MICROCREDITS = 1

# How many steps of each method a micro-credit buys: those that `python -m bench.calibrate` measured on one core of the
# reference machine, rounded down to one digit so that the machine's mood does not change prices.
STEPS_PER_MICROCREDIT: Final[Mapping[Method, int]] = MappingProxyType(
    {
        "qulacs": 500,
        "qsim": 2_000,
        "stim": 1_000,
        "aer_statevector": 400,
        "aer_density_matrix": 200,
        "aer_stabilizer": 50,
        "aer_matrix_product_state": 30,
    }
)

# Handing one gate to a simulator, whatever it acts on; the base covers the first of them.
GATE_MICROCREDITS = 2
GATES_IN_BASE = 100

# Where Aer simulates shots one by one, because of noise or of what is measured in mid-circuit: each of them, and each
# of their gates. Measured as above.
SINGLE_SHOT_MICROCREDITS = 60
SINGLE_GATE_MICROCREDITS = 1

# A hardware-like price, for when a provider is configured: each gate of each shot, and each shot.
HARDWARE_GATE_SHOT_MICROCREDITS = 300
HARDWARE_SHOT_MICROCREDITS = 10_000


@dataclass(frozen=True, slots=True)
class Price:
    """A price and its parts, every amount in micro-credits: `total` is `base` + `work` + `shots`."""

    version: str
    base: int
    work: int
    shots: int
    total: int


# What a test key's jobs cost.
FREE = Price(PRICE_LIST_VERSION, base=0, work=0, shots=0, total=0)


def price_microcredits(
    profile: Profile,
    shots: int,
    *,
    engine: str | None = None,
    noise: NoiseModel | None = None,
    wants_statevector: bool = False,
    observable_terms: int = 0,
) -> Price:
    """Price a run: a base, the work of the engine's method, and the shots.

    It is what the run costs at most. `engine` is that of the route, which is chosen here unless it is given. A circuit
    that no engine runs is priced as a state vector, so that every gate can be judged. Raises ValueError for a negative
    number of shots, which only a caller's mistake can bring here.
    """
    if shots < 0:
        raise ValueError("A run has at least 0 shots.")
    demands = Demands(shots, noise, wants_statevector, observable_terms)
    method, steps = _count_steps(profile, demands, engine)
    work = divide_rounding_up(steps, STEPS_PER_MICROCREDIT[method])
    work += max(0, count_gates(method, profile, demands) - GATES_IN_BASE) * GATE_MICROCREDITS
    work += count_single_shots(method, profile, demands) * SINGLE_SHOT_MICROCREDITS
    work += count_single_gates(method, profile, demands) * SINGLE_GATE_MICROCREDITS
    shots_price = shots * SHOT_MICROCREDITS
    total = BASE_MICROCREDITS + work + shots_price
    return Price(PRICE_LIST_VERSION, base=BASE_MICROCREDITS, work=work, shots=shots_price, total=total)


def price_hardware_microcredits(profile: Profile, shots: int) -> Price:
    """Price a run as quantum computers are priced: each gate of each shot, and each shot."""
    work = profile.gates * shots * HARDWARE_GATE_SHOT_MICROCREDITS
    shots_price = shots * HARDWARE_SHOT_MICROCREDITS
    total = BASE_MICROCREDITS + work + shots_price
    return Price(PRICE_LIST_VERSION, base=BASE_MICROCREDITS, work=work, shots=shots_price, total=total)


def add_prices(prices: Sequence[Price]) -> Price:
    """Price several circuits as one job: what they cost one by one, all under one price list."""
    return Price(
        prices[0].version,
        base=sum(price.base for price in prices),
        work=sum(price.work for price in prices),
        shots=sum(price.shots for price in prices),
        total=sum(price.total for price in prices),
    )


def _count_steps(profile: Profile, demands: Demands, engine: str | None) -> tuple[Method, int]:
    """Count the steps of the method that will run the circuit."""
    try:
        cost = choose_engine(
            profile,
            requested=engine,
            noise=demands.noise,
            shots=demands.shots,
            wants_statevector=demands.wants_statevector,
            observable_terms=demands.observable_terms,
        ).cost
    except (CircuitTooLargeError, UnsupportedCircuitError):
        return "qulacs", count_work("qulacs", profile, demands)
    return cost.method, cost.work


def divide_rounding_up(dividend: int, divisor: int) -> int:
    """Divide integers so that every started unit counts, without passing through a float."""
    return -(-dividend // divisor)
