"""First steps: superposition and randomness."""

from webapp.quantum.circuits import Circuit, gate, measured_circuit
from webapp.quantum.templates.base import Distribution, QubitRange, Template, all_bitstrings, fixed, uniform
from webapp.quantum.templates.parameters import ParameterValues, integer

_MAX_RANDOM_BITS = 16


def _build_coin_flip(_values: ParameterValues) -> Circuit:
    """Put one qubit into an equal superposition and look."""
    return measured_circuit(1, [gate("h", 0)])


def _expect_coin_flip(_values: ParameterValues) -> Distribution:
    """Heads and tails alike."""
    return {"0": 0.5, "1": 0.5}


def _build_random_number(values: ParameterValues) -> Circuit:
    """Put every qubit into an equal superposition."""
    bits = values.integer("bits")
    return measured_circuit(bits, [gate("h", qubit) for qubit in range(bits)])


def _expect_random_number(values: ParameterValues) -> Distribution:
    """Every number alike."""
    return uniform(all_bitstrings(values.integer("bits")))


COIN_FLIP = Template(
    id="quantum-coin-flip",
    name="Quantum coin flip",
    category="basics",
    description="Put one qubit into an equal superposition and measure it: a fair coin.",
    explanation=(
        "A Hadamard gate takes the qubit from 0 to an equal superposition of 0 and 1. Nothing is decided until the "
        "measurement, which gives one of them with probability one half. A tossed coin only looks random, because we "
        "do not know its exact motion; here there is nothing more to know."
    ),
    expect=(
        "About half 0 and half 1. With 1,000 shots, expect each within about 30 of 500: a spread of the square root "
        "of the shots is what honest chance looks like."
    ),
    qubits=fixed(1),
    parameters=(),
    build=_build_coin_flip,
    distribution=_expect_coin_flip,
)

RANDOM_NUMBER = Template(
    id="quantum-random-number",
    name="Quantum random number",
    category="basics",
    description="Draw uniformly random numbers of as many bits as you like.",
    explanation=(
        "One coin flip per bit: each qubit gets its own Hadamard gate, and together they hold every number from 0 to "
        "2^bits - 1 at once. The measurement picks one. On a simulator the randomness comes from the seed, so the "
        "same seed repeats your numbers; on hardware nobody could."
    ),
    expect="Every bitstring about equally often. With fewer shots than bitstrings, most appear once or not at all.",
    qubits=QubitRange(1, _MAX_RANDOM_BITS, 8),
    parameters=(integer("bits", 8, 1, _MAX_RANDOM_BITS, "How many random bits to draw in each shot."),),
    build=_build_random_number,
    distribution=_expect_random_number,
)
