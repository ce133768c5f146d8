"""A process killed at any step of a flush, and a partition lost and regained: the rows are those of all facts."""

import contextlib

import pytest

from tests.builders import AT, DAY, HOUR, MINUTE, SECOND, Event, event, line
from tests.processors.faults import Killed
from tests.processors.world import LATER, Process, World

pytestmark = pytest.mark.usefixtures("quick")

CALLS = (
    *("insert_facts", "look_up", "read_rows", "insert_dead_letters", "send", "insert_rows", "erase", "close_idle"),
    "commit",
)
"""Every call that a flush makes of the world."""


def _stages() -> list[list[Event]]:
    """Three flushes in which everything happens that a flush can do."""
    talk = [event("message.sent", at=AT + n * SECOND, id=f"a{n}", text=f"Where is parcel {n}?") for n in range(4)]
    other = [event("message.sent", at=AT + n * SECOND, id=f"b{n}", conversation_id="c-2") for n in range(3)]
    early = [event("message.sent", at=AT - 40 * DAY, id="early"), event("conversation.rated", at=AT, id="r", rating=5)]
    return [
        [event("conversation.started", at=AT - SECOND, id="start", channel="web"), *talk[:2], *other],
        [
            *talk[1:],
            *early,
            event("label.set", at=AT + HOUR, id="label"),
            event("message.sent", id="n", conversation_id="c-3"),
        ],
        [
            event("conversation.erased", at=AT + MINUTE, id="erased", conversation_id="c-2"),
            event("message.sent", at=AT + HOUR, id="after", conversation_id="c-2"),
            event("conversation.ended", at=AT + MINUTE, id="end"),
        ],
    ]


def _add_stage(world: World, number: int, stage: list[Event]) -> None:
    world.produce(*stage)
    stray = event("message.sent", id=f"stray{number}", at=AT + number, conversation_id="c-1")
    world.lines.append(line(stray))
    for partition in range(world.partitions):
        world.log.append("assistant.events", partition, line(stray))
    world.log.append("assistant.events", 0, b"broken %d" % number)


async def _live(world: World, process: Process, stages: list[list[Event]]) -> None:
    """Go on where the log is: stages that are not in it yet are produced one by one, each flushed."""
    for number in range(len(stages)):
        if not any(b"broken %d" % number == record.value for record in world.log.records["assistant.events", 0]):
            _add_stage(world, number, stages[number])
        await process.catch_up(AT + number * HOUR)
    await process.catch_up(LATER)


async def _clean() -> Process:
    with World() as world:
        process = world.start().assign()
        await _live(world, process, _stages())
        assert world.rows() == world.truth(LATER)
        return process


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("call", CALLS)
async def test_a_kill_at_any_call_of_a_flush_changes_no_row(call: str, after: bool) -> None:
    times = (await _clean()).faults.calls.count(call)
    assert times
    for passing in range(times):
        with World() as world:
            first = world.start().assign()
            first.faults.kill(call, passing=passing, after=after)
            with contextlib.suppress(Killed):
                await _live(world, first, _stages())
            # Whether the last read finds facts, and so asks for rows, is a race between two threads.
            assert first.faults.dead or call == "read_rows"
            first.kill()
            assert not world.boasting()
            await _live(world, world.start().assign(), _stages())
            assert world.rows() == world.truth(LATER)
            assert world.log.acknowledged()
            assert [reason for reason, _ in world.letters()] == ["malformed"] * 3


async def test_a_fact_that_was_stored_without_its_row_gets_it_at_the_next_start(world: World) -> None:
    world.produce(event("message.sent", text="Where is my parcel?"), event("conversation.rated", rating=5))
    first = world.start().assign()
    first.faults.kill("insert_rows")
    with pytest.raises(Killed):
        await first.catch_up()
    assert world.stored() == set(world.lines)
    assert world.rows() == []
    await world.start().assign().catch_up()
    assert world.rows() == world.truth()


async def test_a_fact_that_was_known_when_it_came_again_is_written_by_a_process_that_has_not_written_it(
    world: World,
) -> None:
    """The second process meets the fact when another record has already made it load the conversation."""
    told = event("message.sent", id="one"), event("message.sent", id="two")
    world.produce(told[0])
    first = world.start().assign()
    first.faults.kill("insert_rows")
    with pytest.raises(Killed):
        await first.catch_up()
    second = world.start().assign()
    second.faults.kill("insert_rows", after=True, passing=1)
    await second.catch_up()
    world.produce(told[0])
    await second.take()
    await second.flush()
    assert world.rows() == world.truth()
    assert second.faults.calls.count("insert_facts") == 1


async def test_what_was_written_by_this_process_is_not_written_again(world: World) -> None:
    told = event("message.sent", id="one")
    world.produce(told)
    process = world.start().assign()
    await process.catch_up()
    written = process.worker.progress.rows
    world.produce(told, told)
    await process.catch_up()
    assert process.worker.progress.rows == written == 1
    assert world.log.acknowledged()


async def test_a_partition_lost_and_regained_is_read_anew(world: World) -> None:
    first, second = world.start().assign(), world.start()
    world.produce(event("message.sent", id="one"), event("message.sent", id="two", at=AT + SECOND))
    await first.catch_up()
    second.assign()
    world.produce(
        event("message.sent", id="three", at=AT + 2 * SECOND), event("label.set", at=AT + MINUTE, seen_messages=3)
    )
    await second.catch_up()
    first.assign()
    world.produce(event("message.sent", id="four", at=AT + 3 * SECOND))
    await first.catch_up(LATER)
    assert world.rows() == world.truth(LATER)
    assert world.row()["messages"] == 4


async def test_what_was_taken_and_not_stored_when_a_partition_was_lost_is_read_again(world: World) -> None:
    first, second = world.start().assign(), world.start()
    world.produce(event("message.sent", id="one"))
    await first.catch_up()
    world.produce(event("message.sent", id="two", at=AT + SECOND))
    await first.take()
    second.assign()
    await second.catch_up()
    first.assign()
    await first.flush()
    assert world.rows() == world.truth()
    world.produce(event("message.sent", id="three", at=AT + 2 * SECOND))
    await first.catch_up()
    assert world.rows() == world.truth()


async def test_a_former_owner_commits_nothing(world: World) -> None:
    first, second = world.start().assign(), world.start()
    world.produce(event("message.sent", id="one"))
    await first.take()
    second.assign()
    await first.flush()
    assert not world.log.acknowledged()
    await second.catch_up()
    assert world.log.acknowledged()
    assert world.rows() == world.truth()
