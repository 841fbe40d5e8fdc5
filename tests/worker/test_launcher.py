"""`make run` without make: the real launcher and its real processes, on a folder and a port of their own."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from redis import Redis

from config import ROOT, get_valkey_socket
from tests.clusters import ValkeyCluster

# For a busy machine: nothing here waits this long unless something is broken.
DEADLINE_SECONDS = 60.0
POLL_SECONDS = 0.05


def wait_until(is_true: Callable[[], object], what: str) -> None:
    """Return when something has become true."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not is_true():
        assert time.monotonic() < deadline, f"still not true after {DEADLINE_SECONDS} s: {what}"
        time.sleep(POLL_SECONDS)


def get_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def make_environ(data_dir: Path, **settings: str) -> dict[str, str]:
    """Give these settings alone, and not those that the tests were started with."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LANG") if name in os.environ}
    return {**kept, "DATA_DIR": str(data_dir), "PORT": str(get_free_port()), **settings}


def find_processes(data_dir: Path, words: str = "") -> list[int]:
    """Find the live processes of an instance that have some words in their command line."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            environ = (folder / "environ").read_bytes().split(b"\0")
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            # Valkey writes its title over its environment, but works in its folder.
            is_ours = f"DATA_DIR={data_dir}".encode() in environ or (folder / "cwd").readlink().is_relative_to(data_dir)
            if is_ours and command and words in command:
                found.append(int(folder.name))
    return found


@dataclass
class Instance:
    """A running launcher."""

    data_dir: Path
    port: int
    launcher: subprocess.Popen[bytes]
    log: Path

    def read_log(self) -> str:
        return self.log.read_text(errors="replace")

    def get_health(self) -> tuple[int, object]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, None
        except OSError:
            return 0, None

    def answers(self) -> bool:
        return self.get_health()[0] == 200

    def wait_until_ready(self) -> None:
        def is_ready() -> bool:
            assert self.launcher.poll() is None, self.read_log()
            return "Upcube Quantum is ready" in self.read_log()

        wait_until(is_ready, "the launcher says that it is ready")

    def kill_one(self, words: str) -> None:
        """Kill the process with these words in its command line, and wait for its successor."""
        wait_until(lambda: find_processes(self.data_dir, words), f"{words} runs")
        victim = min(find_processes(self.data_dir, words))
        os.kill(victim, signal.SIGKILL)
        wait_until(
            lambda: victim not in (found := find_processes(self.data_dir, words)) and found, f"{words} came back"
        )


@contextlib.contextmanager
def running(data_dir: Path, **settings: str) -> Iterator[Instance]:
    """Run a launcher, ready when the block begins, and stopped when it ends."""
    environ = make_environ(data_dir, **settings)
    log = data_dir.with_suffix(".log")
    with log.open("wb") as output:
        launcher = subprocess.Popen(
            [sys.executable, "-m", "worker.launcher"], cwd=ROOT, env=environ, stdout=output, stderr=output
        )
    instance = Instance(data_dir, int(environ["PORT"]), launcher, log)
    try:
        instance.wait_until_ready()
        yield instance
    finally:
        launcher.terminate()
        launcher.wait(DEADLINE_SECONDS)


def run_and_fail(data_dir: Path, **settings: str) -> str:
    """Run a launcher that cannot start, and give its one sentence."""
    environ = make_environ(data_dir, **settings)
    launcher = subprocess.run(
        [sys.executable, "-m", "worker.launcher"],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )
    assert launcher.returncode == 1
    assert launcher.stderr.count("\n") == 1, launcher.stderr
    assert find_processes(data_dir) == []
    return launcher.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_is_answers_and_leaves_no_process_when_told_to_stop(
    tmp_path: Path, number: signal.Signals
) -> None:
    data_dir = tmp_path / "data"
    with running(data_dir) as instance:
        block = instance.read_log()
        assert f"http://127.0.0.1:{instance.port}\n" in block
        assert f"{data_dir}\n" in block
        assert "Ctrl-C" in block
        assert instance.get_health() == (200, {"status": "ok"})
        instance.launcher.send_signal(number)
        assert instance.launcher.wait(DEADLINE_SECONDS) == 0
        assert find_processes(data_dir) == []
        assert "Traceback" not in instance.read_log()


def test_a_killed_launcher_leaves_no_process_and_its_folder_can_be_used_again_at_once(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    with running(data_dir) as first:
        first.launcher.kill()
        first.launcher.wait()
        # Not waiting for the first one's processes: the second must.
        with running(data_dir, PORT=str(first.port)) as second:
            assert second.get_health()[0] == 200
    assert find_processes(data_dir) == []


def test_killed_processes_come_back_and_valkey_brings_its_data(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    with running(data_dir) as instance, Redis.from_url(f"unix://{get_valkey_socket(data_dir)}") as redis:
        redis.set("kept", "yes")
        # A kill loses nothing that the kernel has. It has each write before the answer, unless the disk is busy.
        wait_until(lambda: not redis.info("persistence")["aof_buffer_length"], "what was written is in the file")
        instance.kill_one("valkey-server")
        for words in ("worker work", "worker clock", "worker jobs", "granian", "worker.reaper"):
            instance.kill_one(words)
        wait_until(instance.answers, "/healthz answers 200 again")
        assert redis.get("kept") == b"yes"
        assert "valkey ended with signal SIGKILL" in instance.read_log()
    assert find_processes(data_dir) == []


def test_as_many_web_processes_answer_as_are_asked_for_and_one_that_dies_comes_back(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    with running(data_dir, WEB_WORKERS="2") as instance:
        wait_until(lambda: count_listeners(instance.port) == 2, "two web processes listen")
        before = find_processes(data_dir, "granian")
        os.kill(max(before), signal.SIGKILL)
        wait_until(lambda: max(before) not in find_processes(data_dir, "granian"), "one was killed")
        wait_until(instance.answers, "the other answers")
        wait_until(lambda: count_listeners(instance.port) == 2, "another came in its place")
        # Granian started it, and nobody had to start Granian.
        assert min(find_processes(data_dir, "granian")) == min(before)
    assert find_processes(data_dir) == []


def count_listeners(port: int) -> int:
    """Count the sockets that listen on a port: each web process has one."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return sum(f":{port:04X} 00000000:0000 0A" in line for line in lines)


def test_a_number_of_web_processes_that_cannot_be_is_one_sentence(tmp_path: Path) -> None:
    sentence = run_and_fail(tmp_path / "data", WEB_WORKERS="0")
    assert sentence == "WEB_WORKERS must be a whole number from 1 to 64, not '0'.\n"


def test_a_second_instance_on_the_same_folder_or_the_same_port_is_refused(tmp_path: Path) -> None:
    data_dir, other_dir = tmp_path / "data", tmp_path / "other"
    with running(data_dir) as instance:
        environ = {"PORT": str(instance.port)}
        assert re.search(rf"PORT {instance.port} .* cannot be used", run_and_fail(other_dir, **environ))
        second = subprocess.run(
            [sys.executable, "-m", "worker.launcher"],
            cwd=ROOT,
            env=make_environ(data_dir),
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            check=False,
        )
        assert second.returncode == 1
        assert f"in use by another running instance (process {instance.launcher.pid})" in second.stderr
        assert instance.get_health()[0] == 200


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "cannot be written: Not a directory" in run_and_fail(tmp_path / "file" / "data")


def test_an_unreachable_database_is_one_sentence_without_its_password(tmp_path: Path) -> None:
    url = "postgresql://somebody:hunter2@127.0.0.1:1/upcube"
    sentence = run_and_fail(tmp_path / "data", DATABASE_URL=url, SECRET_KEY="a key")
    assert sentence.startswith("DATABASE_URL cannot be reached at 127.0.0.1:1/upcube: ")
    assert "hunter2" not in sentence


def test_a_database_file_that_cannot_be_opened_is_one_sentence(tmp_path: Path) -> None:
    sentence = run_and_fail(tmp_path / "data", DATABASE_URL=f"sqlite:///{tmp_path}/absent/file.sqlite3")
    assert sentence.startswith(f"DATABASE_URL cannot be opened at {tmp_path}/absent/file.sqlite3: ")


def test_an_unreachable_redis_is_one_sentence_without_its_password(tmp_path: Path) -> None:
    sentence = run_and_fail(tmp_path / "data", REDIS_URL="redis://:hunter2@127.0.0.1:1/0")
    assert sentence.startswith("REDIS_URL cannot be reached at 127.0.0.1:1/0: ")
    assert "hunter2" not in sentence


def test_a_cluster_is_used_where_redis_url_names_one(tmp_path: Path, cluster: ValkeyCluster, valkey_url: str) -> None:
    with running(tmp_path / "data", REDIS_URL=cluster.url, QUEUE_REDIS_URL=valkey_url) as instance:
        assert instance.get_health() == (200, {"status": "ok"})
        assert cluster.url.partition("://")[2] in instance.read_log()


def test_a_node_of_a_cluster_is_not_taken_for_a_server(tmp_path: Path, cluster: ValkeyCluster) -> None:
    node = f"127.0.0.1:{cluster.nodes[0].port}"
    sentence = run_and_fail(tmp_path / "data", REDIS_URL=f"redis://{node}")
    assert sentence == f"REDIS_URL: {node} is a node of a cluster; write redis+cluster:// before its address.\n"


def test_a_database_server_without_a_secret_key_is_one_sentence(tmp_path: Path) -> None:
    sentence = run_and_fail(tmp_path / "data", DATABASE_URL="postgresql://somebody@127.0.0.1:1/upcube")
    assert sentence.startswith("SECRET_KEY must be set")


def test_an_address_of_another_machine_is_one_sentence(tmp_path: Path) -> None:
    assert "cannot be used" in run_and_fail(tmp_path / "data", HOST="192.0.2.1")
