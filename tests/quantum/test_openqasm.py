import math
import re

import pytest

from webapp.quantum.circuits import Circuit, Operation, gate, measured_circuit
from webapp.quantum.gates import UNITARY_GATES
from webapp.quantum.openqasm import to_openqasm3
from webapp.quantum.templates import Template, list_templates

from .factories import random_circuit
from .reference import simulate

# Everything that stdgates.inc of OpenQASM 3.0 defines without a prefix, and the built-in U.
_STANDARD_GATES = set(
    "U p x y z h s sdg t tdg sx rx ry rz cx cy cz cp crx cry crz ch swap ccx cswap cu id".split()  # noqa: SIM905
)

_STATEMENT = re.compile(r"(?P<gate>\w+)(?:\((?P<angles>[^)]*)\))? (?P<qubits>[^;]+);")
_MEASUREMENT = re.compile(r"c\[(\d+)\] = measure q\[(\d+)\];")
_DEFINITION = re.compile(r"gate (\w+)(?:\(theta\))? ([ab, ]+) \{ (.*) \}")


def test_a_bell_circuit_reads_as_people_write_it() -> None:
    source = to_openqasm3(measured_circuit(2, [gate("h", 0), gate("cx", 0, 1)]))
    assert source == (
        'OPENQASM 3.0;\ninclude "stdgates.inc";\nqubit[2] q;\nbit[2] c;\n'
        "h q[0];\ncx q[0], q[1];\nc[0] = measure q[0];\nc[1] = measure q[1];\n"
    )


@pytest.mark.parametrize(
    ("angle", "text"),
    [
        (math.pi, "pi"),
        (-math.pi, "-pi"),
        (math.pi / 2, "pi/2"),
        (-3 * math.pi / 4, "-3*pi/4"),
        (2 * math.pi, "2*pi"),
        (0.0, "0.0"),
        (0.1, "0.1"),
        (math.pi / 1024, "pi/1024"),
        (math.nextafter(math.pi, 4), "3.1415926535897936"),
        (1e300, "1e+300"),
    ],
)
def test_angles_are_fractions_of_pi_only_where_that_is_exact(angle: float, text: str) -> None:
    assert f"rx({text}) q[0];" in to_openqasm3(Circuit(1, 0, (gate("rx", 0, angles=(angle,)),)))


def test_a_circuit_without_classical_bits_declares_none() -> None:
    assert "bit[0]" not in to_openqasm3(Circuit(1, 0, (gate("x", 0),)))


@pytest.mark.parametrize("seed", range(5))
def test_every_gate_used_is_standard_or_defined(seed: int) -> None:
    source = to_openqasm3(random_circuit(seed, qubits=4, gates=200))
    defined = {match[1] for match in _DEFINITION.finditer(source)}
    source = re.sub(r"ctrl\(\d+\) @ ", "", source)
    used = {match["gate"] for match in _STATEMENT.finditer(source.split("qubit[4] q;")[1])}
    assert used - {"q", "measure"} <= _STANDARD_GATES | defined


@pytest.mark.parametrize("template", list_templates(), ids=lambda template: template.id)
def test_the_source_of_every_template_says_the_same_as_its_circuit(template: Template) -> None:
    circuit = template.create_circuit({})
    assert _read(to_openqasm3(circuit)) == circuit.operations


@pytest.mark.parametrize("name", ["sxdg", "rxx", "ryy", "rzz"])
def test_our_own_definitions_are_the_gates_that_they_name(name: str) -> None:
    qubits = 1 if name == "sxdg" else 2
    angles = () if qubits == 1 else (0.7,)
    source = to_openqasm3(Circuit(qubits, 0, (gate(name, *range(qubits), angles=angles),)))
    match = _DEFINITION.search(source)
    assert match is not None
    defined = Circuit(qubits, 0, tuple(_expand(match[3])))
    expected = Circuit(qubits, 0, (gate(name, *range(qubits), angles=angles),))
    # Equal up to one global phase, the same for every starting state.
    overlaps = [
        sum(
            (a.conjugate() * b for a, b in zip(simulate(defined, start=s), simulate(expected, start=s), strict=True)),
            0j,
        )
        for s in range(2**qubits)
    ]
    assert overlaps == pytest.approx([overlaps[0]] * len(overlaps))
    assert abs(overlaps[0]) == pytest.approx(1.0)


def test_every_gate_can_be_written() -> None:
    assert set(UNITARY_GATES) - _STANDARD_GATES == {"u", "sxdg", "rxx", "ryy", "rzz", "mcp"}


def _read(source: str) -> tuple[Operation, ...]:
    """Read the few forms of statements that are written; not a parser of OpenQASM."""
    operations = []
    for line in source.rsplit("bit[", maxsplit=1)[-1].splitlines()[1:]:
        measured = _MEASUREMENT.fullmatch(line)
        if measured:
            operations.append(Operation("measure", (int(measured[2]),), (), (int(measured[1]),)))
            continue
        match = _STATEMENT.fullmatch(line)
        assert match is not None, line
        angles = tuple(_angle(text) for text in match["angles"].split(", ")) if match["angles"] else ()
        qubits = tuple(int(index) for index in re.findall(r"\d+", match["qubits"]))
        operations.append(Operation(match["gate"], qubits, angles))
    return tuple(operations)


def _angle(text: str) -> float:
    """Compute an angle the way that a reader of OpenQASM does, from left to right."""
    if "pi" not in text:
        return float(text)
    numerator, _, denominator = text.partition("/")
    factor = numerator.removesuffix("pi").removesuffix("*")
    value = {"": 1.0, "-": -1.0}.get(factor) or float(factor)
    return value * math.pi / float(denominator or 1)


def _expand(body: str) -> list[Operation]:
    """Read the body of one of our definitions, its angle being 0.7."""
    operations = []
    for statement in body.rstrip(";").split("; "):
        inverse, rest = statement.startswith("inv @ "), statement.removeprefix("inv @ ")
        name, _, wires = rest.replace("(theta)", "").partition(" ")
        qubits = tuple("ab".index(wire) for wire in wires.rstrip(";").split(", "))
        operations.append(Operation(f"{name}dg" if inverse else name, qubits, (0.7,) if "theta" in rest else ()))
    return operations
