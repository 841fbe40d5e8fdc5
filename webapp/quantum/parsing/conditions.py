"""Turn what an `if` or a `switch` asks of classical bits into the values that the bits may have."""

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Container, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from webapp.quantum.circuits import Condition
from webapp.quantum.limits import MAX_COMPUTED_BITS
from webapp.quantum.parsing.angles import Angle
from webapp.quantum.parsing.errors import Mistake
from webapp.quantum.parsing.expressions import Call, Expression, Name, Number, evaluate, list_names

# So many operators, names and bits are computed in the time of one step.
_PARTS_PER_STEP: Final = 8

# A comparison is an operator on two sides.
_SIDES: Final = 2


@dataclass(frozen=True, slots=True)
class Target:
    """What a `switch` looks at: bits, or numbers that are computed from what the bits read."""

    clbits: tuple[int, ...]
    # What the bits may read where it comes to a number; None where it is what they read.
    readings: Mapping[int, frozenset[int]] | None = None

    def is_one_of(self, numbers: Collection[int]) -> Condition:
        """Make the condition that it has one of some values."""
        if self.readings is None:
            return Condition(
                self.clbits, frozenset(number for number in numbers if 0 <= number < 1 << len(self.clbits))
            )
        return Condition(self.clbits, frozenset().union(*(self.readings.get(number, ()) for number in numbers)))


class ConditionReader:
    """Reads conditions. `find_bits` gives None for what is no bit, and `look_up` the number that a name stands for."""

    def __init__(
        self,
        find_bits: Callable[[Name], tuple[int, ...] | None],
        look_up: Callable[[Name], Number],
        count_steps: Callable[[int], None],
    ) -> None:
        self._find_bits = find_bits
        self._look_up = look_up
        self._count_steps = count_steps

    def read(self, expression: Expression, position: int) -> Condition | bool:
        """Read the condition of an `if`; one that reads no bit is decided at once. Raises Mistake."""
        bits_of = self._find_all_bits(expression)
        if not bits_of:
            return bool(evaluate(expression, self._look_up))
        compared = _read_comparison(expression, bits_of, self._look_up)
        if compared is not None:
            return compared
        clbits, numbers = self._tabulate(expression, bits_of, position)
        return Condition(clbits, frozenset(value for value, number in enumerate(numbers) if number))

    def read_target(self, expression: Expression, position: int) -> Target | int:
        """Read the target of a `switch`; one that reads no bit is computed at once. Raises Mistake."""
        bits_of = self._find_all_bits(expression)
        if not bits_of:
            return _check_is_whole(evaluate(expression, self._look_up), position)
        if isinstance(expression, Name):
            return Target(bits_of[expression])
        clbits, numbers = self._tabulate(expression, bits_of, position)
        readings: defaultdict[int, set[int]] = defaultdict(set)
        for value, number in enumerate(numbers):
            readings[_check_is_whole(number, position)].add(value)
        return Target(clbits, {number: frozenset(values) for number, values in readings.items()})

    def _find_all_bits(self, expression: Expression) -> dict[Name, tuple[int, ...]]:
        """Find the bits of each name in an expression that stands for any. Raises Mistake."""
        found = {name: self._find_bits(name) for name in list_names(expression)}
        bits_of = {name: bits for name, bits in found.items() if bits is not None}
        _check_shifts(expression, bits_of)
        return bits_of

    def _tabulate(
        self, expression: Expression, bits_of: Mapping[Name, tuple[int, ...]], position: int
    ) -> tuple[tuple[int, ...], Iterator[Number]]:
        """Compute an expression for every value of the bits in it; give these, the lowest first. Raises Mistake."""
        clbits = tuple(sorted({clbit for found in bits_of.values() for clbit in found}))
        if len(clbits) > MAX_COMPUTED_BITS:
            raise Mistake(
                f"this reads {len(clbits)} bits; beside a register as it is (c == 5, c != 5, switch (c)) at most "
                f"{MAX_COMPUTED_BITS} are supported.",
                position,
            )
        self._count_steps(math.ceil(_count_parts(expression, bits_of) / _PARTS_PER_STEP) << len(clbits))
        places = {clbit: place for place, clbit in enumerate(clbits)}

        def compute_for(value: int) -> Number:
            def read(name: Name) -> Number:
                if name not in bits_of:
                    return self._look_up(name)
                return sum((value >> places[clbit] & 1) << index for index, clbit in enumerate(bits_of[name]))

            return evaluate(expression, read)

        return clbits, map(compute_for, range(1 << len(clbits)))


def _check_is_whole(number: Number, position: int) -> int:
    """Let through what a `switch` may be on. Raises Mistake."""
    if not isinstance(number, int):
        raise Mistake("a switch is on a whole number, and not on a float or an angle.", position)
    return int(number)


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


def _read_comparison(
    expression: Expression, bits_of: Mapping[Name, tuple[int, ...]], look_up: Callable[[Name], Number]
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
