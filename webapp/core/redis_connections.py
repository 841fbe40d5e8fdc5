"""Connections to the Redis servers for what must be quick, and what each server said of itself on them."""

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from redis import Redis

from webapp.core.redis_servers import TIMEOUT_SECONDS, Server
from webapp.core.redis_wire import Wire

NO_RUN_ID = "unknown"
# Part of every epoch. It changes when records come to mean something else, so that no server must be emptied for that.
LAYOUT = "6"
# Beyond any clock, and still exact as a double.
NEVER_US = 2**52


@dataclass(slots=True)
class Connection:
    """A connection to one server, with what the server said of itself when it was made."""

    wire: Wire
    epoch: str
    # The server's clock less ours.
    clock_offset_us: int
    # Digests of the scripts that it was given.
    scripts: set[str] = field(default_factory=set)


class Question:
    """A command on its way. Its connection is nobody else's until the answer was read."""

    __slots__ = ("_connection", "server")

    def __init__(self, server: Server, connection: Connection) -> None:
        self.server = server
        self._connection: Connection | None = connection

    def take_connection(self) -> Connection:
        """Give the connection that the answer comes on, once: two readers of it would take each other's answers."""
        connection, self._connection = self._connection, None
        if connection is None:
            raise RuntimeError("the answer was read before")
        return connection


class Connections:
    """The connections that nobody uses, of each server. The one that was used last is used next.

    It is still warm in every cache, here and in the server, where one of each thread's own had been idle for as long as
    it takes the others to have their turns: 4 % of the time of a job, and of its CPU. There come to be as many as there
    were commands at one time.
    """

    def __init__(self) -> None:
        self._idle: dict[Server, list[Connection]] = {}

    def take(self, server: Server) -> Connection:
        """Take a connection to the server, or make one in place of those that have ended. Raises redis-py's errors."""
        idle = self._idle.setdefault(server, [])
        while True:
            try:
                connection = idle.pop()
            except IndexError:
                return open_connection(server)
            if connection.wire.is_usable():
                return connection
            connection.wire.close()

    def put_back(self, server: Server, connection: Connection) -> None:
        """Leave a connection, on which all that was asked was answered, to whoever is next."""
        self._idle.setdefault(server, []).append(connection)

    def drop(self, server: Server) -> None:
        """Close the connections to the server that nobody uses."""
        idle = self._idle.get(server, [])
        # Each is taken first, as by whoever uses one: nobody else gets it meanwhile.
        with suppress(IndexError):
            while True:
                idle.pop().wire.close()

    def drop_all(self) -> None:
        """Close the connections to all servers that nobody uses."""
        for server in list(self._idle):
            self.drop(server)


def open_connection(server: Server) -> Connection:
    """Connect to the server and ask what it is. Raises redis-py's errors."""
    wire = Wire(server.client, timeout_seconds=TIMEOUT_SECONDS)
    info = read_info(wire.ask(("INFO", "server")))
    # A service that hides its clock is told of a deadline that never comes.
    server_clock_us = int(info.get("server_time_usec", NEVER_US))
    return Connection(wire, name_epoch(info), server_clock_us - int(time.monotonic() * 1e6))


def read_epoch(client: Redis) -> str:
    """Ask the server which of its runs this is."""
    return name_epoch(client.info("server"))


def name_epoch(info: Mapping[str, Any]) -> str:
    """Name the server's run from what INFO says of it, and our layout of its records."""
    return f"{LAYOUT}.{info.get('run_id', NO_RUN_ID)}"


def read_info(text: bytes) -> dict[str, str]:
    """Read the answer of INFO: lines of name and value with a colon between."""
    return dict(line.split(":", 1) for line in text.decode().splitlines() if ":" in line)
