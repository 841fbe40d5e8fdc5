"""The versioned price list: what running a circuit costs, in integer micro-credits."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Final

from webapp.quantum.circuits import Profile
from webapp.quantum.engines import ENGINE_NAMES
from webapp.quantum.engines.costs import Cost, Demands, Method, Rates, Units, count_units, estimate

# Taking, storing and answering a job, whatever it computes: that, or as much computing.
BASE_MICROCREDITS = 1_000

# Writing the outcome of one shot, or as much computing.
SHOT_MICROCREDITS = 1

# What a run is said to take at most, for what it was measured to take: circuits differ, and machines have moods.
PRICE_MARGIN = 2

PICOCREDITS_PER_MICROCREDIT = 1_000_000

_PRICE_LIST: Final = json.loads(Path(__file__).with_name("price_list.json").read_text())

# One credit is one core-second of the reference machine, so one micro-credit is one core-microsecond. A change of any
# number in this file or in price_list.json needs a new version: jobs keep the version under which they were priced.
PRICE_LIST_VERSION: Final[str] = _PRICE_LIST["version"]

# What everything costs that a run consists of, in picocredits, which are core-picoseconds. `python -m bench.calibrate`
# writes the list by `list_picocredits`.
PICOCREDITS: Final[Mapping[Method, Units]] = MappingProxyType(
    {method: Units(**prices) for method, prices in _PRICE_LIST["picocredits"].items()}
)

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


_NO_DEMANDS = Demands()


# Every look at a job prices it again, and others run the same circuits.
@lru_cache(maxsize=1024)
def price_microcredits(
    profile: Profile, demands: Demands = _NO_DEMANDS, *, engines: tuple[str, ...] = ENGINE_NAMES
) -> Price:
    """Price a run: a base, the shots, and the work of the cheapest way in which these engines can run it.

    It is what the run costs at most. The router may choose another engine, which spares the wait for a worker; the
    price stays that of the cheapest, so more shots never cost less. The work is what goes beyond the computing that the
    base and the shots pay for. A circuit that no engine runs is priced as a state vector, so that every gate can be
    judged. Raises ValueError for a negative number of shots, which only a caller's mistake can bring here.
    """
    if demands.shots < 0:
        raise ValueError("A run has at least 0 shots.")
    ways = [cost for engine in engines for cost in estimate(engine, profile, demands) if isinstance(cost, Cost)]
    picocredits = min(
        (_add_picocredits(way.method, way.units) for way in ways),
        default=_add_picocredits("qulacs", count_units("qulacs", profile, demands)),
    )
    shots_price = demands.shots * SHOT_MICROCREDITS
    computing = divide_rounding_up(picocredits, PICOCREDITS_PER_MICROCREDIT)
    work = max(1, computing - BASE_MICROCREDITS - shots_price)
    total = BASE_MICROCREDITS + work + shots_price
    return Price(PRICE_LIST_VERSION, base=BASE_MICROCREDITS, work=work, shots=shots_price, total=total)


def list_picocredits(rates: Rates) -> Units:
    """List the price of everything that a run consists of: what it was measured to take, times the margin.

    Rounded up to two digits, as a measurement has no more.
    """
    return Units(*(_round_up(math.ceil(PRICE_MARGIN * seconds * 1e12)) for seconds in astuple(rates)))


def _round_up(amount: int) -> int:
    """Round up to two digits."""
    unit: int = 10 ** max(0, len(str(amount)) - 2)
    return divide_rounding_up(amount, unit) * unit


def _add_picocredits(method: Method, units: Units) -> int:
    """Add up the price of everything that a run consists of."""
    return sum(price * number for price, number in zip(astuple(PICOCREDITS[method]), astuple(units), strict=True))


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


def divide_rounding_up(dividend: int, divisor: int) -> int:
    """Divide integers so that every started unit counts, without passing through a float."""
    return -(-dividend // divisor)
