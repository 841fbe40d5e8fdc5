"""One writer of the terminal: whole lines, each under the name of the process that wrote it."""

import os
import queue
import sys
import threading

MAX_WAITING_LINES = 10_000
FLUSH_SECONDS = 1.0
NAME_WIDTH = 7


class Console:
    """Writes from a thread of its own, so that a terminal nobody reads never stops the launcher.

    When the reader is that slow, lines beyond MAX_WAITING_LINES are dropped.
    """

    def __init__(self, descriptor: int | None = None) -> None:
        """Write to `descriptor`, or to standard output."""
        self._descriptor = sys.stdout.fileno() if descriptor is None else descriptor
        self._waiting: queue.Queue[bytes | None] = queue.Queue(MAX_WAITING_LINES)
        self._thread = threading.Thread(target=self._write_all, name="console", daemon=True)
        self._thread.start()

    def write(self, text: str) -> None:
        """Write some text as it is."""
        self._put(text.encode(errors="replace"))

    def write_line(self, name: str, line: str) -> None:
        """Write one line of a process."""
        self.write(f"{name:<{NAME_WIDTH}}| {line}\n")

    def close(self) -> None:
        """Give the waiting lines a moment to be written."""
        self._put(None)
        self._thread.join(FLUSH_SECONDS)

    def _put(self, data: bytes | None) -> None:
        try:
            self._waiting.put_nowait(data)
        except queue.Full:
            return

    def _write_all(self) -> None:
        while (data := self._waiting.get()) is not None:
            try:
                while data:
                    data = data[os.write(self._descriptor, data) :]
            except OSError:
                # Nobody will ever read this again (`make run | head`); the processes go on without an audience.
                continue
