"""The worker: takes batches into an epoch, flushes epoch after epoch, commits behind them.

It knows neither Faust nor Kafka: `processors.agents` gives it batches, assignments and the commit.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from processors import measures
from processors.cache import Cache
from processors.clock import PartitionClock, Tick
from processors.conversation import Conversation
from processors.crash_point import CrashPoint, Passing, unharmed
from processors.effects import Effects
from processors.epoch import Epoch
from processors.flush import STALE_SECONDS, Flush
from processors.intake import Intake
from processors.measures import Metrics
from processors.persistence import Abandoned, Persistence, sleep_unless
from processors.poison import Poison
from processors.records import Producer, Record
from schemas.facts import Key
from schemas.rules import Rules
from schemas.store import Frontier, Reader, Writer
from schemas.topics import EVENTS

log = logging.getLogger(__name__)

_REST: Final = 0.25
"""Seconds that a worker waits at most behind a long flush, so that the next one has something to do."""
_REST_BEHIND: Final = 1.0
"""The same for a worker that is behind."""
_BEHIND_MS: Final = 2_000
"""A worker is behind when the record that it took last is older. Clocks that differ by more cost latency only."""

Commit = Callable[[], Awaitable[bool]]
"""Commits what was acknowledged; False when the partitions are not ours any more or Kafka could not be reached."""


@dataclass(frozen=True, slots=True)
class Pace:
    """When a worker flushes, closes, and sweeps up behind erasures. Times in seconds.

    An epoch is full, and is flushed at once, at so many `facts` or so many `bytes` of records.
    """

    interval: float = 0.5
    urgent: float = 0.05
    facts: int = 150_000
    bytes: int = 128 << 20
    closing: float = 10.0
    sweep_first: float = 60.0
    sweep: float = 86_400.0
    stale: float = STALE_SECONDS


@dataclass(slots=True)
class Progress:
    """What a worker has done since it started, for summaries, probes and the watchdog."""

    records: int = 0
    flushes: int = 0
    rows: int = 0
    closed: int = 0
    beats: int = 0
    waits: deque[float] = field(default_factory=lambda: deque(maxlen=200_000))
    """Seconds from a record's Kafka timestamp to its row, of the latest facts."""


class Worker:
    """Owns the cache, the epoch in the making, and the clocks of its partitions."""

    def __init__(
        self,
        *,
        writer: Writer,
        reader: Reader,
        producer: Producer,
        metrics: Metrics,
        rules: Rules,
        cache_bytes: int,
        default_assistant: str | None = None,
        pace: Pace | None = None,
        now: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        after_flush: Callable[[], object] = lambda: None,
        passing: Passing = unharmed,
    ) -> None:
        """`now`: the wall clock in epoch ms; it dates rows and dead letters and closes nothing.

        `after_flush` is called when a flush has ended and its epoch is gone: the moment to tidy up. `passing` is told
        of each crash point.
        """
        self.progress = Progress()
        self.poison = Poison()
        self.persistence = Persistence(writer, reader, metrics)
        self.newest_rules = rules.revision
        self.owned: frozenset[int] = frozenset()
        self._metrics = metrics
        self._rules = rules
        self._pace = pace or Pace()
        self._now = now
        self._after_flush = after_flush
        self._passing = passing
        self._effects: dict[str, Effects] = {}
        self._cache = Cache(cache_bytes, self._unpack)
        self._intake = Intake(
            producer=producer,
            metrics=metrics,
            poison=self.poison,
            default_assistant=default_assistant,
            effects_of=self.effects_of,
            now=now,
        )
        self._epoch = Epoch(writer.facts())
        self._clocks: dict[int, PartitionClock] = {}
        self._taken: dict[tuple[str, int], int] = {}
        self._stored: dict[tuple[str, int], int] = {}
        self._required: dict[tuple[str, int], int] = {}
        self._flushed = asyncio.Event()
        self._waiting = 0
        self._recorded = 0
        self._flush: Flush | None = None
        self._flushing = asyncio.Lock()
        self._due = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._closing_due = 0.0
        self._sweep_due = time.monotonic() + self._pace.sweep_first
        self._generation = 0
        self._commit: Commit = _commit_nothing
        self._uncommitted = False

    @property
    def idle(self) -> bool:
        """Whether everything that was taken is stored and committed."""
        return not self._epoch and not self._flushing.locked()

    @property
    def cached(self) -> int:
        """How many conversations are in memory."""
        return len(self._cache)

    def clocks(self) -> dict[int, int]:
        """Give the clock of each owned partition that has one, in epoch ms."""
        return {partition: clock.time for partition, clock in self._clocks.items() if clock.time is not None}

    def rules_warning(self) -> str:
        """Say that rows of newer rules were met, '' when none was."""
        if self.newest_rules <= self._rules.revision:
            return ""
        return (
            f"rows of rules revision {self.newest_rules} exist, this worker has {self._rules.revision}: "
            "roll out the newer rules, then run `afterword rebuild --drifted`"
        )

    def assigned(self, owned: frozenset[int], partitions: int, generation: int, commit: Commit) -> None:
        """Begin anew with these partitions of both topics: nothing of an earlier assignment is known any more."""
        self._abandon()
        self._cache.clear()
        self.poison.clear()
        self._intake.partitions = partitions
        self._clocks = {partition: PartitionClock() for partition in owned}
        self.owned = owned
        self._generation = generation
        self._commit = commit
        self._stored.clear()  # offsets of a topic that was made anew begin anew
        self._required.clear()
        self._room.set()

    def committed(self, frontier: Frontier) -> None:
        """Note what somebody committed: the store has it, and an answer that has not is from an old state."""
        for place, offset in frontier.items():
            self._required[place] = max(offset, self._required.get(place, 0))

    def answered(
        self, topic: str, partition: int, tick: Tick, generation: int, passed: Callable[[], object] | None = None
    ) -> None:
        """Note that a fetch request was answered: its time, and the hole that it found at the end, if it did.

        `passed` is called once everything behind that hole is stored.
        """
        clock = self._clocks.get(partition)
        if clock is None or generation != self._generation:
            return
        if topic == EVENTS.name:
            clock.answered(tick)
        taken = self._taken.get((topic, partition), tick.first)
        if tick.start > taken and tick.passes(taken):
            self._taken[topic, partition] = self._epoch.frontier[topic, partition] = tick.start
        if passed is not None:
            self._epoch.acknowledge.append(passed)

    async def take(
        self, topic: str, partition: int, records: Sequence[Record], acknowledge: Callable[[], object]
    ) -> None:
        """Take a batch; waits while the epoch is full and the one before it is still being flushed.

        `acknowledge` is called once everything that the batch says is stored.
        """
        generation = self._generation
        while not self._room.is_set():
            await self._room.wait()
        if generation != self._generation or partition not in self.owned:
            return  # of an earlier assignment: whoever owns the partition now reads it again
        epoch = self._epoch
        self._intake.take(epoch, topic, partition, records)
        epoch.acknowledge.append(acknowledge)
        self._taken[topic, partition] = records[-1].offset + 1
        self._recorded = records[-1].timestamp
        self.progress.records += len(records)
        self.progress.beats += 1
        if self._is_full(epoch):
            self._room.clear()
            self._due.set()
        elif epoch.urgent or self._waiting:
            self._due.set()

    def _is_full(self, epoch: Epoch) -> bool:
        return epoch.held >= self._pace.facts or epoch.bytes >= self._pace.bytes

    def flush_soon(self) -> None:
        """Flush within moments: somebody waits for the result."""
        self._epoch.urgent = True
        self._due.set()

    async def stored(self, topic: str, partition: int, offset: int) -> None:
        """Wait until a flush has ended that holds this record, and let that be soon.

        A record that this worker never gets is waited for without end: give it a deadline.
        """
        self._waiting += 1
        try:
            self.flush_soon()
            while self._stored.get((topic, partition), 0) <= offset:
                await self._flushed.wait()
        finally:
            self._waiting -= 1

    async def run(self) -> None:
        """Flush until cancelled: each interval once, counted from when a flush begins, and when one is due before.

        Behind a long flush the next one waits as long as that took: a moment at most, to have rows out soon, but up
        to a second where the worker is behind. So its epochs grow until they are full, and what a flush costs whatever
        its size is paid seldom.
        """
        left = self._pace.interval
        while True:
            if await sleep_unless(self._due, left) and not self._is_full(self._epoch):
                await asyncio.sleep(self._pace.urgent)  # what comes with it goes with it
            self._due.clear()
            began = time.monotonic()
            await self.flush()
            took = time.monotonic() - began
            behind = self._now() - self._recorded > _BEHIND_MS
            left = max(self._pace.interval - took, min(took, _REST_BEHIND if behind else _REST))

    async def drain(self, seconds: float) -> bool:
        """Flush and commit all that was taken; False when that took too long and was abandoned."""
        try:
            async with asyncio.timeout(seconds):
                while self._epoch or self._flushing.locked():
                    await self.flush()
        except TimeoutError:
            log.warning("what was taken could not be stored in %.0f s and will be read again", seconds)
            self._abandon()
            return False
        return True

    def _abandon(self) -> None:
        """Own nothing: what is in memory may know facts that were never stored."""
        if self._flush is not None:
            self._flush.given_up.set()
        self._epoch = Epoch(self.persistence.writer.facts())
        self._uncommitted = False
        self._taken.clear()
        self.owned = frozenset()
        self._generation = -1

    async def flush(self, *, close: bool = False) -> None:
        """Flush once: the epoch if it holds anything, then the idle closes when they are due (or asked for)."""
        async with self._flushing:
            try:
                await self._flush_now(close=close)
            except Abandoned:
                log.warning("a flush was abandoned: its partitions are gone")
            finally:
                self._flush = None
        self._after_flush()

    async def _flush_now(self, *, close: bool) -> None:
        started = time.monotonic()
        epoch, self._epoch = self._epoch, Epoch(self.persistence.writer.facts())
        flush = self._flush = Flush(
            epoch,
            persistence=self.persistence,
            cache=self._cache,
            metrics=self._metrics,
            effects_of=self.effects_of,
            partitions=self._intake.partitions,
            required=dict(self._required),
            clocks=self.clocks(),
            rules_revision=self._rules.revision,
            now=self._now,
            stale_seconds=self._pace.stale,
            passing=self._passing,
        )
        generation = self._generation
        if epoch:
            self._room.set()
            await flush.run()
            self._raise_if_gone(generation)
            self.newest_rules = max(self.newest_rules, flush.newest_rules)
        for (topic, partition), offset in epoch.frontier.items():
            if topic == EVENTS.name and partition in self._clocks:
                self._clocks[partition].flushed(offset)
        await self._close_idle(flush, force=close)
        await self._sweep(flush)
        self._raise_if_gone(generation)
        if epoch:
            self._finish(flush, time.monotonic() - started)
            for acknowledge in epoch.acknowledge:
                acknowledge()
        self._tell_stored(epoch)
        if epoch or self._uncommitted:
            self._passing(CrashPoint.BEFORE_COMMIT)
            await self._commit_stored()
            self._passing(CrashPoint.AFTER_COMMIT)
        self.progress.beats += 1

    def _tell_stored(self, epoch: Epoch) -> None:
        """Wake up who waits for records of this epoch."""
        self._stored.update(epoch.frontier)
        self._required.update(epoch.frontier)
        self._flushed.set()
        self._flushed = asyncio.Event()

    async def _commit_stored(self) -> None:
        """Commit; what did not go through is tried again with the next flush, also when no record comes any more."""
        committed = await self._commit()
        if not committed and not self._uncommitted:
            log.info("the commit did not go through; what was stored may be read again, to no effect")
        self._uncommitted = not committed

    def _raise_if_gone(self, generation: int) -> None:
        if generation != self._generation:
            raise Abandoned

    async def _close_idle(self, flush: Flush, *, force: bool) -> None:
        for clock in self._clocks.values():
            clock.advance()
        clocks = self.clocks()
        if not clocks or (time.monotonic() < self._closing_due and not force):
            return
        close = partial(self.persistence.writer.close_idle, clocks, self._intake.partitions)
        closed = await self.persistence.write("close idle conversations", close, flush.given_up)
        self._closing_due = time.monotonic() + self._pace.closing
        self.progress.closed += closed
        self._metrics.count(measures.CLOSED_IDLE, closed)

    async def _sweep(self, flush: Flush) -> None:
        """Erase again what a slow writer may have brought back; the owner of partition 0 does it for all."""
        if 0 not in self.owned or time.monotonic() < self._sweep_due:
            return
        swept = await self.persistence.write("sweep", self.persistence.writer.sweep, flush.given_up)
        self._sweep_due = time.monotonic() + self._pace.sweep
        if swept:
            log.warning("what had been erased had come back in %d conversations, and was erased again", swept)

    def _finish(self, flush: Flush, seconds: float) -> None:
        self.progress.rows += flush.written
        self.progress.flushes += 1
        stored = flush.stored
        self._metrics.count(measures.FACTS, len(stored) if stored else 0)
        self._metrics.count(measures.EVICTED, self._cache.evict())
        self._metrics.gauge(measures.CACHE_BYTES, self._cache.bytes)
        self._metrics.gauge(measures.CACHED, len(self._cache))
        self._metrics.gauge(measures.PACKED, self._cache.packed)
        self._metrics.observe(measures.FLUSH_SECONDS, [seconds])
        now = self._now()
        waits = [(now - at) / 1000 for at in stored.recorded(1_000)] if stored else []
        self.progress.waits.extend(waits)
        self._metrics.observe(measures.EVENT_TO_ROW, waits)

    def effects_of(self, assistant: str) -> Effects:
        """Give the rules of an assistant, made ready."""
        effects = self._effects.get(assistant)
        if effects is None:
            effects = self._effects[assistant] = Effects(self._rules.of(assistant))
        return effects

    def _unpack(self, key: Key, packed: bytes) -> Conversation:
        return Conversation.unpack(key, packed, self.effects_of(key[0]))

    def close(self) -> None:
        """End the threads."""
        self.persistence.close()


async def _commit_nothing() -> bool:
    return False
