"""A real Valkey Cluster for the tests, run from the wheel of the embedded Valkey."""

import signal
import subprocess
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from tests.live import free_port, wait_until
from worker.embedded_valkey import find_valkey_server
from worker.reaper import Reaper

SLOTS = 16_384
PRIMARIES = 3
# A node that does not answer for so long counts as dead: long, for busy machines, and short where a test kills one.
NODE_TIMEOUT_MILLISECONDS = 5_000
SHORT_NODE_TIMEOUT_MILLISECONDS = 1_000


class Node:
    """One node, listening on loopback."""

    def __init__(self, folder: Path, reaper: Reaper) -> None:
        self.folder = folder
        self.folder.mkdir(mode=0o700)
        self.reaper = reaper
        self.port, self.bus_port = free_port(), free_port()
        self.client = Redis(port=self.port, decode_responses=True)
        self.start()

    def start(self) -> None:
        command = [
            *(str(find_valkey_server()), "--daemonize", "no", "--loglevel", "warning"),
            *("--bind", "127.0.0.1", "--port", str(self.port), "--cluster-port", str(self.bus_port)),
            *("--dir", str(self.folder), "--save", "", "--appendonly", "yes", "--maxmemory-policy", "noeviction"),
            *("--cluster-enabled", "yes", "--cluster-node-timeout", str(NODE_TIMEOUT_MILLISECONDS)),
            # A slot without a node takes no other slot down with it.
            *("--cluster-require-full-coverage", "no"),
        ]
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        self.reaper.add(self.process.pid, is_store=True)
        wait_until(self.answers)
        self.id = self.ask("MYID")

    def answers(self) -> bool:
        """Tell whether the node is up."""
        try:
            return bool(self.client.ping())
        except RedisError:
            return False

    def ask(self, command: str, *arguments: str | int) -> Any:  # noqa: ANN401 - whatever the command returns
        """Send a command of CLUSTER."""
        client: Any = self.client
        return client.execute_command(f"CLUSTER {command}", *arguments)

    def is_ready(self) -> bool:
        """Tell whether the node serves, and sees that every slot is served."""
        info = self.ask("INFO")
        return (info["cluster_state"], info["cluster_slots_ok"]) == ("ok", str(SLOTS))

    def suspend(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.reaper.remove(self.process.pid)


class ValkeyCluster:
    """Three nodes that share the slots."""

    def __init__(self, folder: Path, reaper: Reaper) -> None:
        self.folder, self.reaper = folder, reaper
        self.nodes = [Node(folder / str(number), reaper) for number in range(PRIMARIES)]
        for number, node in enumerate(self.nodes):
            node.ask("ADDSLOTSRANGE", SLOTS * number // PRIMARIES, SLOTS * (number + 1) // PRIMARIES - 1)
            node.ask("SET-CONFIG-EPOCH", number + 1)
        for node in self.nodes:
            self.introduce(node)
        wait_until(lambda: all(node.is_ready() for node in self.nodes))

    def introduce(self, node: Node) -> None:
        """Let a node meet all others."""
        for other in self.nodes:
            if other is not node:
                node.ask("MEET", "127.0.0.1", other.port, other.bus_port)

    @property
    def url(self) -> str:
        """The cluster's REDIS_URL. It names two nodes; the third is found."""
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes[:2])

    def owner(self, slot: int, *, seen_by: Node | None = None) -> Node:
        """Give the node that serves the slot."""
        for start, end, (_host, port, *_), *_replicas in (seen_by or self.nodes[0]).ask("SLOTS"):
            if start <= slot <= end:
                return next(node for node in self.nodes if node.port == port)
        raise LookupError(slot)

    def start_move(self, slot: int) -> tuple[Node, Node]:
        """Begin to move a slot key by key, as resharding does; give the node that has it and the one that will."""
        source = self.owner(slot)
        target = next(node for node in self.nodes if node is not source)
        target.ask("SETSLOT", slot, "IMPORTING", source.id)
        source.ask("SETSLOT", slot, "MIGRATING", target.id)
        return source, target

    def move_keys(self, slot: int, source: Node, target: Node, *, but: Collection[str] = ()) -> None:
        """Move the keys that the slot has now, or all but some."""
        keys = [key for key in source.ask("GETKEYSINSLOT", slot, 1_000) if key not in but]
        if keys:
            source.client.migrate("127.0.0.1", target.port, keys, 0, 5_000)

    def end_move(self, slot: int, source: Node, target: Node) -> None:
        """Say that the slot has moved."""
        for node in (target, source, *self.nodes):
            node.ask("SETSLOT", slot, "NODE", target.id)

    def move_at_once(self, slot: int) -> tuple[Node, Node]:
        """Move a slot as Valkey 9 can: whole, while it is written to."""
        source = self.owner(slot)
        target = next(node for node in self.nodes if node is not source)
        source.ask("MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", target.id)
        wait_until(lambda: all(self.owner(slot, seen_by=node) is target for node in self.nodes))
        return source, target

    def add_replica(self, primary: Node) -> Node:
        """Start a node that takes over when this one dies."""
        replica = Node(self.folder / f"{len(self.nodes)}", self.reaper)
        self.nodes.append(replica)
        self.introduce(replica)
        wait_until(lambda: primary.id in str(replica.ask("NODES")))
        replica.ask("REPLICATE", primary.id)
        for node in self.nodes:
            node.client.config_set("cluster-node-timeout", SHORT_NODE_TIMEOUT_MILLISECONDS)
        wait_until(lambda: replica.client.info("replication").get("master_link_status") == "up")
        return replica


@contextmanager
def running_cluster(folder: Path) -> Iterator[ValkeyCluster]:
    """Run a cluster for as long as the block lasts; it ends too if this process is killed."""
    folder.mkdir()
    reaper = Reaper()
    cluster = ValkeyCluster(folder, reaper)
    yield cluster
    for node in cluster.nodes:
        node.client.close()
        node.kill()
    reaper.begin_stop()
    reaper.wait()
