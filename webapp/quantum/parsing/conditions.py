"""Turn the condition of an `if` on classical bits into the values that the bits may have."""

import math
from collections.abc import Callable, Container, Mapping
from typing import Final

from webapp.quantum.circuits import Condition
from webapp.quantum.parsing.angles import Angle
from webapp.quantum.parsing.errors import Mistake
from webapp.quantum.parsing.expressions import Call, Expression, Name, Number, evaluate, list_names

# Every value of so many bits is tried, once per condition.
_MAX_BITS: Final = 10

# So many operators, names and bits are computed in the time of one step.
_PARTS_PER_STEP: Final = 8

# A comparison is an operator on two sides.
_SIDES: Final = 2


def read_condition(
    expression: Expression,
    *,
    find_bits: Callable[[Name], tuple[int, ...] | None],
    look_up: Callable[[Name], Number],
    count_steps: Callable[[int], None],
    position: int,
) -> Condition | bool:
    """Read a condition; one that reads no bit is decided at once. `find_bits` gives None for what is no bit.

    Raises Mistake.
    """
    bits_of: dict[Name, tuple[int, ...]] = {}
    for name in list_names(expression):
        found = find_bits(name)
        if found is not None:
            bits_of[name] = found
    if not bits_of:
        return bool(evaluate(expression, look_up))
    _check_shifts(expression, bits_of)
    compared = _read_comparison(expression, bits_of, look_up)
    if compared is not None:
        return compared
    clbits = tuple(sorted({clbit for found in bits_of.values() for clbit in found}))
    if len(clbits) > _MAX_BITS:
        raise Mistake(
            f"this condition reads {len(clbits)} bits; beside a plain comparison (c == 5, c != 5) at most {_MAX_BITS} "
            "are supported.",
            position,
        )
    count_steps(math.ceil(_count_parts(expression, bits_of) / _PARTS_PER_STEP) << len(clbits))
    return Condition(clbits, _list_values(expression, clbits, bits_of, look_up))


def _check_shifts(expression: Expression, bits: Container[Name]) -> bool:
    """Refuse to shift bits to the left: a register drops what leaves it, and a number, which it is here, does not.

    Tells whether the expression stands for bits, and not for a number that is made of them. Raises Mistake.
    """
    if not isinstance(expression, Call):
        return isinstance(expression, Name) and expression in bits
    are_bits = [_check_shifts(argument, bits) for argument in expression.arguments]
    if expression.function == "<<" and are_bits[0]:
        raise Mistake(
            "bits that are shifted to the left drop the highest; shift a number: uint[8](c) << 1.", expression.position
        )
    return expression.function in {"&", "|", "^", "<<", ">>"} and any(are_bits)


def _count_parts(expression: Expression, bits_of: Mapping[Name, tuple[int, ...]]) -> int:
    """Count what is computed for one value of the bits: operators, names, and the bits that names stand for."""
    if isinstance(expression, Call):
        return 1 + sum([_count_parts(argument, bits_of) for argument in expression.arguments])
    return 1 + len(bits_of.get(expression, ())) if isinstance(expression, Name) else 0


def _list_values(
    expression: Expression,
    clbits: tuple[int, ...],
    bits_of: dict[Name, tuple[int, ...]],
    look_up: Callable[[Name], Number],
) -> frozenset[int]:
    """Try every value of the bits."""
    places = {clbit: place for place, clbit in enumerate(clbits)}

    def holds(value: int) -> bool:
        def read(name: Name) -> Number:
            if name not in bits_of:
                return look_up(name)
            return sum((value >> places[clbit] & 1) << index for index, clbit in enumerate(bits_of[name]))

        return bool(evaluate(expression, read))

    return frozenset(value for value in range(1 << len(clbits)) if holds(value))


def _read_comparison(
    expression: Expression, bits_of: dict[Name, tuple[int, ...]], look_up: Callable[[Name], Number]
) -> Condition | None:
    """Read `c == 5` and `c != 5`, for a register of any width; None for anything else."""
    if not isinstance(expression, Call) or expression.function not in {"==", "!="}:
        return None
    sides = [side for side in expression.arguments if isinstance(side, Name) and side in bits_of]
    others = [side for side in expression.arguments if side not in sides]
    if len(sides) != 1 or len(others) != _SIDES - 1 or any(name in bits_of for name in list_names(others[0])):
        return None
    clbits = bits_of[sides[0]]
    value = evaluate(others[0], look_up)
    if isinstance(value, Angle):
        raise Mistake("bits are compared with a whole number, and not with an angle.", expression.position)
    values = frozenset({int(value)} if value == int(value) and 0 <= value < 1 << len(clbits) else ())
    return Condition(clbits, values, is_negated=expression.function == "!=")
