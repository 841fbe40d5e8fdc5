"""Circuits with angles to tune: QAOA for MaxCut and ansätze for variational eigensolvers."""

import cmath
import itertools
import math

from webapp.quantum.circuits import Circuit, Operation, gate, measured_circuit
from webapp.quantum.templates.base import Distribution, QubitRange, Template, all_bitstrings, bit, fixed
from webapp.quantum.templates.parameters import ParameterValues, angle, choice, integer

_MIN_NODES = 3
_MAX_NODES = 12
_MAX_ANSATZ_QUBITS = 12
_MAX_LAYERS = 8

Edge = tuple[int, int]


def list_edges(graph: str, nodes: int) -> list[Edge]:
    """List the edges of one of the named graphs."""
    path = [(node, node + 1) for node in range(nodes - 1)]
    graphs = {
        "path": path,
        "ring": [*path, (0, nodes - 1)],
        "star": [(0, node) for node in range(1, nodes)],
        "complete": list(itertools.combinations(range(nodes), 2)),
    }
    return graphs[graph]


def count_cut(edges: list[Edge], bits: str) -> int:
    """Count the edges whose ends are on different sides."""
    return sum(bit(bits, first) != bit(bits, second) for first, second in edges)


def _build_qaoa(values: ParameterValues) -> Circuit:
    """Apply one layer: phases by the size of the cut, then a mixing rotation of every qubit."""
    nodes = values.integer("nodes")
    # exp(-i gamma cut) is, up to a global phase, one ZZ rotation by -gamma for each edge.
    cost = [gate("rzz", *edge, angles=(-values.number("gamma"),)) for edge in list_edges(values.string("graph"), nodes)]
    mix = [gate("rx", node, angles=(2 * values.number("beta"),)) for node in range(nodes)]
    return measured_circuit(nodes, [*(gate("h", node) for node in range(nodes)), *cost, *mix])


def _expect_qaoa(values: ParameterValues) -> Distribution:
    """Sum amplitudes by the definition of QAOA: exp(-i beta X) on each qubit of exp(-i gamma cut(z)) / sqrt(2^n)."""
    nodes = values.integer("nodes")
    edges = list_edges(values.string("graph"), nodes)
    gamma = values.number("gamma")
    amplitudes = [cmath.exp(-1j * gamma * count_cut(edges, bits)) / 2 ** (nodes / 2) for bits in all_bitstrings(nodes)]
    stay, flip = math.cos(values.number("beta")), -1j * math.sin(values.number("beta"))
    for node in range(nodes):
        amplitudes = [stay * amplitudes[z] + flip * amplitudes[z ^ (1 << node)] for z in range(2**nodes)]
    return {f"{z:0{nodes}b}": abs(amplitude) ** 2 for z, amplitude in enumerate(amplitudes)}


def _build_vqe(values: ParameterValues) -> Circuit:
    """Mix the two ways of filling hydrogen's orbitals, and measure in the basis of one term of its energy."""
    operations = [gate("ry", 1, angles=(values.number("theta"),)), gate("x", 0), gate("cx", 1, 0)]
    if values.string("basis") == "x":
        operations += [gate("h", 0), gate("h", 1)]
    return measured_circuit(2, operations)


def _expect_vqe(values: ParameterValues) -> Distribution:
    """Give the squares of cos(theta/2)|01> + sin(theta/2)|10>, or of the same state seen along X."""
    theta = values.number("theta")
    if values.string("basis") == "z":
        return {"01": math.cos(theta / 2) ** 2, "10": math.sin(theta / 2) ** 2}
    equal, different = (1 + math.sin(theta)) / 4, (1 - math.sin(theta)) / 4
    return {"00": equal, "11": equal, "01": different, "10": different}


def _build_two_local(values: ParameterValues) -> Circuit:
    """Alternate rotations of every qubit with a ladder of controlled-NOTs."""
    qubits = values.integer("qubits")
    layer: list[Operation] = []
    for qubit in range(qubits):
        layer += [
            gate("ry", qubit, angles=(values.number("theta"),)),
            gate("rz", qubit, angles=(values.number("phi"),)),
        ]
    ladder = [gate("cx", qubit, qubit + 1) for qubit in range(qubits - 1)]
    return measured_circuit(qubits, [*[*layer, *ladder] * values.integer("layers"), *layer])


QAOA_OPTIMIZATION = Template(
    id="qaoa-optimization",
    name="QAOA for MaxCut",
    category="optimization",
    description="Split a graph's nodes into two groups so that as many edges as possible run between them.",
    explanation=(
        "Each qubit is a node, and its bit says in which group it is. One layer of the quantum approximate "
        "optimization algorithm gives every split a phase by the number of edges that it cuts (gamma), then mixes "
        "neighbouring splits (beta) so that good ones interfere constructively. The art is in the two angles: a "
        "classical optimiser tunes them from the measured cuts. The defaults are the best ones for a ring, where one "
        "layer cuts three quarters of the edges on average (Farhi, Goldstone and Gutmann, arXiv:1411.4028)."
    ),
    expect=(
        "The best splits stand out: 0101 and 1010 for a ring of four nodes. A split and its mirror image, all bits "
        "flipped, are the same cut and equally likely."
    ),
    qubits=QubitRange(_MIN_NODES, _MAX_NODES, 4),
    parameters=(
        integer("nodes", 4, _MIN_NODES, _MAX_NODES, "How many nodes the graph has."),
        choice("graph", ("ring", "path", "star", "complete"), "How the nodes are connected."),
        angle("gamma", math.pi / 4, "How strongly the cut turns the phase."),
        angle("beta", math.pi / 8, "How strongly splits are mixed.", maximum=math.pi),
    ),
    build=_build_qaoa,
    distribution=_expect_qaoa,
)

VQE_ANSATZ = Template(
    id="vqe-ansatz",
    name="VQE ansatz for hydrogen",
    category="optimization",
    description="Prepare the one-angle trial state with which a variational eigensolver finds the energy of hydrogen.",
    explanation=(
        "Reduced to two qubits, a hydrogen molecule has its electrons in the lower orbitals (01) or the upper ones "
        "(10), or in a superposition of both that one angle sets. The energy is a weighted sum of terms such as ZZ "
        "and XX; measuring in the z and in the x basis gives both, and a classical optimiser turns theta until the "
        "sum is lowest (O'Malley et al., Phys. Rev. X 6, 031007)."
    ),
    expect=(
        "In the z basis 01 with probability cos^2(theta / 2), else 10. In the x basis equal bits become more likely "
        "the more the two are superposed: the average of XX is sin(theta)."
    ),
    qubits=fixed(2),
    parameters=(
        angle("theta", 0.25, "How much of the upper orbitals to mix in."),
        choice("basis", ("z", "x"), "The basis to measure in."),
    ),
    build=_build_vqe,
    distribution=_expect_vqe,
)

TWO_LOCAL_ANSATZ = Template(
    id="two-local-ansatz",
    name="Two-local ansatz",
    category="optimization",
    description="Build the hardware-efficient pattern of rotations and entangling ladders, as deep as you like.",
    explanation=(
        "When nothing is known about a problem, variational algorithms often start from this pattern: rotate every "
        "qubit, entangle neighbours, repeat. Enough layers can come near any state, though the more there are the "
        "flatter the landscape in which to find it. Here all rotations share two angles, to show the pattern."
    ),
    expect="No simple formula: the more layers, the more evenly, and the less predictably, the results are spread.",
    qubits=QubitRange(2, _MAX_ANSATZ_QUBITS, 4),
    parameters=(
        integer("qubits", 4, 2, _MAX_ANSATZ_QUBITS, "How many qubits."),
        integer("layers", 2, 1, _MAX_LAYERS, "How many times to rotate and entangle."),
        angle("theta", 0.8, "The angle of every Y rotation."),
        angle("phi", 0.3, "The angle of every Z rotation."),
    ),
    build=_build_two_local,
)
