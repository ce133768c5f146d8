"""One simulated life: some minutes of conversations, workers that crash, stand still and come back, and the rows.

What is asked at every write: no row says more than the stored facts, and none is closed as idle while a message lacks
that lay in its partition when it was due. And at the end: the rows of the oracle, every fact once, poison once.
"""

import asyncio
import contextlib
import logging
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from types import SimpleNamespace
from typing import Any, Final
from unittest.mock import patch

from processors.measures import NoMetrics
from processors.worker import Pace, Worker
from schemas.conversation import RowColumns
from schemas.dead_letters import DeadLetter
from schemas.facts import Facts, Key, StoredFact
from schemas.failures import Unavailable
from schemas.partitioning import home_partition
from schemas.rules import Rules
from schemas.store import Erasure, Frontier, StoredRow
from schemas.topics import topic_of
from sinks.memory import MemoryStore
from tests import oracle
from tests.builders import AT, Event, event, line
from tests.faults.simulation.group import Group, Member, sent_home
from tests.faults.simulation.loop import Fate, VirtualLoop
from tests.processors.faults import Snapshot
from tests.processors.world import World

STALE_SHARE: Final = 0.05
GAP_S: Final = 20
RULES: Final = Rules.parse(f"revision = 2\n[default]\nidle_gap_minutes = {GAP_S / 60}\n")
PLAIN: Final = tomllib.loads(RULES.describe())
PACE: Final = Pace(interval=1.0, urgent=0.05, facts=40, closing=3.0, sweep_first=5.0, sweep=10.0, stale=10.0)
TALK_S: Final = 60
CONVERSATIONS: Final = 5
PROCESSES: Final = 3
CACHES: Final = (0, 3_000, 64 << 20)


@dataclass
class Outcome:
    """How a life went; a seed gives the same one again."""

    steps: int
    seconds: float
    crashes: int
    stops: int
    facts: int


class Life:
    """The world of one seed."""

    def __init__(self, seed: int, world: World) -> None:
        self.random = Random(seed)
        self.world = world
        self.store = MemoryStore(self.now)
        world.store = self.store
        self.poison: set[bytes] = set()
        self.crashes = self.stops = 0
        self._calm = False
        self._danger = self.random.choice((1 / 300, 1 / 1_000, 1 / 3_000))
        self._loop = VirtualLoop(self.random, self._step)
        self._group = Group(world.log, self.now)

    def now(self) -> int:
        """The time of this world in epoch ms."""
        return AT + int(self._loop.time() * 1000)

    def _step(self, fate: Fate) -> None:
        """Decide before each step of a process whether it is its last, or the last for a while."""
        if self._calm or self._loop.random.random() > self._danger or fate.stands_still(self._loop.time()):
            return
        if self.random.random() < 0.6:
            fate.dead = True
            self.crashes += 1
        else:
            fate.still_until = self._loop.time() + self.random.choice((0.5, 4, 9, 30))
            self.stops += 1

    def lead(self) -> Outcome:
        """Live it to its end; raises AssertionError when anything was wrong at any time."""
        clock = SimpleNamespace(monotonic=self._loop.time, time_ns=lambda: self.now() * 1_000_000)
        with patch("processors.worker.time", clock):
            return self._loop.lead(self._lead())

    async def _lead(self) -> Outcome:
        coordinating = self._loop.spawn(None, self._group.coordinate())
        keeping = self._loop.spawn(None, self._keep_alive())
        await self._produce()
        await asyncio.sleep(self.random.choice((1, 10, 40)))
        self._calm = True
        async with asyncio.timeout(600):
            while not self.world.log.acknowledged():  # noqa: ASYNC110  (time is virtual)
                await asyncio.sleep(1)
            await asyncio.sleep(2 * GAP_S + 15)
        for task in (coordinating, keeping):
            assert not task.done(), task.exception()
            task.cancel()
        self._judge()
        facts = sum(map(len, self.store.scan_facts()))
        return Outcome(self._loop.steps, self._loop.time(), self.crashes, self.stops, facts)

    async def _keep_alive(self) -> None:
        """Start a process for each that has died."""
        living: list[Member] = []
        while True:
            for one in living:
                if not one.fate.dead and one.living.done():
                    one.living.result()
            living = [one for one in living if not one.fate.dead]
            while len(living) < PROCESSES:
                fate = Fate()
                member = Member(self._group, fate, self._worker())
                living.append(member)
                self._group.join(member)
            await asyncio.sleep(self.random.choice((0.5, 3)))

    def _worker(self) -> Worker:
        store = FaultyStore(self)
        producer: Any = SimpleNamespace(send=sent_home(self.world.log, self.now))
        return Worker(
            writer=store,
            reader=store,
            producer=producer,
            metrics=NoMetrics(),
            rules=RULES,
            cache_bytes=self.random.choice(CACHES),
            pace=PACE,
            now=self.now,
        )

    async def _produce(self) -> None:
        """Produce what is said, when it is said or some time later."""
        said = [one for number in range(CONVERSATIONS) for one in _conversation(self.random, f"c-{number}")]
        arrivals = []
        for one in said:
            delay = self.random.choice((0, 0, 0, 0.3, 2, 30))
            arrivals.append(((one["at"] - AT) / 1000 + delay, one))
            if self.random.random() < 0.1:
                arrivals.append(((one["at"] - AT) / 1000 + delay + self.random.choice((0, 1, 25)), one))
        self.world.lines.extend(map(line, said))
        for at, one in sorted(arrivals, key=lambda arrival: arrival[0]):
            if at > self._loop.time():
                await asyncio.sleep(at - self._loop.time())
            partition = self.random.randrange(self.world.partitions)
            if self.random.random() < 0.05:
                self.poison.add(value := b"bad %d" % len(self.poison))
                self.world.log.append("assistant.events", partition, value, timestamp=self.now())
            if self.random.random() < 0.05:  # keyless, anywhere
                self.world.log.append(topic_of(one["type"]).name, partition, line(one), timestamp=self.now())
            else:
                self.world.log.produce(one, timestamp=self.now())

    def check(self) -> None:
        """Look at the store after a write."""
        assert not (boasting := self.world.boasting()), f"rows say more than the facts: {boasting}"

    def check_closed(self, row: Mapping[str, Any]) -> None:
        """Look whether a row that is closed as idle knows every message that was there when it was due."""
        if row["close_reason"] != "idle" or row["is_deleted"]:
            return
        name, due = row["conversation_id"].encode(), row["closes_at"]
        records = self.world.log.records[
            "assistant.events", home_partition(row["conversation_id"], self.world.partitions)
        ]
        there = {
            one.value
            for one in records
            if one.key == name and one.timestamp < due and one.value and b'"message.sent"' in one.value
        }
        known = {fact.payload for fact in self.store.read_facts([(row["assistant"], row["conversation_id"])])}
        cut = any(b"conversation.erased" in payload for payload in known)
        assert cut or there <= known, f"closed early: {row}, lacking {there - known}"
        ids = {oracle.Fact.of(one).id for one in there}
        assert cut or row["messages"] >= len(ids), f"closed early: {row}, these were there: {there}"

    def _judge(self) -> None:
        end = self.now()
        assert self.world.rows() == self.world.truth(end, PLAIN)
        assert not self.world.boasting()
        letters = [one.value for one in self.store.dead_letters()]
        assert sorted(letters) == sorted(self.poison)
        assert {fact.payload for facts in self.store.scan_facts() for fact in facts} == self.world.kept()


class FaultyStore:
    """The store as one process sees it: at times without an answer, with a lost one, or with an old one."""

    def __init__(self, life: Life) -> None:
        self._life = life
        self._store = life.store
        self._snapshot = Snapshot(life.store)

    @contextlib.contextmanager
    def _call(self) -> Iterator[None]:
        random = self._life.random
        chance = random.random()
        if chance < 0.03:
            raise Unavailable("no answer")
        yield
        self._life.check()
        if chance > 0.97:
            raise Unavailable("the answer was lost")

    def facts(self) -> Facts:
        return self._store.facts()

    def insert_facts(self, facts: Facts) -> None:
        middle = self._life.random.randrange(len(facts) + 1)
        with self._call():  # some partitions of an insert may be stored before others
            self._store.insert_facts(facts.take(range(middle)))
        with self._call():
            self._store.insert_facts(facts.take(range(middle, len(facts))))

    def insert_rows(self, rows: RowColumns) -> None:
        with self._call():
            names = list(rows.columns)
            for cells in zip(*rows.columns.values(), strict=True):
                self._life.check_closed(dict(zip(names, cells, strict=True)))
            self._store.insert_rows(rows)

    def insert_dead_letters(self, letters: Sequence[DeadLetter]) -> None:
        with self._call():
            self._store.insert_dead_letters(letters)

    def insert_frontier(self, frontier: Frontier) -> None:
        with self._call():
            self._store.insert_frontier(frontier)

    def close_idle(self, clocks: Mapping[int, int], partitions: int) -> int:
        with self._call():
            closed = self._store.close_idle(clocks, partitions)
            for row in self._store.rows():
                if row["closed"] and closed:
                    self._life.check_closed(row)
        return closed

    def erase(self, erasures: Sequence[Erasure]) -> None:
        with self._call():
            self._store.erase(erasures)

    def sweep(self) -> int:
        with self._call():
            return self._store.sweep()

    def delete_rows(self, keys: Collection[Key]) -> None:
        with self._call():
            self._store.delete_rows(keys)

    def read_facts(self, keys: Collection[Key]) -> list[StoredFact]:
        with self._call():
            return self._store.read_facts(keys)

    def look_up(self, keys: Collection[Key]) -> tuple[list[StoredFact], Frontier]:
        with self._call():
            source = self._snapshot if self._life.random.random() < STALE_SHARE else self._store
            found = source.look_up(keys)
            self._snapshot = Snapshot(self._store)
            return found

    def read_rows(self, keys: Collection[Key], days: Collection[int]) -> dict[Key, StoredRow]:
        with self._call():
            return self._store.read_rows(keys, days)

    def scan_facts(self) -> Iterator[list[StoredFact]]:
        return self._store.scan_facts()

    def scan_rows(self) -> Iterator[StoredRow]:
        return self._store.scan_rows()

    def dead_letters(self, *args: Any, **options: Any) -> Iterator[DeadLetter]:
        return self._store.dead_letters(*args, **options)


def _conversation(random: Random, name: str) -> list[Event]:
    """What happens in one conversation within a minute or two, in the order of time."""
    at = AT + random.randrange(TALK_S * 1000)
    told: list[Event] = []

    def say(kind: str, **fields: Any) -> None:
        nonlocal at
        at += random.choice((0, 1, 700, 4_000, GAP_S * 1000 - 1, GAP_S * 1000, 27_000)) if told else 0
        told.append(event(kind, id=f"{name}-{len(told)}", conversation_id=name, at=at, **fields))

    for _ in range(random.randint(2, 7)):
        kind = random.choice(
            ("conversation.started", "message.sent", "message.sent", "message.sent", "conversation.ended", "label.set")
        )
        say(kind, **({"role": random.choice(("user", "assistant")), "text": f"{at}"} if kind == "message.sent" else {}))
    if random.random() < 0.3:
        say("conversation.rated", rating=random.randint(1, 5))
    if random.random() < 0.15:
        told.append({**told[-1], "channel": "web"})  # another content of the same id
    if random.random() < 0.15:
        say("conversation.erased", by="ann")
        say("message.sent", text="anew")
    return told


@contextmanager
def _in_silence() -> Iterator[None]:
    """Let the worker's log say nothing of what a life does to it, and speak again to the tests that come after."""
    log = logging.getLogger("processors")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(level)


def lead(seed: int) -> Outcome:
    """Live the life of a seed; a failure names it, and `python -m tests.faults.simulation SEED` shows it again."""
    with _in_silence(), World() as world:
        try:
            return Life(seed, world).lead()
        except BaseException as failure:
            failure.add_note(f"python -m tests.faults.simulation {seed}")
            raise


def told(outcomes: Sequence[Outcome]) -> str:
    """What some lives held, in words."""
    steps, hours = sum(one.steps for one in outcomes), sum(one.seconds for one in outcomes) / 3600
    ends = f"{sum(one.crashes for one in outcomes)} crashes, {sum(one.stops for one in outcomes)} stops"
    return f"{len(outcomes)} seeds, {ends}, {steps:,} steps in {hours:.1f} simulated hours"
