"""The quantum Fourier transform and what it reads."""

import math

from webapp.quantum.circuits import Circuit, Operation, gate, measured_circuit
from webapp.quantum.templates.base import Distribution, QubitRange, Template, uniform
from webapp.quantum.templates.parameters import Parameter, ParameterValues, choice, integer

_MIN_QFT_QUBITS = 3
_MAX_QFT_QUBITS = 16
_MAX_COUNTING_QUBITS = 12

# Below this the sine of a whole number of half turns is nothing but rounding.
_SMALLEST_SINE = 1e-15


def fourier_transform(qubits: int) -> list[Operation]:
    """Transform the first qubits by |j> -> sum over k of exp(2 pi i j k / 2^n) |k>, qubit 0 the lowest bit of both."""
    operations = []
    for target in reversed(range(qubits)):
        operations.append(gate("h", target))
        operations += [
            gate("cp", control, target, angles=(math.pi / 2 ** (target - control),))
            for control in reversed(range(target))
        ]
    return operations + [gate("swap", qubit, qubits - 1 - qubit) for qubit in range(qubits // 2)]


def _inverse(operations: list[Operation]) -> list[Operation]:
    """Undo gates that are their own inverse once their angles are negated."""
    return [Operation(op.gate, op.qubits, tuple(-angle for angle in op.parameters)) for op in reversed(operations)]


def _build_qft(values: ParameterValues) -> Circuit:
    """Transform an equal superposition of the multiples of a period."""
    qubits = values.integer("qubits")
    lowest = values.integer("period").bit_length() - 1
    comb = [gate("h", qubit) for qubit in range(lowest, qubits)]
    return measured_circuit(qubits, [*comb, *fourier_transform(qubits)])


def _expect_qft(values: ParameterValues) -> Distribution:
    """Give the multiples of 2^n / period alike: the transform of a comb is a comb."""
    qubits = values.integer("qubits")
    period = values.integer("period")
    return uniform([f"{peak * 2**qubits // period:0{qubits}b}" for peak in range(period)])


def _build_phase_estimation(values: ParameterValues) -> Circuit:
    """Let the phase turn each counting qubit twice as far as the one before, and read it as a frequency."""
    counting = values.integer("counting")
    phase = values.number("phase")
    turns = [
        # Whole turns change nothing, and leaving them out keeps the angle's digits.
        gate("cp", qubit, counting, angles=(2 * math.pi * math.fmod(phase * 2**qubit, 1.0),))
        for qubit in range(counting)
    ]
    superpose = [gate("h", qubit) for qubit in range(counting)]
    operations = [gate("x", counting), *superpose, *turns, *_inverse(fourier_transform(counting))]
    return measured_circuit(counting + 1, operations, measured=counting)


def _expect_phase_estimation(values: ParameterValues) -> Distribution:
    """Give m with (sin(pi M d) / (M sin(pi d)))^2 where d = phase - m / M (Cleve et al., arXiv:quant-ph/9708016)."""
    counting = values.integer("counting")
    size = 2**counting
    return {f"{reading:0{counting}b}": _fejer(values.number("phase") - reading / size, size) for reading in range(size)}


def _fejer(distance: float, size: int) -> float:
    """Compute the share of a reading at a distance, in turns, from the true phase."""
    sine = math.sin(math.pi * distance)
    if abs(sine) < _SMALLEST_SINE:
        return 1.0
    return (math.sin(math.pi * size * distance) / (size * sine)) ** 2


QUANTUM_FOURIER_TRANSFORM = Template(
    id="quantum-fourier-transform",
    name="Quantum Fourier transform",
    category="algorithms",
    description="See the period of a superposition as peaks of its Fourier transform.",
    explanation=(
        "The circuit prepares an equal superposition of the multiples of a period: 0, 4, 8, 12 and so on. Measured "
        "as it is, it would give any of them and hide the pattern. The quantum Fourier transform turns the regular "
        "spacing into a few sharp frequencies, as a prism does with light, and takes n(n + 1) / 2 gates and some "
        "swaps where the classical fast transform needs n 2^n steps. Finding a period like this is the heart of "
        "Shor's factoring algorithm."
    ),
    expect="As many peaks as the period, all alike, at multiples of 2^qubits / period, and nothing in between.",
    qubits=QubitRange(_MIN_QFT_QUBITS, _MAX_QFT_QUBITS, 4),
    parameters=(
        integer("qubits", 4, _MIN_QFT_QUBITS, _MAX_QFT_QUBITS, "How many qubits to transform."),
        choice("period", (4, 1, 2, 8), "The spacing of the superposition."),
    ),
    build=_build_qft,
    distribution=_expect_qft,
)

PHASE_ESTIMATION = Template(
    id="phase-estimation",
    name="Phase estimation",
    category="algorithms",
    description="Measure by how much a gate turns its eigenstate, to as many binary digits as you like.",
    explanation=(
        "A phase gate turns its state 1 by a fraction of a full turn that no measurement shows directly. Each "
        "counting qubit lets the gate act 1, 2, 4, 8 ... times and picks up that many turns; the inverse Fourier "
        "transform reads the result as a binary number. Quantum chemistry finds energies in this way."
    ),
    expect=(
        "The bitstring m for which m / 2^counting is the phase: always, if it fits the digits exactly, as 0.375 = "
        "0110 / 16 does. Otherwise a peak at the nearest value, with at least 40 % of the shots, and thin tails."
    ),
    qubits=QubitRange(2, _MAX_COUNTING_QUBITS + 1, 5),
    parameters=(
        integer("counting", 4, 1, _MAX_COUNTING_QUBITS, "How many binary digits to read."),
        Parameter("phase", "number", 0.375, "The phase to find, as a fraction of a full turn.", 0.0, 1.0),
    ),
    build=_build_phase_estimation,
    distribution=_expect_phase_estimation,
)
