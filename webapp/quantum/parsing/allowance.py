"""What reading programs may take in all: those of one job share one allowance, so that many are no way around it.

Whatever the programs of a job come to, the job is large work from the moment on that any count says so.
"""

from webapp.core.large_work import LARGE_BYTES, LARGE_OPERATIONS, begin_large_work
from webapp.quantum.limits import (
    MAX_CIRCUIT_OPERATIONS,
    MAX_PROGRAM_STEPS,
    MAX_PROGRAM_WIRES,
    MAX_SOURCE_BYTES,
)
from webapp.quantum.parsing.errors import ProgramTooLargeError


class Allowance:
    """Counts what the programs of a job take together, and refuses at each limit with ProgramTooLargeError.

    Any count may raise LargeWorkBusyError, too: see webapp/core/large_work.py.
    """

    def __init__(self) -> None:
        self.steps = 0
        self._wires = 0
        self._source_bytes = 0
        self._operations = 0
        # Steps are counted for every gate, so they are compared with one number only.
        self._next_look = LARGE_OPERATIONS

    def count_steps(self, steps: int = 1) -> None:
        """Count work."""
        self.steps += steps
        if self.steps > self._next_look:
            self._look_at_steps()

    def _look_at_steps(self) -> None:
        """Refuse too many steps; fewer, but many, make large work."""
        if self.steps > MAX_PROGRAM_STEPS:
            raise ProgramTooLargeError(
                f"The program takes more than {MAX_PROGRAM_STEPS} steps when its loops and gates are unrolled; "
                f"a circuit has at most {MAX_CIRCUIT_OPERATIONS} operations, and so have all of a job together."
            )
        begin_large_work()
        self._next_look = MAX_PROGRAM_STEPS

    def count_wires(self, wires: int) -> None:
        """Count the qubits that operations hold, and the bits that their conditions read."""
        self._wires += wires
        if self._wires > MAX_PROGRAM_WIRES:
            raise ProgramTooLargeError(
                f"The operations of a program, with their conditions, name at most {MAX_PROGRAM_WIRES} qubits and bits "
                "in all."
            )
        if self._wires > LARGE_OPERATIONS:
            begin_large_work()

    def count_source(self, source: str) -> None:
        """Count the text of a program: as often as it is read, which a sweep does for each of its points."""
        # UTF-8 may take four bytes for a character, so the characters are looked at before a copy is made of them.
        is_long = len(source) > MAX_SOURCE_BYTES
        size_bytes = len(source) if is_long else len(source.encode(errors="replace"))
        self._source_bytes += size_bytes
        if self._source_bytes > MAX_SOURCE_BYTES:
            raise ProgramTooLargeError(
                f"A program has at most {MAX_SOURCE_BYTES} bytes; so have all programs of a job together, and a sweep "
                "counts its program for each of its points."
            )
        if size_bytes > LARGE_BYTES:
            begin_large_work()

    def count_operations(self, operations: int) -> None:
        """Count what a circuit came to."""
        self._operations += operations
        if self._operations > MAX_CIRCUIT_OPERATIONS:
            raise ProgramTooLargeError(
                f"The circuits of a job have at most {MAX_CIRCUIT_OPERATIONS} operations together. Send fewer at once."
            )
        if self._operations > LARGE_OPERATIONS:
            begin_large_work()
