"""Keep processes running: each in its own session, restarted when it dies, its lines passed on under its name.

Why this is ours, and not a library's: docs/adr/0001-process-manager.md.
"""

import asyncio
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from worker.console import Console
from worker.reaper import Reaper, kill_session

# A process that ends by itself this soon has failed to start; this many times in a row, and it never will.
START_SECONDS = 5.0
MAX_FAILED_STARTS = 5
FIRST_DELAY_SECONDS = 0.1
MAX_DELAY_SECONDS = 5.0
CHECK_SECONDS = 0.2
POLL_SECONDS = 0.1
LAST_LINES_SECONDS = 0.5
# A line longer than this is passed on in pieces.
MAX_LINE_BYTES = 65_536
# What a process is until the reaper knows of it: it ends if the launcher does before it has said so.
GATE = ("/bin/sh", "-c", 'read -r known && exec "$@" </dev/null', "sh")


class ProgramError(Exception):
    """A program failed for good; the message is one sentence for the operator."""


@dataclass(frozen=True)
class Program:
    """A command to keep running."""

    name: str
    command: tuple[str, ...]
    is_store: bool = False
    pass_fds: tuple[int, ...] = ()
    is_noise: Callable[[str], bool] = lambda _: False


def read_procfile(path: Path) -> dict[str, Program]:
    """Read `name: command` lines; anything else is a comment."""
    lines = re.findall(r"^([A-Za-z0-9_-]+):\s*(.+)$", path.read_text(), re.MULTILINE)
    # exec: signals reach the program itself, not a shell in front of it.
    return {name: Program(name, ("/bin/sh", "-c", f"exec {command}")) for name, command in lines}


class Supervisor:
    """Starts programs, restarts those that die, and has the reaper stop all of them."""

    def __init__(self, *, console: Console, reaper: Reaper, environ: Mapping[str, str], folder: Path) -> None:
        """Run programs in `folder` with `environ`."""
        self._console = console
        self._reaper = reaper
        self._environ = dict(environ)
        self._folder = folder
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()
        # Until the instance is ready, a program that ends by itself is not tried again: something is wrong.
        self.is_starting = True

    def start(self, program: Program) -> None:
        """Keep a program running from now on."""
        self._tasks.append(asyncio.create_task(self._keep_running(program), name=program.name))

    async def watch(self) -> None:
        """Wait for ever, or raise ProgramError as soon as a program has failed for good."""
        while True:
            self._reaper.ensure_alive()
            for task in self._tasks:
                if task.done():
                    task.result()
            await asyncio.sleep(CHECK_SECONDS)

    async def run(self, program: Program, emit: Callable[[str], None] | None = None) -> int:
        """Run a program once, give each line to `emit`, and return its exit status, or minus the signal it died of.

        Raises ProgramError once a stop has begun.
        """
        reader, writer = os.pipe()
        output = _Output(reader, emit or self._emitter(program))
        try:
            process = self._spawn(program, writer)
        finally:
            os.close(writer)
        try:
            while (status := process.poll()) is None:  # noqa: ASYNC110  # asyncio's own way differs between versions
                await asyncio.sleep(POLL_SECONDS)
            # What it left behind would hold the port, or run a job beside its own second copy.
            await asyncio.to_thread(kill_session, process.pid)
        finally:
            output.close()
        self._reaper.remove(process.pid)
        return status

    def _spawn(self, program: Program, output: int) -> subprocess.Popen[bytes]:
        """Start a process that waits until the reaper knows of it, so that no end of the launcher can leave it behind.

        No await is in here, where a stop could miss it; and once a stop has begun, the reaper hears of nothing more.
        """
        if self._stopping.is_set():
            raise ProgramError(f"{program.name} was not started, as everything is being stopped.")
        process = subprocess.Popen(  # noqa: S603  # from our Procfile
            [*GATE, *program.command],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            env=self._environ,
            cwd=self._folder,
            pass_fds=program.pass_fds,
            start_new_session=True,
        )
        self._reaper.add(process.pid, is_store=program.is_store)
        if process.stdin:
            with suppress(BrokenPipeError):  # somebody has killed it already
                process.stdin.write(b"known\n")
                process.stdin.close()
        return process

    async def stop(self) -> None:
        """Stop everything in order; return when nothing is left."""
        self._stopping.set()
        self._reaper.begin_stop()
        await asyncio.to_thread(self._reaper.wait)
        if self._tasks:
            # Their processes are gone; this lets them pass on the last lines.
            await asyncio.wait(self._tasks, timeout=LAST_LINES_SECONDS)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def kill_now(self) -> None:
        """Cut a stop short."""
        self._reaper.kill_now()

    async def _keep_running(self, program: Program) -> None:
        failed_starts = 0
        while not self._stopping.is_set():
            started_at = time.monotonic()
            status = await self.run(program)
            if self._stopping.is_set():
                return
            lasted = time.monotonic() - started_at
            # Killed by a signal is somebody's doing, not a failure to start.
            failed_starts = failed_starts + 1 if lasted < START_SECONDS and status >= 0 else 0
            self._check_can_start(program, failed_starts, status)
            delay = min(FIRST_DELAY_SECONDS * 2**failed_starts, MAX_DELAY_SECONDS)
            text = f"{program.name} ended with {describe_status(status)}; starting it again in {delay:.1f} s"
            self._console.write_line("upcube", text)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), delay)

    def _check_can_start(self, program: Program, failed_starts: int, status: int) -> None:
        ending = f"with {describe_status(status)}; what it wrote above says why."
        if self.is_starting and failed_starts:
            raise ProgramError(f"{program.name} could not start: it ended {ending}")
        if failed_starts >= MAX_FAILED_STARTS:
            raise ProgramError(f"{program.name} failed to start {failed_starts} times, the last time {ending}")

    def _emitter(self, program: Program) -> Callable[[str], None]:
        def emit(line: str) -> None:
            if not program.is_noise(line):
                self._console.write_line(program.name, line)

        return emit


def describe_status(status: int) -> str:
    """Name how a process ended, from what its wait returned."""
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"signal {signal.Signals(-status).name}"
    except ValueError:
        return f"signal {-status}"


class _Output:
    """A pipe's bytes, given on as lines. It is closed with the process, as what it forked may hold it open for ever."""

    def __init__(self, descriptor: int, emit: Callable[[str], None]) -> None:
        self._descriptor = descriptor
        self._emit = emit
        self._pending = b""
        os.set_blocking(descriptor, False)
        asyncio.get_running_loop().add_reader(descriptor, self._read)

    def _read(self) -> bool:
        """Read what there is; tell whether there may be more."""
        try:
            data = os.read(self._descriptor, MAX_LINE_BYTES)
        except BlockingIOError:
            return False
        if not data:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            return False
        *lines, self._pending = (self._pending + data).split(b"\n")
        if len(self._pending) >= MAX_LINE_BYTES:
            lines, self._pending = [*lines, self._pending], b""
        for line in lines:
            self._emit(line.decode(errors="replace").rstrip("\r"))
        return True

    def close(self) -> None:
        while self._read():
            pass
        if self._pending:
            self._emit(self._pending.decode(errors="replace"))
        asyncio.get_running_loop().remove_reader(self._descriptor)
        os.close(self._descriptor)
