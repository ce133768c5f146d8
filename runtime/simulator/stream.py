"""The simulated conversations as a stream: in the order of time up to `now`, and live after it."""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from hashlib import blake2b
from heapq import heapify, heappop, heappush
from itertools import count
from operator import itemgetter
from random import Random

from runtime.simulator.bulk import EVENTS_PER_CONVERSATION, Bulk
from runtime.simulator.payload import milliseconds, moment, render
from runtime.simulator.rhythm import HOUR, Rhythm
from runtime.simulator.story import Names, Shares, tell_story

Entry = tuple[int, bytes, bytes]
"""Time in epoch milliseconds, conversation id, payload."""

_BLOCK = 256
"""Conversations told at a time: enough that sorting pays, few enough that they are in the processor's cache."""
_FRESH = 5
"""That many conversations begin in the last minutes, at any hour: someone is always there."""
_FRESH_SPAN = 15 * 60_000
_REACH = 60 * HOUR
"""No conversation, with its ratings, returns and labels, is longer."""


@dataclass(frozen=True)
class Simulation:
    """What a shop's assistant would have emitted in the `days` before `now`: the same fields, the same bytes.

    Ids hold a digest of the fields: another `now` or seed gives other conversations, never other contents for an id.
    `labels` is the share of conversations that a manager labels; those events belong to another topic (`is_label`).
    """

    now: datetime
    seed: int = 7
    days: float = 30
    conversations: int = 3000
    assistant: str = "shop"
    labels: float = 0.0

    @cached_property
    def _now(self) -> int:
        return milliseconds(self.now)

    @cached_property
    def _first(self) -> int:
        return self._now - int(self.days * 24 * HOUR)

    @cached_property
    def _fresh(self) -> int:
        return min(_FRESH, self.conversations // 20)

    @cached_property
    def _rhythm(self) -> Rhythm:
        return Rhythm(self._first, max(self._first, self._now - _FRESH_SPAN))

    @cached_property
    def _run(self) -> bytes:
        fields = repr((self.seed, self._now, self.days, self.conversations, self.assistant, self.labels))
        return blake2b(fields.encode(), digest_size=4).hexdigest().encode()

    def conversation(self, number: int) -> list[bytes]:
        """Give all events of a conversation (from 0, below `conversations`), those after `now` included.

        It follows from the fields and its number alone. Raises IndexError for another number.
        """
        if not 0 <= number < self.conversations:
            raise IndexError(number)
        return [payload for _, _, payload in self._told(number)]

    def events(self) -> Iterator[tuple[bytes, bytes]]:
        """Give (conversation id, payload) of all events up to `now`, in the order of time.

        Memory holds the conversations that are under way, not all: a block of them is told when it begins.
        """
        pending: list[Entry] = []
        for first in range(0, self.conversations, _BLOCK):
            behind = min(first + _BLOCK, self.conversations)
            for number in range(first, behind):
                pending += self._told(number)
            pending.sort(key=itemgetter(0))
            horizon = self._starts(behind) if behind < self.conversations else self._now + 1
            due = bisect_left(pending, horizon, key=itemgetter(0))
            for _, conversation_id, payload in pending[:due]:
                yield conversation_id, payload
            del pending[:due]

    def live(self, rate: float) -> Iterator[tuple[datetime, bytes, bytes]]:
        """Give (due, conversation id, payload) after `now`, without end, in the order of time.

        `rate` is in events per second, above 0: conversations begin at such a pace that it is reached once the first
        ones have run their course, after some minutes. What is still open at `now` goes on. The caller waits until each
        is due.
        """
        gap = 1000 * EVENTS_PER_CONVERSATION / rate
        pending = self._unfinished()
        heapify(pending)
        for number in count(self.conversations):
            random = self._random(number)
            start = self._now + int((number - self.conversations + random.random()) * gap)
            while pending and pending[0][0] <= start:
                at, conversation_id, payload = heappop(pending)
                yield moment(at), conversation_id, payload
            for entry in self._tell(number, random, start):
                heappush(pending, entry)

    def bulk(self, conversations: int = 250_000, live_at_once: int = 100_000, fallback: float = 0.02) -> Bulk:
        """Give as many conversations for a measurement, up to `now`, with this seed, assistant and share of labels."""
        return Bulk(
            now=self.now,
            seed=self.seed,
            conversations=conversations,
            live_at_once=live_at_once,
            assistant=self.assistant,
            fallback=fallback,
            labels=self.labels,
        )

    def _random(self, number: int) -> Random:
        return Random((self.seed << 40) + number)  # noqa: S311  (a simulation wants to be repeated)

    def _start(self, number: int, jitter: float) -> int:
        """Time at which a conversation begins: grows with the number, so no start has to be kept or sorted."""
        fresh = number - (self.conversations - self._fresh)
        if fresh >= 0:
            span = min(_FRESH_SPAN, self._now - self._first)
            return self._now - span + int(span * (fresh + jitter) / self._fresh)
        return self._rhythm.at((number + jitter) / (self.conversations - self._fresh))

    def _starts(self, number: int) -> int:
        return self._start(number, self._random(number).random())

    def _told(self, number: int) -> list[Entry]:
        random = self._random(number)
        return self._tell(number, random, self._start(number, random.random()))

    def _tell(self, number: int, random: Random, start: int) -> list[Entry]:
        order = b"%d" % (400_000 + random.getrandbits(19))
        conversation_id = b"sim-%b-%06d" % (self._run, number)
        steps = tell_story(random, start, Names(conversation_id, order), Shares(labels=self.labels))
        return render(steps, self.assistant.encode(), conversation_id)

    def _unfinished(self) -> list[Entry]:
        """Find what conversations that began before `now` have still to say."""
        entries: list[Entry] = []
        for number in range(self.conversations - 1, -1, -1):
            told = self._told(number)
            if told[0][0] < self._now - _REACH:
                break
            entries += [entry for entry in told if entry[0] > self._now]
        return entries
