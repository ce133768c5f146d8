"""Conversations for measurements: many, many of them live at the same time, at the least cost per event.

A few thousand stories are told once; each conversation repeats one of them under its own id, times and order number,
which stands behind each question. So the questions are all different, and greetings and thanks recur, as they do.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from hashlib import blake2b
from itertools import cycle, islice
from random import Random

from runtime.simulator.payload import Step, milliseconds, names, stamp
from runtime.simulator.rhythm import HOUR
from runtime.simulator.story import Names, Shares, tell_story

EVENTS_PER_CONVERSATION = 11.5
"""About; what the stories give."""

_STORIES = 4096
_ORDER = b"\x00"
"""Stands for the order number in the stories, as `_NAME` does for the conversation id: JSON text cannot hold them."""
_NAME = b"\x01"
_DAY = 24 * HOUR
_ROUND = 100_000.0
"""Milliseconds in which each live conversation has one event, on average: some 20 minutes for a conversation, and the
longest of millions stays below the idle gap of four hours."""

_Story = tuple[tuple[bytes, bytes, bytes, bool, bool], ...]
"""Of each event: how it begins, its number, its body, whether that holds marks, whether it is the last one."""
_Live = tuple[bytes, bytes, bytes, Iterator[tuple[bytes, bytes, bytes, bool, bool]]]
"""Of a conversation: its id, the fields that name it, its order number, what is still to come."""


def _story(steps: list[Step]) -> _Story:
    last = steps[-1]
    return tuple(
        (step.kind, step.number, step.body, _ORDER in step.body or _NAME in step.body, step is last) for step in steps
    )


@dataclass(frozen=True)
class Bulk:
    """A measured amount of events in the order of time, the last just before `now`; the same fields, the same bytes.

    `live_at_once` conversations are under way at any time but the first minutes and the last; each event is of one of
    them, taken at random. `len()` is the number of events, known before the first. No conversation is longer than four
    hours.
    """

    now: datetime
    seed: int = 7
    conversations: int = 250_000
    live_at_once: int = 100_000
    assistant: str = "shop"
    fallback: float = 0.02
    labels: float = 0.0

    @cached_property
    def _stories(self) -> tuple[_Story, ...]:
        random = Random(self.seed)  # noqa: S311  (a simulation wants to be repeated)
        shares = Shares(fallback=self.fallback, labels=self.labels)
        now = milliseconds(self.now)
        told = min(_STORIES, self.conversations)
        starts = (now - int(random.random() * _DAY) for _ in range(told))
        return tuple(
            _story(tell_story(random, start, Names(_NAME, _ORDER, b" (" + _ORDER + b")"), shares)) for start in starts
        )

    @cached_property
    def _events(self) -> int:
        lengths = [len(story) for story in self._stories]
        whole, rest = divmod(self.conversations, max(1, len(lengths)))
        return whole * sum(lengths) + sum(lengths[:rest])

    def __len__(self) -> int:
        return self._events

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        """Give (conversation id, payload)."""
        random = Random(self.seed).random  # noqa: S311
        waiting = self._waiting()
        live = list(islice(waiting, self.live_at_once))
        gap = _ROUND / max(1, self.live_at_once)
        elapsed = 0.0
        first = milliseconds(self.now) - int(gap * (self._events - 1)) - 1
        size = len(live)
        index = 0
        while size:
            name, shared, order, steps = live[index]
            kind, number, body, marked, last = next(steps)
            if marked:
                body = body.replace(_ORDER, order).replace(_NAME, name)
            yield name, b"".join((kind, shared, number, stamp(first + int(elapsed)), body))
            elapsed += gap
            if last:
                following = next(waiting, None)
                if following is not None:
                    live[index] = following  # and begins with the next event
                    continue
                size -= 1
                live[index] = live[size]
                live.pop()
            index = int(random() * size)

    def _waiting(self) -> Iterator[_Live]:
        """Give the conversations in the order in which they begin."""
        fields = (
            self.seed,
            self.now,
            self.conversations,
            self.live_at_once,
            self.assistant,
            self.fallback,
            self.labels,
        )
        run = blake2b(repr(fields).encode(), digest_size=4).hexdigest().encode()
        assistant = self.assistant.encode()
        for number, story in zip(range(self.conversations), cycle(self._stories), strict=False):
            name = b"sim-%b-%06d" % (run, number)
            yield name, names(assistant, name), b"%d" % (1_000_000 + number), iter(story)
