"""Protecting a qubit by spreading it over several."""

import math

from webapp.quantum.circuits import Circuit, gate, measured_circuit
from webapp.quantum.templates.base import Distribution, Template, fixed
from webapp.quantum.templates.parameters import ParameterValues, angle, choice

# What the two check bits (bits 2 and 1 of the result) read for an error on each of the qubits.
_SYNDROMES = {"none": "00", "qubit_0": "11", "qubit_1": "01", "qubit_2": "10"}


def _build_bit_flip_code(values: ParameterValues) -> Circuit:
    """Spread a state over three qubits, flip one of them, and correct it by majority."""
    spread = [gate("cx", 0, 1), gate("cx", 0, 2)]
    error = values.string("error")
    flip = [] if error == "none" else [gate("x", int(error[-1]))]
    prepare = gate("ry", 0, angles=(values.number("theta"),))
    return measured_circuit(3, [prepare, *spread, gate("barrier", 0, 1, 2), *flip, *spread, gate("ccx", 1, 2, 0)])


def _expect_bit_flip_code(values: ParameterValues) -> Distribution:
    """Give the state as prepared in bit 0, and the syndrome of the error before it."""
    one = math.sin(values.number("theta") / 2) ** 2
    syndrome = _SYNDROMES[values.string("error")]
    return {f"{syndrome}0": 1 - one, f"{syndrome}1": one}


BIT_FLIP_CODE = Template(
    id="bit-flip-code",
    name="Bit-flip code",
    category="error-correction",
    description="Protect one qubit from a flip by spreading its state over three.",
    explanation=(
        "A quantum state cannot be copied, but it can be spread: cos|000> + sin|111>. If one of the three qubits is "
        "flipped, comparing them shows which one, without revealing the state, and a doubly controlled NOT puts the "
        "first one right. The two check bits name the error and nothing else. Codes that also catch phase errors are "
        "built from this one."
    ),
    expect=(
        "Bit 0 is 1 with probability sin^2(theta / 2) whatever the error. Bits 2 and 1 read 00 for no error, 11, 01 "
        "and 10 for a flip of qubit 0, 1 and 2."
    ),
    qubits=fixed(3),
    parameters=(
        angle("theta", math.pi / 3, "The state to protect: cos(theta/2)|0> + sin(theta/2)|1>.", maximum=math.pi),
        choice("error", ("qubit_0", "none", "qubit_1", "qubit_2"), "Which qubit to flip by mistake."),
    ),
    build=_build_bit_flip_code,
    distribution=_expect_bit_flip_code,
)
