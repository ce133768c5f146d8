"""A store that answers from an old state: it is found out, asked again, and given up after a while."""

import logging

import pytest

from processors import rebuilding
from processors.conversation import FOLD_REVISION
from schemas.conversation import Version
from schemas.partitioning import home_partition
from schemas.topics import EVENTS
from tests.builders import AT, DAY, HOUR, SECOND, Event, event
from tests.processors.faults import Snapshot
from tests.processors.folding import RULES
from tests.processors.log import RECORDED
from tests.processors.world import LATER, World
from tests.sinks.building import row, rows

pytestmark = pytest.mark.usefixtures("quick")

STEPS = (
    event("message.sent", id="one"),
    event("message.sent", id="two", at=AT + SECOND),
    event("label.set", id="three", at=AT + HOUR),
)


async def _history(world: World) -> list[Snapshot]:
    """What the store said before and after each of the first three events; the rows are those of all three."""
    states = [Snapshot(world.store)]
    process = world.start().assign()
    for step in STEPS:
        world.produce(step)
        await process.catch_up()
        states.append(Snapshot(world.store))
    return states


@pytest.mark.parametrize(
    ("answers", "retries"),
    [
        ([2], 1),
        ([1, 2], 2),
        ([1, 1, 1, 2, 2], 5),
        ([2, 1], 2),
        ([2, 0], 2),
        ([1, 0, 0, 2], 4),
        ([0], 1),
        ([0, 1, 0], 3),
        ([3], 0),
    ],
    ids=[
        "a little old",
        "catching up",
        "slowly",
        "ever older",
        "then of nothing",
        "to and fro",
        "of nothing",
        "of nothing twice",
        "not old",
    ],
)
async def test_a_row_that_says_more_than_the_facts_found_is_asked_for_again(
    world: World, answers: list[int], retries: int
) -> None:
    states = await _history(world)
    process = world.start().assign()
    process.faults.answer_from("look_up", *(states[one] for one in answers))
    world.produce(event("message.sent", id="four", at=AT + 2 * HOUR))
    await process.take()
    await process.flush()
    assert process.faults.calls.count("look_up") == 1 + retries
    assert "delete_rows" not in process.faults.calls
    assert world.rows() == world.truth()
    world.produce(event("message.sent", id="five", at=AT + 3 * HOUR))
    await process.catch_up(LATER)
    assert world.rows() == world.truth(LATER)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([event("label.set", id="one")], event("message.sent", id="two")),
        ([event("message.sent", id="one")], event("label.set", id="two", at=AT + 9 * DAY)),
        ([event("message.sent", id="one")], event("message.sent", id="two", at=AT + 9 * DAY)),
    ],
    ids=["labels alone", "a label days later", "a message days later"],
)
@pytest.mark.parametrize("restarted", [True, False], ids=["by another worker", "by the same worker"])
async def test_an_answer_from_before_what_was_committed_is_asked_for_again(
    world: World, before: list[Event], after: Event, restarted: bool
) -> None:
    """No row tells that such an answer is old."""
    process = world.start(cache_bytes=0).assign()
    early = Snapshot(world.store)
    world.produce(*before)
    await process.catch_up()
    if restarted:
        process = world.start().assign()
    calls = process.faults.calls.count("look_up")
    process.faults.answer_from("look_up", early, early)
    world.produce(after)
    await process.take()
    await process.flush()
    assert process.faults.calls.count("look_up") == calls + 3
    assert world.rows() == world.truth()


async def test_a_store_that_lost_what_was_committed_is_told_of_once(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """As after a restore from a backup, or when somebody moved the group's offsets on."""
    process = world.start(cache_bytes=0).assign()
    world.produce(event("message.sent", id="one"))
    await process.catch_up()
    home = home_partition("c-1", world.partitions)
    for number in range(3):
        world.log.append(EVENTS.name, home, b"bad %d" % number)
    world.log.committed[EVENTS.name, home] += 3
    process = world.start(cache_bytes=0).assign()
    for number in (2, 3):
        world.produce(event("message.sent", id=str(number)))
        await process.take()
        with caplog.at_level(logging.ERROR):
            await process.flush()
    assert caplog.text.count("was committed up to 4, and the store has it up to 1") == 1
    assert world.rows() == world.truth()
    looked = process.faults.calls.count("look_up")
    world.produce(event("message.sent", id="4"))
    await process.take()
    await process.flush()
    assert process.faults.calls.count("look_up") == looked + 1


async def test_conversations_that_were_read_well_are_not_asked_for_again(world: World) -> None:
    states = await _history(world)
    other = world.start().assign()
    world.produce(event("message.sent", conversation_id="c-2"))
    await other.catch_up()
    fresh, stale = Snapshot(world.store), Snapshot(world.store)
    stale._facts["shop", "c-1"] = states[1]._facts["shop", "c-1"]
    process = world.start().assign()
    process.faults.answer_from("look_up", stale, fresh)
    world.produce(*(event("message.sent", conversation_id=name, at=AT + HOUR) for name in ("c-1", "c-2", "c-3")))
    await process.take()
    await process.flush()
    assert world.rows() == world.truth()


async def test_an_old_row_is_replaced_and_leaves_nothing_under_its_day(world: World) -> None:
    process = world.start().assign()
    world.produce(event("message.sent", id="one"))
    await process.catch_up()
    old = Snapshot(world.store)
    world.produce(event("message.sent", id="early", at=AT - 40 * DAY))
    await process.catch_up()
    process = world.start().assign()
    process.faults.answer_from("read_rows", old)
    world.produce(event("message.sent", id="three", at=AT + HOUR))
    await process.take()
    await process.flush()
    assert world.rows() == world.truth()


async def test_a_store_that_stays_old_is_given_up_and_the_row_made_from_its_facts(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """What it lacked is seen by a comparison of rows and facts, and mended by a rebuild."""
    states = await _history(world)
    process = world.start().assign()
    process.faults.answer_from("look_up", *[states[1]] * 10_000)
    last = event("message.sent", id="four", at=AT + 2 * HOUR)
    world.produce(last)
    await process.take()
    with caplog.at_level(logging.ERROR):
        await process.flush()
    assert "rows say more than the facts" in caplog.text
    assert process.faults.calls.count("delete_rows") == 1
    whole = list(world.lines)
    world.lines[1:3] = []
    assert world.rows() == world.truth()
    assert world.log.acknowledged()
    world.lines[:] = whole
    assert rebuilding.drift(world.store, RULES).behind == [("shop", "c-1")]
    rebuilding.rebuild(world.store, world.store, RULES, drifted=True, now=RECORDED)
    assert world.rows() == world.truth()


@pytest.mark.parametrize("day", [0, -3, 3], ids=["its day", "an earlier day of its facts", "a later day of its facts"])
async def test_a_row_of_facts_that_were_lost_is_made_again_from_what_there_is(world: World, day: int) -> None:
    lost = row(started_at=AT + day * DAY, version=(9 << Version.FACT_SHIFT) + (FOLD_REVISION << Version.FOLD_SHIFT))
    world.produce(*(event("message.sent", id=f"day {n}", at=AT + n * DAY) for n in (0, -3, 3)))
    await world.start().assign().catch_up()
    world.store.delete_rows([("shop", "c-1")])
    world.store.insert_rows(rows(lost))
    world.produce(event("message.sent", id="last", at=AT + 4 * DAY))
    process = world.start().assign()
    await process.catch_up()
    assert process.faults.calls.count("delete_rows") == 1
    assert world.rows() == world.truth()
