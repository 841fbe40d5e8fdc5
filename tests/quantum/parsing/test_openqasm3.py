import math

import pytest

from tests.quantum.factories import random_circuit, random_dynamic_circuit
from tests.quantum.reference import exact_branches, exact_distribution, simulate
from tests.quantum.statistics import assert_same_distribution
from webapp.core.errors import InvalidFieldsError
from webapp.quantum.circuits import Circuit, Condition, Operation, check_circuit, gate
from webapp.quantum.openqasm import to_openqasm3
from webapp.quantum.programs import InvalidProgramError, Program, read_program
from webapp.quantum.templates import Template, list_templates


def read(source: str, **inputs: float) -> Circuit:
    circuit = read_program(Program("openqasm3", f'OPENQASM 3.0;\ninclude "stdgates.inc";\n{source}'), inputs=inputs)
    check_circuit(circuit)
    return circuit


def gates_of(source: str, **inputs: float) -> list[Operation]:
    return [op for op in read(source, **inputs).operations if op.gate != "measure"]


@pytest.mark.parametrize("template", list_templates(), ids=lambda template: template.id)
def test_every_template_is_read_back_from_what_we_write(template: Template) -> None:
    circuit = template.create_circuit({})
    assert_same_distribution(
        exact_distribution(read_program(Program("openqasm3", to_openqasm3(circuit)))), exact_distribution(circuit)
    )


@pytest.mark.parametrize("seed", range(10))
def test_random_circuits_are_read_back_from_what_we_write(seed: int) -> None:
    circuit = random_circuit(seed, qubits=4, gates=40)
    back = read_program(Program("openqasm3", to_openqasm3(circuit)))
    assert_same_distribution(exact_distribution(back), exact_distribution(circuit))


@pytest.mark.parametrize("seed", range(10))
def test_circuits_that_decide_are_read_back_from_what_we_write(seed: int) -> None:
    circuit = random_dynamic_circuit(seed, qubits=3)
    back = read_program(Program("openqasm3", to_openqasm3(circuit)))
    assert_same_distribution(exact_branches(back), exact_branches(circuit))


_GATES = ["x", "y", "z", "h", "s", "sdg", "t", "tdg", "sx", "sxdg", "rx(0.7)", "ry(0.7)", "rz(0.7)", "p(0.7)"]
_GATES += ["U(0.3, 0.5, 0.7)", "u(0.3, 0.5, 0.7)"]
_PAIRS = ["cx", "cy", "cz", "ch", "cp(0.7)", "crx(0.7)", "cry(0.7)", "crz(0.7)", "swap", "cu(0.1, 0.2, 0.3, 0.4)"]
_PAIRS += ["rxx(0.7)", "ryy(0.7)", "rzz(0.7)", "iswap", "dcx", "ecr", "rzx(0.7)"]
_TRIPLES = ["ccx", "cswap", "ccz", "rccx"]


def matrix_of(source: str, qubits: int) -> list[list[complex]]:
    """Compute the columns of what a program does, up to one phase."""
    circuit = Circuit(qubits, 0, tuple(gates_of(source)))
    return [simulate(circuit, start=start) for start in range(1 << qubits)]


def assert_same_up_to_a_phase(actual: list[list[complex]], expected: list[list[complex]]) -> None:
    overlap = sum(
        a.conjugate() * b for one, other in zip(actual, expected, strict=True) for a, b in zip(one, other, strict=True)
    )
    assert abs(overlap) == pytest.approx(len(actual))


@pytest.mark.parametrize(
    ("name", "width"),
    [(name, 1) for name in _GATES] + [(name, 2) for name in _PAIRS] + [(name, 3) for name in _TRIPLES],
)
def test_modifiers_do_what_they_say_to_every_gate(name: str, width: int) -> None:
    wires = ", ".join(f"q[{qubit}]" for qubit in range(width))
    inverse = matrix_of(f"qubit[{width}] q; {name} {wires}; inv @ {name} {wires};", width)
    assert_same_up_to_a_phase(inverse, matrix_of(f"qubit[{width}] q; id q;", width))
    squared = matrix_of(f"qubit[{width}] q; pow(2) @ {name} {wires};", width)
    assert_same_up_to_a_phase(squared, matrix_of(f"qubit[{width}] q; {name} {wires}; {name} {wires};", width))
    # A gate is phase and all what its controlled form does where the control is 1, and nothing elsewhere.
    plus = ", ".join(f"q[{qubit}]" for qubit in range(1, width + 1))
    for controls in (1, 3):
        head = ", ".join(["q[0]"] + [f"q[{width + index}]" for index in range(1, controls)])
        total = width + controls
        controlled = matrix_of(f"qubit[{total}] q; ctrl({controls}) @ {name} {head}, {plus};", total)
        call = f"ctrl({controls}) @ {name} {head}, {plus};"
        twice = matrix_of(f"qubit[{total}] q; {call} inv @ {call}", total)
        assert_same_up_to_a_phase(twice, matrix_of(f"qubit[{total}] q; id q;", total))
        mask = 1 | sum(1 << (width + index) for index in range(1, controls))
        for start, column in enumerate(controlled):
            if start & mask != mask:
                assert column[start] == pytest.approx(1.0)


def test_the_phase_of_the_built_in_u_is_that_of_the_specification() -> None:
    # x, made of U with its phase taken away, is cx under control; rx likewise (stdgates.inc).
    source = "qubit[2] q; gate my_x a { U(pi, 0, pi) a; gphase(-pi/2); } ctrl @ my_x q[0], q[1];"
    assert_same_up_to_a_phase(matrix_of(source, 2), matrix_of("qubit[2] q; cx q[0], q[1];", 2))
    source = "qubit[2] q; gate my_rx(t) a { U(t, -pi/2, pi/2) a; gphase(-t/2); } ctrl @ my_rx(0.7) q[0], q[1];"
    assert_same_up_to_a_phase(matrix_of(source, 2), matrix_of("qubit[2] q; crx(0.7) q[0], q[1];", 2))


@pytest.mark.parametrize(
    ("modified", "plain"),
    [
        ("ctrl @ x q[0], q[1];", "cx q[0], q[1];"),
        ("negctrl @ x q[0], q[1];", "x q[0]; cx q[0], q[1]; x q[0];"),
        ("ctrl(2) @ x q[0], q[1], q[2];", "ccx q[0], q[1], q[2];"),
        ("ctrl @ gphase(0.7) q[0];", "p(0.7) q[0];"),
        ("ctrl @ inv @ s q[0], q[1];", "cp(-pi/2) q[0], q[1];"),
        ("pow(0.5) @ x q[0];", "sx q[0];"),
        # On the principal branch, however the same gate is written.
        ("ctrl @ pow(0.5) @ p(3*pi/2) q[0], q[1];", "cp(-pi/4) q[0], q[1];"),
        ("ctrl @ pow(0.5) @ rz(3*pi) q[0], q[1];", "crz(-pi/2) q[0], q[1];"),
        ("pow(0.5) @ cp(3*pi/2) q[0], q[1];", "cp(-pi/4) q[0], q[1];"),
        ("pow(0.5) @ p(-pi) q[0];", "s q[0];"),
        ("pow(0.5) @ rx(-tau) q[0];", "id q[0];"),
        ("pow(0.5) @ crz(tau) q[0], q[1];", "s q[0];"),
        ("ctrl @ pow(0.5) @ ry(3*tau) q[0], q[1];", "s q[0];"),
        ("pow(2) @ rz(3*pi) q[0];", "rz(6*pi) q[0];"),
        ("pow(0.25) @ z q[0];", "t q[0];"),
        ("pow(-2) @ t q[0];", "sdg q[0];"),
        ("pow(3) @ cx q[0], q[1];", "cx q[0], q[1];"),
        ("gate g a, b { ctrl @ y a, b; } g q[2], q[0];", "cy q[2], q[0];"),
    ],
)
def test_modified_gates_equal_plain_ones(modified: str, plain: str) -> None:
    assert_same_up_to_a_phase(matrix_of(f"qubit[3] q; {modified}", 3), matrix_of(f"qubit[3] q; {plain}", 3))


def test_loops_are_unrolled_over_ranges_and_sets() -> None:
    source = (
        "qubit[6] q; for int i in [0:2:5] { x q[i]; } for uint i in {1, 3} z q[i]; for int i in [2:-1:1] { y q[i]; }"
    )
    assert [(op.gate, op.qubits[0]) for op in gates_of(source)] == [
        ("x", 0), ("x", 2), ("x", 4), ("z", 1), ("z", 3), ("y", 2), ("y", 1)
    ]  # fmt: skip


def test_constants_variables_and_aliases_are_computed() -> None:
    source = (
        "const int n = 3; qubit[n] q; int k = 1; k += 1; float a = pi; a = a / 2; let tail = q[1:2]; "
        "x tail[k - 1]; rx(a) q[-1]; if (k == 2) { z q[0]; } else { y q[0]; }"
    )
    assert gates_of(source) == [gate("x", 2), gate("rx", 2, angles=(math.pi / 2,)), gate("z", 0)]


def test_inputs_take_their_values_from_the_request() -> None:
    source = "input float theta; input int k; qubit[2] q; rx(2*theta) q[k];"
    assert gates_of(source, theta=0.25, k=1) == [gate("rx", 1, angles=(0.5,))]


@pytest.mark.parametrize(
    ("inputs", "path"),
    [({}, "theta"), ({"theta": 1.0, "phi": 2.0}, "phi"), ({"theta": float("nan")}, "theta")],
)
def test_inputs_that_are_missing_or_too_many_or_no_numbers_are_named(inputs: dict[str, float], path: str) -> None:
    with pytest.raises(InvalidFieldsError) as caught:
        read("input float theta; qubit q; rx(theta) q;", **inputs)
    assert [detail.path for detail in caught.value.details] == [f"parameters.{path}"]


def test_every_missing_input_is_named_at_once_and_an_unknown_one_with_those_that_there_are() -> None:
    source = "input float theta; qubit[2] q; rx(theta) q[0]; input int k; x q[k];"
    with pytest.raises(InvalidFieldsError) as missing:
        read(source)
    assert [detail.path for detail in missing.value.details] == ["parameters.theta", "parameters.k"]
    assert [detail.allowed for detail in missing.value.details] == ["a number (float)", "a number (int)"]
    with pytest.raises(InvalidFieldsError) as unknown:
        read(source, theta=1.0, k=1, thta=1.0)
    assert unknown.value.details[0].allowed == "only theta, k"


@pytest.mark.parametrize(
    ("source", "meant"),
    [
        ("qubit[2] q; cnot q[0], q[1];", "cx"),
        ("qubit[3] q; toffoli q[0], q[1], q[2];", "ccx"),
        ("qubit q; H q;", "h"),
        ("qubit q; Rx(1) q;", "rx"),
        ("gate mygate a { x a; } qubit q; my_gate q;", "mygate"),
        ("qbit q;", "qubit"),
    ],
)
def test_a_gate_of_another_language_is_answered_with_ours(source: str, meant: str) -> None:
    with pytest.raises(InvalidProgramError, match=f"did you mean '{meant}'"):
        read(source)


def test_a_pragma_is_refused_with_what_to_do_instead() -> None:
    with pytest.raises(InvalidProgramError, match="pragmas are not supported; ask beside the program"):
        read("qubit q; h q;\n#pragma braket result state_vector")


def test_a_byte_order_mark_at_the_start_is_passed() -> None:
    assert read_program(Program("openqasm3", "\ufeffqubit q; x q;")).operations[0] == gate("x", 0)


def test_conditions_on_bits_and_registers_become_values() -> None:
    source = "qubit[2] q; bit[3] c; c[0] = measure q[0]; "
    both = Condition((0, 1, 2), frozenset({5}))
    assert gates_of(source + "if (c == 5) x q[1];")[0].conditions == (both,)
    assert gates_of(source + 'if (c == "101") { x q[1]; }')[0].conditions == (both,)
    assert gates_of(source + "if (c[0]) x q[1];")[0].conditions == (Condition((0,), frozenset({1})),)
    assert gates_of(source + "if (!c[0] && c[2] == 1) x q[1];")[0].conditions == (Condition((0, 2), frozenset({2})),)
    otherwise = gates_of(source + "if (c > 6) { x q[1]; } else { y q[1]; }")
    assert [op.conditions[0] for op in otherwise] == [
        Condition((0, 1, 2), frozenset({7})),
        Condition((0, 1, 2), frozenset({7}), is_negated=True),
    ]
    nested = gates_of(source + "if (c[0]) { if (c[1]) x q[1]; }")
    assert [condition.clbits for condition in nested[0].conditions] == [(0,), (1,)]


def test_the_cases_of_a_switch_are_conditions_on_its_bits() -> None:
    source = "qubit[3] q; bit[2] c; c = measure q[0:1]; "
    cases = " { case 0 { x q[2]; } case 1, 2 { y q[2]; } default { z q[2]; h q[2]; } }"
    expected = [
        ("x", Condition((0, 1), frozenset({0}))),
        ("y", Condition((0, 1), frozenset({1, 2}))),
        ("z", Condition((0, 1), frozenset({0, 1, 2}), is_negated=True)),
        ("h", Condition((0, 1), frozenset({0, 1, 2}), is_negated=True)),
    ]
    # As Qiskit writes it, the target is a variable that was given the bits.
    for target in ("switch (c)", "switch (uint[2](c))", "int k; k = c; switch (k)", "uint[2] k = c; switch (k)"):
        assert [(op.gate, op.conditions[0]) for op in gates_of(source + target + cases)] == expected
    (inner,) = gates_of(source + "if (c[0]) { switch (c) { case 3 { x q[2]; } } }")
    assert inner.conditions == (Condition((0,), frozenset({1})), Condition((0, 1), frozenset({3})))
    (read,) = gates_of(source + "int k; if (c[0]) { k = c; if (c[1]) { } switch (k) { case 3 { x q[2]; } } }")
    assert read == inner
    (signed,) = gates_of(source + "switch (int[2](c)) { case -1 { x q[2]; } }")
    assert signed.conditions == (Condition((0, 1), frozenset({3})),)
    (wide,) = gates_of("qubit q; bit[40] c; switch (c) { case 1 << 39 { x q; } }")
    assert wide.conditions == (Condition(tuple(range(40)), frozenset({1 << 39})),)


def test_a_switch_on_what_is_known_is_one_of_its_blocks() -> None:
    cases = "{ case 0 { x q; } case 1, -2 { y q; } default { z q; } }"
    for value, name in ((0, "x"), (1, "y"), (-2, "y"), (7, "z")):
        assert [op.gate for op in gates_of(f"qubit q; int k = {value}; switch (k) {cases}")] == [name]
    names = [op.gate for op in gates_of("qubit q; for int i in [0:2] { switch (i) " + cases + " }")]
    assert names == ["x", "y", "z"]
    assert gates_of("qubit q; switch (5) { case 1 { x q; } }") == []


def test_a_variable_that_was_given_bits_may_be_given_others_or_a_number() -> None:
    source = "qubit q; bit c; bit d; c = measure q; int k = c; "
    again = gates_of(source + "d = measure q; k = d; if (k == 1) x q;")
    assert again[-1].conditions == (Condition((1,), frozenset({1})),)
    number = gates_of(source + "k = 3; rx(k) q;")
    assert (number[-1].parameters, number[-1].conditions) == ((3.0,), ())


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("qubit q; bit c; bit d; d = c;", "written only by measurements"),
        ("qubit q; bit c; c = 1;", "written only by measurements"),
        ("qubit q; int k = measure q;", "only bits can be measured into"),
        ("qubit q; bit c = measure q; const int k = c;", "measured only when the circuit runs"),
        ("qubit q; bit c = measure q; int k = c; rx(k) q;", "measured only when the circuit runs"),
        ("qubit q; bit c = measure q; int k = c; k += 1;", "measured only when the circuit runs"),
        ("qubit q; bit c = measure q; float k = c;", "measured only when the circuit runs"),
        ("qubit q; bit[2] c; int[2] k = c;", "2 bits may read more than int holds"),
        ("qubit q; bit c; int k = c; c = measure q; if (k == 1) x q;", "'k' no longer tells its bits"),
        ("qubit q; bit[2] c; int k; if (c[0]) { k = c[1]; } if (k == 1) x q;", "in a block that may not have happened"),
        ("qubit q; bit[2] c; int k; if (c[0]) { } else { k = c[1]; } k += 1;", "measured only when the circuit runs"),
        ("qubit q; bit c; switch (c) { case 0 { c = measure q; } case 1 { x q; } }", "a bit of its own condition"),
        ("qubit q; switch (1) { case 1, 2 { x q; } case 2 { y q; } }", "two cases have the value 2"),
        ("qubit q; switch (1) { case 0.5 { x q; } }", "expected a whole number"),
        ("qubit q; bit c; switch (1) { case c { x q; } }", "measured only when the circuit runs"),
        ("qubit q; switch (1) { default { x q; } }", "a switch has at least one case"),
        (
            "qubit q; switch (1) { case 1 { x q; } default { x q; } case 2 { y q; } }",
            "expected '}', as default comes last",
        ),
        ("qubit q; switch (1) { case 1 { } default { } case 2 { } }", "expected '}', as default comes last"),
        ("gate g a { switch (1) { case 1 { x a; } } }", "a gate's body holds only gates, not 'switch'"),
        ("gate g a { bit b; }", "a gate's body holds only gates, not 'bit'"),
        ("qubit q; switch (1.0) { case 1 { x q; } }", "a switch is on a whole number, and not on a float"),
        ("qubit q; angle a = pi; switch (a) { case 3 { x q; } }", "a switch is on a whole number"),
        (
            "qubit q; bit[2] c; switch (c / 2.0) { case 1 { x q; } }",
            "a switch is on a whole number, and not on a float",
        ),
        (
            f"qubit q; bit[11] c; switch (c) {{ case {', '.join(map(str, range(1_025)))} {{ x q; }} }}",
            "a switch has at most 1024 values",
        ),
        ("qubit q; switch (1) { case 1 x q; }", "expected '{' after the values"),
        ("qubit q; switch (1) { case 1: x q; break; }", "expected '{' after the values"),
        ("qubit q; switch (1) { x q; }", "expected 'case', 'default' or '}'"),
        ("qubit q; bit c = measure q; rx(c) q;", "measured only when the circuit runs"),
        ("qubit q; bit c = measure q; int k = 0; if (c) { k = 1; } rx(k) q;", "cannot depend on a measured bit"),
        ("qubit q; bit c = measure q; if (c) { c = measure q; x q; }", "a bit of its own condition"),
        ("qubit q; bit c = 1;", "bits start as 0"),
        ("qubit q; bit c; while (c) { x q; }", "'while' is not supported"),
        ("qubit q; def f() { }", "'def' is not supported"),
        ("x $0;", "physical qubits are not supported"),
        ("$0;", "physical qubits such as $0 are not supported"),
        ("qubit q; rx(1/2) q;", "write 1.0/2"),
        ("qubit q; measure q;", "expected a bit to measure into"),
        ("qubit[2] q; pow(0.5) @ swap q[0], q[1];", "no whole number"),
        ("qubit q; ctrl(0) @ x q;", "from 1"),
        ("qubit[2] q; ctrl @ x q[0], q[0];", "the same qubit twice"),
        ("qubit[2] q; ctrl @ x q[0];", "acts on 2 qubits, not 1"),
        ("for int i in [0:1] { qubit q; }", "outside of blocks"),
        ("const int n = 3; n = 4;", "cannot be assigned"),
        ("qubit q; int k = 9223372036854775807; k = k * 4;", "at most 64 bits"),
        ("qubit q; int k = 2 ** 100000000;", "too large"),
        ("qubit q; int k = 1 << 100000000;", "too large"),
        ("qubit q; int k = 99999999999999999999999999;", "at most 64 bits"),
        ("qubit q; uint[4] k = 15; k += 1; rx(k) q;", "16 does not fit uint[4], which holds 0 to 15"),
        ("qubit q; int[4] k = -9; rx(k) q;", "-9 does not fit int[4], which holds -8 to 7"),
        ("qubit q; uint k = -1; rx(k) q;", "-1 does not fit uint"),
        ("qubit q; int[0] k = 1;", "from 1 to 64"),
        ("qubit q; for uint[2] k in [3:4] rx(k) q;", "4 does not fit uint[2], which holds 0 to 3"),
        ("qubit q; for uint k in {-1} rx(k) q;", "-1 does not fit uint"),
        ("qubit q; rx(uint(-1)) q;", "not defined, or too large"),
        ("qubit[3] q; x q[-5:2];", "q has no element -5; it has 3"),
        ("qubit[3] q; x q[2:0];", "this part of q has no elements"),
        ("qubit[3] q; x q[{0, -3}];", "names an element of q twice"),
        ("qubit[3] q; let a = q[0:1] ++ q[1];", "the alias names the same qubit twice"),
        ("qubit[2] q; bit[2] c; c[{1, 1}] = measure q;", "names an element of c twice"),
        ("qubit q; bit[2] c; if ((c << 1) == 2) x q;", "drop the highest; shift a number"),
        ("qubit q; bit[2] c; if (((1 | c) << 1 << 1) == 2) x q;", "drop the highest; shift a number"),
        ("qubit q; bit[2] c; bit d; if (((c & d) << 1) == 2) x q;", "drop the highest; shift a number"),
        ("float a = 1; gate g q { rx(a) q; }", "declare 'a' as const"),
        ("int a = 1; gate g(t) q { pow(a) @ rx(t) q; }", "declare 'a' as const"),
        ("qubit[2] qubit;", "'qubit' is a word of the language; choose another name for the register"),
        ("const float pi = 3;", "'pi' is a word of the language"),
        ("gate ctrl a { }", "'ctrl' is a word of the language"),
        ("gate g(t) t { }", "'t' is already taken"),
        ("gate g a { barrier b; }", "one of the gate's qubits"),
        ("qubit q; bit c; if (c == 1); x q;", "expected what to do then"),
        ("qubit q; for int i in [0:1]; x q;", "expected what to do then"),
        ('include "/etc/passwd";', "only stdgates.inc or qelib1.inc can be included"),
    ],
)
def test_what_would_be_silently_wrong_elsewhere_is_refused(source: str, message: str) -> None:
    with pytest.raises(InvalidProgramError) as caught:
        read(source)
    assert message in caught.value.message
    assert caught.value.line == 3


def test_the_body_of_a_gate_means_what_it_meant_where_it_was_written() -> None:
    source = (
        "const float a = 0.5; const int n = 2; gate g(t) x { rx(t * a) x; } gate h(n) x { pow(n) @ p(a) x; } "
        "gate f x, y, z { ctrl(n) @ x x, y, z; } qubit[3] q; "
    )
    called = "for int a in [7:7] { for int n in [1:1] { g(1.0) q[0]; h(3) q[0]; f q[0], q[1], q[2]; } }"
    assert gates_of(source + called) == [
        gate("rx", 0, angles=(0.5,)),
        gate("p", 0, angles=(1.5,)),
        gate("ccx", 0, 1, 2),
    ]


def test_casts_to_so_many_bits_keep_the_lowest() -> None:
    source = "qubit q; bit[3] c; c[0] = measure q; "
    for condition, values in (
        ("int[3](c) < 0", {4, 5, 6, 7}),
        ("int[3](c) == -1", {7}),
        ("uint[2](c) == 3", {3, 7}),
        ("c == bit[3](13)", {5}),
        ("(uint[8](c) << 1) == 6", {3}),
        ("int(c) == 6", {6}),
    ):
        assert gates_of(source + f"if ({condition}) x q;")[0].conditions[0].values == values, condition
    assert gates_of("qubit q; rx(int[3](5)) q; ry(uint[3](-1)) q;") == [
        gate("rx", 0, angles=(-3.0,)),
        gate("ry", 0, angles=(7.0,)),
    ]


def test_the_variable_of_a_loop_has_the_type_that_it_is_declared_with() -> None:
    assert [op.parameters[0] for op in gates_of("qubit q; for float a in {1, 3} rx(a / 2) q;")] == [0.5, 1.5]
    assert [op.parameters[0] for op in gates_of("qubit q; for int k in {1.5, 3} rx(k) q;")] == [1.0, 3.0]


def test_another_name_of_a_single_qubit_is_a_single_qubit() -> None:
    assert gates_of("qubit[3] q; let a = q[2]; cx a, q[0:1];") == [gate("cx", 2, 0), gate("cx", 2, 1)]


@pytest.mark.parametrize(
    ("type_name", "value", "allowed"),
    [("int[4]", 8, "from -8 to 7"), ("uint", -1, "from 0 to"), ("uint[2]", 4, "from 0 to 3"), ("int", 1e30, "to 9")],
)
def test_an_input_that_does_not_fit_its_type_is_refused(type_name: str, value: float, allowed: str) -> None:
    with pytest.raises(InvalidFieldsError) as caught:
        read(f"input {type_name} k; qubit q; rx(k) q;", k=value)
    assert caught.value.details[0].path == "parameters.k"
    assert allowed in str(caught.value.details[0].allowed)


def test_annotations_delays_and_boxes_change_nothing() -> None:
    assert gates_of("qubit q; @hint fast\nbox { x q; } delay[100ns] q; barrier q;")[0] == gate("x", 0)


def test_an_annotation_does_not_take_the_place_of_the_statement_that_it_is_on() -> None:
    conditional = gates_of("qubit q; bit c; if (c == 1)\n@hint fast\nx q;")[0]
    assert (conditional.gate, len(conditional.conditions)) == ("x", 1)


def test_nothing_after_the_end_is_read() -> None:
    assert gates_of("qubit q; x q; end; y q;") == [gate("x", 0)]


def test_a_program_that_measures_nothing_may_read_more_bits_than_it_has_qubits() -> None:
    circuit = read("qubit q; bit[10] c; if (c < 9) x q;")
    assert (circuit.qubits, circuit.clbits) == (1, 10)
    assert exact_branches(circuit) == {"0000000001": pytest.approx(1.0)}
