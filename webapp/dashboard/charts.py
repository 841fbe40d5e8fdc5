"""What came of circuits, as drawings: histograms, amplitudes, and curves of means over a sweep."""

import cmath
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# A histogram longer than this is unreadable: the most frequent outcomes stand for it.
SHOWN_OUTCOMES = 32
# A curve more is not told from the others.
MAX_CURVES = 4
# Beneath this an amplitude is what rounding has left of nothing.
LEAST_PROBABILITY = 1e-12


@dataclass(frozen=True)
class Outcome:
    """One bar of the histogram: how often the bits were measured, and their exact probability where it is known."""

    bits: str
    count: int
    share: float
    probability: float | None


@dataclass(frozen=True)
class Chart:
    """A histogram: its bars, the largest share in it, and how many outcomes were measured that it has no room for."""

    outcomes: list[Outcome]
    most: float
    hidden: int
    has_probabilities: bool


@dataclass(frozen=True)
class Amplitude:
    """One amplitude of a state vector, with its basis state, and its phase as a fraction of π."""

    bits: str
    value: complex
    phase: float

    @property
    def probability(self) -> float:
        """Give how likely its basis state is."""
        return abs(self.value) ** 2


@dataclass(frozen=True)
class Curve:
    """The mean of one observable at every value of a parameter: `points` as SVG writes them."""

    observable: str
    points: str


@dataclass(frozen=True)
class Curves:
    """Means over the one parameter of a sweep, in a field that is 100 wide and 100 high, with the ends of its axes."""

    parameter: str
    curves: list[Curve]
    first: float
    last: float
    bottom: float
    top: float
    # Where the circuit stands that the page shows in full.
    shown: float


def make_chart(result: Mapping[str, Any], *, shots: int) -> Chart:
    """Make the histogram of what came of a circuit; it has no bars where nothing did."""
    counts, probabilities = result.get("counts") or {}, result.get("probabilities") or {}
    outcomes = list_outcomes(counts, probabilities, shots=shots)
    return Chart(
        outcomes,
        most=max((max(outcome.share, outcome.probability or 0) for outcome in outcomes), default=1),
        hidden=len(counts) - sum(outcome.count > 0 for outcome in outcomes),
        has_probabilities=bool(probabilities),
    )


def list_outcomes(counts: Mapping[str, int], probabilities: Mapping[str, float], *, shots: int) -> list[Outcome]:
    """Give the most frequent outcomes, in the order of their bits."""
    bits = sorted({*counts, *probabilities}, key=lambda bits: (-counts.get(bits, 0), -probabilities.get(bits, 0), bits))
    return [
        Outcome(key, counts.get(key, 0), counts.get(key, 0) / shots, probabilities.get(key))
        for key in sorted(bits[:SHOWN_OUTCOMES])
    ]


def list_amplitudes(result: Mapping[str, Any]) -> list[Amplitude]:
    """Give the largest amplitudes that are not 0, in the order of their basis states."""
    vector = [complex(*pair) for pair in result.get("statevector") or ()]
    found = [index for index, value in enumerate(vector) if abs(value) ** 2 > LEAST_PROBABILITY]
    largest = sorted(found, key=lambda index: (-abs(vector[index]), index))[:SHOWN_OUTCOMES]
    qubits = (len(vector) - 1).bit_length()
    return [Amplitude(f"{i:0{qubits}b}", vector[i], cmath.phase(vector[i]) / math.pi) for i in sorted(largest)]


def make_curves(parameters: Mapping[str, Any], results: Sequence[Mapping[str, Any]], *, shown: int) -> Curves | None:
    """Draw the means of a sweep over its parameter, where it has one, which is a number, and there are means."""
    swept = [(name, values) for name, values in parameters.items() if isinstance(values, list)]
    means = [result.get("expectationValues") for result in results]
    if len(swept) != 1 or not all(means):
        return None
    name, values = swept[0]
    if any(isinstance(value, (str, bool)) for value in values) or min(values) == max(values):
        return None
    heights = [[mean["value"] for mean in row or ()] for row in means]
    first, last = min(values), max(values)
    # The mean of a Pauli string lies between -1 and 1; of a sum it may lie beyond.
    bottom, top = min(-1.0, *map(min, heights)), max(1.0, *map(max, heights))
    places = [100 * (value - first) / (last - first) for value in values]
    order = sorted(range(len(values)), key=values.__getitem__)
    return Curves(
        name,
        [
            Curve(
                mean["observable"],
                " ".join(f"{places[i]:.2f},{100 * (top - heights[i][index]) / (top - bottom):.2f}" for i in order),
            )
            for index, mean in enumerate((means[0] or ())[:MAX_CURVES])
        ],
        first=first,
        last=last,
        bottom=bottom,
        top=top,
        shown=places[shown],
    )
