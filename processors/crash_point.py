"""Named points on the way of a flush at which a test lets the process end; otherwise nothing happens there."""

from collections.abc import Callable
from enum import StrEnum


class CrashPoint(StrEnum):
    """In the order in which a flush passes them."""

    AFTER_FOLD = "after fold"
    MID_INSERT = "mid insert"
    BETWEEN_INSERTS = "between inserts"
    AFTER_PRODUCE = "after produce"
    AFTER_INSERT = "after insert"
    BEFORE_COMMIT = "before commit"
    AFTER_COMMIT = "after commit"


Passing = Callable[[CrashPoint], None]
"""Told of each point that is passed."""


def unharmed(_: CrashPoint) -> None:
    """Go on: what every worker but those of the fault laboratory does."""
