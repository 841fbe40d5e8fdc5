"""Lua scripts, which change what Redis holds atomically."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from redis.exceptions import MovedError, NoScriptError

from webapp.core.redis import asking_redis, naming_away, store
from webapp.core.redis_connections import Question, read_epoch
from webapp.core.redis_servers import Server
from webapp.core.redis_wire import Argument

# What a script was not executed for: its slot has moved, or the server has forgotten its scripts.
NOT_EXECUTED = (MovedError, NoScriptError)

# Keys and arguments of one run of a script. Every key is in the slot of the first.
Call = tuple[Sequence[str], Sequence[Argument]]


class RedisScript:
    """A Lua script, run by its digest and sent whole only when the server does not know it."""

    def __init__(
        self, path: Path, *, library: Path | None = None, takes_deadline: bool = False, takes_epoch: bool = False
    ) -> None:
        """Read the script, and the library of functions that is put before it."""
        self.text = (library.read_bytes() if library else b"") + path.read_bytes()
        self.takes_deadline = takes_deadline
        self.takes_epoch = takes_epoch
        # Redis names a script by its SHA-1; nothing secret rests on it.
        self.digest = hashlib.sha1(self.text, usedforsecurity=False).hexdigest()

    def run(self, keys: Sequence[str], arguments: Sequence[Argument] = ()) -> Any:  # noqa: ANN401 - whatever the script returns
        """Run the script in one round trip. Raises StoreAwayError."""
        with naming_away:
            try:
                return self._run("EVALSHA", self.digest, keys, arguments)
            except NoScriptError:
                return self._run("EVAL", self.text, keys, arguments)

    def _run(self, command: str, script: str | bytes, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:  # noqa: ANN401 - whatever the script returns
        """Run the script by its digest or by its text."""
        return store.call(
            *(command, script, len(keys), *keys, *arguments),
            key=keys[0],
            with_deadline=self.takes_deadline,
            with_epoch=self.takes_epoch,
        )

    def start(self, keys: Sequence[str], arguments: Sequence[Argument] = ()) -> "Run":
        """Have the script run while something else is done. Raises StoreAwayError."""
        with naming_away:
            question = store.send(
                *("EVALSHA", self.digest, len(keys), *keys, *arguments),
                key=keys[0],
                with_deadline=self.takes_deadline,
                with_epoch=self.takes_epoch,
            )
        return Run(self, keys, arguments, question)

    def tell(self, keys: Sequence[str], arguments: Sequence[Argument] = ()) -> None:
        """Have a script that takes the epoch run, and await no answer: see `Store.tell`. Raises StoreAwayError."""
        with naming_away:
            store.tell(self.text, self.digest, len(keys), *keys, *arguments, key=keys[0])

    def run_many(self, calls: Iterable[Call]) -> list[Any]:
        """Run the script many times, in one round trip to each server; give the answers in order.

        Raises StoreAwayError.
        """
        calls = list(calls)
        answers: dict[int, Any] = {}
        with asking_redis():
            for server, positions in self._split(calls).items():
                replies = self._send_all(server, [calls[position] for position in positions])
                answers.update(zip(positions, replies, strict=True))
        for position, answer in answers.items():
            if isinstance(answer, NOT_EXECUTED):
                answers[position] = self.run(*calls[position])
        return [answers[position] for position in range(len(calls))]

    def _split(self, calls: Sequence[Call]) -> dict[Server, list[int]]:
        """Tell which calls, by their positions, are for which server."""
        positions: dict[Server, list[int]] = {}
        for position, (keys, _) in enumerate(calls):
            positions.setdefault(store.servers.find(keys[0]), []).append(position)
        return positions

    def _send_all(self, server: Server, calls: Sequence[Call]) -> list[Any]:
        """Run the script many times on one server, in one round trip."""
        server.client.script_load(self.text.decode())
        epoch = (read_epoch(server.client),) if self.takes_epoch else ()
        pipeline = server.client.pipeline(transaction=False)
        for keys, arguments in calls:
            pipeline.evalsha(self.digest, len(keys), *keys, *arguments, *epoch)
        replies: list[Any] = pipeline.execute(raise_on_error=False)
        for reply in replies:
            if isinstance(reply, Exception) and not isinstance(reply, NOT_EXECUTED):
                raise reply
        return replies


class Run(NamedTuple):
    """A script that runs, and what it was given."""

    script: RedisScript
    keys: Sequence[str]
    arguments: Sequence[Argument]
    question: Question

    def read(self) -> Any:  # noqa: ANN401 - whatever the script returns
        """Give its answer, once. Raises StoreAwayError."""
        with naming_away:
            try:
                return store.read(self.question)
            except NOT_EXECUTED:
                return self.script.run(self.keys, self.arguments)
