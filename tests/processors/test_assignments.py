"""What happens when partitions are assigned, without a consumer."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP

from processors.agents import Assignments
from schemas.topics import TOPICS
from tests.processors.world import World

PLACES = {TP(topic.name, partition) for topic in TOPICS for partition in (0, 1)}


class Thread:
    """Kafka as the consumer's thread sees it: four partitions, told when `answering` is set."""

    def __init__(self) -> None:
        self.answering = asyncio.Event()

    async def refresh(self) -> None:
        await self.answering.wait()

    def partition_count(self, _topic: str) -> int:
        return 4


@pytest.fixture
def thread() -> Thread:
    """A thread that does not answer yet."""
    return Thread()


@pytest.fixture
def assignments(world: World, thread: Thread) -> Assignments:
    """Those of a worker that owns nothing."""
    made = Assignments(world.start().worker, 1.0)
    app: Any = SimpleNamespace(consumer=SimpleNamespace(_thread=thread, commit_frontier=None))
    made.app = app
    return made


async def _still_going_on(task: "asyncio.Task[None]") -> bool:
    await asyncio.wait([task], timeout=0.05)
    return not task.done()


async def test_partitions_are_owned_when_their_number_is_known(assignments: Assignments, thread: Thread) -> None:
    assigning = asyncio.create_task(assignments.assigned(PLACES, 1))
    assert await _still_going_on(assigning)
    assert assignments._worker.owned == frozenset()
    thread.answering.set()
    await assigning
    assert assignments._worker.owned == {0, 1}


async def test_who_is_told_to_stop_waits_for_no_number_and_owns_nothing(assignments: Assignments) -> None:
    assigning = asyncio.create_task(assignments.assigned(PLACES, 1))
    assert await _still_going_on(assigning)
    assignments.stopping.set()
    await asyncio.wait_for(assigning, 5)
    assert assignments._worker.owned == frozenset()
