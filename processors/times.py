"""Times of a batch as epoch milliseconds."""

from array import array
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Final

from schemas.events import epoch_ms

COMPILED: Final = not __file__.endswith(".py")
"""Whether this is worth using: interpreted it takes longer than subtracting."""

_UTC: Final = UTC
_TIME: Final = datetime
_FEBRUARY: Final = 2
_EPOCH: Final = date(1970, 1, 1).toordinal()
_MONTHS: Final = array("i", [0, *(date(1, month, 1).toordinal() - 1 for month in range(1, 13))])
"""Days before each month of a year that is no leap year."""


def milliseconds(times: Sequence[datetime | float]) -> list[int]:
    """Give each as `epoch_ms` does, and raise what it raises; those in UTC by counting the days.

    A subtraction and a division of times take 0.45 µs each, this 0.05.
    """
    return [_counted(at) if at.__class__ is _TIME and _is_utc(at) else epoch_ms(at) for at in times]


def _is_utc(at: datetime) -> bool:
    return at.tzinfo is _UTC


def _counted(at: datetime) -> int:
    year, before = at.year, at.year - 1
    day = 365 * before + before // 4 - before // 100 + before // 400 + _MONTHS[at.month] + at.day - _EPOCH
    if at.month > _FEBRUARY and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0):
        day += 1
    seconds = day * 86_400 + at.hour * 3_600 + at.minute * 60 + at.second
    return seconds * 1_000 + at.microsecond // 1_000
