import math

import pytest

from webapp.quantum.circuits import Circuit, Condition, Operation, check_circuit, gate, measurement
from webapp.quantum.programs import InvalidProgramError, Program, read_program


def read(source: str) -> Circuit:
    circuit = read_program(Program("openqasm2", f'OPENQASM 2.0;\ninclude "qelib1.inc";\n{source}'))
    check_circuit(circuit)
    return circuit


def test_a_bell_state_is_read_as_it_is_written() -> None:
    circuit = read("qreg q[2]; creg c[2]; h q[0]; cx q[0],q[1]; measure q -> c;")
    assert circuit == Circuit(2, 2, (gate("h", 0), gate("cx", 0, 1), measurement(0, 0), measurement(1, 1)))


def test_registers_stand_one_above_the_other_in_the_order_of_their_declaration() -> None:
    circuit = read("qreg a[1]; qreg b[2]; creg x[2]; creg y[1]; x b[1]; measure b[1] -> y[0];")
    assert circuit == Circuit(3, 3, (gate("x", 2), measurement(2, 2)))


def test_gates_are_spread_over_registers() -> None:
    assert read("qreg a[2]; qreg b[2]; cx a,b; cx a[0],b;").operations[:4] == (
        gate("cx", 0, 2),
        gate("cx", 1, 3),
        gate("cx", 0, 2),
        gate("cx", 0, 3),
    )


def test_defined_gates_are_expanded_with_their_angles() -> None:
    circuit = read("gate g(a, b) x, y { rx(a/2 + b) y; barrier x, y; cx y, x; } qreg q[2]; g(pi, 1) q[1], q[0];")
    assert circuit.operations[:2] == (gate("rx", 0, angles=(math.pi / 2 + 1,)), gate("cx", 0, 1))


def test_a_programs_own_definition_hides_that_of_the_library() -> None:
    assert read("gate rzz(t) a, b { x a; } qreg q[2]; rzz(1) q[0], q[1];").operations[0] == gate("x", 0)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("1/2", 0.5),
        ("-pi/2", -math.pi / 2),
        ("2^3", 8.0),
        ("-2^2", -4.0),
        ("2*(1+3)", 8.0),
        ("sin(pi/2)+cos(0)+sqrt(4)+ln(1)+exp(0)", 5.0),
        ("1e-3", 1e-3),
        (".5", 0.5),
        ("3.", 3.0),
        ("1-2-3", -4.0),
    ],
)
def test_angles_are_computed(expression: str, value: float) -> None:
    assert read(f"qreg q[1]; rz({expression}) q[0];").operations[0].parameters == pytest.approx((value,))


def test_a_condition_is_on_the_whole_register() -> None:
    circuit = read("qreg q[1]; creg c[2]; creg d[2]; measure q[0] -> d[1]; if(d==2) x q[0];")
    assert circuit.operations[1] == Operation("x", (0,), conditions=(Condition((2, 3), frozenset({2})),))


def test_reset_and_the_built_in_gates_are_read() -> None:
    circuit = read("qreg q[2]; U(1,2,3) q[0]; CX q[0],q[1]; reset q;")
    assert [op.gate for op in circuit.operations[:4]] == ["u", "cx", "reset", "reset"]


def test_a_program_that_measures_nothing_measures_everything() -> None:
    assert read("qreg q[2]; x q[0];") == Circuit(2, 2, (gate("x", 0), measurement(0, 0), measurement(1, 1)))


@pytest.mark.parametrize(
    ("source", "line", "column", "message"),
    [
        ("qreg q[2]\nx q[0];", 4, 1, "expected ';' after the register, found 'x'"),
        ("qreg q[2];\n\n  hh q[0];", 5, 3, "there is no gate 'hh'"),
        ("qreg q[2]; cx q[0],q[5];", 3, 20, "q has no element 5; it has 2"),
        ("qreg q[2]; cx q[0],q[0];", 3, 12, "the same qubit twice"),
        ("qreg q[2]; rx q[0];", 3, 12, "rx takes 1 angle, not 0"),
        ("qreg q[2]; x q[0],q[1];", 3, 12, "x acts on 1 qubit, not 2"),
        ("qreg q[2]; qreg q[2];", 3, 12, "'q' is already taken"),
        ("qreg q[0];", 3, 1, "at least one element"),
        ("qreg q[1]; rx(1/0) q[0];", 3, 16, "divides by zero"),
        ("qreg q[1]; rx(1e308*10) q[0];", 3, 20, "infinite or not a number"),
        ("qreg q[1]; rx(ln(-1)) q[0];", 3, 15, "not defined"),
        ("qreg q[1]; rx(nan) q[0];", 3, 15, "there is no 'nan'"),
        ("qreg q[1]; rx(log(2 q[0];", 3, 21, "expected ')'"),
        ("qreg q[2]; creg c[1]; measure q -> c;", 3, 23, "2 qubits cannot be measured into 1 bit"),
        ("qreg q[1]; é q[0];", 3, 12, "there is no gate 'é'"),
        ("qreg q[1]; § q[0];", 3, 12, "has no meaning"),
        ("qreg q[1]; /* x q[0];", 3, 12, "this comment has no end"),
        ("opaque magic a; qreg q[1]; magic q[0];", 3, 28, "opaque"),
        ("gate g a { g a; }", 3, 12, "there is no gate 'g'"),
        ("gate g a { x b; }", 3, 14, "one of the gate's qubits"),
        ("gate g a { measure a; }", 3, 12, "holds only gates"),
        ("qreg q[1]; if(q==1) x q[0];", 3, 15, "no number"),
        ('include "/etc/passwd";', 3, 1, "only qelib1.inc can be included"),
        ('include "../../../etc/passwd";', 3, 1, "only qelib1.inc can be included"),
        ("for int i in [0:1] { }", 3, 9, "expected ';' after the qubits of for"),
        ("", 1, 1, "no qubits"),
    ],
)
def test_what_is_wrong_is_named_with_its_line_and_column(source: str, line: int, column: int, message: str) -> None:
    with pytest.raises(InvalidProgramError) as caught:
        read(source)
    assert message in caught.value.message
    assert (caught.value.line, caught.value.column) == (line, column)
    assert caught.value.message.startswith(f"Line {line}, column {column}: ")
    assert caught.value.extra == {"line": line, "column": column}
    assert (caught.value.status, caught.value.code) == (422, "invalid_program")


def test_a_program_of_the_other_version_is_told_to_change_its_format() -> None:
    with pytest.raises(InvalidProgramError, match="send it with the format that it says"):
        read_program(Program("openqasm2", "OPENQASM 3.0;"))


def test_openqasm_is_text() -> None:
    with pytest.raises(InvalidProgramError, match="is text"):
        read_program(Program("openqasm2", {"circuit": []}))
