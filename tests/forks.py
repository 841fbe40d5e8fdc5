"""Our programs as processes that are forked from one that has imported everything: a start without its second of CPU.

They are processes like any other, in sessions of their own, with an environment of their own, and are killed alike.
That the programs also start from nothing is what the launcher's tests are about.
"""

import multiprocessing
import os
import runpy
import signal
import sys
import warnings
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

from config import ROOT

# Elsewhere than on Linux some libraries do not survive a fork, and each process imports for itself.
CONTEXT = multiprocessing.get_context("forkserver") if sys.platform == "linux" else multiprocessing.get_context("spawn")
# With what they import on their first use, the programs' own modules aside, which are run as `__main__`.
PRELOADED = ["tests.forks", "webapp", "worker.tasks", "worker.job_worker", "rq.cron", "rq.worker"]
PRELOADED += ["flask.cli", "granian.cli", "granian.server", "sqlalchemy.dialects.postgresql.psycopg"]
CONTEXT.set_forkserver_preload(PRELOADED)
START_SECONDS = 30.0


class Process:
    """A program of ours, `python -m module arguments…`, that leads its own session."""

    def __init__(
        self,
        module: str,
        arguments: Sequence[str],
        *,
        environ: Mapping[str, str],
        output: Path | None = None,
        errors: Path | None = None,
    ) -> None:
        """Start it; what it writes is added to `output`, and to `errors` where that is another file."""
        started, starting = CONTEXT.Pipe(duplex=False)
        paths = (output or Path(os.devnull), errors or output or Path(os.devnull))
        self._process = CONTEXT.Process(
            target=run_program, args=(module, tuple(arguments), dict(environ), paths, starting)
        )
        self._process.start()
        starting.close()
        # Whoever kills the session finds that there is one.
        assert started.poll(START_SECONDS), f"{module} has not started"
        started.close()
        assert self._process.pid
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """Give the exit status, or minus the signal that it died of; None while it lives."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and give the exit status."""
        self._process.join(timeout)
        status = self._process.exitcode
        assert status is not None, f"it has not ended within {timeout} s"
        return status

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it, and nothing that it has started."""
        self.send_signal(signal.SIGKILL)

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)


def run_program(
    module: str,
    arguments: tuple[str, ...],
    environ: dict[str, str],
    paths: tuple[Path, Path],
    starting: Connection,
) -> None:
    """Be the program from here on; this is the new process."""
    # After the fork: this file is imported by tests, which are to see an import of ours fail in its own test.
    from webapp.core import faults  # noqa: PLC0415 - see above

    os.setsid()
    starting.close()
    for path, descriptor in zip(paths, (1, 2), strict=True):
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(opened, descriptor)
        os.close(opened)
    os.chdir(ROOT)
    os.environ.clear()
    os.environ.update(environ)
    # What the interpreter and our modules were told before this was their environment.
    multiprocessing.set_start_method(None, force=True)
    warnings.simplefilter("default")
    faults.armed.set(environ.get("UPCUBE_FAULT", ""))
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
