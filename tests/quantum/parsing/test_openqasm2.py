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


@pytest.mark.parametrize(
    ("condition", "values"),
    [("c==2", {2}), ("c==4", set()), ("c[1]==1", {1}), ("c>1", {2, 3}), ("c!=0", {1, 2, 3})],
)
def test_a_register_or_a_bit_of_it_is_compared_with_a_number(condition: str, values: set[int]) -> None:
    read_condition = read(f"qreg q[1]; creg c[2]; if({condition}) x q[0];").operations[0].conditions[0]
    held = {
        value
        for value in range(1 << len(read_condition.clbits))
        if (value in read_condition.values) is not read_condition.is_negated
    }
    assert held == values


def test_words_of_version_3_are_plain_names() -> None:
    source = "gate box(tau) in { rx(tau) in; } gate while a { x a; } qreg true[1]; box(0.5) true[0]; while true;"
    assert read(source).operations[:2] == (gate("rx", 0, angles=(0.5,)), gate("x", 0))
    source = "gate for a { x a; } gate bit a { for a; } gate qubit a { bit a; } qreg q[1]; qubit q[0];"
    assert read(source).operations[0] == gate("x", 0)


def test_names_may_begin_with_a_capital_and_be_those_of_gates() -> None:
    assert read("gate G(A) B { rx(A) B; } qreg Q[1]; qreg x[1]; G(1) Q[0]; x x[0];").operations[:2] == (
        gate("rx", 0, angles=(1.0,)),
        gate("x", 1),
    )


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
        ("qreg q[1]; rx(sin(2 q[0];", 3, 21, "expected ')'"),
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
        ("qreg q[2]; creg c[2]; measure q[-1] -> c[0];", 3, 33, "an index is a whole number in digits"),
        ("qreg q[2]; creg c[2]; measure q[1] -> c[-1];", 3, 41, "not '-'"),
        ("qreg q[2]; x q[0:1];", 3, 17, "expected ']' after the index, found ':'"),
        ("qreg q[2]; x q[{0,1}];", 3, 16, "not '{'"),
        ("qreg q[2]; x q[true];", 3, 16, "not 'true'"),
        ("qreg q[1+1];", 3, 9, "expected ']' after the register's size, found '+'"),
        ("qreg q[0x2];", 3, 8, "decimal digits"),
        ("qreg q[1]; rx(1_0) q[0];", 3, 15, "decimal digits"),
        ("qreg qreg[2];", 3, 6, "'qreg' is a word of the language; choose another name for the register"),
        ("creg if[2];", 3, 6, "'if' is a word"),
        ("qreg U[1];", 3, 6, "'U' is a word"),
        ("gate if a { x a; }", 3, 6, "'if' is a word of the language; choose another name for the gate"),
        ("gate U(a, b, c) q { }", 3, 6, "'U' is a word"),
        ("gate g(gate) a { }", 3, 8, "'gate' is a word of the language; choose another name for a parameter"),
        ("gate g(sin) a { }", 3, 8, "'sin' is a word"),
        ("gate g measure { }", 3, 8, "'measure' is a word of the language; choose another name for a qubit"),
        ("gate g(a) a { }", 3, 11, "'a' is already taken"),
        ("gate g a { barrier b; }", 3, 20, "one of the gate's qubits (a)"),
        ("gate g a { barrier a[0]; }", 3, 20, "one of the gate's qubits (a)"),
        ("qreg q[1]; rx(tau) q[0];", 3, 15, "there is no 'tau'"),
        ("qreg q[1]; rx(true) q[0];", 3, 15, "there is no 'true'"),
        ('qreg q[1]; rx("101") q[0];', 3, 15, "expected a number"),
        ("qreg q[1]; rx(!1) q[0];", 3, 15, "expected a number"),
        ("qreg q[1]; rx(5 % 3) q[0];", 3, 17, "expected ')' after the angles of rx, found '%'"),
        ("qreg q[1]; rx(1 == 2) q[0];", 3, 17, "expected ')'"),
        ("qreg q[1]; rx(log(2)) q[0];", 3, 15, "OpenQASM 2 has no function 'log'; it has sin, cos"),
        ("qreg q[1]; rx(int[2](5)) q[0];", 3, 21, "expected ')'"),
        ("qreg q[1]; creg c[2]; if(c==-1) x q[0];", 3, 29, "a whole number in digits in OpenQASM 2, such as 0 or 12"),
        ("qreg q[1]; creg c[2]; if(c==1.0) x q[0];", 3, 29, "not '1.0'"),
        ("qreg q[1]; creg c[2]; if(c) x q[0];", 3, 27, "expected '==' and a whole number, found ')'"),
        ("qreg q[1]; creg c[2]; if(c=1) x q[0];", 3, 27, "expected '==' and a whole number, found '='"),
        ("qreg q[1]; creg c[2]; if(1==1) x q[0];", 3, 26, "expected a classical register, found '1'"),
        ("qreg q[1]; creg c[2]; if(c==1); x q[0];", 3, 31, "expected what to do then, such as x q[0];, found ';'"),
        ("qreg q[1]; @hint x q[0];", 3, 12, "expected a statement, found '@'"),
        ("qreg q[1]; creg c[1]; c[0] = measure q[0];", 3, 23, "measures with measure q[0] -> c[0];"),
        ("qubit[2] q;", 3, 1, "sent as openqasm3"),
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
