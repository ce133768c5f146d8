"""The clock of a partition: up to which time everything that was in its log is folded and stored.

It is the time at which a fetch request of `assistant.events` was *sent*, once everything below the high watermark of
its answer is flushed. Never the wall clock and never the time of the answer: a process that was stopped finds an answer
waiting in its socket that is hours old. While a partition is behind, its clock stands; empty answers move it on.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final

_TICKS_KEPT: Final = 256


@dataclass(frozen=True, slots=True)
class Tick:
    """An answered fetch request: when it was sent (epoch ms) and the answer's high watermark.

    `first` is the offset from which the first answered request of the same assignment read: nothing below it is ours.
    `start` is the offset from which this one read, `returned` the end of the records that had been handed out by then
    (None: none were). Between the two lie only transaction markers and what compaction left out.
    """

    sent: int
    first: int
    highwater: int
    start: int = 0
    returned: int | None = None

    def passes(self, taken: int) -> bool:
        """Whether nothing is left to read below the high watermark for one who has taken all records below `taken`."""
        return self.start >= self.highwater and (self.returned is None or taken >= self.returned)


class PartitionClock:
    """The clock of one partition. `time` is in epoch ms, None until everything of a first request is flushed."""

    __slots__ = ("_flushed", "_ticks", "time")

    def __init__(self) -> None:
        self.time: int | None = None
        self._flushed: int | None = None
        self._ticks: deque[Tick] = deque()

    def answered(self, tick: Tick) -> None:
        """Note an answer, in the order in which the requests were sent."""
        self._flushed = max(self._flushed or 0, tick.first)
        if self._ticks and self._ticks[-1].highwater == tick.highwater:
            self._ticks.pop()
        elif len(self._ticks) >= _TICKS_KEPT:
            self._ticks.pop()  # a later one reaches at least as far
        self._ticks.append(tick)

    def flushed(self, offset: int) -> None:
        """Note that everything below `offset` is stored."""
        self._flushed = max(self._flushed or 0, offset)

    def advance(self) -> int | None:
        """Move on as far as what is stored allows; gives the time."""
        while self._ticks and self._flushed is not None and self._ticks[0].highwater <= self._flushed:
            self.time = max(self.time or 0, self._ticks.popleft().sent)
        return self.time
