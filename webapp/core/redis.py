"""Redis: the one client, and what is asked of it where it must be quick."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from redis import Redis, RedisCluster
from redis.exceptions import (
    AskError,
    ClusterError,
    MovedError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from webapp.core.errors import StoreAwayError
from webapp.core.redis_connections import Connection, Connections, Question
from webapp.core.redis_servers import AWAY_SECONDS, TIMEOUT_SECONDS, Server, Servers, find_servers
from webapp.core.redis_wire import Argument

TIMEOUT_US = int(TIMEOUT_SECONDS * 1_000_000)

# What Redis answers when it is there and cannot serve.
AWAY_CODES = frozenset({"MISCONF", "NOREPLICAS", "BUSY"})

# What a script meets whose keys are being moved to another node, or whose cluster is down.
AWAY_WORDS = ("non local key in a cluster node", "while the cluster is down")

# Errors that say that Redis is not there for us now. BusyLoadingError is a ConnectionError, and MasterDownError a
# ClusterDownError. RedisClusterException is not even a RedisError.
#
# ASK and TRYAGAIN come from a slot whose keys are being moved one by one. ASK is not followed: the node that it names
# would run a script that finds some of its keys missing, and takes that for nothing (docs/adr/0007).
AWAY = (
    *(RedisConnectionError, RedisTimeoutError, OutOfMemoryError, ReadOnlyError),
    *(ClusterError, RedisClusterException, AskError, TryAgainError),
)

# The node that had a slot, the one that has it, and one more, should it move again meanwhile.
MAX_SERVERS = 3


class Store:
    """The Redis that holds the fast copy, one server or a cluster; connected once by create_app().

    Commands off the hot path go through `client`. Scripts go through `call`, on connections of our own: the client's
    pool costs four times as much CPU as the script's round trip itself (docs/adr/0004).

    A server's run id tells one start of it from the next, and so is the epoch of what it holds: a server that was
    started again may have come back from an old file, so scripts take only what was written in their own epoch. On a
    cluster each node has its own, and so a slot that has moved is one that was started again (docs/adr/0007).

    A server that hung executes what waits in its sockets when it goes on, for callers that have long answered 503. So
    a script that charges is told until when its caller waits, and does nothing after that.

    Once a server did not answer in time, or could not be connected to, `call` fails at once for a moment, so that a
    Redis that hangs does not hold every thread for the whole time-out, one request after the other. One connection that
    was hung up does not say so much: whoever makes the next will find out.
    """

    def __init__(self) -> None:
        self._servers: Servers | None = None
        self._connections = Connections()

    def connect(self, url: str) -> None:
        """Use the Redis at this address. Nothing is sent until the first command."""
        self._servers = find_servers(url)
        self._connections = Connections()

    @property
    def servers(self) -> Servers:
        """The servers; raises RuntimeError before connect()."""
        if self._servers is None:
            raise RuntimeError("connect() the Redis store first")
        return self._servers

    @property
    def client(self) -> Redis | RedisCluster:
        """The client of all servers; raises RuntimeError before connect()."""
        return self.servers.client

    def call(self, *command: Argument, key: str, with_deadline: bool = False, with_epoch: bool = False) -> Any:  # noqa: ANN401 - whatever the command returns
        """Send one command, once, to the server that has the key; give its answer in bytes. Raises redis-py's errors.

        Two things that only the connection knows can be added as last arguments: the deadline, in microseconds of the
        server's clock, after which nobody waits for the answer; and the epoch.
        """
        server = self.servers.find(key)
        for _ in range(MAX_SERVERS):
            try:
                return self.read(self._send(server, command, with_deadline=with_deadline, with_epoch=with_epoch))
            except MovedError as error:
                # It was not executed: it may be sent again, to whoever has the slot now.
                server = self.servers.follow(error)
        raise RedisConnectionError("the nodes of the cluster do not agree where the key is")

    def send(self, *command: Argument, key: str, with_deadline: bool = False, with_epoch: bool = False) -> Question:
        """Send one command as `call` does, whose answer is read later. Raises redis-py's errors."""
        return self._send(self.servers.find(key), command, with_deadline=with_deadline, with_epoch=with_epoch)

    def _send(
        self, server: Server, command: tuple[Argument, ...], *, with_deadline: bool, with_epoch: bool
    ) -> Question:
        """Send one command on a connection to the server."""
        connection = self._take_connection(server)
        if with_deadline:
            command = (*command, int(time.monotonic() * 1e6) + connection.clock_offset_us + TIMEOUT_US)
        if with_epoch:
            command = (*command, connection.epoch)
        try:
            connection.wire.send(command)
        except BaseException as error:
            self._end(server, connection, error)
            raise
        return Question(server, connection)

    def read(self, question: Question) -> Any:  # noqa: ANN401 - whatever the command returns
        """Give the answer to a command that was sent, once. Raises redis-py's errors, MovedError among them."""
        server, connection = question.server, question.take_connection()
        try:
            answer = connection.wire.read()
        except BaseException as error:
            self._end(server, connection, error)
            raise
        self._connections.put_back(server, connection)
        return answer

    def tell(self, text: bytes, digest: str, *arguments: Argument, key: str) -> None:
        """Have the server that has the key run a script, with the epoch as its last argument; nobody awaits the answer.

        It is on its way before anything that is sent later; over a network, on another connection, that may pass it.
        Should the server have forgotten the script, it is told again when the connection is used next; should it fail
        otherwise, that is logged then. Raises redis-py's errors where it cannot be sent.
        """
        server = self.servers.find(key)
        connection = self._take_connection(server)
        try:
            if digest not in connection.scripts:
                connection.wire.ask(("SCRIPT", "LOAD", text))
                connection.scripts.add(digest)
            arguments = (*arguments, connection.epoch)
            connection.wire.tell(("EVALSHA", digest, *arguments), instead=("EVAL", text, *arguments))
        except BaseException as error:
            self._end(server, connection, error)
            raise
        self._connections.put_back(server, connection)

    def _take_connection(self, server: Server) -> Connection:
        """Take a connection to the server, unless it did not answer a moment ago. Raises redis-py's errors."""
        if time.monotonic() < server.away_until:
            raise RedisConnectionError("Redis did not answer a moment ago")
        try:
            return self._connections.take(server)
        except BaseException as error:
            self._end(server, None, error)
            raise

    def _end(self, server: Server, connection: Connection | None, error: BaseException) -> None:
        """Draw the conclusions from an error: put the connection back if it was answered, and else give it up."""
        if connection and isinstance(error, ResponseError) and (isinstance(error, MovedError) or not is_away(error)):
            self._connections.put_back(server, connection)
            return
        if connection:
            # The answer may still come, and must not be taken for the next command's.
            connection.wire.close()
        if isinstance(error, RedisTimeoutError) or (isinstance(error, RedisConnectionError) and not connection):
            server.away_until = time.monotonic() + AWAY_SECONDS
        if isinstance(error, (ResponseError, RedisConnectionError, RedisTimeoutError)):
            # Another server may be the right one now: the address is asked again.
            self._connections.drop(server)
            self.servers.refresh(server)

    def disconnect(self) -> None:
        """Give up the connections that nobody uses: the next command makes another, and compares the clocks anew."""
        self._connections.drop_all()

    def give_up_idle(self) -> None:
        """Give up the client's idle connections: other servers may have the addresses now. Those at work are left."""
        for server in self.servers.list_known():
            server.client.connection_pool.disconnect(inuse_connections=False)
        self.servers.refresh()

    def close(self) -> None:
        """Close the clients' connections, and ours."""
        for server in self.servers.list_known():
            server.client.close()
        self.disconnect()


store = Store()


class NamingAway:
    """Turns what a connection of ours raises while Redis cannot serve us into StoreAwayError."""

    def __enter__(self) -> None:
        """Begin; one instance does for all threads."""

    def __exit__(self, _kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        """Raise the other error in the place of this one."""
        if isinstance(error, (*AWAY, ResponseError)) and is_away(error):
            raise redis_away() from error


naming_away = NamingAway()


@contextmanager
def asking_redis() -> Iterator[None]:
    """Turn what the client raises while Redis cannot serve us into StoreAwayError."""
    try:
        yield
    except (*AWAY, ResponseError) as error:
        if not is_away(error):
            raise
        store.give_up_idle()
        raise redis_away() from error


def is_away(error: Exception) -> bool:
    """Tell whether an error says that Redis cannot serve us now, rather than that we asked for something wrong."""
    if isinstance(error, AWAY):
        return True
    # redis-py puts which command of a pipeline it was before what Redis said.
    said = str(error).rpartition(" caused error: ")[2]
    return said.partition(" ")[0] in AWAY_CODES or any(words in said for words in AWAY_WORDS)


def redis_away() -> StoreAwayError:
    """Give the error that says Redis does not answer."""
    return StoreAwayError("The metering store does not answer; no job was charged. Try again shortly.")
