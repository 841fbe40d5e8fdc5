"""Read OpenQASM 2 and 3, statement by statement, by recursive descent (https://openqasm.com, arXiv:1707.03429)."""

from collections.abc import Callable, Iterator, Mapping
from typing import ClassVar, Final

from webapp.quantum.limits import MAX_BLOCK_DEPTH
from webapp.quantum.parsing.errors import Mistake
from webapp.quantum.parsing.expressions import Expression, ExpressionParser
from webapp.quantum.parsing.gate_statements import MODIFIERS, GateParser
from webapp.quantum.parsing.operands import NodeCounter, OperandParser
from webapp.quantum.parsing.syntax import (
    Alias,
    Assignment,
    Barrier,
    Block,
    Case,
    Declaration,
    End,
    For,
    GateDefinition,
    If,
    Measure,
    Operand,
    Range,
    Reset,
    Statement,
    Switch,
)
from webapp.quantum.parsing.tokens import END, HARDWARE, NAME, STRING, Tokens
from webapp.quantum.parsing.words import RESERVED

_LIBRARIES: Final = {2: ("qelib1.inc",), 3: ("stdgates.inc", "qelib1.inc")}
_VALUE_TYPES: Final = frozenset({"int", "uint", "float", "angle", "bool", "complex"})
_ASSIGNMENTS: Final = frozenset({"=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^="})
_NOT_SUPPORTED: Final = frozenset(
    {"while", "def", "return", "extern", "cal", "defcal", "defcalgrammar", "case", "default", "break", "continue"}
    | {"output", "stretch", "duration", "array", "mutable", "readonly", "pragma"}
)
# Qiskit and others write these for timing; on an ideal machine they do nothing.
_TIMING: Final = frozenset({"delay", "nop"})


class StatementParser:
    """Reads a program of one version. Each statement is handed over before the next is read, and then forgotten."""

    def __init__(self, source: str, *, version: int) -> None:
        self._version = version
        self._is_version_3 = version == 3  # noqa: PLR2004 - the version of the language
        self._tokens = Tokens(source, reserved=RESERVED[version])
        self._nodes = NodeCounter()
        self._kept_nodes = 0
        self._depth = 0
        self._expressions = ExpressionParser(self._tokens, version=version, count_node=self._nodes.count)
        self._operands = OperandParser(
            self._tokens, self._expressions, self._nodes, has_computed_indices=self._is_version_3
        )
        self._gates = GateParser(
            self._tokens, self._expressions, self._operands, self._nodes, has_modifiers=self._is_version_3
        )

    def read_program(self) -> Iterator[Statement]:
        """Read every statement. Raises Mistake or ProgramTooLargeError."""
        self._read_header()
        while self._tokens.kind != END:
            self._nodes.nodes = self._kept_nodes
            statement = self._read_statement()
            if isinstance(statement, GateDefinition):
                self._kept_nodes = self._nodes.nodes
            if statement is not None:
                yield statement

    def _read_header(self) -> None:
        """Read the line that names the version, which may be missing."""
        tokens = self._tokens
        position = tokens.position
        if not tokens.accept("OPENQASM"):
            return
        written = tokens.advance()
        if written.partition(".")[0] != str(self._version):
            raise Mistake(
                f"the program says OPENQASM {written[:10]}, but it was sent as openqasm{self._version}; "
                "send it with the format that it says.",
                position,
            )
        tokens.expect(";", after="the version")

    def _read_statement(self) -> Statement | None:
        """Read one statement; None for one that does nothing."""
        tokens = self._tokens
        position = tokens.position
        self._nodes.count()
        if tokens.accept(";"):
            return None
        if tokens.text == "@" and self._is_version_3:
            # An annotation: a hint to compilers that changes no meaning.
            tokens.skip_line()
            return None
        if tokens.text == "#":
            raise Mistake(
                "pragmas are not supported; ask beside the program, with observables, statevector or noise.",
                position,
            )
        if tokens.text == "{" and self._is_version_3:
            return Block(self._read_block(), position)
        if tokens.kind == HARDWARE:
            raise Mistake(
                f"physical qubits such as {tokens.text[:10]} are not supported; declare a register: qubit[n] q;",
                position,
            )
        if tokens.kind != NAME:
            raise Mistake(f"expected a statement, found {tokens.describe()}.", position)
        return self._read_worded(tokens.text, position)

    def _read_worded(self, word: str, position: int) -> Statement | None:
        """Read a statement that starts with a word."""
        reader = self._READERS[self._version].get(word)
        if reader is not None:
            return reader(self, position)
        if word in _NOT_SUPPORTED and self._is_version_3:
            raise Mistake(
                f"{word!r} is not supported; supported are registers, gate definitions, gates with modifiers, "
                "measure, reset, barrier, if, switch, for, const, input, let and arithmetic.",
                position,
            )
        if word in MODIFIERS and self._is_version_3:
            return self._gates.read_call()
        return self._read_call_or_assignment(position)

    def _read_call_or_assignment(self, position: int) -> Statement:
        """Read `x q;`, `rx(pi) q;`, `i = i + 1;` or `c[0] = measure q;`."""
        tokens = self._tokens
        name = tokens.advance()
        if tokens.text in _ASSIGNMENTS or tokens.text == "[":
            self._check_has_assignments(position)
            return self._read_assignment(Operand(name, self._operands.read_index(), position), position)
        return self._gates.finish_call(name, (), position)

    def _check_has_assignments(self, position: int) -> None:
        """Refuse what begins like a statement of OpenQASM 3 in a program of version 2. Raises Mistake."""
        if not self._is_version_3:
            raise Mistake(
                "OpenQASM 2 has no such statement; it measures with measure q[0] -> c[0]; and declares with qreg q[2]; "
                "and creg c[2]; A program in OpenQASM 3 is sent as openqasm3.",
                position,
            )

    def _read_assignment(self, target: Operand, position: int) -> Statement:
        """Read the right side of an assignment."""
        tokens = self._tokens
        if tokens.text not in _ASSIGNMENTS:
            raise Mistake(f"expected an assignment or a gate's qubits, found {tokens.describe()}.", tokens.position)
        operator = tokens.advance()
        if operator == "=" and tokens.accept("measure"):
            source = self._operands.read_operand()
            tokens.expect(";", after="the measurement")
            return Measure(source, target, position)
        value = self._expressions.read()
        tokens.expect(";", after="the assignment")
        return Assignment(target, operator, value, position)

    def _read_include(self, position: int) -> None:
        """Read an include of the standard library, which is always there; nothing else is ever opened."""
        tokens = self._tokens
        tokens.advance()
        if tokens.kind != STRING:
            raise Mistake(f"expected the name of a library in quotes, found {tokens.describe()}.", tokens.position)
        name = tokens.advance()[1:-1]
        if name not in _LIBRARIES[self._version]:
            allowed = " or ".join(_LIBRARIES[self._version])
            raise Mistake(f"only {allowed} can be included; write the definitions into the program.", position)
        tokens.expect(";", after="the include")

    def _read_old_register(self, position: int) -> Declaration:
        """Read `qreg q[5];` or `creg c[5];`."""
        tokens = self._tokens
        kind = "qubit" if tokens.advance() == "qreg" else "bit"
        name = tokens.expect_new_name("the register")
        size = None
        if not self._is_version_3:
            tokens.expect("[", after=f"the register's name {name[:40]!r}")
            size = self._operands.read_digits("a size")
            tokens.expect("]", after="the register's size")
        elif tokens.accept("["):
            size = self._expressions.read()
            tokens.expect("]", after="the register's size")
        tokens.expect(";", after="the register")
        return Declaration(kind, kind, name, size, None, position)

    def _read_register(self, position: int) -> Declaration:
        """Read `qubit[5] q;`, `bit c;`, `bit[2] c = measure q;` or `bit[2] c = "00";`."""
        tokens = self._tokens
        kind = tokens.advance()
        size = self._operands.read_size()
        name = tokens.expect_new_name("the register")
        value: Expression | Operand | None = None
        if kind == "bit" and tokens.accept("="):
            value = self._operands.read_operand() if tokens.accept("measure") else self._expressions.read()
        tokens.expect(";", after="the register")
        return Declaration(kind, kind, name, size, value, position)

    def _read_input(self, position: int) -> Declaration:
        """Read `input angle[32] theta;`."""
        tokens = self._tokens
        tokens.advance()
        type_name = tokens.expect_name("a type such as float")
        if type_name not in _VALUE_TYPES - {"complex"}:
            raise Mistake(f"an input is an int, uint, float, angle or bool, not {type_name[:40]!r}.", position)
        size = self._operands.read_size()
        name = tokens.expect_new_name("the input")
        tokens.expect(";", after="the input")
        return Declaration("input", type_name, name, size, None, position)

    def _read_value(self, position: int) -> Declaration:
        """Read `const int n = 5;` or `float x = pi;`."""
        tokens = self._tokens
        kind = "const" if tokens.accept("const") else "variable"
        type_name = tokens.expect_name("a type such as int")
        if type_name not in _VALUE_TYPES - {"complex"}:
            raise Mistake(f"expected int, uint, float, angle or bool, found {type_name[:40]!r}.", position)
        size = self._operands.read_size()
        name = tokens.expect_new_name("the variable")
        value: Expression | None = None
        if tokens.accept("="):
            if tokens.text == "measure":
                raise Mistake("only bits can be measured into; declare it as bit.", tokens.position)
            value = self._expressions.read()
        elif kind == "const":
            raise Mistake(f"expected '=' and the value of the constant, found {tokens.describe()}.", tokens.position)
        tokens.expect(";", after="the declaration")
        return Declaration(kind, type_name, name, size, value, position)

    def _read_alias(self, position: int) -> Alias:
        """Read `let ab = a[0:2] ++ b;`."""
        tokens = self._tokens
        tokens.advance()
        name = tokens.expect_new_name("the alias")
        tokens.expect("=", after="the alias")
        parts = [self._operands.read_operand()]
        while tokens.accept("++"):
            parts.append(self._operands.read_operand())
        tokens.expect(";", after="the alias")
        return Alias(name, tuple(parts), position)

    def _read_measure(self, position: int) -> Measure:
        """Read `measure q -> c;`, or `measure q;` in OpenQASM 3."""
        tokens = self._tokens
        tokens.advance()
        source = self._operands.read_operand()
        target = None
        if not self._is_version_3 or tokens.text == "->":
            tokens.expect("->", after="the qubit")
            target = self._operands.read_operand()
        tokens.expect(";", after="the measurement")
        return Measure(source, target, position)

    def _read_reset(self, position: int) -> Reset:
        """Read `reset q;`."""
        self._tokens.advance()
        operand = self._operands.read_operand()
        self._tokens.expect(";", after="the reset")
        return Reset(operand, position)

    def _read_gate_definition(self, position: int) -> GateDefinition:
        """Read `gate name(a, b) q, r { … }`."""
        return self._gates.read_definition(position)

    def _read_opaque(self, position: int) -> GateDefinition:
        """Read `opaque name q;`."""
        return self._gates.read_opaque(position)

    def _read_barrier(self, position: int) -> Barrier:
        """Read `barrier q, r[0];`."""
        return self._gates.read_barrier(position)

    def _read_if(self, position: int) -> If:
        """Read `if (c == 1) x q;` or with blocks and `else`."""
        tokens = self._tokens
        tokens.advance()
        tokens.expect("(", after="if")
        condition = self._expressions.read() if self._is_version_3 else self._operands.read_comparison()
        tokens.expect(")", after="the condition")
        then = self._read_block()
        otherwise: tuple[Statement, ...] = ()
        if self._is_version_3 and tokens.accept("else"):
            otherwise = self._read_block()
        return If(condition, then, otherwise, position)

    def _read_switch(self, position: int) -> Switch:
        """Read `switch (c) { case 0 { … } case 1, 2 { … } default { … } }`."""
        tokens = self._tokens
        tokens.advance()
        tokens.expect("(", after="switch")
        target = self._expressions.read()
        tokens.expect(")", after="the switch's target")
        tokens.expect("{", after="the switch's target")
        cases: list[Case] = []
        while tokens.text == "case":
            cases.append(self._read_case())
        default: tuple[Statement, ...] = ()
        wanted = "'case', 'default' or '}'"
        if tokens.accept("default"):
            default = self._read_case_block("default")
            wanted = "'}', as default comes last"
        if not tokens.accept("}"):
            raise Mistake(f"expected {wanted}, found {tokens.describe()}.", tokens.position)
        if not cases:
            raise Mistake("a switch has at least one case.", position)
        return Switch(target, tuple(cases), default, position)

    def _read_case(self) -> Case:
        """Read `case 1, 2 { … }`."""
        tokens = self._tokens
        position = tokens.position
        self._nodes.count()
        tokens.advance()
        values = [self._expressions.read()]
        while tokens.accept(","):
            self._nodes.count()
            values.append(self._expressions.read())
        return Case(tuple(values), self._read_case_block("the values"), position)

    def _read_case_block(self, after: str) -> tuple[Statement, ...]:
        """Read the block of a case, which has braces, and no `break` as nothing falls through."""
        tokens = self._tokens
        if tokens.text != "{":
            raise Mistake(f"expected '{{' after {after}, found {tokens.describe()}.", tokens.position)
        return self._read_block()

    def _read_for(self, position: int) -> For:
        """Read `for int i in [0:3] { … }`."""
        tokens = self._tokens
        tokens.advance()
        type_name, size = "int", None
        if tokens.text in {"int", "uint", "float", "angle"}:
            type_name, size = tokens.advance(), self._operands.read_size()
        variable = tokens.expect_new_name("the loop's variable")
        tokens.expect("in", after="the loop's variable")
        values: Range | tuple[Expression, ...]
        if tokens.text == "{":
            values = self._operands.read_set()
        else:
            tokens.expect("[", after="in")
            read = self._operands.read_range()
            values = read if isinstance(read, Range) else (read,)
            tokens.expect("]", after="the range")
        return For(type_name, size, variable, values, self._read_block(), position)

    def _read_box(self, position: int) -> Block:
        """Read `box { … }`, which only groups."""
        self._tokens.advance()
        if self._tokens.accept("["):
            self._tokens.advance()
            self._tokens.expect("]", after="the duration")
        return Block(self._read_block(), position)

    def _read_end(self, position: int) -> End:
        """Read `end;`."""
        self._tokens.advance()
        self._tokens.expect(";", after="end")
        return End(position)

    def _read_timing(self, position: int) -> Barrier:
        """Read `delay[100ns] q;`: an ideal machine waits without an effect."""
        tokens = self._tokens
        tokens.advance()
        if tokens.accept("["):
            while tokens.text != "]" and tokens.kind != END:
                tokens.advance()
            tokens.expect("]", after="the duration")
        operands = () if tokens.text == ";" else self._operands.read_operands()
        tokens.expect(";", after="the delay")
        return Barrier(operands, position)

    def _read_block(self) -> tuple[Statement, ...]:
        """Read statements in braces, or a single one."""
        tokens = self._tokens
        self._depth += 1
        if self._depth > MAX_BLOCK_DEPTH:
            raise Mistake(f"blocks nest at most {MAX_BLOCK_DEPTH} deep.", tokens.position)
        statements: list[Statement | None] = []
        if self._is_version_3 and tokens.accept("{"):
            while not tokens.accept("}"):
                if tokens.kind == END:
                    raise Mistake("expected '}', found the end of the program.", tokens.position)
                statements.append(self._read_statement())
        else:
            statements.append(self._read_only_statement())
        self._depth -= 1
        return tuple(statement for statement in statements if statement is not None)

    def _read_only_statement(self) -> Statement:
        """Read the one statement of a block without braces: `if (c == 1);` would leave what follows without it."""
        tokens = self._tokens
        while tokens.text == "@" and self._is_version_3:
            tokens.skip_line()
        position, found = tokens.position, tokens.describe()
        statement = self._read_statement()
        if statement is None:
            raise Mistake(f"expected what to do then, such as x q[0];, found {found}.", position)
        return statement

    # Functions and not bound methods: a parser that held those would hold itself, for as long as the collector of
    # cycles takes.
    _READERS_OF_BOTH: ClassVar[Mapping[str, "_Reader"]] = {
        "include": _read_include,
        "qreg": _read_old_register,
        "creg": _read_old_register,
        "gate": _read_gate_definition,
        "opaque": _read_opaque,
        "measure": _read_measure,
        "reset": _read_reset,
        "barrier": _read_barrier,
        "if": _read_if,
    }
    _READERS: ClassVar[Mapping[int, Mapping[str, "_Reader"]]] = {
        2: _READERS_OF_BOTH,
        3: {
            **_READERS_OF_BOTH,
            "qubit": _read_register,
            "bit": _read_register,
            "input": _read_input,
            "const": _read_value,
            "let": _read_alias,
            "switch": _read_switch,
            "for": _read_for,
            "box": _read_box,
            "end": _read_end,
            **dict.fromkeys(_VALUE_TYPES, _read_value),
            **dict.fromkeys(_TIMING, _read_timing),
        },
    }


_Reader = Callable[[StatementParser, int], Statement | None]
