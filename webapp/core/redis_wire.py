"""The wire to one Redis server: a socket that one thread asks on, with as few system calls as there can be.

A call of the socket module lets go of the interpreter's lock, and another thread takes it: each is a place where a
request waits for its turn. redis-py makes four of them for one command, as a socket with a time-out is polled before it
is written and before it is read. Here the kernel keeps the time-out, and there are two (docs/adr/0004).
"""

import logging
import os
import select
import socket
import ssl
import struct
import time
from collections import deque
from typing import Any, Final, cast

from hiredis import PushNotification, Reader, pack_command
from redis import Redis
from redis.connection import DefaultParser
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

log = logging.getLogger(__name__)

Argument = str | int | bytes

READ_BYTES = 65_536

# A server is not asked whether it has hung up on a wire that was in use so shortly before.
FRESH_SECONDS = 0.1

# The answer of a command that has not been read.
UNREAD: Final = object()


class Sent:
    """A command that was sent, and its answer once that was read, perhaps by nobody."""

    __slots__ = ("answer", "is_awaited", "wire")

    def __init__(self, wire: "Wire", *, is_awaited: bool) -> None:
        """Remember the wire that the answer comes on."""
        self.wire = wire
        self.is_awaited = is_awaited
        self.answer: Any = UNREAD


class Wire:
    """One connection of one thread. Every method raises redis-py's errors.

    Answers come in the order of the commands: reading one reads those before it as well. A command may be sent whose
    answer nobody awaits; where that turns out to be an error, the wire is not usable any more.
    """

    def __init__(self, client: Redis, *, timeout_seconds: float) -> None:
        """Connect and log in as the client's own connections do; redis-py closes it when it is forgotten."""
        pool = client.connection_pool
        self._link: Any = pool.connection_class(**pool.connection_kwargs)
        self._link.connect()
        self._socket: socket.socket = self._link._sock  # noqa: SLF001 - redis-py has no name for it
        self._reader = Reader(protocolError=InvalidResponse, replyError=cast("Any", DefaultParser).parse_error)
        self._process_id = os.getpid()
        self._used_at = time.monotonic()
        self._unread: deque[Sent] = deque()
        self._is_spoilt = False
        if not isinstance(self._socket, ssl.SSLSocket):
            leave_timeout_to_kernel(self._socket, timeout_seconds)

    def ask(self, command: tuple[Argument, ...]) -> Any:  # noqa: ANN401 - whatever the command returns
        """Send a command and give its answer, in bytes."""
        return self.read(self.send(command))

    def send(self, command: tuple[Argument, ...], *, is_awaited: bool = True) -> Sent:
        """Send a command whose answer is read later, or by nobody."""
        try:
            self._socket.sendall(pack_command(cast("Any", command)))
        except (BlockingIOError, TimeoutError) as error:
            raise RedisTimeoutError("Redis did not take a command in time") from error
        except OSError as error:
            raise RedisConnectionError(f"Redis hung up: {error}") from error
        sent = Sent(self, is_awaited=is_awaited)
        self._unread.append(sent)
        return sent

    def read(self, sent: Sent) -> Any:  # noqa: ANN401 - whatever the command returns
        """Give the answer to a command that was sent on this wire, in bytes."""
        while sent.answer is UNREAD:
            self._read_next()
        self._used_at = time.monotonic()
        if isinstance(sent.answer, RedisError):
            raise sent.answer
        return sent.answer

    def _read_next(self) -> None:
        """Read the answer to the command that was sent first of those that have none."""
        if not self._unread:
            raise RedisConnectionError("the wire was given up before this answer was read")
        try:
            answer = self._read()
        except (BlockingIOError, TimeoutError) as error:
            raise RedisTimeoutError("Redis did not answer in time") from error
        except OSError as error:
            raise RedisConnectionError(f"Redis hung up: {error}") from error
        sent = self._unread.popleft()
        sent.answer = answer
        if isinstance(answer, RedisError) and not sent.is_awaited:
            log.warning("Redis refused a command whose answer nobody awaits: %s", answer)
            self._is_spoilt = True

    def _read(self) -> Any:  # noqa: ANN401 - whatever the command returns
        """Read one answer, however many pieces it comes in; what the server says unasked (RESP3) is none."""
        while (answer := self._reader.gets()) is False or isinstance(answer, PushNotification):
            if answer is False:
                received = self._socket.recv(READ_BYTES)
                if not received:
                    raise RedisConnectionError("Redis hung up")
                self._reader.feed(received)
        return answer

    def is_usable(self, now: float) -> bool:
        """Tell whether this process made it and, where it was not in use just now, whether the server still listens."""
        if self._is_spoilt or self._process_id != os.getpid():
            return False
        return now - self._used_at < FRESH_SECONDS or self._is_listened_to()

    def _is_listened_to(self) -> bool:
        """Tell whether nothing came but answers: anything else is the server's goodbye."""
        try:
            while self._has_something_to_read():
                if not self._unread:
                    return False
                self._read_next()
        except RedisError:
            return False
        return not self._is_spoilt

    def _has_something_to_read(self) -> bool:
        """Tell whether something has come."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return bool(poll.poll(0))

    def close(self) -> None:
        """Hang up. What was not read is never told."""
        self._unread.clear()
        self._link.disconnect()


def leave_timeout_to_kernel(plain: socket.socket, seconds: float) -> None:
    """Make a socket blocking whose calls end with BlockingIOError after so long."""
    plain.settimeout(None)
    whole, rest = divmod(seconds, 1)
    # struct timeval
    limit = struct.pack("ll", int(whole), int(rest * 1_000_000))
    for direction in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
        plain.setsockopt(socket.SOL_SOCKET, direction, limit)
