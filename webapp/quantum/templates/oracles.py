"""Algorithms that ask a hidden function a question about all of its inputs at once."""

from collections.abc import Sequence

from webapp.quantum.circuits import Circuit, Operation, gate, measured_circuit
from webapp.quantum.templates.base import Distribution, QubitRange, Template, all_bitstrings, bit, uniform
from webapp.quantum.templates.parameters import ParameterValues, bitstring, choice, integer

_MAX_DEUTSCH_JOZSA_BITS = 12
_MAX_SECRET_BITS = 16
_MAX_SIMON_BITS = 8


def _ask_with_phase(inputs: int, oracle: Sequence[Operation]) -> Circuit:
    """Ask an oracle that flips the qubit after the inputs, so that its answer becomes a sign of the inputs."""
    superpose = [gate("h", qubit) for qubit in range(inputs)]
    # A target in |-> is left alone by a flip, and the sign of the flip moves to the inputs: phase kickback.
    kickback = [gate("x", inputs), gate("h", inputs)]
    return measured_circuit(inputs + 1, [*superpose, *kickback, *oracle, *superpose], measured=inputs)


def _build_deutsch_jozsa(values: ParameterValues) -> Circuit:
    """Ask once whether the function is constant or balanced."""
    inputs = values.integer("bits")
    oracles = {
        "balanced": [gate("cx", qubit, inputs) for qubit in range(inputs)],
        "constant_zero": [],
        "constant_one": [gate("x", inputs)],
    }
    return _ask_with_phase(inputs, oracles[values.string("function")])


def _expect_deutsch_jozsa(values: ParameterValues) -> Distribution:
    """Give all zeros for a constant function; the parity of all bits, which is our balanced one, gives all ones."""
    answer = "1" if values.string("function") == "balanced" else "0"
    return {answer * values.integer("bits"): 1.0}


def _build_bernstein_vazirani(values: ParameterValues) -> Circuit:
    """Ask once for every bit of the secret."""
    secret = values.string("secret")
    oracle = [gate("cx", index, len(secret)) for index in range(len(secret)) if bit(secret, index)]
    return _ask_with_phase(len(secret), oracle)


def _expect_bernstein_vazirani(values: ParameterValues) -> Distribution:
    """Give the secret."""
    return {values.string("secret"): 1.0}


def _build_simon(values: ParameterValues) -> Circuit:
    """Ask a function with f(x) = f(x xor secret) for a constraint on the secret."""
    secret = values.string("secret")
    size = len(secret)
    ones = [index for index in range(size) if bit(secret, index)]
    superpose = [gate("h", qubit) for qubit in range(size)]
    copy = [gate("cx", qubit, size + qubit) for qubit in range(size)]
    # Of x and x xor secret, exactly one has the secret's first 1 set; adding the secret to that one makes them equal.
    # A secret without any 1 has nothing to fold: the function then never repeats.
    fold = [gate("cx", ones[0], size + index) for index in ones]
    return measured_circuit(2 * size, [*superpose, *copy, *fold, *superpose], measured=size)


def _expect_simon(values: ParameterValues) -> Distribution:
    """Give every y with y . secret = 0 (mod 2) alike (Simon, SIAM J. Comput. 26, 1474)."""
    secret = values.string("secret")
    mask = int(secret, 2)
    return uniform([bits for bits in all_bitstrings(len(secret)) if (int(bits, 2) & mask).bit_count() % 2 == 0])


DEUTSCH_JOZSA = Template(
    id="deutsch-jozsa",
    name="Deutsch-Jozsa",
    category="algorithms",
    description="Tell with a single question whether a function is constant or balanced.",
    explanation=(
        "A hidden function of several bits is either constant or balanced: 0 for exactly half of its inputs. "
        "Classically you may have to try more than half of the inputs to be sure. Here all inputs are asked in one "
        "superposition; the answers become signs, and the last Hadamard gates make them interfere. It was the first "
        "problem for which a quantum computer was shown to be exponentially quicker than certainty allows otherwise."
    ),
    expect="All zeros for a constant function, always. Anything else means balanced; ours gives all ones.",
    qubits=QubitRange(2, _MAX_DEUTSCH_JOZSA_BITS + 1, 4),
    parameters=(
        integer("bits", 3, 1, _MAX_DEUTSCH_JOZSA_BITS, "How many bits the hidden function takes."),
        choice("function", ("balanced", "constant_zero", "constant_one"), "The hidden function."),
    ),
    build=_build_deutsch_jozsa,
    distribution=_expect_deutsch_jozsa,
)

BERNSTEIN_VAZIRANI = Template(
    id="bernstein-vazirani",
    name="Bernstein-Vazirani",
    category="algorithms",
    description="Read a whole secret bitstring with a single question.",
    explanation=(
        "A black box answers, for any question x, whether x and its secret have an odd number of ones in common. "
        "Classically each question gives one bit, so a secret of n bits takes n questions. Asked about all x at once, "
        "the answers form a wave whose frequency is the secret, and the Hadamard gates read it off."
    ),
    expect="The secret, in every single shot.",
    qubits=QubitRange(2, _MAX_SECRET_BITS + 1, 6),
    parameters=(bitstring("secret", "10110", 1, _MAX_SECRET_BITS, "The secret inside the black box."),),
    build=_build_bernstein_vazirani,
    distribution=_expect_bernstein_vazirani,
)

SIMON = Template(
    id="simon",
    name="Simon's algorithm",
    category="algorithms",
    description="Find the hidden shift under which a function repeats itself.",
    explanation=(
        "A function gives the same value for x and for x xor secret, and for no other pair. Each run gives a random "
        "string whose bitwise product with the secret has an even number of ones: one equation for the secret. After "
        "a few runs the equations leave only one answer. It inspired Shor's algorithm, which finds a period in the "
        "same way. A secret of a single 1, say 100, shows it best: that bit is then always 0."
    ),
    expect="Half of all bitstrings, equally often: those with an even number of ones in common with the secret.",
    qubits=QubitRange(2, 2 * _MAX_SIMON_BITS, 6),
    parameters=(bitstring("secret", "110", 1, _MAX_SIMON_BITS, "The hidden shift; all zeros for none."),),
    build=_build_simon,
    distribution=_expect_simon,
)
