"""The alarm for a partition that is mostly bad: a producer is broken, and somebody should know soon."""

from collections import deque
from typing import Final

WINDOW: Final = 1_000


class Poison:
    """Watches the last records of every partition; `partitions` holds those of which more than half were bad."""

    def __init__(self) -> None:
        self.partitions: set[tuple[str, int]] = set()
        self._recent: dict[tuple[str, int], deque[bool]] = {}

    def seen(self, topic: str, partition: int, good: int, bad: int) -> bool:
        """Note a batch; True when the alarm of its partition has just changed."""
        place = (topic, partition)
        recent = self._recent.get(place)
        if recent is None:
            if not bad:
                return False  # the usual case costs nothing
            recent = self._recent[place] = deque(maxlen=WINDOW)
        if good + bad > WINDOW:  # a longer batch counts by its share
            bad = round(bad * WINDOW / (good + bad))
            good = WINDOW - bad
        recent.extend([False] * good)
        recent.extend([True] * bad)
        bad_recently = sum(recent)
        if not bad_recently:
            del self._recent[place]
        alarmed = bad_recently > WINDOW / 2
        if alarmed == (place in self.partitions):
            return False
        (self.partitions.add if alarmed else self.partitions.discard)(place)
        return True

    def clear(self) -> None:
        """Forget all: other partitions are owned now."""
        self.partitions.clear()
        self._recent.clear()
