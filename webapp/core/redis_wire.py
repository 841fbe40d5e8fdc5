"""The wire to one Redis server: a socket to ask on, with as few system calls as there can be.

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
from typing import Any, cast

from hiredis import PushNotification, Reader, pack_command
from redis import Redis
from redis.connection import DefaultParser
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse, NoScriptError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

log = logging.getLogger(__name__)

Argument = str | int | bytes
Command = tuple[Argument, ...]

READ_BYTES = 65_536

# A server is not asked whether it has hung up on a wire that was in use so shortly before.
FRESH_SECONDS = 0.1


class Wire:
    """One connection, for one thread at a time. Every method raises redis-py's errors.

    A command whose answer nobody awaits is told: its answer comes before that of the next one, and is read with it.
    Where the server had forgotten the script, the command is told again with the script itself. Where the answer turns
    out to be another error, the wire is not usable any more.
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
        # What was told and not yet answered: each with what is told in its place where the script is not known.
        self._unheard: deque[Command | None] = deque()
        self._to_tell_again: list[Command] = []
        self._is_spoilt = False
        if not isinstance(self._socket, ssl.SSLSocket):
            leave_timeout_to_kernel(self._socket, timeout_seconds)

    def ask(self, command: Command) -> Any:  # noqa: ANN401 - whatever the command returns
        """Send a command and give its answer, in bytes."""
        self.send(command)
        return self.read()

    def tell(self, command: Command, *, instead: Command | None = None) -> None:
        """Send a command whose answer nobody awaits, and another in its place where its script is not known."""
        self.send(command)
        self._unheard.append(instead)

    def send(self, command: Command) -> None:
        """Send a command whose answer is read before anything else is sent."""
        try:
            self._socket.sendall(pack_command(cast("Any", command)))
        except (BlockingIOError, TimeoutError) as error:
            raise RedisTimeoutError("Redis did not take a command in time") from error
        except OSError as error:
            raise RedisConnectionError(f"Redis hung up: {error}") from error

    def read(self) -> Any:  # noqa: ANN401 - whatever the command returns
        """Give the answer to the command that was sent, in bytes."""
        while self._unheard:
            self._hear()
        answer = self._receive()
        self._used_at = time.monotonic()
        self._tell_again()
        if isinstance(answer, RedisError):
            raise answer
        return answer

    def _hear(self) -> None:
        """Read an answer that nobody awaits."""
        answer = self._receive()
        instead = self._unheard.popleft()
        if isinstance(answer, NoScriptError) and instead:
            self._to_tell_again.append(instead)
        elif isinstance(answer, RedisError):
            log.warning("Redis refused a command whose answer nobody awaits: %s", answer)
            self._is_spoilt = True

    def _tell_again(self) -> None:
        """Tell what the server had not the script for. The answer that was read does not suffer where that fails."""
        try:
            while self._to_tell_again:
                self.tell(self._to_tell_again.pop())
        except RedisError as error:
            log.warning("Redis was not told again what it had forgotten the script for: %r", error)
            self._is_spoilt = True

    def _receive(self) -> Any:  # noqa: ANN401 - whatever the command returns
        """Receive one answer, which may be an error."""
        try:
            return self._read()
        except (BlockingIOError, TimeoutError) as error:
            raise RedisTimeoutError("Redis did not answer in time") from error
        except OSError as error:
            raise RedisConnectionError(f"Redis hung up: {error}") from error

    def _read(self) -> Any:  # noqa: ANN401 - whatever the command returns
        """Read one answer, however many pieces it comes in; what the server says unasked (RESP3) is none."""
        while (answer := self._reader.gets()) is False or isinstance(answer, PushNotification):
            if answer is False:
                received = self._socket.recv(READ_BYTES)
                if not received:
                    raise RedisConnectionError("Redis hung up")
                self._reader.feed(received)
        return answer

    def is_usable(self) -> bool:
        """Tell whether this process made it and, where it was not in use just now, whether the server still listens."""
        if self._is_spoilt or self._process_id != os.getpid():
            return False
        return time.monotonic() - self._used_at < FRESH_SECONDS or self._is_listened_to()

    def _is_listened_to(self) -> bool:
        """Tell whether nothing came but answers: anything else is the server's goodbye."""
        try:
            while self._has_something_to_read():
                if not self._unheard:
                    return False
                self._hear()
        except RedisError:
            return False
        self._tell_again()
        return not self._is_spoilt

    def _has_something_to_read(self) -> bool:
        """Tell whether something has come."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return bool(poll.poll(0))

    def close(self) -> None:
        """Hang up."""
        self._link.disconnect()


def leave_timeout_to_kernel(plain: socket.socket, seconds: float) -> None:
    """Make a socket blocking whose calls end with BlockingIOError after so long."""
    plain.settimeout(None)
    whole, rest = divmod(seconds, 1)
    # struct timeval
    limit = struct.pack("ll", int(whole), int(rest * 1_000_000))
    for direction in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
        plain.setsockopt(socket.SOL_SOCKET, direction, limit)
