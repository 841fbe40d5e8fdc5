"""Expressions of OpenQASM: their syntax, folded where constant, and their values."""

import math
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from webapp.core.text import count_of
from webapp.quantum.limits import MAX_EXPRESSION_DEPTH, MAX_EXPRESSION_OPERATORS
from webapp.quantum.parsing.angles import Angle, compute_angle, takes_any_number, to_angle
from webapp.quantum.parsing.errors import Mistake
from webapp.quantum.parsing.tokens import INTEGER, NAME, REAL, STRING, Tokens
from webapp.quantum.parsing.widths import MAX_BITS, SIZED_TYPES, cast

Number = bool | int | float


@dataclass(frozen=True, slots=True)
class Name:
    """A constant, variable, parameter or register, or one element of a register."""

    name: str
    index: "Expression | None"
    position: int


@dataclass(frozen=True, slots=True)
class Call:
    """An operator or a function on its arguments; prefix operators have one argument, the others two."""

    function: str
    arguments: tuple["Expression", ...]
    position: int


Expression = Number | Name | Call

CONSTANTS: Final[Mapping[str, Number]] = MappingProxyType(
    {
        "pi": math.pi,
        "π": math.pi,
        "tau": math.tau,
        "τ": math.tau,
        "euler": math.e,
        "ℇ": math.e,
        "true": True,
        "false": False,
    }
)

_CONSTANTS_OF_VERSION_2: Final[Mapping[str, Number]] = MappingProxyType({"pi": math.pi})
# The inverse functions are not in its grammar; Qiskit reads them all the same.
_FUNCTIONS_OF_VERSION_2: Final = ("sin", "cos", "tan", "exp", "ln", "sqrt", "asin", "acos", "atan")
_OPERATORS_OF_VERSION_2: Final = frozenset({"+", "-", "*", "/", "**"})

# Binary operators and how tightly they bind (https://openqasm.com/versions/3.0/language/types.html).
_PRECEDENCE: Final[Mapping[str, int]] = MappingProxyType(
    {
        "||": 1,
        "&&": 2,
        "|": 3,
        "^": 4,
        "&": 5,
        "==": 6,
        "!=": 6,
        "<": 7,
        ">": 7,
        "<=": 7,
        ">=": 7,
        "<<": 8,
        ">>": 8,
        "+": 9,
        "-": 9,
        "*": 10,
        "/": 10,
        "%": 10,
        "**": 12,
    }
)
_UNARY_PRECEDENCE: Final = 11

# A cast to a type of so many bits is kept as an operator of this name on the value and the width.
_SIZED_CASTS: Final[Mapping[str, str]] = MappingProxyType({f"{name}[]": name for name in SIZED_TYPES})

# Beyond this, a whole number is no 64-bit one, and a program that computes it is wrong or hostile.
_LARGEST_INTEGER: Final = 1 << (MAX_BITS - 1)
_BITS: Final = 64


def _power(base: Number, exponent: Number) -> Number:
    """Raise to a power that stays small: Python would compute a number of any length."""
    if isinstance(base, int) and isinstance(exponent, int) and exponent >= 0:
        if base.bit_length() * exponent > _BITS:
            raise OverflowError
        return int(base**exponent)
    return math.pow(base, exponent)


def _shift_left(value: Number, places: Number) -> Number:
    """Shift to the left by no more than a word."""
    if not 0 <= _whole(places) < _BITS:
        raise OverflowError
    return _whole(value) << _whole(places)


def _whole(value: Number) -> int:
    """Take a whole number as one."""
    if isinstance(value, int):
        return int(value)
    raise TypeError


def _to_unsigned(value: Number) -> int:
    """Drop the fraction of a number that is not negative."""
    if value < 0:
        raise OverflowError
    return math.trunc(value)


def _log(value: Number) -> float:
    return math.log(value)


_FUNCTIONS: Final[Mapping[str, tuple[int, Callable[..., Number]]]] = MappingProxyType(
    {
        "sin": (1, math.sin),
        "cos": (1, math.cos),
        "tan": (1, math.tan),
        "arcsin": (1, math.asin),
        "arccos": (1, math.acos),
        "arctan": (1, math.atan),
        "asin": (1, math.asin),
        "acos": (1, math.acos),
        "atan": (1, math.atan),
        "exp": (1, math.exp),
        "ln": (1, _log),
        "log": (1, _log),
        "sqrt": (1, math.sqrt),
        "ceiling": (1, math.ceil),
        "floor": (1, math.floor),
        "mod": (2, lambda a, b: a % b),
        "pow": (2, _power),
        "popcount": (1, lambda a: _whole(a).bit_count()),
        "int": (1, math.trunc),
        "uint": (1, _to_unsigned),
        "float": (1, float),
        "angle": (1, to_angle),
        "bool": (1, bool),
        "bit": (1, bool),
    }
)

_OPERATORS: Final[Mapping[str, Callable[..., Number]]] = MappingProxyType(
    {
        "||": lambda a, b: bool(a) or bool(b),
        "&&": lambda a, b: bool(a) and bool(b),
        "|": lambda a, b: _whole(a) | _whole(b),
        "^": lambda a, b: _whole(a) ^ _whole(b),
        "&": lambda a, b: _whole(a) & _whole(b),
        "==": lambda a, b: a == b,
        "!=": lambda a, b: a != b,
        "<": lambda a, b: a < b,
        ">": lambda a, b: a > b,
        "<=": lambda a, b: a <= b,
        ">=": lambda a, b: a >= b,
        "<<": _shift_left,
        ">>": lambda a, b: _whole(a) >> min(max(_whole(b), 0), _BITS),
        "+": lambda a, b: a + b,
        "-": lambda a, b: a - b,
        "*": lambda a, b: a * b,
        "/": lambda a, b: a / b,
        "%": lambda a, b: a % b,
        "**": _power,
        "negative": lambda a: -a,
        "not": lambda a: not a,
    }
)


class ExpressionParser:
    """Reads expressions from tokens by precedence climbing.

    In OpenQASM 2 the sign ^ raises to a power and 1/2 is a half; in OpenQASM 3 ^ is the exclusive or, and the division
    of whole numbers drops the fraction: where there is one to drop, it is refused, as few authors mean it.
    """

    def __init__(self, tokens: Tokens, *, version: int, count_node: Callable[[], None]) -> None:
        self._tokens = tokens
        self._is_version_3 = version == 3  # noqa: PLR2004 - the version of the language
        self._constants = CONSTANTS if self._is_version_3 else _CONSTANTS_OF_VERSION_2
        self._count_node = count_node
        self._depth = 0
        self._operators = 0

    def read(self) -> Expression:
        """Read one expression. Raises Mistake."""
        if self._depth == 0:
            self._operators = 0
        return self._read_binary(1)

    def _read_binary(self, lowest: int) -> Expression:
        """Read operands and the operators between them that bind at least so tightly."""
        left = self._read_prefix()
        while True:
            operator, position = self._tokens.text, self._tokens.position
            if self._tokens.kind != "symbol":
                return left
            if not self._is_version_3 and operator == "^":
                operator = "**"
            precedence = _PRECEDENCE.get(operator, 0)
            if precedence < lowest or precedence == 0 or not self._has(operator, _OPERATORS_OF_VERSION_2):
                return left
            self._tokens.advance()
            # Only powers group to the right.
            right = self._read_nested(precedence if operator == "**" else precedence + 1)
            left = self._apply(operator, (left, right), position)

    def _has(self, word: str, words_of_version_2: Container[str]) -> bool:
        """Tell whether the version of the language has an operator or a function."""
        return self._is_version_3 or word in words_of_version_2

    def _read_nested(self, lowest: int) -> Expression:
        """Read an expression inside of another, not too deep."""
        self._depth += 1
        if self._depth > MAX_EXPRESSION_DEPTH:
            raise Mistake(f"expressions nest at most {MAX_EXPRESSION_DEPTH} deep.", self._tokens.position)
        value = self._read_binary(lowest)
        self._depth -= 1
        return value

    def _read_prefix(self) -> Expression:
        """Read signs, then what they stand before."""
        tokens = self._tokens
        if tokens.kind == "symbol" and (tokens.text in {"-", "+"} or (tokens.text == "!" and self._is_version_3)):
            sign, position = tokens.advance(), tokens.position
            operand = self._read_nested(_UNARY_PRECEDENCE)
            return operand if sign == "+" else self._apply("negative" if sign == "-" else "not", (operand,), position)
        return self._read_atom()

    def _read_atom(self) -> Expression:
        """Read a number, a name, a call or a parenthesis."""
        tokens = self._tokens
        position = tokens.position
        if tokens.kind in {INTEGER, REAL}:
            return self.read_number()
        if tokens.kind == STRING and self._is_version_3:
            return _read_bits(tokens.advance(), position)
        if tokens.accept("("):
            value = self._read_nested(1)
            tokens.expect(")")
            return value
        if tokens.kind != NAME:
            raise Mistake(f"expected a number, a name or '(', found {tokens.describe()}.", position)
        return self._read_named(tokens.advance(), position)

    def read_number(self) -> Number:
        """Read the number that is the current token. Raises Mistake."""
        kind, position = self._tokens.kind, self._tokens.position
        text = self._tokens.advance()
        if not self._is_version_3 and ("_" in text or (kind == INTEGER and not text.isdecimal())):
            raise Mistake(f"OpenQASM 2 writes numbers in decimal digits alone, and not as {text!r}.", position)
        text = text.replace("_", "")
        return _read_integer(text, position) if kind == INTEGER else _check_finite(float(text), position)

    def _read_named(self, name: str, position: int) -> Expression:
        """Read what follows a name: an index, arguments, or nothing."""
        tokens = self._tokens
        if name in SIZED_TYPES and self._is_version_3 and tokens.accept("["):
            return self._read_sized_cast(name, position)
        if tokens.accept("("):
            if not self._has(name, _FUNCTIONS_OF_VERSION_2):
                allowed = ", ".join(_FUNCTIONS_OF_VERSION_2)
                raise Mistake(f"OpenQASM 2 has no function {name[:40]!r}; it has {allowed}.", position)
            arguments = [self._read_nested(1)]
            while tokens.accept(","):
                arguments.append(self._read_nested(1))
            tokens.expect(")", after=f"the arguments of {name}")
            return self._apply(name, tuple(arguments), position)
        if tokens.accept("["):
            index = self._read_nested(1)
            tokens.expect("]")
            self._count_node()
            return Name(name, index, position)
        if name in self._constants:
            return self._constants[name]
        self._count_node()
        return Name(name, None, position)

    def _read_sized_cast(self, name: str, position: int) -> Expression:
        """Read the rest of `int[8](x)`."""
        width = self._read_nested(1)
        self._tokens.expect("]", after="the size")
        self._tokens.expect("(", after=f"the size of {name}")
        value = self._read_nested(1)
        self._tokens.expect(")", after=f"the argument of {name}")
        return self._apply(f"{name}[]", (value, width), position)

    def _apply(self, function: str, arguments: tuple[Expression, ...], position: int) -> Expression:
        """Compute at once what is constant; keep the rest."""
        self._operators += 1
        if self._operators > MAX_EXPRESSION_OPERATORS:
            raise Mistake(f"an expression has at most {MAX_EXPRESSION_OPERATORS} operators.", position)
        if function == "/" and not self._is_version_3:
            function = "real /"
        known = _FUNCTIONS.get(function)
        if known is None and function not in {*_OPERATORS, *_SIZED_CASTS, "real /"}:
            raise Mistake(f"there is no function {function[:40]!r}; there are {', '.join(_FUNCTIONS)}.", position)
        if known is not None and known[0] != len(arguments):
            raise Mistake(f"{function} takes {count_of(known[0], 'argument')}, not {len(arguments)}.", position)
        numbers = [argument for argument in arguments if isinstance(argument, int | float)]
        if len(numbers) == len(arguments):
            return compute(function, numbers, position)
        self._count_node()
        return Call(function, arguments, position)


def compute(function: str, numbers: list[Number], position: int) -> Number:
    """Apply an operator or a function to numbers. Raises Mistake where there is no finite, whole-sized answer."""
    try:
        if Angle in map(type, numbers) and not takes_any_number(function):
            return compute_angle(function, numbers, position)
        if function in _SIZED_CASTS:
            return cast(_SIZED_CASTS[function], numbers[0], numbers[1], position)
        if function == "/" and all(isinstance(number, int) for number in numbers):
            return _divide_whole(int(numbers[0]), int(numbers[1]), position)
        if function == "real /":
            return _check_finite(numbers[0] / numbers[1], position)
        apply = _OPERATORS.get(function) or _FUNCTIONS[function][1]
        return _check_finite(apply(*numbers), position)
    except ZeroDivisionError:
        raise Mistake("this divides by zero.", position) from None
    except (ValueError, OverflowError):
        raise Mistake("the value is not defined, or too large.", position) from None
    except TypeError:
        raise Mistake(f"{function!r} needs whole numbers.", position) from None


def evaluate(expression: Expression, look_up: Callable[[Name], Number]) -> Number:
    """Compute an expression; `look_up` gives the value of a name. Raises Mistake."""
    if isinstance(expression, int | float):
        return expression
    if isinstance(expression, Name):
        return look_up(expression)
    numbers = [evaluate(argument, look_up) for argument in expression.arguments]
    return compute(expression.function, numbers, expression.position)


def substitute(expression: Expression, look_up: Callable[[Name], Number | None]) -> Expression:
    """Put numbers in place of names, and compute what is constant then; None leaves a name as it is. Raises Mistake."""
    if isinstance(expression, int | float):
        return expression
    if isinstance(expression, Name):
        value = look_up(expression)
        return expression if value is None else value
    arguments = tuple([substitute(argument, look_up) for argument in expression.arguments])
    numbers = [argument for argument in arguments if isinstance(argument, int | float)]
    if len(numbers) == len(arguments):
        return compute(expression.function, numbers, expression.position)
    return Call(expression.function, arguments, expression.position)


def list_names(expression: Expression) -> Iterator[Name]:
    """List every name in an expression."""
    if isinstance(expression, Name):
        yield expression
    elif isinstance(expression, Call):
        for argument in expression.arguments:
            yield from list_names(argument)


def _divide_whole(dividend: int, divisor: int, position: int) -> int:
    """Divide whole numbers as OpenQASM 3 does, refusing where a fraction would be dropped without a word."""
    if dividend % divisor:
        raise Mistake(
            f"OpenQASM 3 divides whole numbers without their fraction; write {dividend}.0/{divisor} for the fraction, "
            f"or floor({dividend}.0/{divisor}) to drop it.",
            position,
        )
    return dividend // divisor


def _check_finite(value: Number, position: int) -> Number:
    """Let through finite numbers that fit 64 bits."""
    if isinstance(value, int):
        if not -_LARGEST_INTEGER <= value < 2 * _LARGEST_INTEGER:
            raise Mistake("a whole number has at most 64 bits.", position)
    elif not math.isfinite(value):
        raise Mistake("the number is infinite or not a number.", position)
    return value


def _read_integer(text: str, position: int) -> Number:
    """Read a whole number; as a decimal one it may start with zeros. Raises Mistake."""
    try:
        return _check_finite(int(text, 0) if text[1:2].isalpha() else int(text), position)
    except ValueError:
        raise Mistake(f"the number {text!r} has no digits.", position) from None


def _read_bits(text: str, position: int) -> int:
    """Read a string of bits, as in `c == "101"`."""
    digits = text[1:-1].replace("_", "")
    if not digits or set(digits) - {"0", "1"} or len(digits) > _BITS:
        raise Mistake(f'expected a string of up to {_BITS} bits such as "101".', position)
    return int(digits, 2)
