"""Numbers of so many bits, as `int[8]` and `angle[4]` are: which there are, and what casts make of others."""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from webapp.quantum.parsing.angles import to_angle
from webapp.quantum.parsing.errors import Mistake

MAX_BITS: Final = 64


def _wrap(value: float, width: int) -> int:
    """Keep the lowest bits."""
    return math.trunc(value) % (1 << width)


def _wrap_signed(value: float, width: int) -> int:
    """Keep the lowest bits, the highest of which counts as negative."""
    half = 1 << (width - 1)
    return (math.trunc(value) + half) % (2 * half) - half


_CASTS: Final[Mapping[str, Callable[[float, int], float]]] = MappingProxyType(
    {
        "int": _wrap_signed,
        "uint": _wrap,
        "bit": _wrap,
        # Whatever its width, this is a double here.
        "float": lambda value, _width: float(value),
        "angle": to_angle,
    }
)

SIZED_TYPES: Final = frozenset(_CASTS)


def cast(type_name: str, value: float, width: float, position: int) -> float:
    """Cast a number to a type of so many bits; what a whole number has no bits for is dropped. Raises Mistake."""
    return _CASTS[type_name](value, check_width(width, position))


def check_width(width: float, position: int) -> int:
    """Let through the number of bits that a type may have. Raises Mistake."""
    if not isinstance(width, int) or not 1 <= width <= MAX_BITS:
        raise Mistake(f"a type has a whole number of bits, from 1 to {MAX_BITS}.", position)
    return int(width)


def list_limits(type_name: str, width: int | None) -> tuple[int, int] | None:
    """Give the least and the greatest whole number that a variable of a type holds; None where it holds others."""
    if type_name == "uint":
        return 0, (1 << (width or MAX_BITS)) - 1
    if type_name == "int":
        half = 1 << ((width or MAX_BITS) - 1)
        return -half, half - 1
    return None
