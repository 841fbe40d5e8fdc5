"""Read the parts of OpenQASM's statements that name qubits and bits: registers, indices and ranges."""

from typing import Final

from webapp.quantum.limits import MAX_SYNTAX_NODES
from webapp.quantum.parsing.errors import Mistake, ProgramTooLargeError
from webapp.quantum.parsing.expressions import Call, Expression, ExpressionParser, Name
from webapp.quantum.parsing.syntax import Operand, Range
from webapp.quantum.parsing.tokens import HARDWARE, INTEGER, Tokens

_COMPARISONS: Final = frozenset({"==", "!=", "<", "<=", ">", ">="})


class NodeCounter:
    """Counts what the reader keeps of a program at any moment."""

    def __init__(self) -> None:
        self.nodes = 0

    def count(self) -> None:
        """Count one more thing to keep. Raises ProgramTooLargeError."""
        self.nodes += 1
        if self.nodes > MAX_SYNTAX_NODES:
            raise ProgramTooLargeError(
                f"Gate definitions and blocks hold at most {MAX_SYNTAX_NODES} statements and operands in all."
            )


class OperandParser:
    """Reads operands from tokens. In OpenQASM 2 an index is a whole number in digits."""

    def __init__(
        self, tokens: Tokens, expressions: ExpressionParser, nodes: NodeCounter, *, has_computed_indices: bool
    ) -> None:
        self._tokens = tokens
        self._expressions = expressions
        self._nodes = nodes
        self._has_computed_indices = has_computed_indices

    def read_operands(self) -> tuple[Operand, ...]:
        """Read operands with commas between them."""
        operands = [self.read_operand()]
        while self._tokens.accept(","):
            operands.append(self.read_operand())
        return tuple(operands)

    def read_operand(self) -> Operand:
        """Read a register or a part of one."""
        tokens = self._tokens
        position = tokens.position
        self._nodes.count()
        if tokens.kind == HARDWARE:
            raise Mistake("physical qubits are not supported; declare a register: qubit[n] q;", position)
        return Operand(tokens.expect_name("a register"), self.read_index(), position)

    def read_index(self) -> Expression | Range | tuple[Expression, ...] | None:
        """Read `[2]`, `[0:3]` or `[{0, 2}]`, where there is one."""
        tokens = self._tokens
        if not self._has_computed_indices:
            return self.read_plain_index()
        if not tokens.accept("["):
            return None
        index: Expression | Range | tuple[Expression, ...]
        index = self.read_set() if tokens.text == "{" else self.read_range()
        tokens.expect("]", after="the index")
        return index

    def read_plain_index(self) -> Expression | None:
        """Read `[2]` as OpenQASM 2 has it, where there is one."""
        if not self._tokens.accept("["):
            return None
        index = self.read_digits("an index")
        self._tokens.expect("]", after="the index")
        return index

    def read_digits(self, what: str) -> Expression:
        """Read a whole number in digits: OpenQASM 2 computes none but angles."""
        if self._tokens.kind != INTEGER:
            raise Mistake(
                f"{what} is a whole number in digits in OpenQASM 2, such as 0 or 12, not {self._tokens.describe()}; "
                "OpenQASM 3 has others.",
                self._tokens.position,
            )
        return self._expressions.read_number()

    def read_comparison(self) -> Expression:
        """Read the condition of OpenQASM 2, `c == 3`; of one bit, or with another comparison, it is as clear."""
        tokens = self._tokens
        position = tokens.position
        bits = Name(tokens.expect_name("a classical register"), self.read_plain_index(), position)
        operator, position = tokens.text, tokens.position
        if operator not in _COMPARISONS:
            raise Mistake(f"expected '==' and a whole number, found {tokens.describe()}.", position)
        tokens.advance()
        return Call(operator, (bits, self.read_digits("what a register is compared with")), position)

    def read_set(self) -> tuple[Expression, ...]:
        """Read `{1, 2, 3}`."""
        tokens = self._tokens
        tokens.expect("{")
        values = [self._expressions.read()]
        while tokens.accept(","):
            self._nodes.count()
            values.append(self._expressions.read())
        tokens.expect("}", after="the set")
        return tuple(values)

    def read_range(self) -> Expression | Range:
        """Read `start:step:stop`, `start:stop`, or a single value."""
        tokens = self._tokens
        parts: list[Expression | None] = [None if tokens.text == ":" else self._expressions.read()]
        while tokens.accept(":"):
            parts.append(None if tokens.text in {":", "]"} else self._expressions.read())
        if len(parts) == 1 and parts[0] is not None:
            return parts[0]
        if len(parts) > 3:  # noqa: PLR2004 - start, step, stop
            raise Mistake("a range is start:stop or start:step:stop.", tokens.position)
        return Range(parts[0], parts[1] if len(parts) == 3 else None, parts[-1])  # noqa: PLR2004 - as above

    def read_size(self) -> Expression | None:
        """Read `[n]`, where there is one."""
        if not self._tokens.accept("["):
            return None
        size = self._expressions.read()
        self._tokens.expect("]", after="the size")
        return size
