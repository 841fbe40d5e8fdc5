"""States whose parts have no state of their own."""

import math

from webapp.quantum.circuits import Circuit, Operation, gate, measured_circuit
from webapp.quantum.templates.base import Distribution, QubitRange, Template, fixed
from webapp.quantum.templates.parameters import ParameterValues, choice, integer

_MAX_GHZ_QUBITS = 20
_MAX_W_QUBITS = 12

# Where a Bell measurement should look, in radians of the plane of real states, by each player's question.
_ALICE_ANGLES = (0.0, math.pi / 4)
_BOB_ANGLES = (math.pi / 8, -math.pi / 8)


def bell_pair(first: int, second: int) -> list[Operation]:
    """Entangle two qubits that are 0 into (|00> + |11>) / sqrt 2."""
    return [gate("h", first), gate("cx", first, second)]


def _build_bell(values: ParameterValues) -> Circuit:
    """Make one of the four Bell states."""
    state = values.string("state")
    operations = bell_pair(0, 1)
    if state.endswith("minus"):
        operations.append(gate("z", 0))
    if state.startswith("psi"):
        operations.append(gate("x", 1))
    return measured_circuit(2, operations)


def _expect_bell(values: ParameterValues) -> Distribution:
    """Give equal bits for the phi states and opposite ones for the psi states."""
    equal = values.string("state").startswith("phi")
    return {"00": 0.5, "11": 0.5} if equal else {"01": 0.5, "10": 0.5}


def _build_ghz(values: ParameterValues) -> Circuit:
    """Spread one superposition over a chain of qubits."""
    qubits = values.integer("qubits")
    chain = [gate("cx", qubit, qubit + 1) for qubit in range(qubits - 1)]
    return measured_circuit(qubits, [gate("h", 0), *chain])


def _expect_ghz(values: ParameterValues) -> Distribution:
    """All or none."""
    qubits = values.integer("qubits")
    return {"0" * qubits: 0.5, "1" * qubits: 0.5}


def _build_w(values: ParameterValues) -> Circuit:
    """Hand a single 1 down a chain of qubits, leaving behind an equal share at each."""
    qubits = values.integer("qubits")
    operations = [gate("x", 0)]
    for qubit in range(qubits - 1):
        # Of the amplitude that came this far, 1 / sqrt(left) stays, so that all shares become equal.
        left = qubits - qubit
        handed_on = 2 * math.acos(math.sqrt(1 / left))
        operations += [gate("cry", qubit, qubit + 1, angles=(handed_on,)), gate("cx", qubit + 1, qubit)]
    return measured_circuit(qubits, operations)


def _expect_w(values: ParameterValues) -> Distribution:
    """Exactly one 1, anywhere."""
    qubits = values.integer("qubits")
    return {f"{1 << qubit:0{qubits}b}": 1 / qubits for qubit in range(qubits)}


def _build_chsh(values: ParameterValues) -> Circuit:
    """Share a Bell pair and let each player measure along the angle for the question asked."""
    alice = _ALICE_ANGLES[values.integer("alice")]
    bob = _BOB_ANGLES[values.integer("bob")]
    turns = [gate("ry", 0, angles=(-2 * alice,)), gate("ry", 1, angles=(-2 * bob,))]
    return measured_circuit(2, [*bell_pair(0, 1), *turns])


def _expect_chsh(values: ParameterValues) -> Distribution:
    """Give equal answers with cos^2 of the angle between the two measurements (Clauser et al., PRL 23, 880)."""
    between = _ALICE_ANGLES[values.integer("alice")] - _BOB_ANGLES[values.integer("bob")]
    equal = math.cos(between) ** 2 / 2
    return {"00": equal, "11": equal, "01": 0.5 - equal, "10": 0.5 - equal}


BELL_STATE = Template(
    id="bell-state",
    name="Bell state",
    category="entanglement",
    description="Entangle two qubits, so that each is random and yet they always agree.",
    explanation=(
        "A Hadamard gate puts the first qubit into superposition, and a controlled-NOT copies its value, not its "
        "state, onto the second. Now neither qubit has a state of its own: only the pair has. There are four such "
        "states. The two phi states agree, the two psi states disagree; plus and minus differ by a sign that this "
        "measurement cannot see."
    ),
    expect="Only 00 and 11, about half each, and never 01 or 10. With a psi state, only 01 and 10.",
    qubits=fixed(2),
    parameters=(choice("state", ("phi_plus", "phi_minus", "psi_plus", "psi_minus"), "Which of the Bell states."),),
    build=_build_bell,
    distribution=_expect_bell,
)

GHZ_STATE = Template(
    id="ghz-state",
    name="GHZ state",
    category="entanglement",
    description="Entangle many qubits at once: all of them 0 or all of them 1.",
    explanation=(
        "Named after Greenberger, Horne and Zeilinger. A single superposition is passed along a chain of "
        "controlled-NOT gates until every qubit shares it. It is the most fragile of states: lose or look at one "
        "qubit and the whole superposition is gone, which is why it is a favourite test of real machines."
    ),
    expect="Only the all-zeros and the all-ones string, about half each, however many qubits you take.",
    qubits=QubitRange(2, _MAX_GHZ_QUBITS, 3),
    parameters=(integer("qubits", 3, 2, _MAX_GHZ_QUBITS, "How many qubits to entangle."),),
    build=_build_ghz,
    distribution=_expect_ghz,
)

W_STATE = Template(
    id="w-state",
    name="W state",
    category="entanglement",
    description="Share a single 1 equally among many qubits.",
    explanation=(
        "Exactly one qubit is 1, and it is undecided which. Each step of the circuit hands the 1 on to the next "
        "qubit, except for the equal share that stays. Unlike the GHZ state this entanglement is hardy: lose one "
        "qubit and the others are most often still entangled."
    ),
    expect="Every string with exactly one 1, all equally often: 001, 010 and 100 for three qubits.",
    qubits=QubitRange(2, _MAX_W_QUBITS, 3),
    parameters=(integer("qubits", 3, 2, _MAX_W_QUBITS, "How many qubits share the 1."),),
    build=_build_w,
    distribution=_expect_w,
)

CHSH_GAME = Template(
    id="chsh-game",
    name="CHSH game",
    category="entanglement",
    description="Win a game of cooperation more often than any classical strategy allows.",
    explanation=(
        "Alice and Bob are each asked 0 or 1 and answer 0 or 1 without talking. They win if their answers agree, "
        "except when both were asked 1: then the answers must differ. Without quantum physics nobody wins more than "
        "75 % over all questions. Sharing an entangled pair, and measuring it along angles chosen by the question, "
        "they win 85.4 %: this is Bell's theorem, as a game. Alice's answer is bit 0, Bob's is bit 1."
    ),
    expect="Equal answers in 85.4 % of the shots, except that with both questions 1 they are different in 85.4 %.",
    qubits=fixed(2),
    parameters=(
        choice("alice", (0, 1), "The question that Alice is asked."),
        choice("bob", (0, 1), "The question that Bob is asked."),
    ),
    build=_build_chsh,
    distribution=_expect_chsh,
)
