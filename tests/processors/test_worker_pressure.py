"""Batches that come while a flush is under way: they wait when there is no room, and nothing in them is lost."""

import asyncio
import itertools
from dataclasses import replace

import pytest

from processors.clock import Tick
from processors.flush import _CHUNK
from schemas.partitioning import home_partition
from schemas.topics import EVENTS
from tests.builders import AT, DAY, HOUR, MINUTE, SECOND, Event, event, line
from tests.processors.faults import Hold
from tests.processors.world import LATER, PACE, Process, World
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("quick")


async def _begin(process: Process, hold: Hold) -> asyncio.Task[None]:
    flush = asyncio.create_task(process.flush())
    await until(hold.reached.is_set, 5, "the flush to reach the call")
    return flush


async def _turns() -> None:
    """Let every other task go as far as it can."""
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.mark.parametrize("filler", ["facts", "dead letters", "strays"])
async def test_a_batch_waits_while_the_epoch_is_full_until_the_next_flush_begins(world: World, filler: str) -> None:
    process = world.start(pace=replace(PACE, facts=5)).assign(0)
    home = 1 if filler == "strays" else 0
    at_home = (name for name in map("c-{}".format, range(999)) if home_partition(name, 2) == home)
    for number in range(15):
        value = b"bad %d" % number
        if filler != "dead letters":
            value = line(event("message.sent", conversation_id=next(at_home), at=AT + number))
            world.lines.append(value)
        world.log.append("assistant.events", 0, value)
    await process.take(5)
    waiting = asyncio.create_task(process.take(5))
    await _turns()
    assert process.worker.progress.records == 5
    process.worker.answered(EVENTS.name, 0, Tick(AT, 0, 0), process.generation)
    hold = process.faults.hold("close_idle")
    flush = await _begin(process, hold)
    await waiting
    assert process.worker.progress.records == 10
    third = asyncio.create_task(process.take(5))
    await _turns()
    assert process.worker.progress.records == 10
    hold.release.set()
    await flush
    await _turns()
    assert process.worker.progress.records == 10
    await process.flush()
    await third
    await process.catch_up()
    assert world.log.committed["assistant.events", 0] == 15
    await world.start().assign().catch_up()
    assert world.rows() == world.truth()


async def test_a_batch_that_waited_for_room_when_its_partition_went_is_not_taken(world: World) -> None:
    process = world.start(pace=replace(PACE, facts=1)).assign()
    world.produce(event("message.sent", id="one"), event("message.sent", id="two", at=AT + SECOND))
    await process.take(1)
    waiting = asyncio.create_task(process.take(1))
    await _turns()
    process.assign()
    await waiting
    assert process.worker.progress.records == 1
    await process.catch_up(LATER)
    assert world.rows() == world.truth(LATER)


CALLS = ("look_up", "insert_facts", "insert_dead_letters", "insert_rows", "close_idle")
LATE: dict[str, list[Event]] = {
    "a later message": [event("message.sent", id="late", at=AT + HOUR)],
    "an earlier message": [event("message.sent", id="late", at=AT - 40 * DAY)],
    "the same again": [event("message.sent", id="one", text="Where is my parcel?")],
    "another content of the id": [event("message.sent", id="one", text="Nowhere", at=AT - SECOND)],
    "the same and another content": [
        event("message.sent", id="one", text="Where is my parcel?"),
        event("message.sent", id="one", text="Nowhere", at=AT + SECOND),
        event("message.sent", id="late", at=AT + HOUR),
    ],
    "a label": [event("label.set", id="label", at=AT + HOUR)],
    "an erasure": [
        event("conversation.erased", id="erased", at=AT + MINUTE),
        event("message.sent", id="late", at=AT + HOUR),
    ],
    "what an erasure erases": [
        event("conversation.erased", id="erased", at=AT + HOUR),
        event("message.sent", id="late", at=AT),
    ],
}
FIRST = event("message.sent", id="one", text="Where is my parcel?")


@pytest.mark.parametrize("known", ["new", "loaded", "cached"])
@pytest.mark.parametrize(("call", "after"), list(itertools.product(CALLS, [False, True])))
@pytest.mark.parametrize("late", LATE.values(), ids=LATE.keys())
async def test_events_that_come_during_a_flush_of_their_conversation_are_not_lost(
    world: World, known: str, call: str, after: bool, late: list[Event]
) -> None:
    process = world.start().assign()
    if known != "new":
        world.produce(event("conversation.started", id="start", at=AT - SECOND, channel="web"))
        await process.catch_up()
        if known == "loaded":
            process = world.start().assign()
    world.produce(FIRST)
    world.log.append("assistant.events", 0, b"bad")
    await process.take()
    hold = process.faults.hold(call, after=after)
    flush = asyncio.create_task(process.flush())
    await until(lambda: hold.reached.is_set() or flush.done(), 5, "the flush to reach the call")
    world.produce(*late)
    await process.take(1)
    hold.release.set()
    await process.take(1)
    await flush
    assert not world.boasting()
    await process.take()
    await process.flush()
    assert not world.boasting()
    assert world.rows() == world.truth()
    world.produce(event("message.sent", id="last", at=AT + 2 * HOUR))
    await process.catch_up(LATER)
    assert world.rows() == world.truth(LATER)


async def test_a_flush_of_very_many_conversations_lets_others_have_their_turn_and_can_be_abandoned_there(
    world: World,
) -> None:
    world.produce(*(event("message.sent", conversation_id=f"c-{n}") for n in range(_CHUNK + 9)))
    process = world.start().assign()
    await process.take()
    flush = asyncio.create_task(process.flush())
    while not process.worker.cached:  # noqa: ASYNC110  (the very next turn is needed)
        await asyncio.sleep(0)
    assert process.worker.cached == _CHUNK
    process.assign()
    await flush
    assert process.worker.cached == 0
    assert not world.log.acknowledged()
    await process.catch_up()
    assert world.rows() == world.truth()


async def test_a_reader_that_waits_is_served_within_moments(world: World) -> None:
    process = world.start(pace=replace(PACE, interval=3_600)).assign()
    running = asyncio.create_task(process.worker.run())
    try:
        await _turns()
        world.produce(event("message.sent"))
        await process.take()
        await _turns()
        assert not process.worker.idle
        process.worker.flush_soon()
        await until(world.log.acknowledged, 5, "the flush")
        world.produce(event("label.set"))
        await process.take()
        await until(world.log.acknowledged, 5, "the flush of a label")
        assert world.rows() == world.truth()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
