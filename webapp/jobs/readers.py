"""Sending large results, which takes a thread of the web process while the reader reads: so only a few at one time."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from types import MappingProxyType
from typing import Any

from webapp.core.errors import UpcubeError
from webapp.core.listening import drop_stalled_clients
from webapp.core.places import Places
from webapp.jobs.results import ResultText

# Of the web process's 20 threads (see Procfile); MAX_WAITING others may wait for jobs to end, and four work on large
# programs (see webapp/core/large_work.py) or wait for those.
MAX_READERS = 6
MAX_READERS_OF_ONE_ACCOUNT = 4


class TooManyReadersError(UpcubeError):
    """As many large results are being sent as threads can be spared for."""

    status = 503
    code = "results_busy"
    headers = MappingProxyType({"Retry-After": "1"})

    def __init__(self) -> None:
        super().__init__("Too many large results are being read at this moment. Try again shortly.")


class Readers:
    """Who is being sent a large result by this process, by account."""

    def __init__(self) -> None:
        self._places = Places()

    @contextmanager
    def place(self, organisation_id: str) -> Iterator[None]:
        """Take one of the places for as long as a result is being sent. Raises TooManyReadersError."""
        is_left = self._places.take(organisation_id, most=MAX_READERS, most_of_one_account=MAX_READERS_OF_ONE_ACCOUNT)
        if not is_left:
            raise TooManyReadersError
        try:
            yield
        finally:
            self._places.leave(organisation_id)


readers = Readers()


@dataclass(frozen=True)
class JobText:
    """A JSON object as ASCII text in pieces, and how many bytes it has.

    The size is told beforehand, as Content-Length: should the rest of a large one fail while it is sent, a client sees
    that it was cut, and need not parse it for that.
    """

    pieces: Iterable[str]
    size_bytes: int


def send_in_turn(organisation_id: str, head: Mapping[str, Any], result: ResultText) -> JobText:
    """Write a JSON object of what is said of an account's job and of its result, whose members are text already.

    With a small result it is one text. A large one comes piece by piece from one of the places, and its beginning is
    read at once: what fails there is still answered with an error. Raises TooManyReadersError.
    """
    start, end = f"{json.dumps(head)[:-1]}, ", "}"
    size_bytes = len(start) + result.size_bytes + len(end)
    if result.is_small:
        return JobText([start + "".join(result.pieces) + end], size_bytes)
    placed = hold_place(organisation_id, result.pieces)
    return JobText(chain([start, next(placed)], placed, [end]), size_bytes)


def hold_place(organisation_id: str, pieces: Iterator[str]) -> Iterator[str]:
    """Give the pieces from a place, which is free again after the last one, or when the reader has gone or stalls."""
    with readers.place(organisation_id):
        drop_stalled_clients()
        yield from pieces
