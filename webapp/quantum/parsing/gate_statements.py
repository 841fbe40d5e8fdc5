"""Read OpenQASM's gates: calls with modifiers, and definitions."""

from collections.abc import Collection
from typing import Final

from webapp.quantum.parsing.errors import Mistake
from webapp.quantum.parsing.expressions import Expression, ExpressionParser
from webapp.quantum.parsing.operands import NodeCounter, OperandParser
from webapp.quantum.parsing.syntax import Barrier, GateCall, GateDefinition, Modifier, Operand
from webapp.quantum.parsing.tokens import NAME, Tokens

MODIFIERS: Final = frozenset({"ctrl", "negctrl", "inv", "pow"})

# The words of the language that a call of a gate may begin with.
_CALLED: Final = MODIFIERS | {"U", "CX", "gphase"}


class GateParser:
    """Reads gates from tokens. OpenQASM 2 has no modifiers."""

    def __init__(
        self,
        tokens: Tokens,
        expressions: ExpressionParser,
        operands: OperandParser,
        nodes: NodeCounter,
        *,
        has_modifiers: bool,
    ) -> None:
        self._tokens = tokens
        self._expressions = expressions
        self._operands = operands
        self._nodes = nodes
        self._has_modifiers = has_modifiers

    def read_definition(self, position: int) -> GateDefinition:
        """Read `gate name(a, b) q, r { … }`."""
        self._tokens.advance()
        name, parameters, qubits = self._read_gate_head()
        self._tokens.expect("{", after="the gate's qubits")
        body = []
        while not self._tokens.accept("}"):
            call = self._read_body_statement(qubits)
            if call is not None:
                body.append(call)
        return GateDefinition(name, parameters, qubits, tuple(body), position)

    def _read_body_statement(self, qubits: tuple[str, ...]) -> GateCall | None:
        """Read one statement of a gate's body; barriers inside of gates are checked and left out."""
        tokens = self._tokens
        self._nodes.count()
        if tokens.accept(";"):
            return None
        if tokens.text == "barrier":
            for operand in self.read_barrier(tokens.position).operands:
                check_is_own_qubit(operand, qubits)
            return None
        if tokens.kind != NAME:
            raise Mistake(f"expected a gate or '}}', found {tokens.describe()}.", tokens.position)
        if tokens.is_reserved and tokens.text not in _CALLED:
            raise Mistake(f"a gate's body holds only gates, not {tokens.text!r}.", tokens.position)
        return self.read_call()

    def read_opaque(self, position: int) -> GateDefinition:
        """Read `opaque name q;`: it may be announced, but not used."""
        self._tokens.advance()
        name, parameters, qubits = self._read_gate_head()
        self._tokens.expect(";", after="the opaque gate")
        return GateDefinition(name, parameters, qubits, None, position)

    def _read_gate_head(self) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
        """Read the name, the parameters and the qubits of a definition."""
        tokens = self._tokens
        name = tokens.expect_new_name("the gate")
        parameters: tuple[str, ...] = ()
        if tokens.accept("("):
            parameters = () if tokens.text == ")" else self._read_names("a parameter")
            tokens.expect(")", after="the parameters")
        return name, parameters, self._read_names("a qubit", taken=parameters)

    def _read_names(self, what: str, *, taken: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Read names with commas between them, all different."""
        tokens = self._tokens
        names: dict[str, None] = {}
        while True:
            position = tokens.position
            name = tokens.expect_new_name(what)
            self._nodes.count()
            if name in names or name in taken:
                raise Mistake(f"the name {name[:40]!r} is already taken.", position)
            names[name] = None
            if not tokens.accept(","):
                return tuple(names)

    def read_call(self) -> GateCall:
        """Read a gate with its modifiers: `ctrl(2) @ inv @ rx(pi) a, b, c;`."""
        tokens = self._tokens
        modifiers = []
        while tokens.text in MODIFIERS and tokens.kind == NAME and self._has_modifiers:
            position = tokens.position
            self._nodes.count()
            kind = tokens.advance()
            argument: Expression = 1
            if kind != "inv" and tokens.accept("("):
                argument = self._expressions.read()
                tokens.expect(")", after=f"the argument of {kind}")
            elif kind == "pow":
                raise Mistake("expected '(' and the exponent after 'pow'.", tokens.position)
            tokens.expect("@", after=kind)
            modifiers.append(Modifier(kind, argument, position))
        position = tokens.position
        return self.finish_call(tokens.expect_name("the name of a gate"), tuple(modifiers), position)

    def finish_call(self, name: str, modifiers: tuple[Modifier, ...], position: int) -> GateCall:
        """Read the angles and the qubits of a gate."""
        tokens = self._tokens
        arguments: list[Expression] = []
        if tokens.accept("(") and not tokens.accept(")"):
            arguments.append(self._expressions.read())
            while tokens.accept(","):
                arguments.append(self._expressions.read())
            tokens.expect(")", after=f"the angles of {name[:40]}")
        operands = () if tokens.text == ";" else self._operands.read_operands()
        tokens.expect(";", after=f"the qubits of {name[:40]}")
        return GateCall(name, modifiers, tuple(arguments), operands, position)

    def read_barrier(self, position: int) -> Barrier:
        """Read `barrier q, r[0];` or `barrier;`."""
        self._tokens.advance()
        operands = () if self._tokens.text == ";" else self._operands.read_operands()
        self._tokens.expect(";", after="the barrier")
        return Barrier(operands, position)


def check_is_own_qubit(operand: Operand, qubits: Collection[str]) -> None:
    """Check that an operand in a gate's body is one of the gate's qubits. Raises Mistake."""
    if operand.index is not None or operand.name not in qubits:
        raise Mistake(f"expected one of the gate's qubits ({', '.join(qubits)}).", operand.position)
