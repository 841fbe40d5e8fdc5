"""Sending bits with qubits and qubits with bits, and comparing states."""

import math

from webapp.quantum.circuits import Circuit, gate, measured_circuit
from webapp.quantum.templates.base import Distribution, Template, all_bitstrings, bit, fixed
from webapp.quantum.templates.entanglement import bell_pair
from webapp.quantum.templates.parameters import ParameterValues, angle, bitstring


def _build_superdense(values: ParameterValues) -> Circuit:
    """Write two bits onto one half of a Bell pair and read them off the whole."""
    message = values.string("message")
    operations = bell_pair(0, 1)
    if bit(message, 1):
        operations.append(gate("x", 0))
    if bit(message, 0):
        operations.append(gate("z", 0))
    return measured_circuit(2, [*operations, gate("cx", 0, 1), gate("h", 0)])


def _expect_superdense(values: ParameterValues) -> Distribution:
    """Give the message."""
    return {values.string("message"): 1.0}


def _build_teleportation(values: ParameterValues) -> Circuit:
    """Move the state of qubit 0 to qubit 2, the corrections made by gates in place of measured bits."""
    prepare = gate("ry", 0, angles=(values.number("theta"),))
    send = [gate("cx", 0, 1), gate("h", 0)]
    correct = [gate("cx", 1, 2), gate("cz", 0, 2)]
    return measured_circuit(3, [prepare, *bell_pair(1, 2), *send, *correct])


def _expect_teleportation(values: ParameterValues) -> Distribution:
    """Give Alice's two bits as chance and Bob's as the message, which she no longer has."""
    one = math.sin(values.number("theta") / 2) ** 2
    return {bits: (one if bit(bits, 2) else 1 - one) / 4 for bits in all_bitstrings(3)}


def _build_swap_test(values: ParameterValues) -> Circuit:
    """Swap two states under the control of a third qubit, which interferes with itself."""
    prepare = [gate("ry", 1, angles=(values.number("first"),)), gate("ry", 2, angles=(values.number("second"),))]
    return measured_circuit(3, [*prepare, gate("h", 0), gate("cswap", 0, 1, 2), gate("h", 0)], measured=1)


def _expect_swap_test(values: ParameterValues) -> Distribution:
    """Give 0 with (1 + |<a|b>|^2) / 2 (Buhrman et al., PRL 87, 167902)."""
    overlap = math.cos((values.number("first") - values.number("second")) / 2) ** 2
    return {"0": (1 + overlap) / 2, "1": (1 - overlap) / 2}


SUPERDENSE_CODING = Template(
    id="superdense-coding",
    name="Superdense coding",
    category="communication",
    description="Send two classical bits by handing over a single qubit.",
    explanation=(
        "Alice and Bob share a Bell pair in advance. Alice does one of four things to her qubit: nothing, X, Z or "
        "both, which turns the pair into one of the four Bell states. She sends her qubit to Bob, who undoes the "
        "entanglement and reads which of the four it was: two bits."
    ),
    expect="The message that you chose, in every single shot.",
    qubits=fixed(2),
    parameters=(bitstring("message", "10", 2, 2, "The two bits to send."),),
    build=_build_superdense,
    distribution=_expect_superdense,
)

TELEPORTATION = Template(
    id="quantum-teleportation",
    name="Quantum teleportation",
    category="communication",
    description="Move the state of one qubit onto another, using a shared Bell pair.",
    explanation=(
        "Alice has a qubit in some state (bit 0) and one half of a Bell pair (bit 1); Bob has the other half (bit 2). "
        "She entangles her two qubits, and Bob applies X and Z according to what she finds: his qubit is then in the "
        "state that hers was in. Here the corrections are controlled gates and all measurements come last, which by "
        "the principle of deferred measurement changes nothing in the results. Nothing outruns light: without her two "
        "bits Bob's qubit is pure noise."
    ),
    expect=(
        "Bits 0 and 1 are random, and bit 2 is 1 with probability sin^2(theta / 2), exactly as if the prepared qubit "
        "itself had been measured."
    ),
    qubits=fixed(3),
    parameters=(
        angle("theta", math.pi / 3, "The state to teleport: cos(theta/2)|0> + sin(theta/2)|1>.", maximum=math.pi),
    ),
    build=_build_teleportation,
    distribution=_expect_teleportation,
)

SWAP_TEST = Template(
    id="swap-test",
    name="Swap test",
    category="algorithms",
    description="Measure how alike two quantum states are, without learning either of them.",
    explanation=(
        "A control qubit in superposition swaps the two states and does not swap them, both at once. If they are the "
        "same, that makes no difference and the control returns to 0. The more they differ, the more often it ends as "
        "1. Quantum machine learning uses this as its measure of distance."
    ),
    expect="0 always for equal states, 0 and 1 evenly for opposite ones, and (1 + overlap) / 2 in between.",
    qubits=fixed(3),
    parameters=(
        angle("first", 0.0, "The first state: cos(first/2)|0> + sin(first/2)|1>."),
        angle("second", math.pi / 2, "The second state, likewise."),
    ),
    build=_build_swap_test,
    distribution=_expect_swap_test,
)
