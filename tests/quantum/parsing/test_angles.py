"""Angles of OpenQASM 3: they wrap round at a whole turn, and have so many bits."""

import math

import pytest

from webapp.core.errors import InvalidFieldsError
from webapp.quantum.gates import MEASURE
from webapp.quantum.parsing import expressions
from webapp.quantum.parsing.angles import Angle
from webapp.quantum.parsing.errors import Mistake
from webapp.quantum.programs import InvalidProgramError, Program, read_program


def list_gates(source: str, **inputs: float) -> list[tuple[str, tuple[float, ...]]]:
    circuit = read_program(Program("openqasm3", source), inputs=inputs)
    return [(op.gate, op.parameters) for op in circuit.operations if op.gate != MEASURE]


def compute(declarations: str, expression: str, **inputs: float) -> float:
    """Compute what a gate is given."""
    [(_, (value,))] = list_gates(f"{declarations} qubit q; rx({expression}) q;", **inputs)
    return value


@pytest.mark.parametrize(
    ("declarations", "expression", "turns"),
    [
        ("angle a = 3*pi;", "a", 1 / 2),
        ("angle a = -pi/2;", "a", 3 / 4),
        ("angle a = -pi/2;", "a / 2", 3 / 8),
        ("angle a = tau;", "a", 0),
        ("angle a = pi;", "a + a", 0),
        ("angle a = pi;", "a + 3*pi/2", 1 / 4),
        ("angle a = pi/2;", "a - pi", 3 / 4),
        ("angle a = pi/4;", "-a", 7 / 8),
        ("angle a = pi/2;", "5 * a", 1 / 4),
        ("angle a = pi/2;", "a * -1", 3 / 4),
        ("angle a = pi; a += 5*pi/4; a *= 3;", "a", 3 / 8),
        ("const angle a = 5*pi/2;", "a", 1 / 4),
        ("", "angle(5*pi/2)", 1 / 4),
        ("angle[4] a = pi/3;", "a", 3 / 16),
        ("angle[4] a = pi/3;", "6 * a", 1 / 8),
        ("angle[4] a = pi/3;", "a / 2", 1 / 16),
        ("angle[4] a = 15*pi/8; a += pi/8;", "a", 0),
        ("angle[2] a = 31*pi/16;", "a", 0),
        ("angle[2] a = pi/4;", "a", 0),
        ("angle[2] a = 3*pi/4;", "a", 1 / 2),
        ("angle[3] a = 7*pi/4; angle[1] b = a;", "b", 1 / 2),
        ("angle[3] a = pi/4; angle[1] b = pi;", "a + b", 5 / 8),
        ("angle[64] a = pi/4;", "a / 4", 1 / 32),
        ("", "angle[2](1)", 1 / 4),
    ],
)
def test_angles_are_fractions_of_a_turn_and_wrap_round(declarations: str, expression: str, turns: float) -> None:
    assert compute(declarations, expression) == turns * math.tau


@pytest.mark.parametrize(
    ("declarations", "condition", "holds"),
    [
        ("angle a = 3*pi; bool b = a < pi;", "b", False),
        ("angle a = 3*pi;", "a == pi", True),
        ("angle a = 5*pi/2;", "a < pi", True),
        ("angle a = -0.1;", "a > 6", True),
        ("angle a = -pi; angle[4] b = pi;", "a == b", True),
        ("angle[4] a = 0.3;", "a == 0.3", False),
        ("angle a = tau;", "a", False),
        ("angle a = 1;", "!a || a >= 1.5", False),
        ("angle a = pi/2;", "sin(a) == 1", True),
    ],
)
def test_angles_are_compared_within_a_turn(declarations: str, condition: str, holds: bool) -> None:  # noqa: FBT001 - a table
    assert list_gates(f"{declarations} qubit q; if ({condition}) x q;") == ([("x", ())] if holds else [])


def test_an_input_angle_wraps_round_and_a_float_does_not() -> None:
    assert compute("input angle a;", "a / 2", a=-1.0) == pytest.approx(math.pi - 0.5, abs=1e-12)
    assert compute("input angle[2] a;", "a", a=1.0) == math.pi / 2
    assert compute("input float a;", "a / 2", a=-1.0) == -0.5
    with pytest.raises(InvalidFieldsError):
        compute("input angle a;", "a", a=math.inf)


def test_what_a_gate_is_given_keeps_its_sign_and_its_size() -> None:
    source = "gate g(t) x { rx(t / 2) x; } qubit q; g(-pi) q; rx(3*pi) q;"
    assert list_gates(source) == [("rx", (-math.pi / 2,)), ("rx", (3 * math.pi,))]


def test_an_angle_is_no_exact_double_but_as_good_as_one() -> None:
    assert compute("angle a = 1;", "a") == pytest.approx(1, abs=2**-46)
    assert compute("angle a = 1; float b = a;", "-b / 2") == pytest.approx(-0.5, abs=2**-46)


def test_a_loops_angle_wraps_round() -> None:
    found = list_gates("qubit q; for angle t in {-pi, 5*pi/2} rx(t) q;")
    assert found == [("rx", (math.pi,)), ("rx", (math.pi / 2,))]


@pytest.mark.parametrize(
    ("statement", "column", "message"),
    [
        ("rx(0.5 * a) q;", 30, "multiplied and divided by whole numbers"),
        ("rx(a / 2.0) q;", 28, "take its radians: float(a)"),
        ("rx(a / -2) q;", 28, "without a sign"),
        ("rx(a * a) q;", 28, "declare it as float"),
        ("rx(a ** 2) q;", 28, "declare it as float"),
        ("rx(sqrt(a)) q;", 26, "take its radians"),
        ("rx(int(a)) q;", 26, "take its radians"),
        ("uint[3] k = a;", 23, "take its radians"),
        ("rx(uint[3](a)) q;", 26, "take its radians"),
        ("rx(a & 1) q;", 28, "take its radians"),
        ("rx(a / 0) q;", 28, "divides by zero"),
        ("if (a < 2*pi) x q;", 29, "these are from 0 to less than 2*pi"),
        ("if (a > -1) x q;", 29, "-1 is compared with an angle"),
        ("bit c; if (c == a) x q;", 36, "not with an angle"),
        ("angle[0] b = 1;", 23, "from 1 to 64"),
        ("angle b = a ^ 1;", 35, "take its radians"),
    ],
)
def test_what_is_not_defined_for_angles_is_refused_where_it_stands(statement: str, column: int, message: str) -> None:
    with pytest.raises(InvalidProgramError) as caught:
        list_gates(f"angle a = 1; qubit q; {statement}")
    assert message in caught.value.message
    assert (caught.value.line, caught.value.column) == (1, column)


@pytest.mark.parametrize("width", [0, -1, 65, 10**9, 8.5])
@pytest.mark.parametrize("value", [Angle(1, 4), 0.5])
def test_an_angle_is_cast_to_1_to_64_bits(value: float, width: float) -> None:
    with pytest.raises(Mistake, match="from 1 to 64"):
        expressions.compute("angle[]", [value, width], 0)
