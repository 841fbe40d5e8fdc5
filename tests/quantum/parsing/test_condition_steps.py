"""What reading a condition is counted as: a program may not buy much computing with few steps."""

from webapp.quantum.parsing.conditions import ConditionReader
from webapp.quantum.parsing.expressions import Call, Expression, Name


def count_steps_of(expression: Expression, *, bits: int) -> int:
    """Read a condition on a register of so many bits; give the steps that were counted."""
    counted: list[int] = []
    reader = ConditionReader(find_bits=lambda _: tuple(range(bits)), look_up=lambda _: 0, count_steps=counted.append)
    reader.read(expression, position=0)
    return sum(counted)


def test_a_condition_counts_every_value_of_its_bits() -> None:
    bits = Name("c", None, 0)
    assert count_steps_of(Call("<", (bits, 3), 0), bits=2) == 4
    assert count_steps_of(Call("<", (bits, 3), 0), bits=6) == 64


def test_a_condition_of_many_operators_counts_them_for_every_value() -> None:
    bits = Name("c", None, 0)
    chain: Expression = bits
    for _ in range(80):
        chain = Call("^", (chain, bits), 0)
    # 80 operators, and 81 times the name and its 10 bits.
    assert count_steps_of(chain, bits=10) == 122 * 1024
