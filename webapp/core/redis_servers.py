"""Where the keys of the store lie: all on one Redis server, or on the nodes of a cluster."""

import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol, cast

from redis import Redis, RedisCluster
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode
from redis.connection import parse_url
from redis.crc import key_slot
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import MovedError, RedisClusterException, RedisError, SlotNotCoveredError
from redis.maint_notifications import MaintNotificationsConfig
from redis.retry import Retry

from config import is_cluster, split_cluster_url

# A call waits no longer than this for Redis before it is answered 503.
TIMEOUT_SECONDS = 2.0

# After a failure Redis is left alone for so long.
AWAY_SECONDS = 0.5

NEVER_TWICE: dict[str, Any] = {
    "socket_timeout": TIMEOUT_SECONDS,
    "socket_connect_timeout": TIMEOUT_SECONDS,
    # Never send a command again by itself: a debit whose answer was lost may have happened.
    "retry": Retry(NoBackoff(), retries=0),
    "maint_notifications_config": MaintNotificationsConfig(enabled=False),
}


@dataclass(eq=False, slots=True)
class Server:
    """One server: its client, and until when it is left alone because it did not answer."""

    # host:port on a cluster
    name: str
    client: Redis
    away_until: float = 0.0


class Servers(Protocol):
    """The servers behind one REDIS_URL."""

    @property
    def client(self) -> Redis | RedisCluster:
        """A client of them all."""

    def find(self, key: str) -> Server:
        """Give the server that has this key. Raises redis-py's ConnectionError."""

    def follow(self, moved: MovedError) -> Server:
        """Give the server that has a slot now, and remember it."""

    def refresh(self, failed: Server | None = None) -> None:
        """Find out anew which server has which keys, after one did not answer or would not serve."""

    def list_known(self) -> list[Server]:
        """List the servers."""

    def ping(self) -> None:
        """Check that there is one that answers. Raises redis-py's errors."""


def find_servers(url: str) -> Servers:
    """Read a REDIS_URL. Nothing is sent until the first command."""
    return Cluster(split_cluster_url(url)) if is_cluster(url) else SingleServer(url)


class SingleServer:
    """One server, which has every key."""

    def __init__(self, url: str) -> None:
        self.client = Redis.from_url(url, **NEVER_TWICE)
        self._server = Server("", self.client)

    def find(self, _key: str) -> Server:
        """Give the server."""
        return self._server

    def follow(self, moved: MovedError) -> Server:
        """Refuse: this is a node of a cluster. Raises RuntimeError."""
        raise RuntimeError("REDIS_URL names a node of a cluster: write redis+cluster:// before its address") from moved

    def refresh(self, failed: Server | None = None) -> None:
        """Do nothing: there is one address, and whoever has it is the server."""

    def list_known(self) -> list[Server]:
        """List the server."""
        return [self._server]

    def ping(self) -> None:
        """Check that the server answers."""
        self.client.ping()


class Cluster:
    """A Redis Cluster. redis-py keeps the map of its slots; we decide when it is asked for, and how long that may take.

    One thread at a time asks, and the others go on with the map that there is: nodes that hang then cost one thread
    their time-outs, and not every thread, one after the other.
    """

    def __init__(self, urls: list[str]) -> None:
        self._urls = urls
        self._client: RedisCluster | None = None
        self._servers: dict[str, Server] = {}
        # By hash tag, until the map changes.
        self._found: dict[str, Server] = {}
        self._asking = threading.Lock()
        self._ask_again_at = 0.0

    @property
    def client(self) -> RedisCluster:
        """The client, made when it is first wanted. Raises redis-py's ConnectionError when no node answers."""
        client = self._client
        if client is None:
            if not self._asking.acquire(timeout=TIMEOUT_SECONDS):
                raise RedisConnectionError("the nodes of the cluster are still being asked")
            try:
                client = self._client = self._client or self._connect()
            finally:
                self._asking.release()
        return client

    def _connect(self) -> RedisCluster:
        """Ask the nodes that REDIS_URL names for the map."""
        if time.monotonic() < self._ask_again_at:
            raise RedisConnectionError("no node of the cluster answered a moment ago")
        first, *others = self._urls
        try:
            return RedisCluster(
                url=first,
                startup_nodes=[read_node(url) for url in others],
                # What one account needs is in one slot: a hole elsewhere is no reason not to serve it.
                require_full_coverage=False,
                **NEVER_TWICE,
            )
        except (RedisClusterException, RedisError) as error:
            self._ask_again_at = time.monotonic() + AWAY_SECONDS
            raise RedisConnectionError(f"no node of the cluster answers: {error}") from error

    def find(self, key: str) -> Server:
        """Give the node that serves the key's slot, as far as we know."""
        # Our keys have hash tags, few of them: one lookup in place of a checksum and the lock around the map.
        tag = key.partition("{")[2].partition("}")[0] or key
        server = self._found.get(tag)
        if server is None:
            server = self._found[tag] = self._look_up(tag)
        return server

    def _look_up(self, tag: str) -> Server:
        """Look a hash tag's slot up in the map."""
        client = self.client
        try:
            node = client.nodes_manager.get_node_from_slot(key_slot(tag.encode()))
        except SlotNotCoveredError as error:
            self.refresh()
            raise RedisConnectionError(str(error)) from error
        return self._server(client, node)

    def follow(self, moved: MovedError) -> Server:
        """Give the node that MOVED names, and ask it from now on."""
        client = self.client
        client.nodes_manager.move_slot(moved)
        self._found.clear()
        return self._server(client, client.nodes_manager.get_node_from_slot(moved.slot_id))

    def refresh(self, failed: Server | None = None) -> None:
        """Ask for the map again, the node that failed last; at most once in AWAY_SECONDS, and not where one asks."""
        client = self._client
        if client is None or time.monotonic() < self._ask_again_at or not self._asking.acquire(blocking=False):
            return
        try:
            client.nodes_manager.initialize(last_failed_node_name=failed.name if failed else None)
        except (RedisClusterException, RedisError):
            # None of the nodes that we know of: they may all have moved, so those of REDIS_URL are asked next.
            self._client = None
        finally:
            self._found.clear()
            self._ask_again_at = time.monotonic() + AWAY_SECONDS
            self._asking.release()

    def list_known(self) -> list[Server]:
        """List the primaries, as far as we know."""
        client = self._client
        return [self._server(client, node) for node in list_primaries(client)] if client else []

    def ping(self) -> None:
        """Check that a node answers: the service goes on for the accounts that it has."""
        *some, last = list_primaries(self.client)
        for node in some:
            with suppress(RedisError):
                self._server(self.client, node).client.ping()
                return
        self._server(self.client, last).client.ping()

    def _server(self, client: RedisCluster, node: ClusterNode) -> Server:
        """Give what we keep of a node. The map is made of new nodes each time it is asked for."""
        server = self._servers.get(node.name)
        if server is None:
            server = self._servers.setdefault(node.name, Server(node.name, client.get_redis_connection(node)))
        return server


def read_node(url: str) -> ClusterNode:
    """Give the node that a URL names."""
    options = cast("Any", parse_url)(url)
    return make_node(options["host"], options.get("port", 6379))


# redis-py leaves these two without types.


def make_node(host: str, port: int) -> ClusterNode:
    """Name a node."""
    return cast("ClusterNode", cast("Any", ClusterNode)(host, port))


def list_primaries(client: RedisCluster) -> list[ClusterNode]:
    """List the nodes that serve slots."""
    return cast("list[ClusterNode]", cast("Any", client).get_primaries())
