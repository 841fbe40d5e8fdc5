"""Restarts, leftovers and output of the supervised processes."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from config import ROOT
from tests.live import wait_until
from worker.console import Console
from worker.reaper import Reaper, list_session
from worker.supervisor import Program, ProgramError, Supervisor, read_procfile

DEADLINE_SECONDS = 30.0


def supervise(folder: Path, use: Callable[[Supervisor], Awaitable[None]]) -> str:
    """Use a supervisor, stop it, and give all that it wrote."""
    path = folder / "output"
    with path.open("wb") as output:
        console = Console(output.fileno())

        async def run() -> None:
            supervisor = Supervisor(console=console, reaper=Reaper(), environ=os.environ, folder=folder)
            supervisor.is_starting = False
            try:
                await use(supervisor)
            finally:
                await supervisor.stop()

        try:
            # In a thread of its own: a browser test before it may have left an event loop in this one.
            with ThreadPoolExecutor(max_workers=1) as thread:
                thread.submit(asyncio.run, run()).result()
        finally:
            console.close()
    return path.read_text()


def shell(name: str, script: str) -> Program:
    return Program(name, ("/bin/sh", "-c", script))


def read_lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


async def wait_for_lines(path: Path, count: int) -> list[str]:
    """Wait until a file has this many lines."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while len(lines := read_lines(path)) < count:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    return lines


def test_a_program_that_fails_at_every_start_ends_everything_with_one_sentence(tmp_path: Path) -> None:
    async def use(supervisor: Supervisor) -> None:
        supervisor.start(shell("bystander", "exec sleep 1000"))
        supervisor.start(shell("broken", "echo x >> starts; exit 3"))
        await supervisor.watch()

    with pytest.raises(ProgramError, match=r"^broken failed to start 5 times, the last time with exit status 3;"):
        supervise(tmp_path, use)
    assert len(read_lines(tmp_path / "starts")) == 5


def test_a_program_that_fails_while_everything_starts_is_not_tried_again(tmp_path: Path) -> None:
    async def use(supervisor: Supervisor) -> None:
        supervisor.is_starting = True
        supervisor.start(shell("broken", "echo x >> starts; exit 3"))
        await supervisor.watch()

    with pytest.raises(ProgramError, match=r"^broken could not start: it ended with exit status 3;"):
        supervise(tmp_path, use)
    assert len(read_lines(tmp_path / "starts")) == 1


def test_what_a_dead_process_left_behind_is_killed_before_its_successor_starts(tmp_path: Path) -> None:
    # The child makes a process group of its own (set -m), as an RQ work horse does.
    script = "set -m; sleep 1000 & set +m; echo $$ >> sessions; kill -KILL $$"

    async def use(supervisor: Supervisor) -> None:
        supervisor.start(shell("worker", script))
        first, *_ = await wait_for_lines(tmp_path / "sessions", 2)
        assert list_session(int(first)) == []

    supervise(tmp_path, use)
    assert all(list_session(int(pid)) == [] for pid in read_lines(tmp_path / "sessions"))


def test_ordinary_processes_end_before_the_store_that_they_write_to(tmp_path: Path) -> None:
    def recorder(name: str) -> str:
        return f"trap 'sleep 0.2; echo {name} >> ends; exit' TERM; echo {name} >> starts; while :; do sleep 0.05; done"

    async def use(supervisor: Supervisor) -> None:
        supervisor.start(Program("store", ("/bin/sh", "-c", recorder("store")), is_store=True))
        supervisor.start(shell("web", recorder("web")))
        await wait_for_lines(tmp_path / "starts", 2)

    supervise(tmp_path, use)
    assert read_lines(tmp_path / "ends") == ["web", "store"]


def test_a_launcher_that_dies_before_its_reaper_knows_of_a_process_leaves_nothing_of_it(tmp_path: Path) -> None:
    launcher = """
import asyncio, os, pathlib, signal, sys
from worker.console import Console
from worker.reaper import Reaper
from worker.supervisor import Program, Supervisor

class DeadlyReaper(Reaper):
    def add(self, session, *, is_store=False):
        print(session, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

folder = pathlib.Path(sys.argv[1])
supervisor = Supervisor(console=Console(), reaper=DeadlyReaper(), environ=os.environ, folder=folder)
asyncio.run(supervisor.run(Program("web", ("/bin/sh", "-c", "echo x > started; exec sleep 1000"))))
"""
    command = [sys.executable, "-c", launcher, str(tmp_path)]
    killed = subprocess.run(command, cwd=ROOT, capture_output=True, check=False, timeout=DEADLINE_SECONDS)
    assert killed.returncode == -signal.SIGKILL
    wait_until(lambda: list_session(int(killed.stdout)) == [])
    assert not (tmp_path / "started").exists()


def test_nothing_is_started_once_a_stop_has_begun(tmp_path: Path) -> None:
    # The migration did: Redis had failed already, and the database had just said that it is an old one.
    async def use(supervisor: Supervisor) -> None:
        stop = asyncio.create_task(supervisor.stop())
        await asyncio.sleep(0)
        with pytest.raises(ProgramError, match="late was not started"):
            await supervisor.run(shell("late", "echo x >> starts"))
        await stop

    supervise(tmp_path, use)
    assert read_lines(tmp_path / "starts") == []


def test_lines_are_whole_named_and_readable_whatever_the_bytes(tmp_path: Path) -> None:
    script = r"printf 'half '; sleep 0.1; printf 'line\nbad \377 byte\r\nunended'; echo x >> done; sleep 1000"

    async def use(supervisor: Supervisor) -> None:
        supervisor.start(shell("web", script))
        await wait_for_lines(tmp_path / "done", 1)

    lines = supervise(tmp_path, use).splitlines()
    assert lines == ["web    | half line", "web    | bad � byte", "web    | unended"]


def test_a_procfile_names_its_programs_and_ignores_comments(tmp_path: Path) -> None:
    path = tmp_path / "Procfile"
    path.write_text("# a: comment\nweb: serve --port $PORT\n\nworker:work\n")
    programs = read_procfile(path)
    assert {name: program.command[-1] for name, program in programs.items()} == {
        "web": "exec serve --port $PORT",
        "worker": "exec work",
    }
