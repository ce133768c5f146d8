"""Events older than the first one seen: the row moves to another day, across a month's end, and stays one row."""

import asyncio

import pytest

from processors.conversation import FOLD_REVISION
from schemas.conversation import RowColumns, Version
from tests.builders import AT, DAY, HOUR, SECOND, event
from tests.processors.world import LATER, World
from tests.sinks.building import row, rows
from tests.waiting import until

MONTH_END = 1_793_491_200_000
"""2026-11-01T00:00:00Z."""


@pytest.mark.parametrize("cache_bytes", [64 << 20, 0], ids=["cached", "evicted"])
async def test_a_row_moves_with_its_first_event_across_a_months_end(world: World, cache_bytes: int) -> None:
    process = world.start(cache_bytes=cache_bytes).assign()
    for at in (MONTH_END + HOUR, MONTH_END, MONTH_END - 1, MONTH_END - 40 * DAY, MONTH_END + 2 * DAY):
        world.produce(event("message.sent", id=f"at {at}", at=at))
        await process.catch_up()
        assert world.rows() == world.truth()
    await process.catch_up(LATER)
    assert world.rows() == world.truth(LATER)
    assert world.row()["opened_on"] == MONTH_END // DAY - 40


async def test_a_row_moves_within_one_flush_and_after_a_restart(world: World) -> None:
    for number, ats in enumerate([(0, -1), (-3 * DAY, 5 * DAY), (-40 * DAY, -2 * DAY), (9 * DAY,)]):
        world.produce(*(event("message.sent", id=f"{number} {at}", at=MONTH_END + at) for at in ats))
        process = world.start().assign()
        await process.catch_up()
        assert world.rows() == world.truth()
        process.kill()


async def test_an_idle_close_does_not_leave_a_row_behind_under_its_former_day(world: World) -> None:
    process = world.start(cache_bytes=0).assign()
    world.produce(event("message.sent", id="late", at=MONTH_END + HOUR))
    await process.catch_up(LATER)
    assert world.row()["closed"]
    world.produce(event("message.sent", id="early", at=MONTH_END - HOUR))
    await process.catch_up()
    assert world.rows() == world.truth(LATER)


def _slow(at: int, facts: int) -> RowColumns:
    """The row that a slow writer made of some of the facts, a while ago."""
    version = (facts << Version.FACT_SHIFT) + (FOLD_REVISION << Version.FOLD_SHIFT) + (1 << Version.RULES_SHIFT)
    return rows(row(started_at=at, version=version))


async def test_a_slow_writer_that_still_writes_its_row_under_the_former_day_stays_hidden(world: World) -> None:
    """The slow one knows the two facts of the later day; the owner moves the row as the third comes."""
    world.produce(event("message.sent", id="one", at=MONTH_END), event("message.sent", id="two", at=MONTH_END + SECOND))
    slow = world.start().assign()
    await slow.take()
    held = slow.faults.hold("insert_rows")
    writing = asyncio.create_task(slow.flush())
    await until(held.reached.is_set, 5, "the slow writer to begin")
    owner = world.start().assign()
    world.produce(event("message.sent", id="early", at=MONTH_END - DAY))
    await owner.catch_up()
    assert world.rows() == world.truth()
    held.release.set()
    await writing
    assert "insert_rows" in slow.faults.calls
    assert world.rows() == world.truth()
    await owner.catch_up(LATER)
    assert world.rows() == world.truth(LATER)


@pytest.mark.parametrize("known", ["one", "two", "three"])
async def test_a_slow_writer_of_any_part_of_the_facts_stays_hidden(world: World, known: str) -> None:
    days = {"one": 0, "two": -2, "three": 3}
    world.produce(*(event("message.sent", id=name, at=AT + day * DAY) for name, day in days.items()))
    world.produce(event("message.sent", id="early", at=AT - 60 * DAY))
    process = world.start().assign()
    await process.catch_up()
    world.store.insert_rows(_slow(AT + days[known] * DAY, facts=1))
    assert world.rows() == world.truth()


async def test_a_slow_writer_stays_hidden_when_the_first_event_comes_to_a_cached_conversation(world: World) -> None:
    process = world.start().assign()
    for day in (3, 0, -2, -60):
        world.produce(event("message.sent", id=f"day {day}", at=AT + day * DAY))
        await process.catch_up()
    for day, facts in ((3, 1), (0, 2), (-2, 3)):
        world.store.insert_rows(_slow(AT + day * DAY, facts))
        assert world.rows() == world.truth()
