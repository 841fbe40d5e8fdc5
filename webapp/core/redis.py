"""Redis: the one client, the names of the keys, and the scripts that change them atomically."""

import hashlib
import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from hiredis import pack_command
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, OutOfMemoryError, ReadOnlyError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.maint_notifications import MaintNotificationsConfig
from redis.retry import Retry

from webapp.core.errors import StoreAwayError

# A call waits no longer than this for Redis before it is answered 503.
TIMEOUT_SECONDS = 2.0
TIMEOUT_US = int(TIMEOUT_SECONDS * 1_000_000)

NO_RUN_ID = "unknown"
# Part of every epoch. It changes when records come to mean something else, so that no server must be emptied for that.
LAYOUT = "3"
# Beyond any clock, and still exact as a double.
NEVER_US = 2**52

# What Redis answers when it is there and cannot serve.
AWAY_CODES = frozenset({"MISCONF", "MASTERDOWN", "NOREPLICAS", "BUSY", "CLUSTERDOWN", "LOADING", "TRYAGAIN"})

# After a failure Redis is left alone for so long.
AWAY_SECONDS = 0.5

# Errors that say that Redis is not there for us now. BusyLoadingError is a ConnectionError.
AWAY = (RedisConnectionError, RedisTimeoutError, OutOfMemoryError, ReadOnlyError)


class Store:
    """The Redis that holds the fast copy; connected once by create_app().

    Commands off the hot path go through `client`. Scripts go through `call`, on a connection that each thread keeps:
    the client's pool costs four times as much CPU as the script's round trip itself (docs/adr/0004).

    The server's run id tells one start of it from the next, and so is the epoch of what it holds: a server that was
    started again may have come back from an old file, so scripts take only what was written in their own epoch.

    A server that hung executes what waits in its sockets when it goes on, for callers that have long answered 503. So
    a script that charges is told until when its caller waits, and does nothing after that.

    Once Redis did not answer, `call` fails at once for a moment, so that a Redis that hangs does not hold every thread
    for the whole time-out, one request after the other.
    """

    def __init__(self) -> None:
        self._client: Redis | None = None
        self._threads = threading.local()
        self._away_until = 0.0

    def connect(self, url: str) -> None:
        """Use the Redis at this address. Nothing is sent until the first command."""
        self._client = Redis.from_url(
            url,
            socket_timeout=TIMEOUT_SECONDS,
            socket_connect_timeout=TIMEOUT_SECONDS,
            # Never send a command again by itself: a debit whose answer was lost may have happened.
            retry=Retry(NoBackoff(), retries=0),
            maint_notifications_config=MaintNotificationsConfig(enabled=False),
        )
        self._threads = threading.local()
        self._away_until = 0.0

    @property
    def client(self) -> Redis:
        """The client; raises RuntimeError before connect()."""
        if self._client is None:
            raise RuntimeError("connect() the Redis store first")
        return self._client

    def call(self, *command: str | int | bytes, with_deadline: bool = False, with_epoch: bool = False) -> Any:  # noqa: ANN401 - whatever the command returns
        """Send one command, once, and give its answer in bytes. Raises redis-py's errors.

        Two things that only the connection knows can be added as last arguments: the deadline, in microseconds of the
        server's clock, after which nobody waits for the answer; and the epoch.
        """
        if time.monotonic() < self._away_until:
            raise RedisConnectionError("Redis did not answer a moment ago")
        try:
            return self._call(command, with_deadline=with_deadline, with_epoch=with_epoch)
        except (RedisConnectionError, RedisTimeoutError):
            self._away_until = time.monotonic() + AWAY_SECONDS
            raise

    def _call(self, command: tuple[str | int | bytes, ...], *, with_deadline: bool, with_epoch: bool) -> Any:  # noqa: ANN401 - whatever the command returns
        """Send one command on this thread's connection."""
        connection = self._connection()
        if with_deadline:
            command = (*command, int(time.monotonic() * 1e6) + self._threads.clock_offset_us + TIMEOUT_US)
        if with_epoch:
            command = (*command, self._threads.epoch)
        try:
            return send(connection, command)
        except ResponseError as error:
            if is_away(error):
                # Another server may be the right one now: the address is asked again.
                self.disconnect()
            raise
        except BaseException:
            # The answer may still come, and must not be taken for the next command's.
            self.disconnect()
            raise

    def _connection(self) -> Any:  # noqa: ANN401 - redis-py's connections have no types
        """Give this thread's connection, made anew after a fork and where the server has hung up."""
        kept = getattr(self._threads, "connection", None)
        if kept is not None and self._threads.process_id == os.getpid() and not is_stale(kept):
            return kept
        self._threads.connection = None
        pool = self.client.connection_pool
        connection: Any = pool.connection_class(**pool.connection_kwargs)
        connection.connect()
        info = read_info(send(connection, ("INFO", "server")))
        self._threads.epoch = name_epoch(info)
        # A service that hides its clock is told of a deadline that never comes.
        server_clock_us = int(info.get("server_time_usec", NEVER_US))
        self._threads.clock_offset_us = server_clock_us - int(time.monotonic() * 1e6)
        self._threads.connection, self._threads.process_id = connection, os.getpid()
        return connection

    def disconnect(self) -> None:
        """Give up this thread's connection: the next command makes another, and compares the clocks anew."""
        connection = getattr(self._threads, "connection", None)
        self._threads.connection = None
        if connection is not None:
            connection.disconnect()

    def close(self) -> None:
        """Close the client's connections, and this thread's."""
        self.client.close()
        self.disconnect()


def send(connection: Any, command: tuple[str | int | bytes, ...]) -> Any:  # noqa: ANN401 - redis-py's connections have no types
    """Send a command and read its answer, in bytes."""
    connection.send_packed_command([pack_command(cast("Any", command))], check_health=False)
    return connection.read_response(disable_decoding=True)


def read_epoch(client: Redis) -> str:
    """Ask the server which of its runs this is."""
    return name_epoch(client.info("server"))


def name_epoch(info: Mapping[str, Any]) -> str:
    """Name the server's run from what INFO says of it, and our layout of its records."""
    return f"{LAYOUT}.{info.get('run_id', NO_RUN_ID)}"


def read_info(text: bytes) -> dict[str, str]:
    """Read the answer of INFO: lines of name and value with a colon between."""
    return dict(line.split(":", 1) for line in text.decode().splitlines() if ":" in line)


def is_stale(connection: Any) -> bool:  # noqa: ANN401 - redis-py's connections have no types
    """Tell whether there is something to read before anything was asked: the server's goodbye."""
    try:
        return bool(connection.can_read())
    except AWAY:
        return True


store = Store()


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

    def run(self, keys: Sequence[str], arguments: Sequence[str | int | bytes] = ()) -> Any:  # noqa: ANN401 - whatever the script returns
        """Run the script in one round trip. Raises StoreAwayError."""
        try:
            try:
                return self._run("EVALSHA", self.digest, keys, arguments)
            except NoScriptError:
                return self._run("EVAL", self.text, keys, arguments)
        except (*AWAY, ResponseError) as error:
            if is_away(error):
                raise redis_away() from error
            raise

    def _run(
        self, command: str, script: str | bytes, keys: Sequence[str], arguments: Sequence[str | int | bytes]
    ) -> Any:  # noqa: ANN401 - whatever the script returns
        """Run the script by its digest or by its text."""
        return store.call(
            *(command, script, len(keys), *keys, *arguments),
            with_deadline=self.takes_deadline,
            with_epoch=self.takes_epoch,
        )

    def run_many(self, calls: Iterable[tuple[Sequence[str], Sequence[str | int | bytes]]]) -> list[Any]:
        """Run the script many times in one round trip, give the answers in order. Raises StoreAwayError."""
        client = store.client
        with asking_redis():
            client.script_load(self.text.decode())
            epoch = (read_epoch(client),) if self.takes_epoch else ()
            pipeline = client.pipeline(transaction=False)
            for keys, arguments in calls:
                pipeline.evalsha(self.digest, len(keys), *keys, *arguments, *epoch)
            return pipeline.execute()


@contextmanager
def asking_redis() -> Iterator[None]:
    """Turn what the client raises while Redis cannot serve us into StoreAwayError.

    The idle connections are given up: another server may have the address now. Those at work elsewhere are left.
    """
    try:
        yield
    except (*AWAY, ResponseError) as error:
        if not is_away(error):
            raise
        store.client.connection_pool.disconnect(inuse_connections=False)
        raise redis_away() from error


def is_away(error: Exception) -> bool:
    """Tell whether an error says that Redis cannot serve us now, rather than that we asked for something wrong."""
    # redis-py puts which command of a pipeline it was before what Redis said.
    said = str(error).rpartition(" caused error: ")[2]
    return isinstance(error, AWAY) or said.partition(" ")[0] in AWAY_CODES


def redis_away() -> StoreAwayError:
    """Give the error that says Redis does not answer."""
    return StoreAwayError("The metering store does not answer; no job was charged. Try again shortly.")


# --- Names ------------------------------------------------------------------------------------------------------------
# The hash tag in braces puts all keys of one call in one cluster slot. It is the first character of the account's shard
# tag rather than all of it, so that the accounts fall into 62 groups and a flush can visit every group instead of
# having to know every account (docs/adr/0003).


def group_of(shard_tag: str) -> str:
    """Give the group that the account belongs to: one base 62 character."""
    return shard_tag[0]


def key_record(shard_tag: str, digest: str) -> str:
    """Name the hash that holds one API key's record and rate clocks."""
    return f"uq:{{{shard_tag[0]}}}:key:{digest}"


def account_record(shard_tag: str) -> str:
    """Name the hash that holds one account's available credits, limits and rate clocks."""
    return f"uq:{{{shard_tag[0]}}}:account:{shard_tag}"


def account_holds(shard_tag: str) -> str:
    """Name the hash of one account's open holds: hold id to micro-credits."""
    return f"uq:{{{shard_tag[0]}}}:holds:{shard_tag}"


def hold_deadlines(group: str) -> str:
    """Name the group's sorted set of open holds by the second when they are to be looked at."""
    return f"uq:{{{group}}}:deadlines"


def live_counters(group: str) -> str:
    """Name the hash that the group's calls are counted in."""
    return f"uq:{{{group}}}:counters"


def last_flush() -> str:
    """Name the moment of the last flush that ended, in seconds since 1970."""
    return "uq:flushed"


def sealed_batches(group: str) -> str:
    """Name the set of the group's sealed batches that still wait to be applied to SQL."""
    return f"uq:{{{group}}}:sealed"


def sealed_counters(group: str, batch_id: str) -> str:
    """Name the hash of one sealed batch's counters."""
    return f"uq:{{{group}}}:sealed:{batch_id}"


def attempts(digest: str) -> str:
    """Name the counter of somebody's attempts at something; all in one slot, as one script counts several."""
    return f"uq:{{attempts}}:{digest}"


def challenge(digest: str) -> str:
    """Name the note that a passkey's challenge was given out and not used yet."""
    return f"uq:challenge:{digest}"
