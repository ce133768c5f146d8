"""The simulation: real workers lead a random life on one log and one store, and at its end every row is the oracle's.

Batches of any size, flushes with batches coming in meanwhile, evictions, rebalances with and without a drain, a store
and a broker that do not answer, kills at any call. At no time does a row say more than the facts that are stored.
"""

import asyncio
import contextlib
import json
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.topics import topic_of
from tests import oracle
from tests.builders import HOUR, Event, line
from tests.processors.faults import Killed
from tests.processors.world import LATER, Process, World
from tests.strategies import conversations

CALLS = (
    "insert_facts",
    "look_up",
    "read_rows",
    "insert_dead_letters",
    "send",
    "insert_rows",
    "erase",
    "close_idle",
    "commit",
)
FAILING = CALLS[:-1]
CACHES = (0, 3_000, 64 << 20)
"""Bytes for nothing, for one or two conversations, for all."""


class Simulation:
    """One random life. `chance` decides everything but the order in which threads run."""

    def __init__(self, world: World, events: list[Event], chance: random.Random) -> None:
        self.world = world
        self.chance = chance
        self.poison: set[tuple[str, bytes]] = set()
        self.refused = {chance.choice(events)["id"]} if chance.random() < 0.3 else set()
        """Ids of events that the store refuses, so that the oracle is not told of them."""
        self.coming = [*events, *chance.choices(events, k=len(events) // 3)]
        self.times = [oracle.milliseconds(one["at"]) for one in events]
        if chance.random() < 0.5:
            chance.shuffle(self.coming)
        self.living: list[Process] = []
        self.share()

    def start(self) -> Process:
        process = self.world.start(cache_bytes=self.chance.choice(CACHES))
        process.faults.refused_facts = self.refused
        return process

    def share(self) -> None:
        """Give all partitions to one or two processes, living ones or new."""
        partitions = list(range(self.world.partitions))
        self.chance.shuffle(partitions)
        parts = [partitions] if self.chance.random() < 0.5 else [partitions[:1], partitions[1:]]
        while len(self.living) < len(parts):
            self.living.append(self.start())
        for process, part in zip(self.living, parts, strict=False):
            process.assign(*part)
        for process in self.living[len(parts) :]:
            process.kill()
        self.living = self.living[: len(parts)]

    async def live(self) -> None:
        """Do one thing after another until all events are produced and some more time has passed."""
        does = (
            self.produce,
            self.take,
            self.take,
            self.flush,
            self.flush,
            self.busy,
            self.tick,
            self.fail,
            self.rebalance,
            self.kill,
        )
        rest = 15
        while rest:
            if not self.coming:
                rest -= 1
            process = self.chance.choice(self.living)
            try:
                await self.chance.choice(does)(process)
            except Killed:
                self.bury(process)
            assert not self.world.boasting()

    async def produce(self, _: Process) -> None:
        for _number in range(self.chance.randint(1, 5)):
            if self.chance.random() < 0.05:
                value = b"bad %d" % len(self.poison)
                self.poison.add(("malformed", value))
                self.world.log.append("assistant.events", self.chance.randrange(self.world.partitions), value)
            elif self.coming:
                one = self.coming.pop()
                if one["id"] not in self.refused:
                    self.world.lines.append(line(one))
                if self.chance.random() < 0.15:  # keyless, anywhere
                    partition = self.chance.randrange(self.world.partitions)
                    self.world.log.append(topic_of(one["type"]).name, partition, line(one))
                else:
                    self.world.log.produce(one)

    async def take(self, process: Process) -> None:
        await process.take(self.chance.choice((1, 2, 5, None)))

    async def flush(self, process: Process) -> None:
        await process.flush()

    async def busy(self, process: Process) -> None:
        """Take batches while a flush is under way."""
        flush = asyncio.create_task(process.flush())
        with contextlib.suppress(Killed):
            for _ in range(self.chance.randint(1, 4)):
                for _ in range(self.chance.randint(0, 9)):
                    await asyncio.sleep(0)
                await process.take(self.chance.choice((1, 2)))
        await flush

    async def tick(self, process: Process) -> None:
        process.tick(self.chance.choice(self.times) + self.chance.choice((0, HOUR, 4 * HOUR, 5 * HOUR)))

    async def fail(self, process: Process) -> None:
        process.faults.fail(self.chance.choice(FAILING), times=self.chance.randint(1, 3))

    async def rebalance(self, _: Process) -> None:
        for process in self.living:
            if self.chance.random() < 0.5:
                seconds = self.chance.choice((0.0, 30.0))
                with contextlib.suppress(Killed):
                    await process.worker.drain(seconds)
        dead = [process for process in self.living if process.faults.dead]
        self.living = [process for process in self.living if not process.faults.dead]
        for process in dead:
            process.kill()
        self.share()

    async def kill(self, process: Process) -> None:
        """End a process at once, or at some call to come."""
        if self.chance.random() < 0.5:
            raise Killed
        process.faults.kill(
            self.chance.choice(CALLS), passing=self.chance.randrange(3), after=self.chance.random() < 0.5
        )

    def bury(self, process: Process) -> None:
        process.kill()
        self.living.remove(process)
        self.share()

    async def end(self) -> None:
        """Let one fresh process finish the work."""
        for process in self.living:
            process.kill()
        last = self.start().assign()
        while not self.world.log.acknowledged():
            await last.catch_up()
        await last.catch_up(LATER)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(conversations(max_size=9), min_size=2, max_size=4), st.integers(0, 1 << 32))
def test_any_life_of_any_workers_ends_in_the_rows_of_the_oracle(told: list[list[Event]], seed: int) -> None:
    events = [one | {"conversation_id": f"c-{number}"} for number, ones in enumerate(told) for one in ones]

    async def live(world: World) -> None:
        simulation = Simulation(world, events, random.Random(seed))
        await simulation.live()
        await simulation.end()
        assert world.rows() == world.truth(LATER)
        assert not world.boasting()
        letters = world.letters()
        assert [one for one in letters if one[0] != "refused"] == sorted(simulation.poison)
        assert {json.loads(value)["id"] for reason, value in letters if reason == "refused"} <= simulation.refused
        assert {fact.payload for facts in world.store.scan_facts() for fact in facts} == world.kept()

    with World() as world, pytest.MonkeyPatch.context() as patch:
        patch.setattr("processors.persistence._FIRST_BACKOFF", 0.001)
        patch.setattr("processors.persistence._LONGEST_BACKOFF", 0.002)
        patch.setattr("processors.flush._STALE_PAUSE", 0.001)
        asyncio.run(live(world))
