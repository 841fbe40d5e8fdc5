"""Python's collector of cycles, in a process whose threads answer requests."""

import gc

# Net new objects before the youngest are looked at, then how often that happens before the next two generations are.
YOUNG, MIDDLE, OLD = 20_000, 5, 50


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
