"""A store that cannot be reached: what is to be stored is tried again, and nothing is acknowledged before."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from schemas.partitioning import home_partition
from tests.builders import AT, DAY, MINUTE, SECOND, event
from tests.processors.log import RECORDED
from tests.processors.world import LATER, Process, World
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("quick")

WORDS = {
    "insert_facts": "insert facts",
    "look_up": "read facts",
    "read_rows": "read facts",
    "insert_dead_letters": "insert dead letters",
    "send": "send home",
    "insert_rows": "insert rows",
    "erase": "erase",
    "close_idle": "close idle conversations",
}
CALLS = pytest.mark.parametrize("call", WORDS)


def _everything(world: World) -> None:
    """What makes a flush call all there is to call."""
    world.produce(event("message.sent"), event("message.sent", at=AT + SECOND))
    world.produce(event("conversation.erased", at=AT), event("message.sent", conversation_id="c-2"))
    for partition in range(2):
        world.log.append("assistant.events", partition, b"bad")
    world.lines.append(
        b'{"id":"s","type":"message.sent","assistant":"shop","conversation_id":"c-3","at":%d,"role":"user"}' % AT
    )
    world.log.append("assistant.events", 1 - home_partition("c-3", 2), world.lines[-1])


async def _ready(world: World) -> Process:
    process = world.start().assign()
    world.produce(event("message.sent", at=AT - SECOND))
    await process.catch_up(AT - DAY)
    _everything(world)
    await process.take()
    return process


@contextlib.asynccontextmanager
async def _flushing(process: Process) -> AsyncIterator[asyncio.Task[None]]:
    flush = asyncio.create_task(process.flush())
    try:
        yield flush
    finally:
        flush.cancel()
        await asyncio.gather(flush, return_exceptions=True)


@CALLS
async def test_a_call_that_fails_is_tried_again_and_the_rows_are_right(world: World, call: str) -> None:
    process = await _ready(world)
    process.faults.fail(call, times=3)
    await process.flush()
    await process.catch_up(LATER)
    assert process.faults.calls.count(call) >= 4
    assert world.rows() == world.truth(LATER)
    assert world.log.acknowledged()
    assert process.worker.persistence.waiting_on == ""


@CALLS
async def test_nothing_is_acknowledged_while_a_call_fails_and_it_says_what_is_waited_for(
    world: World, call: str
) -> None:
    process = await _ready(world)
    before = dict(world.log.committed)
    process.faults.fail(call, times=1_000_000)
    async with _flushing(process):
        waits = await until(lambda: process.worker.persistence.waiting_on, 5, "the worker to say what it waits for")
        assert waits.startswith(f"{WORDS[call]}: {call} does not answer")
        tried, commits = process.faults.calls.count(call), process.faults.calls.count("commit")
        await until(lambda: process.faults.calls.count(call) > tried + 2, 5, "more attempts")
        assert process.faults.calls.count("commit") == commits
        assert world.log.committed == before
        assert not process.worker.idle
    assert process.worker.persistence.waiting_on == ""


async def test_a_commit_that_does_not_go_through_costs_nothing_but_a_second_reading(world: World) -> None:
    process = await _ready(world)
    world.log.owners.clear()
    await process.flush()
    assert not world.log.acknowledged()
    await world.start().assign().catch_up(LATER)
    assert world.rows() == world.truth(LATER)
    assert world.log.acknowledged()


async def test_a_drain_stores_and_commits_all_that_was_taken(world: World) -> None:
    process = await _ready(world)
    assert await process.worker.drain(30)
    assert process.worker.idle
    for place, records in world.log.records.items():
        assert world.log.committed[place] >= len(records) - 1  # but for the one that has just come home


async def test_a_drain_waits_for_the_flush_that_is_under_way(world: World) -> None:
    process = await _ready(world)
    held = process.faults.hold("insert_rows")
    async with _flushing(process):
        await until(held.reached.is_set, 5, "the flush to store its rows")
        drain = asyncio.create_task(process.worker.drain(30))
        await asyncio.sleep(0)
        assert not drain.done()
        held.release.set()
        assert await drain
    assert world.log.committed[("assistant.events", home_partition("c-1", 2))] > 1


@CALLS
async def test_a_drain_beyond_its_deadline_is_abandoned_and_acknowledges_nothing(world: World, call: str) -> None:
    process = await _ready(world)
    before = dict(world.log.committed)
    process.faults.fail(call, times=1_000_000)
    assert not await process.worker.drain(0.05)
    assert world.log.committed == before
    await world.start().assign().catch_up(LATER)
    assert world.rows() == world.truth(LATER)
    assert world.log.acknowledged()


@pytest.mark.parametrize("call", ["insert_facts", "look_up", "insert_rows", "close_idle"])
@pytest.mark.parametrize("goes_on", [True, False], ids=["answered at last", "never answered"])
async def test_a_revocation_during_a_flush_that_hangs(world: World, call: str, goes_on: bool) -> None:
    """The partitions go to another process and come back; the flush ends, or fails, when they are long gone."""
    process, other = await _ready(world), world.start()
    held = process.faults.hold(call)
    async with _flushing(process) as flush:
        await until(held.reached.is_set, 5, f"the flush to reach {call}")
        committed = dict(world.log.committed)
        assert not await process.worker.drain(0.01)
        other.assign()
        world.produce(
            event("message.sent", at=AT + MINUTE), event("message.sent", at=AT + MINUTE, conversation_id="c-2")
        )
        await other.catch_up()
        assert world.rows() == world.truth()
        if not goes_on:
            process.faults.fail(call, times=1)
        held.release.set()
        await flush
        assert world.log.committed != committed
    assert process.faults.calls.count("commit") == 1
    assert world.rows() == world.truth()
    process.assign()
    world.produce(event("message.sent", at=AT + 2 * MINUTE))
    await process.catch_up(LATER)
    assert world.rows() == world.truth(LATER)


@pytest.mark.parametrize("flushed", ["by hand", "in the background"])
async def test_what_still_arrives_after_an_abandoned_drain_touches_nothing(world: World, flushed: str) -> None:
    """Batches may still be in a stream's buffer; the conversation in memory knows facts that were never stored."""
    process = world.start().assign()
    world.produce(event("message.sent", id="one"))
    await process.catch_up()
    world.produce(event("message.sent", id="two", at=AT + SECOND))
    await process.take()
    process.faults.fail("insert_facts", times=1_000)
    assert not await process.worker.drain(0.01)
    process.faults.mend()
    world.produce(event("message.sent", id="three", at=AT + 2 * SECOND))
    await process.take()
    if flushed == "by hand":
        await process.flush()
    else:
        running = asyncio.create_task(process.worker.run())
        beats = process.worker.progress.beats
        await until(lambda: process.worker.progress.beats > beats + 2, 5, "some flushes")
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert not world.boasting()
    await world.start().assign().catch_up(LATER)
    assert world.rows() == world.truth(LATER)


async def test_an_assignment_during_a_flush_that_hangs_starts_anew(world: World) -> None:
    process = await _ready(world)
    held = process.faults.hold("insert_facts")
    async with _flushing(process) as flush:
        await until(held.reached.is_set, 5, "the flush to store its facts")
        process.assign()
        world.produce(event("message.sent", at=AT + MINUTE))
        await process.take()
        held.release.set()
        await flush
        assert not world.log.acknowledged()
        await process.catch_up(LATER)
    assert world.rows() == world.truth(LATER)
    assert world.log.acknowledged()


async def test_the_running_worker_flushes_by_itself(world: World) -> None:
    process = world.start().assign()
    running = asyncio.create_task(process.worker.run())
    try:
        for number in range(5):
            world.produce(event("message.sent", at=AT + number), event("label.set", at=AT + number))
            await process.take()
            await until(world.log.acknowledged, 5, "the flush")
            assert world.rows() == world.truth()
        process.tick(RECORDED + DAY)
        await until(lambda: world.row()["closed"], 5, "the close")
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert world.rows() == world.truth(LATER)
