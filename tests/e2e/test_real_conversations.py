"""chitchat-dataset through the whole stack: the oracle's rows, whatever becomes of the events on their way.

In order, all of it goes through both stacks. Shuffled and tripled, all of it goes through Apache Kafka; killed in the
middle, through `afterword up`. To keep the tests short, other variations take a third of the conversations or a tenth.
"""

import random
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Protocol

import pytest
import pytest_asyncio

from runtime.folder import Folder
from sinks.connection import Database
from tests.builders import event, line
from tests.e2e import chitchat, rows
from tests.e2e.children import Child
from tests.e2e.cluster import STORE_S, ClickHouse, Cluster, facts_in
from tests.e2e.conftest import ON_BOTH
from tests.e2e.rows import Rows
from tests.waiting import until

pytestmark = pytest.mark.timeout(600)

LABELLED = 300


class Stack(Protocol):
    """What both stacks do for these tests."""

    async def take(self, lines: Sequence[bytes]) -> None:
        """Take events, until they are all stored."""

    async def take_until_killed(self, lines: Sequence[bytes]) -> None:
        """Begin to take events, and end with kill -9 when some are stored and some are not."""

    async def rows(self, wanted: Rows) -> Rows:
        """The rows, once what is due is closed; `wanted` is what they should be."""


class OnKafka:
    """A worker of a cluster on Apache Kafka."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def take(self, lines: Sequence[bytes]) -> None:
        if not any(worker.status is None for worker in self._cluster.workers):
            await self._cluster.worker()
        await self._cluster.produce(lines)
        await self._cluster.stored()

    async def take_until_killed(self, lines: Sequence[bytes]) -> None:
        worker = await self._cluster.worker()
        async with self._cluster.producing(lines):
            await self._cluster.until_facts(len(lines) // 5)
            await worker.kill()
            committed, ends = await self._cluster.progress()
            assert sum(committed.values()) < sum(ends.values())

    async def rows(self, wanted: Rows) -> Rows:
        await self._cluster.settled(wanted)
        return await self._cluster.rows()


class Embedded:
    """`afterword up` on a data folder, again and again."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._folder = Folder(directory / "data")
        self._files: list[Path] = []
        self._running: list[Child] = []

    def _start(self, lines: Sequence[bytes]) -> Child:
        file = self._directory / f"events-{len(self._files)}.jsonl"
        file.write_bytes(b"\n".join(lines))
        self._files.append(file)
        log = self._directory / f"up-{len(self._running)}.log"
        arguments = ["--data", str(self._folder.path), "--port", "0", "--exit-when-done"]
        loads = [argument for file in self._files for argument in ("--load", str(file))]
        child = Child("afterword up", log, "runtime.cli", "up", *arguments, *loads)
        self._running.append(child)
        return child

    async def take(self, lines: Sequence[bytes]) -> None:
        """Take events, and those again that were taken before."""
        child = self._start(lines)
        assert await child.ended(STORE_S) == 0

    async def take_until_killed(self, lines: Sequence[bytes]) -> None:
        child = self._start(lines)

        def some_are_stored() -> bool:
            assert child.status is None, f"it ended with {child.status}"
            running = self._folder.running() if (self._folder.path / "up.json").exists() else None
            return running is not None and facts_in(Database.parse(running.clickhouse)) > len(lines) // 5

        await until(some_are_stored, STORE_S, "some events to be stored")
        await child.kill()
        server = ClickHouse(self._folder.clickhouse, self._directory / "clickhouse.log")
        await server.start()
        try:
            assert await server.facts() < len(lines)
        finally:
            await server.stop()

    async def rows(self, wanted: Rows) -> Rows:
        server = ClickHouse(self._folder.clickhouse, self._directory / "clickhouse.log")
        await server.start()
        try:
            return await server.rows()
        finally:
            await server.stop()

    async def stop(self) -> None:
        """Leave no process behind."""
        for child in self._running:
            await child.stop()
            sys.stdout.write(child.words())  # shown when the test has failed


@pytest_asyncio.fixture
async def embedded_stack(tmp_path: Path) -> AsyncIterator[Embedded]:
    stack = Embedded(tmp_path)
    yield stack
    await stack.stop()


@pytest.fixture
def kafka_stack(kafka_cluster: Cluster) -> OnKafka:
    return OnKafka(kafka_cluster)


@pytest.fixture(params=ON_BOTH)
def stack(request: pytest.FixtureRequest) -> Stack:
    chosen: Stack = request.getfixturevalue(f"{request.param}_stack")
    return chosen


@pytest.fixture(scope="module")
def truth() -> Rows:
    return chitchat.truth()


def wanted_of(lines: Sequence[bytes], truth: Rows) -> Rows:
    """The oracle's rows of whole conversations of the dataset."""
    ids = {chitchat.conversation_of(one) for one in lines}
    return {key: row for key, row in truth.items() if key[1] in ids}


async def assert_rows(stack: Stack, wanted: Rows) -> None:
    found = await stack.rows(wanted)
    assert not rows.differences(found, wanted)
    assert rows.digest(found) == rows.digest(wanted)


async def test_every_real_conversation_has_the_row_of_the_oracle(stack: Stack, truth: Rows) -> None:
    await stack.take(chitchat.lines())
    await assert_rows(stack, truth)
    assert len(truth) == chitchat.CONVERSATIONS
    assert sum(row["messages"] for row in truth.values()) == chitchat.MESSAGES


async def test_shuffled_and_tripled_events_give_the_same_rows(stack: Stack, truth: Rows) -> None:
    lines = amount(stack, all_on=OnKafka)
    shuffled = lines * 3
    random.Random(len(lines)).shuffle(shuffled)
    await stack.take(shuffled)
    await assert_rows(stack, wanted_of(lines, truth))


async def test_a_load_that_is_killed_and_begun_again_gives_the_same_rows(stack: Stack, truth: Rows) -> None:
    lines = amount(stack, all_on=Embedded)
    middle = len(lines) // 2 + 7
    await stack.take_until_killed(lines[:middle])
    await stack.take(lines[middle:])
    await assert_rows(stack, wanted_of(lines, truth))


@pytest.mark.parametrize("first", ["labels", "conversations"])
async def test_labels_count_whether_given_before_or_after_the_conversation(
    stack: Stack, first: str, truth: Rows
) -> None:
    lines = chitchat.part(chitchat.lines(), 0, 10)
    labels = [
        label_of(conversation) for conversation in list(dict.fromkeys(map(chitchat.conversation_of, lines)))[:LABELLED]
    ]
    for events in (labels, lines) if first == "labels" else (lines, labels):
        await stack.take(events)
    labelled = set(map(chitchat.conversation_of, labels))
    theirs = [one for one in lines if chitchat.conversation_of(one) in labelled]
    await assert_rows(stack, wanted_of(lines, truth) | rows.of_the_oracle([*theirs, *labels], chitchat.CLOCK))


def amount(stack: Stack, all_on: type[Stack]) -> list[bytes]:
    """All events for one kind of stack, those of every third conversation for the other."""
    return chitchat.lines() if isinstance(stack, all_on) else chitchat.part(chitchat.lines(), 0, 3)


def label_of(conversation_id: str) -> bytes:
    """A manager's word on a conversation: always the same one."""
    chosen = random.Random(conversation_id)
    given = event(
        "label.set",
        id=f"label-{conversation_id}",
        assistant="chitchat",
        conversation_id=conversation_id,
        label=chosen.choice(["positive", "negative"]),
        by="dana",
        seen_messages=chosen.randrange(40),
    )
    return line(given)
