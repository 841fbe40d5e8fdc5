"""Named points where a test can have the process killed, to see what survives, or held, to see what others do."""

import os
import signal
import threading


class Trap:
    """The point that is armed, if any: `name` kills the process, `name:stop` stops it until it is told to go on."""

    def __init__(self, text: str) -> None:
        self.set(text)

    def set(self, text: str) -> None:
        """Arm another point."""
        self.name, _, how = text.partition(":")
        self.signal = signal.SIGSTOP if how == "stop" else signal.SIGKILL


# Read once: in production the variable is not there and a point costs one comparison.
armed = Trap(os.environ.get("UPCUBE_FAULT", ""))


def fault(name: str) -> None:
    """Die here as a crashed machine would, or stop until told to go on, if this point is armed."""
    if name == armed.name:
        # Sent to this thread, which then goes no further: sent to the process, another thread may take it in a moment.
        signal.pthread_kill(threading.get_ident(), armed.signal)
