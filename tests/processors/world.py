"""A small world to run real workers in: one log, one store in memory, and as many processes as a test starts and kills.

Nothing in it moves by itself: batches are taken, ticks sent and flushes made when the test says so.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Any, Final, Self

from processors.clock import Tick
from processors.conversation import FOLD_REVISION
from processors.measures import NoMetrics
from processors.worker import Pace, Worker
from schemas.conversation import Version
from schemas.facts import Key
from schemas.failures import Reason
from schemas.rules import Rules
from schemas.topics import EVENTS, TOPICS
from sinks.memory import MemoryStore
from tests import oracle
from tests.builders import DAY, Event, line
from tests.processors.faults import Faults, FaultyStore
from tests.processors.folding import PLAIN_RULES, RULES, expected, plain
from tests.processors.log import RECORDED, Log, Place

PACE: Final = Pace(interval=0.001, urgent=0.0, closing=0.0, sweep_first=1e9, stale=0.05)
"""Every flush closes what is due; nothing is swept unasked; a stale read is given up soon."""

LATER: Final = RECORDED + DAY
"""A clock under which every conversation of these tests that fell silent is closed."""


@dataclass(slots=True, eq=False)
class _Batch:
    place: Place
    end: int
    generation: int
    stored: bool = False


class Process:
    """One life of a worker process: what the agents and the consumer do for it, done by hand."""

    def __init__(
        self,
        log: Log,
        store: MemoryStore,
        *,
        rules: Rules = RULES,
        cache_bytes: int = 64 << 20,
        pace: Pace = PACE,
        default_assistant: str | None = None,
    ) -> None:
        self.log = log
        self.faults = Faults()
        faulty = FaultyStore(store, self.faults)
        self.worker = Worker(
            writer=faulty,
            reader=faulty,
            producer=self,
            metrics=NoMetrics(),
            rules=rules,
            cache_bytes=cache_bytes,
            default_assistant=default_assistant,
            pace=pace,
            now=lambda: RECORDED,
        )
        self.generation = 0
        self.sending = asyncio.Event()
        self.sending.set()
        self._in_flight: dict[Place, deque[_Batch]] = {}
        self._positions: dict[Place, int] = {}
        self._first: dict[int, int] = {}

    def send(
        self, topic: str, partition: int, key: bytes, value: bytes, headers: list[tuple[str, bytes]], timestamp_ms: int
    ) -> Awaitable[None]:
        """Be the producer: send a record home, as soon as `sending` is set."""
        append = partial(self.log.append, topic, partition, value, key=key, headers=headers, timestamp=timestamp_ms)
        sent = asyncio.ensure_future(self._send(append))
        sent.add_done_callback(lambda sent: sent.cancelled() or sent.exception())  # nobody may be left to ask
        return sent

    async def _send(self, append: partial[None]) -> None:
        await self.sending.wait()
        self.faults.around("send", append)

    def assign(self, *partitions: int) -> Self:
        """Own these partitions of both topics, all when none is named; reading begins where it was committed."""
        owned = partitions or range(self.log.partitions)
        self.generation = next(self.log.generations)
        places = [(topic.name, partition) for topic in TOPICS for partition in owned]
        self._positions = {place: self.log.committed[place] for place in places}
        self._in_flight = {place: deque() for place in places}
        self._first = {partition: self._positions[EVENTS.name, partition] for partition in owned}
        self.log.owners |= dict.fromkeys(owned, self)
        self.worker.assigned(frozenset(owned), self.log.partitions, self.generation, self._commit)
        self.worker.committed(self._positions)
        return self

    async def take(self, most: int | None = None, *, places: Iterable[Place] = ()) -> int:
        """Deliver the next batch of every place, at most so many records each; gives how many records those were."""
        taken = 0
        for place in tuple(places) or tuple(self._positions):
            start = self._positions[place]
            records = self.log.records[place][start : None if most is None else start + most]
            if records:
                self._positions[place] = start + len(records)
                batch = _Batch(place, self._positions[place], self.generation)
                self._in_flight[place].append(batch)
                await self.worker.take(*place, records, partial(self._stored, batch))
                taken += len(records)
        return taken

    def tick(self, sent: int, *partitions: int, generation: int | None = None) -> None:
        """Let a fetch be answered that was sent at this time and reaches to the end of the log as it is now."""
        for partition in partitions or tuple(self._first):
            tick = Tick(sent, self._first[partition], len(self.log.records[EVENTS.name, partition]))
            of = self.generation if generation is None else generation
            self.worker.answered(EVENTS.name, partition, tick, of)

    async def flush(self) -> None:
        """Flush once; what is due closes."""
        await self.worker.flush(close=True)

    async def catch_up(self, clock: int | None = None) -> None:
        """Take and store all there is; then, with a clock, let the time of all partitions be that."""
        while await self.take():
            await self.flush()
        if clock is not None:
            self.tick(clock)
        await self.flush()

    def kill(self) -> None:
        """End the process as kill -9 does: what is in memory is gone, nothing is said to anybody."""
        self.faults.dead = True
        self.worker.close()

    def _stored(self, batch: _Batch) -> None:
        batch.stored = True

    async def _commit(self) -> bool:
        return self.faults.around("commit", self._commit_front)

    def _commit_front(self) -> bool:
        for place, batches in self._in_flight.items():
            while batches and batches[0].stored:
                batch = batches[0]
                if self.log.owners.get(place[1]) is not self or batch.generation != self.generation:
                    return False
                self.log.committed[place] = batches.popleft().end
        return True


@dataclass(slots=True)
class World:
    """The log, the store, and every process that was started. Use it as a context, so that their threads end."""

    partitions: int = 2
    log: Log = field(init=False)
    store: MemoryStore = field(init=False)
    lines: list[bytes] = field(default_factory=list)
    """The payloads of all good events that were produced: what the oracle is told."""
    processes: list[Process] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.log = Log(self.partitions)
        self.store = MemoryStore(lambda: RECORDED)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self.processes:
            process.worker.close()

    def start(self, **options: Any) -> Process:
        """Start a process; it owns nothing yet."""
        process = Process(self.log, self.store, **options)
        self.processes.append(process)
        return process

    def produce(self, *events: Event, timestamp: int = RECORDED) -> None:
        """Produce good events, each where it belongs."""
        for event in events:
            self.lines.append(line(event))
            self.log.produce(event, timestamp=timestamp)

    def rows(self) -> list[dict[str, Any]]:
        """Give all rows that are not deleted, in the form of the oracle, by key."""
        return sorted(map(plain, self.store.rows()), key=_key)

    def row(self, conversation_id: str = "c-1") -> dict[str, Any]:
        """Give the one row of a conversation of assistant shop."""
        (row,) = (row for row in self.rows() if _key(row) == ("shop", conversation_id))
        return row

    def truth(self, clock: int | None = None, rules: dict[str, Any] = PLAIN_RULES) -> list[dict[str, Any]]:
        """Give the rows that the oracle makes of all good events."""
        conversations: dict[Key, set[bytes]] = {}
        for payload in self.lines:
            told = oracle.Fact.of(payload).event
            conversations.setdefault((told.get("assistant", "default"), told["conversation_id"]), set()).add(payload)
        rows = (
            oracle.conversation_row(*key, payloads, _oracles_rules(rules, key[0]), clock, FOLD_REVISION)
            for key, payloads in conversations.items()
        )
        return sorted((one for row in rows if row is not None and (one := expected(row)) is not None), key=_key)

    def kept(self) -> set[bytes]:
        """Give the payloads that stay: erasures, and what lies behind the last one of its conversation."""
        facts = {payload: oracle.Fact.of(payload) for payload in self.lines}
        cuts: dict[str, int] = {}
        for fact in facts.values():
            if fact.type == "conversation.erased":
                cuts[fact.event["conversation_id"]] = max(fact.at, cuts.get(fact.event["conversation_id"], 0))
        return {
            payload
            for payload, fact in facts.items()
            if fact.type == "conversation.erased" or fact.at > cuts.get(fact.event["conversation_id"], 0)
        }

    def letters(self, reason: Reason | None = None) -> list[tuple[str, bytes]]:
        """Give reason and value of all dead letters."""
        return sorted((str(one.reason), one.value) for one in self.store.dead_letters(reason))

    def stored(self, key: Key = ("shop", "c-1")) -> set[bytes]:
        """Give the payloads of the facts of a conversation in the store."""
        return {fact.payload for fact in self.store.read_facts([key])}

    def boasting(self) -> list[Key]:
        """Name the conversations of which a row says more than the facts in the store."""
        return [
            row.key
            for row in self.store.scan_rows()
            if Version.facts(row.version) > self._counted(self.stored(row.key))
        ]

    @staticmethod
    def _counted(payloads: set[bytes]) -> tuple[int, int]:
        facts = [oracle.Fact.of(payload) for payload in payloads]
        erasures = [fact.at for fact in facts if fact.type == "conversation.erased"]
        cut = max(erasures, default=-1)
        return len(erasures), sum(fact.type != "conversation.erased" and fact.at > cut for fact in facts)


_made: dict[tuple[int, str], oracle.Rules] = {}


def _oracles_rules(rules: dict[str, Any], assistant: str) -> oracle.Rules:
    """Make the rules as the oracle reads them, once: that takes longer than a row."""
    key = id(rules), assistant
    if key not in _made:
        _made[key] = oracle.Rules.of(rules, assistant)
    return _made[key]


def _key(row: dict[str, Any]) -> Key:
    return row["assistant"], row["conversation_id"]
