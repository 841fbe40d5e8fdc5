"""What bits may read as a formula over single ones, for engines that ask nothing else of them."""

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from functools import lru_cache
from typing import TypeVar

from webapp.quantum.limits import MAX_COMPUTED_BITS

Formula = TypeVar("Formula")


def write_formula(
    clbits: Sequence[int],
    values: Collection[int],
    literal: Callable[[int, int], Formula],
    join_all: Callable[[Sequence[Formula]], Formula],
    join_any: Callable[[Sequence[Formula]], Formula],
) -> Formula | None:
    """Write that bits, the first as the lowest, read one of some values; None where they do whatever they read.

    `literal` writes that a bit is 0 or 1. Of no values it is `join_any` of nothing.

    Half of the bits at a time, so that a formula is not as deep as it is long: Qiskit and Aer go down in them by
    recursion. Values that differ only in some upper halves share what is asked of the lower.
    """

    def write(clbits: Sequence[int], values: Collection[int]) -> Formula | None:
        return write_formula(clbits, values, literal, join_all, join_any)

    if not values:
        return join_any([])
    if len(clbits) == 1:
        return None if len(values) > 1 else literal(clbits[0], *values)
    half = len(clbits) // 2
    parts = [(write(clbits[:half], low), write(clbits[half:], high)) for low, high in _split(half, values)]
    asked = [[side for side in part if side is not None] for part in parts]
    return join_any([join_all(sides) for sides in asked]) if all(asked) else None


def count_literals(width: int, values: frozenset[int]) -> int:
    """Count the bits that the formula asks for, each as often as it does; `width` bits read one of `values`.

    On more bits than are ever computed with, values share little, and it is what they ask for if they share nothing.
    """
    return width * len(values) if width > MAX_COMPUTED_BITS else _count_shared_literals(width, values)


# The halves of conditions are small and alike.
@lru_cache(maxsize=4096)
def _count_shared_literals(width: int, values: frozenset[int]) -> int:
    """Count them as the formula is written; 0 where it always holds."""
    if width == 1:
        return len(values) % 2
    half = width // 2
    parts = [
        _count_shared_literals(half, low) + _count_shared_literals(width - half, high)
        for low, high in _split(half, values)
    ]
    return sum(parts) if all(parts) else 0


def _split(half: int, values: Collection[int]) -> list[tuple[frozenset[int], frozenset[int]]]:
    """Split numbers into so many lower bits and the rest: what each set of lows is followed by."""
    lows: defaultdict[int, set[int]] = defaultdict(set)
    for value in values:
        lows[value >> half].add(value & (1 << half) - 1)
    highs: defaultdict[frozenset[int], set[int]] = defaultdict(set)
    for high, low in lows.items():
        highs[frozenset(low)].add(high)
    return [(low, frozenset(high)) for low, high in highs.items()]
