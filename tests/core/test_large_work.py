"""Large work of many threads: one at a time, few wait, and what is small does not."""

import gc
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tests.live import wait_until
from webapp.core import large_work
from webapp.core.large_work import (
    MAX_PLACES,
    MAX_PLACES_OF_ONE_ACCOUNT,
    LargeWorkBusyError,
    Turns,
    begin_large_work,
    large_work_in_turn,
    turns,
)


class Circuit:
    """Something large."""


@contextmanager
def one_at_work(account: str = "first") -> Iterator[None]:
    """Have another thread do large work for as long as the block lasts."""
    turns.take(account)
    try:
        yield
    finally:
        turns.give_back(account)


def work(account: str) -> str:
    """Do large work, and give the account that it was for."""
    with large_work_in_turn(account):
        begin_large_work()
        begin_large_work()
        return account


def test_what_is_large_waits_and_what_is_small_does_not() -> None:
    with ThreadPoolExecutor() as threads:
        with one_at_work():
            waiting = threads.submit(work, "second")
            wait_until(lambda: turns.taken == 2)
            with large_work_in_turn("third"):
                pass
            assert not waiting.done()
        assert waiting.result() == "second"
    assert turns.taken == 0


def test_no_two_are_at_work_at_one_time() -> None:
    at_work, most, lock = 0, 0, threading.Lock()

    def count(account: str) -> None:
        nonlocal at_work, most
        with large_work_in_turn(account):
            begin_large_work()
            with lock:
                at_work += 1
                most = max(most, at_work)
            gc.collect(0)
            with lock:
                at_work -= 1

    with ThreadPoolExecutor(max_workers=MAX_PLACES) as threads:
        list(threads.map(count, [str(number % MAX_PLACES) for number in range(100)]))
    assert most == 1


def test_more_than_a_few_are_refused_at_once() -> None:
    with ThreadPoolExecutor() as threads, one_at_work():
        waiting = [threads.submit(work, str(number)) for number in range(MAX_PLACES - 1)]
        wait_until(lambda: turns.taken == MAX_PLACES)
        with pytest.raises(LargeWorkBusyError), large_work_in_turn("late"):
            begin_large_work()
        assert turns.taken == MAX_PLACES
        assert not any(each.done() for each in waiting)


def test_one_account_leaves_a_place_to_others() -> None:
    with ThreadPoolExecutor() as threads, one_at_work("greedy"):
        waiting = [threads.submit(work, "greedy") for _ in range(MAX_PLACES_OF_ONE_ACCOUNT - 1)]
        wait_until(lambda: turns.taken == MAX_PLACES_OF_ONE_ACCOUNT)
        with pytest.raises(LargeWorkBusyError), large_work_in_turn("greedy"):
            begin_large_work()
        waiting.append(threads.submit(work, "modest"))
        wait_until(lambda: turns.taken == MAX_PLACES)


def test_who_has_waited_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_work, "MAX_WAIT_SECONDS", 0.001)
    own = Turns()
    own.take("first")
    with pytest.raises(LargeWorkBusyError):
        own.take("second")
    assert own.taken == 1
    own.give_back("first")
    own.take("second")


def test_a_block_in_another_is_part_of_it() -> None:
    with large_work_in_turn("first"):
        work("second")
        assert turns.taken == 1
    assert turns.taken == 0


def test_a_process_without_requests_waits_for_nothing() -> None:
    with one_at_work():
        begin_large_work()
        assert turns.taken == 1


def test_an_error_gives_the_turn_back_and_keeps_nothing_that_was_made() -> None:
    made: list[weakref.ref[Circuit]] = []

    def fail() -> None:
        circuit = Circuit()
        made.append(weakref.ref(circuit))
        raise ValueError

    def translate() -> None:
        try:
            fail()
        except ValueError:
            raise LookupError from None

    def begin_and_translate() -> None:
        begin_large_work()
        translate()

    with pytest.raises(LookupError) as raised, large_work_in_turn("first"):
        begin_and_translate()
    assert raised.value.__context__ is not None
    assert made[0]() is None
    assert turns.taken == 0
