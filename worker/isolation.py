"""An engine's process: one run at a time under limits, kept warm for the next, and killed as a group when it fails.

The process is forked from the worker, which therefore must never load an engine itself: several do not survive a fork.
It is its own process group and stays in the worker's session, where the launcher's reaper finds it. It dies with the
worker: the kernel sees to that on Linux, and the reaper or the end of its pipe elsewhere.
"""

import contextlib
import ctypes
import json
import logging
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import IO, Any, NoReturn

from webapp.core.errors import UpcubeError
from webapp.jobs.ending import Failure
from webapp.jobs.execution import execute, read_results, write_results
from webapp.jobs.result_sizes import MAX_RESULT_BYTES
from webapp.quantum.engines import RunResult

# Engines leak a little, and memory once taken from the system is not always given back.
MAX_RUNS = 100
MAX_LOG_BYTES = 1024 * 1024
SHOWN_LOG_BYTES = 2_000
LOOK_SECONDS = 0.25
# Between the worker's own limit and the alarm that ends a run whose worker hangs.
ALARM_MARGIN_SECONDS = 5
PR_SET_PDEATHSIG = 1

# What engines and the C++ library write before they end the process for want of memory.
MEMORY_WORDS = (b"bad_alloc", b"memory", b"Memory")

log = logging.getLogger(__name__)


class StoppedError(Exception):
    """The run was given up because nobody wants its result any more; its process has been killed."""


@dataclass(frozen=True)
class Limits:
    """What one run may take. Wall-clock and CPU time have the same limit: an engine runs on one core."""

    seconds: int
    memory_bytes: int


class EngineProcess:
    """The one process that a worker runs its jobs in, started when it is wanted and replaced when it has failed."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._pid = 0
        self._runs = 0
        self._connection: Connection
        self._log: IO[bytes]

    def run(self, order: bytes, *, look: Callable[[], bool]) -> list[RunResult] | dict[str, str]:
        """Run what is ordered and give its results, or the error that the job ends with.

        `look` is called several times a second, and gives False when the run is to be given up. Raises StoppedError.
        """
        if self._runs >= MAX_RUNS or self._has_died():
            self.stop()
        if not self._pid:
            self._start()
        self._runs += 1
        # What earlier runs wrote says nothing of this one. The position in the file is shared with the process.
        self._log.seek(0)
        self._log.truncate()
        try:
            self._connection.send_bytes(order)
            answer = self._wait(look)
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return self._explain_death().error
        except BaseException:
            self.stop()
            raise
        if isinstance(answer, list):
            return answer
        # What has failed once is not trusted again.
        self._show_log()
        self.stop()
        return answer

    def _wait(self, look: Callable[[], bool]) -> list[RunResult] | dict[str, str]:
        """Wait for what the process answers, no longer than a run may take."""
        deadline = time.monotonic() + self._limits.seconds
        while not self._connection.poll(LOOK_SECONDS):
            if time.monotonic() > deadline:
                return Failure.TIMEOUT.error
            if not look():
                raise StoppedError
        try:
            content = self._connection.recv_bytes(MAX_RESULT_BYTES)
        except (EOFError, ConnectionResetError):
            raise
        except OSError:
            return Failure.RESULT_TOO_LARGE.error
        answer: dict[str, Any] = json.loads(content)
        if "results" in answer:
            return read_results(answer["results"])
        error: dict[str, str] = answer["error"]
        return error

    def _start(self) -> None:
        ours, theirs = Pipe()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - open for as long as the process lives
        worker = os.getpid()
        pid = os.fork()
        if pid == 0:
            serve_runs(theirs, self._log, self._limits, worker)
        # Both do it, so that it is done whoever comes first.
        with contextlib.suppress(OSError):
            os.setpgid(pid, pid)
        theirs.close()
        self._connection, self._pid, self._runs = ours, pid, 0

    def _has_died(self) -> bool:
        """Tell whether the process died while it had nothing to do. It is not reaped yet: its id is still its own."""
        if not self._pid:
            return False
        return os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def _explain_death(self) -> Failure:
        """Say why the process has died by itself."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._pid, signal.SIGKILL)
        _, status = os.waitpid(self._pid, 0)
        self._pid = 0
        said = self._show_log()
        self._forget()
        log.warning("the engine's process ended with status %s", os.waitstatus_to_exitcode(status))
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) in {signal.SIGXCPU, signal.SIGALRM}:
            return Failure.TIMEOUT
        if any(word in said for word in MEMORY_WORDS):
            return Failure.OUT_OF_MEMORY
        return Failure.ENGINE_CRASHED

    def _show_log(self) -> bytes:
        """Log the end of what the process has written, and give it."""
        size = self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, size - SHOWN_LOG_BYTES))
        said = self._log.read(SHOWN_LOG_BYTES)
        if said:
            log.warning("the engine's process said: %s", said.decode(errors="replace"))
        return said

    def stop(self) -> None:
        """Kill the process, if there is one, with all that it has started."""
        if not self._pid:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        self._pid = 0
        self._forget()

    def _forget(self) -> None:
        self._connection.close()
        self._log.close()


def serve_runs(connection: Connection, log_file: IO[bytes], limits: Limits, worker: int) -> NoReturn:
    """Run what comes down the pipe until it closes. This is the forked process, which never returns to the worker."""
    try:
        prepare_process(connection, log_file, limits, worker)
        while True:
            connection.send_bytes(run_limited(connection.recv_bytes(), limits))
    except EOFError:
        os._exit(0)
    except BaseException as error:  # noqa: BLE001 - whatever it is, the worker's own code must not go on in this process
        os.write(2, repr(error).encode())
        os._exit(1)


def prepare_process(connection: Connection, log_file: IO[bytes], limits: Limits, worker: int) -> None:
    """Cut the process off from the worker, and set the limits that hold for all of its runs."""
    with contextlib.suppress(OSError):
        os.setpgid(0, 0)
    die_with(worker)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM, signal.SIGXCPU):
        # Not a handler of Python's, which would wait for the engine to give the interpreter back.
        signal.signal(number, signal.SIG_DFL)
    os.dup2(log_file.fileno(), 1)
    os.dup2(log_file.fileno(), 2)
    # The worker's connections to its stores are not this process's.
    kept = connection.fileno()
    os.closerange(3, kept)
    os.closerange(kept + 1, os.sysconf("SC_OPEN_MAX"))
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes, limits.memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_LOG_BYTES, MAX_LOG_BYTES))


def die_with(worker: int) -> None:
    """Have the kernel kill this process when the worker dies."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != worker:
        os._exit(1)


def run_limited(order: bytes, limits: Limits) -> bytes:
    """Run one job within its time, and write its results or its error."""
    used_seconds = int(time.process_time()) + 1
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (used_seconds + limits.seconds, hard))
    signal.alarm(limits.seconds + ALARM_MARGIN_SECONDS)
    try:
        return write_results(execute(order))
    except UpcubeError as error:
        return write_error({"code": error.code, "message": f"{error.message} Nothing was charged."})
    except MemoryError:
        return write_error(Failure.OUT_OF_MEMORY.error)
    except Exception:
        log.exception("the engine failed")
        return write_error(Failure.ENGINE_FAILED.error)
    finally:
        signal.alarm(0)


def write_error(error: Mapping[str, str]) -> bytes:
    """Write an error as JSON."""
    return json.dumps({"error": error}).encode()
