"""Waiting for one record: until the flush that holds it has ended, and no longer."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from processors.worker import Pace
from schemas.partitioning import home_partition
from tests.builders import AT, SECOND, event
from tests.processors.world import Process, World
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("quick")

HOME = home_partition("c-1", 2)
SLOW = Pace(interval=3_600.0, urgent=0.0, sweep_first=1e9)
"""Flushes within an hour, unless somebody waits."""


@contextlib.asynccontextmanager
async def waiting(process: Process, offset: int, topic: str = "assistant.events") -> AsyncIterator[asyncio.Task[None]]:
    """Somebody who waits for a record of c-1's partition."""
    waiter = asyncio.create_task(process.worker.stored(topic, HOME, offset))
    await asyncio.sleep(0)
    try:
        yield waiter
    finally:
        waiter.cancel()
        await asyncio.gather(waiter, return_exceptions=True)


@contextlib.asynccontextmanager
async def running(process: Process) -> AsyncIterator[None]:
    """The worker flushes by itself."""
    run = asyncio.create_task(process.worker.run())
    try:
        yield
    finally:
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)


async def woken(waiter: asyncio.Task[None]) -> None:
    await until(waiter.done, 5, "the waiter to be told")
    waiter.result()


async def test_a_record_is_stored_when_its_facts_and_rows_are(world: World) -> None:
    process = world.start().assign()
    world.produce(event("message.sent"))
    async with waiting(process, 0) as waiter:
        await process.take()
        held = process.faults.hold("insert_rows")
        flush = asyncio.create_task(process.flush())
        await until(held.reached.is_set, 5, "the flush to store its rows")
        assert not waiter.done()
        held.release.set()
        await flush
        await woken(waiter)
    assert world.rows() == world.truth()


async def test_what_is_stored_already_is_not_waited_for(world: World) -> None:
    process = world.start().assign()
    world.produce(event("message.sent"), event("message.sent"))
    await process.catch_up()
    for offset in (0, 1):
        await process.worker.stored("assistant.events", HOME, offset)


async def test_a_later_record_and_another_topic_are_waited_for_by_themselves(world: World) -> None:
    process = world.start().assign()
    world.produce(event("message.sent"))
    async with waiting(process, 1) as second, waiting(process, 0, "manager.labels") as label:
        await process.catch_up()
        assert not second.done()
        world.produce(event("message.sent"))
        await process.catch_up()
        await woken(second)
        assert not label.done()
        world.produce(event("label.set"))
        await process.catch_up()
        await woken(label)


@pytest.mark.parametrize("taken", ["before", "afterwards"])
async def test_a_running_worker_flushes_because_somebody_waits(world: World, taken: str) -> None:
    process = world.start(pace=SLOW).assign()
    world.produce(event("message.sent"))
    if taken == "before":
        await process.take()
    async with running(process), waiting(process, 0) as waiter:
        if taken == "afterwards":
            beats = process.worker.progress.beats
            await until(lambda: process.worker.progress.beats > beats, 5, "the flush without the record")
            await process.take()
        await woken(waiter)
    assert world.rows() == world.truth()


async def test_without_anybody_who_waits_the_worker_keeps_its_pace(world: World) -> None:
    process = world.start(pace=SLOW).assign()
    world.produce(event("message.sent"))
    async with running(process):
        beats = process.worker.progress.beats
        async with waiting(process, 1):
            pass
        await until(lambda: process.worker.progress.beats > beats, 5, "the flush that was asked for")
        await process.take()
        for _ in range(20):
            await asyncio.sleep(0)
        assert not process.worker.idle


async def test_a_dead_letter_is_stored_too(world: World) -> None:
    process = world.start().assign()
    world.log.append("assistant.events", HOME, b"bad")
    async with waiting(process, 0) as waiter:
        await process.catch_up()
        await woken(waiter)
    assert world.letters() == [("malformed", b"bad")]


async def test_a_store_that_is_down_makes_it_wait_until_the_store_is_back(world: World) -> None:
    process = world.start().assign()
    world.produce(event("message.sent"))
    process.faults.fail("insert_facts", times=1_000_000)
    async with waiting(process, 0) as waiter:
        await process.take()
        flush = asyncio.create_task(process.flush())
        await until(lambda: process.worker.persistence.waiting_on, 5, "the worker to wait for its store")
        assert not waiter.done()
        process.faults.mend()
        await flush
        await woken(waiter)


async def test_an_abandoned_flush_tells_nobody_and_the_one_after_the_assignment_does(world: World) -> None:
    process = world.start().assign()
    world.produce(event("message.sent"))
    async with waiting(process, 0) as waiter:
        await process.take()
        process.faults.fail("insert_rows", times=1_000_000)
        assert not await process.worker.drain(0.01)
        process.faults.mend()
        await process.flush()
        assert not waiter.done()
        process.assign()
        await process.catch_up()
        await woken(waiter)
    assert world.rows() == world.truth()


async def test_a_worker_without_the_partition_never_says_that_something_is_stored(world: World) -> None:
    process, other = world.start().assign(1 - HOME), world.start().assign(HOME)
    world.produce(event("message.sent", at=AT + SECOND))
    async with waiting(process, 0) as waiter:
        await other.catch_up()
        await process.catch_up()
        assert not waiter.done()


async def test_offsets_known_before_an_assignment_say_nothing_after_it(world: World) -> None:
    """The topic may have been made anew: its offsets begin again, and what has them now is something else."""
    process = world.start().assign()
    world.produce(event("message.sent"))
    await process.catch_up()
    process.assign()
    async with waiting(process, 0) as waiter:
        await process.catch_up()
        assert not waiter.done()
        world.produce(event("message.sent"))
        await process.catch_up()
        await woken(waiter)
