"""The clock: conversations close when everything up to then is known to be stored, and never before."""

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from processors.clock import PartitionClock, Tick
from schemas.partitioning import home_partition
from schemas.topics import EVENTS
from tests.builders import AT, HOUR, MINUTE, SECOND, Event, event
from tests.oracle import milliseconds
from tests.processors.world import LATER, World
from tests.strategies import IDLE_GAP, conversations
from tests.waiting import until

HOME = home_partition("c-1", 2)
ELSEWHERE = next(name for name in map("c-{}".format, range(2, 99)) if home_partition(name, 2) != HOME)
"""A conversation that is at home in the other partition."""


async def test_a_conversation_closes_when_the_clock_reaches_its_closes_at(world: World) -> None:
    process = world.start().assign()
    world.produce(event("message.sent"))
    for clock, closed in ((AT + HOUR, False), (AT + IDLE_GAP - 1, False), (AT + IDLE_GAP, True)):
        await process.catch_up(clock)
        assert world.row()["closed"] is closed
        assert world.rows() == world.truth(clock)
    assert process.worker.progress.closed == 1


async def test_without_a_tick_nothing_closes(world: World) -> None:
    process = world.start().assign()
    world.produce(event("message.sent"))
    await process.catch_up()
    await process.flush()
    assert world.rows() == world.truth(None)
    assert process.worker.clocks() == {}


async def test_an_answer_to_a_request_sent_long_ago_closes_nothing_that_was_alive_then(world: World) -> None:
    process = world.start().assign()
    world.produce(event("message.sent"))
    await process.catch_up(AT - HOUR)
    assert world.rows() == world.truth(AT - HOUR)
    assert not world.row()["closed"]


async def test_a_clock_never_goes_back(world: World) -> None:
    process = world.start().assign()
    world.produce(event("message.sent"))
    await process.catch_up(AT + HOUR)
    await process.catch_up(AT)
    assert process.worker.clocks() == {0: AT + HOUR, 1: AT + HOUR}


async def test_a_backlog_closes_at_its_end_and_never_early(world: World) -> None:
    """Each request was sent after all was produced, so every answer's watermark is the end of the log."""
    world.produce(*(event("message.sent", at=AT + n * HOUR, id=f"e{n}") for n in range(6)), event("label.set"))
    process = world.start().assign()
    while await process.take(1):
        process.tick(LATER)
        seen = process.worker.progress.records
        await process.flush()
        assert world.row()["closed"] is (seen == 7)
    assert world.rows() == world.truth(LATER)
    assert world.row()["reopened"] == 0


async def test_a_partition_that_is_behind_holds_back_its_own_conversations_only(world: World) -> None:
    world.produce(event("message.sent"), event("message.sent", id="more", at=AT + HOUR))
    world.produce(event("message.sent", conversation_id=ELSEWHERE))
    process = world.start().assign()
    process.tick(LATER)
    await process.take(1)
    await process.flush()
    assert not world.row()["closed"]
    assert world.row(ELSEWHERE)["closed"]
    await process.catch_up()
    assert world.rows() == world.truth(LATER)


@pytest.mark.parametrize("cache_bytes", [64 << 20, 0], ids=["cached", "evicted"])
async def test_empty_answers_close_the_conversations_of_a_silent_partition(world: World, cache_bytes: int) -> None:
    process = world.start(cache_bytes=cache_bytes).assign()
    world.produce(event("message.sent"), event("message.sent", conversation_id=ELSEWHERE, at=AT + HOUR))
    await process.catch_up()
    calls = len(process.faults.calls)
    process.tick(AT + IDLE_GAP, HOME)
    await process.flush()
    assert process.faults.calls[calls:] == ["close_idle"]
    assert world.row()["closed"]
    assert not world.row(ELSEWHERE)["closed"]
    process.tick(LATER)
    await process.flush()
    assert world.rows() == world.truth(LATER)


async def test_a_partition_empty_from_the_beginning_has_a_clock(world: World) -> None:
    process = world.start().assign()
    await process.catch_up(AT)
    assert process.worker.clocks() == {0: AT, 1: AT}


async def test_what_was_committed_before_the_assignment_does_not_hold_the_clock_back(world: World) -> None:
    world.produce(event("message.sent"))
    await world.start().assign().catch_up()
    await world.start().assign().catch_up(LATER)
    assert world.rows() == world.truth(LATER)


async def test_a_process_that_was_stopped_closes_nothing_early(world: World) -> None:
    """Stopped an hour after the first message, for nine hours; its answer waited in the socket meanwhile."""
    process = world.start().assign()
    world.produce(event("message.sent", id="before"))
    await process.catch_up()
    waiting = Tick(AT + HOUR, 0, 1)
    world.produce(event("message.sent", id="meanwhile", at=AT + 3 * HOUR))
    process.worker.answered(EVENTS.name, HOME, waiting, process.generation)
    await process.flush()
    assert process.worker.clocks()[HOME] == AT + HOUR
    assert not world.row()["closed"]
    process.tick(AT + 10 * HOUR)
    await process.flush()
    assert not world.row()["closed"]
    await process.take()
    await process.flush()
    assert world.rows() == world.truth(AT + 10 * HOUR)
    assert world.row()["ended_at"] == AT + 3 * HOUR


async def test_ticks_of_another_generation_are_ignored(world: World) -> None:
    process = world.start().assign()
    world.produce(event("message.sent"))
    await process.catch_up()
    process.tick(LATER, generation=process.generation - 1)
    await process.flush()
    former = process.generation
    process.assign()
    process.tick(LATER, generation=former)
    await process.flush()
    assert process.worker.clocks() == {}
    assert not world.row()["closed"]


async def test_ticks_of_a_partition_that_is_not_owned_are_ignored(world: World) -> None:
    process = world.start().assign(1 - HOME)
    process.worker.answered(EVENTS.name, HOME, Tick(LATER, 0, 0), process.generation)
    await process.flush()
    assert process.worker.clocks() == {}


async def test_an_assignment_starts_without_a_clock(world: World) -> None:
    process = world.start().assign()
    await process.catch_up(AT)
    process.assign()
    assert process.worker.clocks() == {}


async def test_a_tick_does_not_count_before_the_batches_below_its_watermark_are_stored(world: World) -> None:
    """The second message is taken while the first is being stored, and the tick that knows both comes then."""
    process = world.start().assign()
    world.produce(event("message.sent", id="one"), event("message.sent", id="two", at=AT + HOUR))
    await process.take(1)
    held = process.faults.hold("insert_facts")
    flush = asyncio.create_task(process.flush())
    await until(held.reached.is_set, 5, "the flush to store its facts")
    await process.take(1)
    process.tick(LATER)
    held.release.set()
    await flush
    assert HOME not in process.worker.clocks()
    assert not world.row()["closed"]
    await process.flush()
    assert world.rows() == world.truth(LATER)


async def test_a_tick_counts_only_when_the_facts_below_it_are_stored(world: World) -> None:
    process = world.start().assign()
    world.produce(event("message.sent"))
    await process.take()
    process.tick(LATER)
    assert process.worker.clocks() == {}
    process.faults.kill("insert_rows")
    with pytest.raises(BaseException):  # noqa: B017  (the process is dead)
        await process.flush()
    assert "close_idle" not in process.faults.calls
    assert HOME not in process.worker.clocks()


@pytest.mark.parametrize("again", ["evicted", "restarted"])
async def test_a_stored_idle_close_stands_until_a_later_message(world: World, again: str) -> None:
    process = world.start(cache_bytes=0).assign()
    world.produce(event("message.sent", id="one"))
    await process.catch_up(AT + IDLE_GAP)
    if again == "restarted":
        process = world.start(cache_bytes=0).assign()
    for said in (
        event("label.set", at=AT + 9 * HOUR),
        event("conversation.rated", at=AT + 9 * HOUR),
        event("conversation.updated", at=AT - MINUTE, channel="web"),
        event("message.sent", at=AT - MINUTE),
        event("message.sent", at=AT, role="assistant"),
    ):
        world.produce(said)
        await process.catch_up()
        assert world.row()["close_reason"] == "idle"
        assert world.rows() == world.truth(AT + IDLE_GAP)
    world.produce(event("message.sent", at=AT + IDLE_GAP))
    await process.catch_up()
    assert not world.row()["closed"]
    assert world.row()["reopened"] == 1
    assert world.rows() == world.truth(AT + IDLE_GAP)
    await process.catch_up(LATER)
    assert world.rows() == world.truth(LATER)


@pytest.mark.parametrize(
    ("after", "reopened", "reason"),
    [(MINUTE, 0, "ended"), (IDLE_GAP - SECOND, 0, "ended"), (IDLE_GAP, 1, ""), (IDLE_GAP + HOUR, 1, "")],
    ids=["soon", "just before the idle gap", "at the idle gap", "behind the idle gap"],
)
async def test_an_assistants_message_after_an_ended_reopens_only_behind_the_idle_gap(
    world: World, after: int, reopened: int, reason: str
) -> None:
    process = world.start().assign()
    world.produce(event("message.sent"), event("conversation.ended", at=AT + SECOND))
    await process.catch_up()
    assert world.row()["close_reason"] == "ended"
    world.produce(event("message.sent", role="assistant", at=AT + after))
    await process.catch_up()
    assert (world.row()["reopened"], world.row()["close_reason"]) == (reopened, reason)
    assert world.rows() == world.truth()


def test_a_clock_with_more_ticks_than_it_keeps_still_reaches_the_end() -> None:
    clock = PartitionClock()
    for number in range(1_000):
        clock.answered(Tick(sent=number, first=0, highwater=number + 1))
    clock.flushed(1_000)
    assert clock.advance() == 999


def test_a_clock_moves_with_the_stored_part_of_a_backlog() -> None:
    clock = PartitionClock()
    for sent, highwater in ((1, 10), (2, 10), (3, 20), (4, 30)):
        clock.answered(Tick(sent, 0, highwater))
    times = []
    for offset in (9, 10, 19, 25, 30):
        clock.flushed(offset)
        times.append(clock.advance())
    assert times == [None, 2, 2, 3, 4]


def _once(events: list[Event]) -> list[Event]:
    """Leave out what changes the past: an id's other contents."""
    return list({one["id"]: one for one in reversed(events)}.values())


async def test_what_the_user_said_behind_an_announced_end_opens_the_conversation_however_late_it_comes(
    world: World,
) -> None:
    process = world.start().assign()
    ended = event("conversation.ended", at=AT + SECOND)
    world.produce(event("message.sent"), ended, event("message.sent", role="assistant", at=AT + 3 * SECOND))
    await process.catch_up()
    assert world.row()["close_reason"] == "ended"
    world.produce(event("message.sent", at=AT + 2 * SECOND))
    await process.catch_up()
    assert (world.row()["closed"], world.row()["last_activity_at"]) == (False, AT + 3 * SECOND)
    assert world.rows() == world.truth()


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(conversations(erasures=False, min_size=3), st.data())
def test_a_closed_conversation_opens_only_for_a_later_message(events: list[Event], data: st.DataObject) -> None:
    """That is, one with a message: where an end is all that is known, the first message may lie an idle gap before.

    Later than its last activity, or, where its end was announced, a message by the user behind that.
    """

    async def live(world: World) -> None:
        process = world.start().assign()
        former: dict[str, Any] | None = None
        clock = None
        for one in _once(events):
            world.produce(one)
            await process.catch_up(clock)
            row = next(iter(world.rows()), None)
            if row and former and former["closed"] and not row["closed"]:
                assert one["type"] == "message.sent"
                announced = former["close_reason"] == "ended" and one["role"] == "user"
                since = former["ended_at"] if announced else former["last_activity_at"]
                assert milliseconds(one["at"]) > since
            former = row if row and row["messages"] + row["agent_messages"] else None
            does = data.draw(st.sampled_from(("nothing", "tick", "restart")))
            if does == "tick" and row:
                clock = max(clock or 0, row["closes_at"] + data.draw(st.sampled_from((-1, 0, HOUR))))
            elif does == "restart":
                process, clock = world.start().assign(), None

    with World() as world:
        asyncio.run(live(world))
