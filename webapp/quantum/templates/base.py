"""A ready circuit with its texts, its parameters and, where a textbook has one, its exact distribution."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from webapp.quantum.circuits import Circuit
from webapp.quantum.templates.parameters import Parameter, ParameterValues, check_parameters

Category = Literal["basics", "entanglement", "communication", "algorithms", "optimization", "error-correction"]

Distribution = dict[str, float]


@dataclass(frozen=True, slots=True)
class QubitRange:
    """How many qubits the template's circuits have, over all of its parameters, and with the defaults."""

    minimum: int
    maximum: int
    default: int


@dataclass(frozen=True, slots=True)
class Template:
    """A ready circuit.

    `description` is one sentence, `explanation` is for whoever wants to understand it, and `expect` says what the
    results look like. `distribution` is the textbook formula for the results, computed without any simulator; None
    where there is no formula.
    """

    id: str
    name: str
    category: Category
    description: str
    explanation: str
    expect: str
    qubits: QubitRange
    parameters: tuple[Parameter, ...]
    build: Callable[[ParameterValues], Circuit]
    distribution: Callable[[ParameterValues], Distribution] | None = None

    def check_parameters(self, given: Mapping[str, object]) -> ParameterValues:
        """Check what a user gave. Raises InvalidFieldsError with every wrong parameter at once."""
        return check_parameters(self.parameters, given)

    def create_circuit(self, given: Mapping[str, object]) -> Circuit:
        """Create the circuit for these parameters. Raises InvalidFieldsError."""
        return _build_circuit(self.build, self.check_parameters(given))

    def expected_distribution(self, given: Mapping[str, object]) -> Distribution | None:
        """Compute the exact probability of each possible bitstring, without those that are 0 by the formula."""
        if self.distribution is None:
            return None
        return {bits: value for bits, value in self.distribution(self.check_parameters(given)).items() if value > 0}


# The same few circuits are run over and over, and one that was made before is measured and checked already.
@lru_cache(maxsize=64)
def _build_circuit(build: Callable[[ParameterValues], Circuit], values: ParameterValues) -> Circuit:
    """Build a template's circuit."""
    return build(values)


def fixed(qubits: int) -> QubitRange:
    """Make the range of a template that always has the same number of qubits."""
    return QubitRange(qubits, qubits, qubits)


def bit(bits: str, index: int) -> bool:
    """Read one bit of a bitstring, bit 0 rightmost."""
    return bits[-1 - index] == "1"


def all_bitstrings(length: int) -> list[str]:
    """List every bitstring of a length, in order."""
    return [f"{value:0{length}b}" for value in range(1 << length)]


def uniform(bitstrings: list[str]) -> Distribution:
    """Give every one of these bitstrings the same probability."""
    return dict.fromkeys(bitstrings, 1 / len(bitstrings))
