"""Named points where a test can have the process killed, to see what survives, or held, to see what others do."""

import os
import signal

# Read once: in production the variable is not there and a point costs one comparison. `name:stop` stops the process.
ARMED, _, HOW = os.environ.get("UPCUBE_FAULT", "").partition(":")
SIGNAL = signal.SIGSTOP if HOW == "stop" else signal.SIGKILL


def fault(name: str) -> None:
    """Die here as a crashed machine would, or stop until told to go on, if this point is armed."""
    if name == ARMED:
        os.kill(os.getpid(), SIGNAL)
