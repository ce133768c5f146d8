"""When a decision is made: now, and always after the one before it, however quickly they follow each other."""

import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from schemas.facts import Key

_REMEMBERED: Final = 10_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def now_ms() -> int:
    """Give the wall clock in epoch milliseconds."""
    return time.time_ns() // 1_000_000


def moment(at: int) -> datetime:
    """Give epoch milliseconds as a time."""
    return _EPOCH + timedelta(milliseconds=at)


def iso(at: int) -> str:
    """Write epoch milliseconds as ISO 8601 in UTC, to the millisecond, as events have it."""
    return moment(at).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Moments:
    """Gives decisions on conversations their times. Of what this process decided it remembers the latest only.

    Two decisions within a millisecond would be ordered by their ids, and the row that tells of the one before may be
    some seconds old.
    """

    def __init__(self, now: Callable[[], int] = now_ms, remembered: int = _REMEMBERED) -> None:
        """`now`: epoch ms; `remembered`: of how many conversations."""
        self._now = now
        self._remembered = remembered
        self._latest: OrderedDict[Key, int] = OrderedDict()

    def next(self, key: Key, earliest: int = 0) -> int:
        """Give the time of a decision on a conversation in epoch ms: not before `earliest`."""
        at = max(self._now(), earliest, self._latest.pop(key, -1) + 1)
        self._latest[key] = at
        if len(self._latest) > self._remembered:
            self._latest.popitem(last=False)
        return at


MOMENTS: Final = Moments()
"""The one of this process: pages and the HTTP interface decide on the same conversations."""
