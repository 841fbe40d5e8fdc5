"""The versioned price list: what running a circuit costs, in integer micro-credits."""

from dataclasses import dataclass

from webapp.quantum.circuits import Profile

# One credit is one core-second of the reference machine, so one micro-credit is one core-microsecond. A change of any
# number below needs a new version: jobs keep the version under which they were priced.
PRICE_LIST_VERSION = "1"

# Taking, storing and answering a job, whatever it computes.
BASE_MICROCREDITS = 1_000

# Writing the outcome of one shot.
SHOT_MICROCREDITS = 1

# Measured with qulacs on one core of the reference machine, over the gate set at 10 to 20 qubits: 2 x 10^8 (rzz) to
# 2 x 10^9 (h) amplitudes a second; the geometric middle is about 5 x 10^8.
AMPLITUDES_PER_MICROCREDIT = 500


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


def price_microcredits(profile: Profile, shots: int) -> Price:
    """Price a run on a state vector engine: a base, the gates times 2^qubits amplitudes, and the shots.

    Raises ValueError for a negative number of shots, which only a caller's mistake can bring here.
    """
    if shots < 0:
        raise ValueError("A run has at least 0 shots.")
    work = divide_rounding_up(profile.gates << profile.qubits, AMPLITUDES_PER_MICROCREDIT)
    shots_price = shots * SHOT_MICROCREDITS
    total = BASE_MICROCREDITS + work + shots_price
    return Price(PRICE_LIST_VERSION, base=BASE_MICROCREDITS, work=work, shots=shots_price, total=total)


def divide_rounding_up(dividend: int, divisor: int) -> int:
    """Divide integers so that every started unit counts, without passing through a float."""
    return -(-dividend // divisor)
