"""What an object works out once: for itself, and with nobody else waiting for it."""

import threading
from concurrent.futures import ThreadPoolExecutor

from webapp.core.memo import remembered


class Square:
    """A number that is squared on demand, and counts how often."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.times = 0
        self.may_go_on = threading.Event()
        self.has_begun = threading.Event()

    @remembered
    def square(self) -> int:
        """Its square."""
        self.times += 1
        self.has_begun.set()
        assert self.may_go_on.wait(timeout=10)
        return self.number**2


def test_it_is_worked_out_once_by_each_object() -> None:
    for number in (2, 3):
        square = Square(number)
        square.may_go_on.set()
        assert [square.square, square.square, square.times] == [number**2, number**2, 1]
    assert Square.square.__doc__ == "Its square."


def test_one_that_takes_long_keeps_no_other_waiting() -> None:
    slow, quick = Square(2), Square(3)
    quick.may_go_on.set()
    with ThreadPoolExecutor() as threads:
        begun = threads.submit(lambda: slow.square)
        assert slow.has_begun.wait(timeout=10)
        # With a lock for all of them, this one would not come back before the slow one has.
        found = threads.submit(lambda: quick.square)
        try:
            assert found.result(timeout=5) == 9
        finally:
            slow.may_go_on.set()
        assert begun.result() == 4
