"""Python's garbage collector, kept away from cached conversations.

A full collection takes 330 ms per 100,000 of them, and one in the middle of a flush looks through all that the epoch
holds only to find it in use: that cost up to a tenth of the worker's time. So nothing is collected by itself. Behind a
flush, when its epoch is gone, the young objects are few; and only exceptions, tasks and the like leave cycles at all.
"""

import gc
from itertools import count
from typing import Final

_YOUNG_EVERY: Final = 10
_MIDDLE_EVERY: Final = 100
_OLD_EVERY: Final = 20_000
"""Flushes, one a second under load: the whole is looked through some four times a day. The young ones not at each: most
are gone by themselves at the next."""

_flushes = count(1)


def tame() -> None:
    """Take what exists now out of the collector's sight, and let it collect only when it is told to."""
    gc.collect()
    gc.freeze()
    gc.disable()


def tidy() -> None:
    """Collect the youngest objects, now and then the older ones too."""
    if gc.isenabled():
        return  # not tamed: a test, or a command that is no worker
    number = next(_flushes)
    if number % _YOUNG_EVERY == 0:
        gc.collect(2 if number % _OLD_EVERY == 0 else 1 if number % _MIDDLE_EVERY == 0 else 0)
