"""How often Python's garbage collector looks at a process that serves; knows nothing of what it serves."""

from __future__ import annotations

import gc

# Requests make no reference cycles, so looking every 700 new objects, Python's own habit, finds nothing and costs 5 %
# of a small request. Models may make some: theirs are found a little later.
_NEW_OBJECTS = 20_000


def settle() -> None:
    """What there is now stays: never walk it again, and look seldom at what comes."""
    gc.collect()
    gc.freeze()
    relax()


def relax() -> None:
    """Look seldom."""
    gc.set_threshold(_NEW_OBJECTS, 10, 10)
