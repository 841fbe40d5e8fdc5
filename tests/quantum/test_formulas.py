from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from webapp.quantum.formulas import count_literals, write_formula

# A formula as what it comes to for a reading of the bits, and the bits that it asks for.
_Formula = tuple[bool, int]


def _evaluate(width: int, values: frozenset[int], reading: int) -> _Formula:
    """Evaluate a formula over bits that read a number."""

    def join(parts: Sequence[_Formula], *, holds: bool) -> _Formula:
        return holds, sum(literals for _, literals in parts)

    formula = write_formula(
        range(width),
        values,
        lambda clbit, value: ((reading >> clbit & 1) == value, 1),
        lambda parts: join(parts, holds=all(holds for holds, _ in parts)),
        lambda parts: join(parts, holds=any(holds for holds, _ in parts)),
    )
    return (True, 0) if formula is None else formula


@given(st.integers(1, 10).flatmap(lambda width: st.tuples(st.just(width), st.frozensets(st.integers(0, 2**width - 1)))))
def test_a_formula_holds_for_its_values_and_no_others_and_its_literals_are_counted(
    asked: tuple[int, frozenset[int]],
) -> None:
    width, values = asked
    for reading in range(1 << width):
        assert _evaluate(width, values, reading) == (reading in values, count_literals(width, values))


def test_what_is_easily_said_asks_for_few_bits() -> None:
    every = frozenset(range(1_024))
    assert count_literals(10, every) == 0
    assert count_literals(10, frozenset(range(512))) == 1
    assert count_literals(10, frozenset(range(0, 1_024, 2))) == 1
    assert count_literals(10, every - {1_023}) < 30
    assert count_literals(10, frozenset({5})) == 10


def test_values_of_a_wide_register_ask_for_all_of_its_bits() -> None:
    assert count_literals(1_000, frozenset({1, 2, 3})) == 3_000
    assert count_literals(1_000, frozenset()) == 0
