"""Angles of OpenQASM 3: fractions of a turn of so many bits, without a sign, whose arithmetic wraps round.

See https://openqasm.com/versions/3.0/language/types.html, under Angles and under Casting specifics. What a gate is
given is no such angle: it keeps its sign and its size, as in other readers.
"""

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, Self

from webapp.quantum.parsing.errors import Mistake

# An angle without a size: a double of some turns is exact to its last bit, so that 3*pi is pi.
MACHINE_BITS: Final = 48

_COMPARISONS: Final[Mapping[str, Callable[[int, int], bool]]] = MappingProxyType(
    {
        "==": operator.eq,
        "!=": operator.ne,
        "<": operator.lt,
        "<=": operator.le,
        ">": operator.gt,
        ">=": operator.ge,
    }
)
# What takes an angle as it takes any number: for its radians, for whether it is 0, or to cast it.
_TAKE_ANY_NUMBER: Final = frozenset(
    {"angle", "angle[]", "sin", "cos", "tan", "float", "float[]", "bool", "not", "&&", "||"}
)


class Angle(float):
    """An angle as its radians, from 0 to less than 2 pi; in units, there are `2**width` of which in a turn."""

    __slots__ = ("units", "width")

    units: int
    width: int

    def __new__(cls, units: int, width: int) -> Self:
        """Make an angle of so many units, without the whole turns in them."""
        units %= 1 << width
        angle = super().__new__(cls, math.ldexp(units, -width) * math.tau)
        angle.units, angle.width = units, width
        return angle


def to_angle(number: float, width: int = MACHINE_BITS) -> Angle:
    """Cast to an angle: radians to the nearest one, a tie to the even; an angle with more bits loses the lowest.

    Raises OverflowError or ValueError where the number is not finite.
    """
    if isinstance(number, Angle):
        missing = width - number.width
        return Angle(number.units << missing if missing > 0 else number.units >> -missing, width)
    return Angle(round(math.ldexp(number / math.tau % 1, width)), width)


def takes_any_number(function: str) -> bool:
    """Tell whether a function, or an operator, takes an angle as it takes any other number."""
    return function in _TAKE_ANY_NUMBER


def compute_angle(function: str, numbers: Sequence[float], position: int) -> Angle | bool:
    """Apply an operator to numbers of which one is an angle at least. Raises Mistake, or ZeroDivisionError."""
    left, right = numbers[0], numbers[-1]
    if function == "negative" and isinstance(left, Angle):
        return Angle(-left.units, left.width)
    if function == "*" and isinstance(right, Angle) and isinstance(left, int):
        left, right = right, left
    if function == "*" and isinstance(left, Angle) and isinstance(right, int):
        return Angle(left.units * right, left.width)
    if function == "/" and isinstance(left, Angle) and isinstance(right, int) and right >= 0:
        return Angle(left.units // right, left.width)
    if function in {"+", "-"}:
        left, right = _widen(left, right)
        return Angle(left.units + right.units if function == "+" else left.units - right.units, left.width)
    if function in _COMPARISONS:
        for number in numbers:
            _check_is_in_turn(number, position)
        left, right = _widen(left, right)
        return _COMPARISONS[function](left.units, right.units)
    raise Mistake(
        "an angle is added, subtracted and compared, and multiplied and divided by whole numbers without a sign; for "
        "anything else declare it as float, or take its radians: float(a).",
        position,
    )


def _widen(left: float, right: float) -> tuple[Angle, Angle]:
    """Bring two numbers to angles of one width, in which neither loses a bit."""
    width = max([MACHINE_BITS if not isinstance(each, Angle) else each.width for each in (left, right)])
    return to_angle(left, width), to_angle(right, width)


def _check_is_in_turn(number: float, position: int) -> None:
    """Check that a number can be compared with an angle: 2 pi would be 0. Raises Mistake."""
    if not 0 <= number < math.tau and not isinstance(number, Angle):
        raise Mistake(f"{number} is compared with an angle, and these are from 0 to less than 2*pi.", position)
