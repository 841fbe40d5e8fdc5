"""Python's interpreter in a process whose threads answer requests: its lock, and its collector of cycles."""

import gc
import os
import sys

# Net new objects before the youngest are looked at, then how often that happens before the next two generations are.
YOUNG, MIDDLE, OLD = 20_000, 5, 50


# After how long a thread that computes gives way to one that waits. Python's own 5 ms add up: a request that comes back
# from each of its waits behind a program that is being read took 31 ms, and takes 16.
TURN_SECONDS = 0.001


def prepare_interpreter() -> None:
    """Set the interpreter up for threads that wait for each other. Call it once everything is loaded."""
    sys.setswitchinterval(TURN_SECONDS)
    # Of the engines, which are loaded when they are first used: a circuit must not take every core from the other
    # requests, and a credit is a core-second.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    calm_collector()


def calm_collector() -> None:
    """Have the collector leave alone what was loaded, and look at all the rest rarely.

    It holds the interpreter's lock from beginning to end, and by default goes through everything that lives each time
    that it has grown by a quarter. One large program or JSON body did that several times over while it was read, and
    every other request waited: 0.06 to 0.24 s at a time, where now it is 0.02 s. Nearly everything here is freed by
    counted references, at once; cycles wait for a while longer.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, OLD)
