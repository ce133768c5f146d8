"""A consumer group in memory: members that fall silent are expelled, the others drain, and partitions go round."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from processors.clock import Tick
from processors.worker import Worker
from schemas.failures import Unavailable
from schemas.topics import TOPICS
from tests.faults.simulation.loop import Fate, running
from tests.processors.log import Log, Place

SESSION_S = 6.0
HEARTBEAT_S = 1.5
REBALANCE_S = 12.0
DRAIN_S = 3.0


class Clock(Protocol):
    """Says the time in epoch milliseconds."""

    def __call__(self) -> int: ...


@dataclass(eq=False)
class _Batch:
    place: Place
    end: int
    stored: bool = False


class Member:
    """One life of a worker process: what agents, transport and consumer do for the worker."""

    def __init__(self, group: "Group", fate: Fate, worker: Worker) -> None:
        self.fate = fate
        self.worker = worker
        self.generation = -1
        self.living: asyncio.Task[None] = running().spawn(fate, self._live())
        self._group = group
        self._log = group.log
        self._random = running().random
        self._agents = {topic.name: asyncio.Lock() for topic in TOPICS}
        self._fetching: list[asyncio.Task[None]] = []
        self._positions: dict[Place, int] = {}
        self._returned: dict[Place, int] = {}
        self._first: dict[Place, int] = {}
        self._frontier: dict[Place, int] = {}
        self._in_flight: dict[Place, deque[_Batch]] = {}

    async def _live(self) -> None:
        """Flush and beat, until the process dies."""
        flushing = asyncio.create_task(self.worker.run())
        while not flushing.done():
            await asyncio.sleep(HEARTBEAT_S)
            await self._group.beat(self)
        flushing.result()

    async def revoked(self) -> None:
        """Store what was taken, and fetch no more."""
        for task in self._fetching:
            task.cancel()
        await self.worker.drain(DRAIN_S)

    async def assigned(self, owned: list[int], generation: int) -> None:
        """Begin anew where it was committed."""
        for task in self._fetching:
            task.cancel()
        self.generation = generation
        places = [(topic.name, partition) for topic in TOPICS for partition in owned]
        self._positions = {place: self._log.committed[place] for place in places}
        self._first = dict(self._positions)
        self._returned = {}
        self._frontier.clear()
        self._in_flight = {place: deque() for place in places}
        self.worker.assigned(frozenset(owned), self._log.partitions, generation, self._commit)
        self.worker.committed(self._positions)
        self._fetching = [asyncio.create_task(self._fetch(place, generation)) for place in places]

    async def _fetch(self, place: Place, generation: int) -> None:
        """Fetch one partition, request after request: each is sent, reaches the broker, and is answered."""
        topic, partition = place
        while generation == self.generation:
            sent, start = self._group.now(), self._positions[place]
            await asyncio.sleep(self._random.expovariate(20))
            records, high = self._log.records[place][start:], len(self._log.records[place])
            await asyncio.sleep(self._random.expovariate(20) if records else 0.5)
            if generation != self.generation:
                return
            tick = Tick(sent, self._first[place], high, start, self._returned.get(place))
            self.worker.answered(topic, partition, tick, generation)
            while records and generation == self.generation:
                some = records[: self._random.choice((1, 3, 20))]
                records = records[len(some) :]
                self._positions[place] = self._returned[place] = some[-1].offset + 1
                batch = _Batch(place, some[-1].offset + 1)
                self._in_flight[place].append(batch)
                async with self._agents[topic]:
                    acknowledge = partial(setattr, batch, "stored", True)
                    await self.worker.take(topic, partition, some, acknowledge)

    async def _commit(self) -> bool:
        for place, batches in self._in_flight.items():
            while batches and batches[0].stored:
                self._frontier[place] = batches.popleft().end
        return await self._group.commit(self, self.generation, dict(self._frontier))


@dataclass
class Group:
    """The coordinator, outside of all processes."""

    log: Log
    now: Clock
    generation: int = 0
    members: dict[Member, float] = field(default_factory=dict)
    """When each was last heard of."""
    _changed: bool = False

    def join(self, member: Member) -> None:
        """Let a process be a member."""
        self.members[member] = running().time()
        self._changed = True

    async def beat(self, member: Member) -> None:
        """Hear of a member; one that was expelled learns of it, drains what it still has, and joins again."""
        await asyncio.sleep(running().random.expovariate(50))
        if member in self.members:
            self.members[member] = running().time()
            return
        await member.revoked()
        self.join(member)

    async def commit(self, member: Member, generation: int, ends: dict[Place, int]) -> bool:
        """Take a commit of a member of the present generation; the answer may be lost."""
        random = running().random
        await asyncio.sleep(random.expovariate(50))
        if member not in self.members or generation != self.generation or random.random() < 0.02:
            return False
        self.log.committed |= {place: max(end, self.log.committed[place]) for place, end in ends.items()}
        await asyncio.sleep(random.expovariate(50))
        return random.random() >= 0.02

    async def coordinate(self) -> None:
        """Expel who falls silent, and share the partitions whenever the members have changed."""
        while True:
            await asyncio.sleep(0.5)
            late = [one for one, heard in self.members.items() if running().time() - heard > SESSION_S]
            for one in late:
                del self.members[one]
            if late or self._changed:
                self._changed = False
                await self._rebalance()

    async def _rebalance(self) -> None:
        loop = running()
        members = list(self.members)
        draining = [loop.spawn(one.fate, one.revoked()) for one in members]
        if draining:
            await asyncio.wait(draining, timeout=REBALANCE_S)
        self.generation += 1
        there = []
        for one, drained in zip(members, draining, strict=True):
            if drained.done():
                drained.result()
                self.members[one] = loop.time()
                there.append(one)
            else:
                self.members.pop(one, None)
        shares: dict[Member, list[int]] = {one: [] for one in there}
        for partition in range(self.log.partitions):
            if there:
                shares[loop.random.choice(there)].append(partition)
        for one, owned in shares.items():
            loop.spawn(one.fate, one.assigned(owned, self.generation))


def sent_home(log: Log, now: Clock) -> Callable[..., Awaitable[None]]:
    """A producer that appends to the log after a while, and sometimes has to be asked again."""

    def send(
        topic: str, partition: int, key: bytes, value: bytes, headers: list[tuple[str, bytes]], timestamp_ms: int
    ) -> Awaitable[None]:
        async def sending() -> None:
            random = running().random
            await asyncio.sleep(random.expovariate(20))
            lost = random.random()
            if lost > 0.1:
                log.append(topic, partition, value, key=key, headers=headers, timestamp=now())
            await asyncio.sleep(random.expovariate(20))
            if lost < 0.2:
                raise Unavailable("no answer from Kafka")

        task = asyncio.create_task(sending())
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return task

    return send
