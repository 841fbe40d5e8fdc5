"""An engine that does what a job's seed says, for workers that must survive it."""

import os
import signal
import subprocess
import time
from enum import IntEnum
from pathlib import Path

from webapp.quantum.circuits import Circuit
from webapp.quantum.engines import Capabilities, RunRequest, RunResult


class Seed(IntEnum):
    """What a run does; any other seed gives a result at once."""

    WAIT = 101
    SPIN = 102
    EAT = 103
    ABORT = 104
    FAIL = 105
    FLOOD = 106
    BREED = 107
    SHOUT = 108


# Circuits of a batch have seeds of their own: one of this width waits, whatever its seed.
WAITING_QUBITS = 5


class OddEngine:
    """Waits, spins, eats memory, crashes, fails, answers too much or starts processes."""

    name = "odd"
    version = "1"

    def __init__(self, capabilities: Capabilities) -> None:
        self.capabilities = capabilities

    def run(self, circuit: Circuit, request: RunRequest) -> RunResult:
        """Do as the seed says."""
        if request.seed in ACTIONS:
            ACTIONS[Seed(request.seed)]()
        if circuit.qubits == WAITING_QUBITS:
            wait()
        counts = {"0" * 40_000_000: 1} if request.seed == Seed.FLOOD else {"00": request.shots}
        return RunResult(counts, None, self.name, self.version, 0.0)


def create_engine(capabilities: Capabilities) -> OddEngine:
    """Create the engine for the catalogue."""
    return OddEngine(capabilities)


def wait() -> None:
    """Wait until the test says go, having said that this waits."""
    waiting_file().touch()
    while not go_file().exists():
        time.sleep(0.005)


def spin() -> None:
    """Compute for ever."""
    while True:
        pass


def eat() -> None:
    """Take memory until there is no more."""
    eaten = []
    while True:
        # Zeros that are never touched cost no time, only addresses.
        eaten.append(bytes(64 * 1024 * 1024))


def fail() -> None:
    """Fail as a bug would."""
    raise RuntimeError("0x7f3a: corrupted")


def breed() -> None:
    """Start a process of its own, and wait with it."""
    subprocess.run(["sleep", "1000"], check=False)


def shout() -> None:
    """Write more than anybody reads."""
    while True:
        os.write(2, b"!" * 65_536)


def go_file() -> Path:
    """Give the file whose existence lets waiting runs go on."""
    return Path(os.environ["DATA_DIR"]) / "go"


def waiting_file() -> Path:
    """Give the file that is there once a run waits."""
    return Path(os.environ["DATA_DIR"]) / "waiting"


ACTIONS = {
    Seed.WAIT: wait,
    Seed.SPIN: spin,
    Seed.EAT: eat,
    Seed.ABORT: lambda: os.kill(os.getpid(), signal.SIGABRT),
    Seed.FAIL: fail,
    Seed.BREED: breed,
    Seed.SHOUT: shout,
}
