"""Large programs and bodies, worked on one at a time by a process, however many are sent at one time.

A program of a hundred bytes may unroll to 60 MB of operations, and reading it keeps other threads from the interpreter
for a millisecond each time that they come back to it. Of one that is nothing; eight in parallel took 200 MB, which the
process did not give back, and the others' turns added up.
"""

import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from types import MappingProxyType

from webapp.core.errors import UpcubeError
from webapp.core.places import Places

# From here on it is large. What is smaller never waits: sixteen threads full of it hold less than one large program.
LARGE_BYTES = 32 * 1024
LARGE_OPERATIONS = 5_000

# Threads of the web process (see Procfile) that large work may take: one that works, and those that wait for it.
MAX_PLACES = 4
MAX_PLACES_OF_ONE_ACCOUNT = 3
MAX_WAIT_SECONDS = 5.0


class LargeWorkBusyError(UpcubeError):
    """Other large programs are being read; this one was not looked at."""

    status = 503
    code = "programs_busy"
    headers = MappingProxyType({"Retry-After": "2"})

    def __init__(self) -> None:
        super().__init__("Other large programs are being read at this moment. Nothing was charged; try again shortly.")


class Turns:
    """Whose turn it is to do large work in this process, and who waits, by account."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._places = Places()

    @property
    def taken(self) -> int:
        """Give how many work or wait."""
        return self._places.taken

    def take(self, account: str) -> None:
        """Wait for the turn. Raises LargeWorkBusyError at once where enough wait already, or when it takes long."""
        if not self._places.take(account, most=MAX_PLACES, most_of_one_account=MAX_PLACES_OF_ONE_ACCOUNT):
            raise LargeWorkBusyError
        if not self._turn.acquire(timeout=MAX_WAIT_SECONDS):
            self._places.leave(account)
            raise LargeWorkBusyError

    def give_back(self, account: str) -> None:
        """Let the next one have the turn."""
        self._turn.release()
        self._places.leave(account)


@dataclass
class _Block:
    """A block of code that may come to do large work, and whether it has."""

    account: str
    has_turn: bool = False


turns = Turns()
_block: ContextVar[_Block | None] = ContextVar("large_work", default=None)


@contextmanager
def large_work_in_turn(account: str) -> Iterator[None]:
    """Have what turns out to be large inside of this block wait for its turn, which ends with the block.

    Nothing large that was made in it may be kept beyond. A block inside of another is part of it.
    """
    if _block.get() is not None:
        yield
        return
    block = _Block(account)
    token = _block.set(block)
    try:
        yield
    except BaseException as error:
        if block.has_turn:
            forget_locals(error)
        raise
    finally:
        _block.reset(token)
        if block.has_turn:
            turns.give_back(account)


def begin_large_work() -> None:
    """Wait for the turn, unless it is this block's already. Raises LargeWorkBusyError.

    Outside of any block there is nothing to wait for: a worker, or a command, has its process for itself.
    """
    block = _block.get()
    if block is not None and not block.has_turn:
        turns.take(block.account)
        block.has_turn = True


def forget_locals(error: BaseException | None) -> None:
    """Free what the calls that an error has ended were working on; it would live until the error is answered."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__context__
