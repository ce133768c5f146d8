"""Erasures: what lies before the cut is gone from everywhere, stays gone, and later events begin anew."""

import asyncio

import pytest

from processors.conversation import FOLD_REVISION
from schemas.conversation import Version
from schemas.failures import Reason
from tests.builders import AT, DAY, HOUR, MINUTE, SECOND, Event, event, line
from tests.processors.world import LATER, World
from tests.sinks.building import facts, letter, row, rows
from tests.waiting import until

SECRET = "Jane Roe"

BEFORE = (
    event(
        "conversation.started",
        at=AT - 40 * DAY,
        id="b1",
        user={"id": "u1", "name": SECRET},
        attributes={"name": SECRET},
    ),
    event("message.sent", at=AT, id="b2", text=f"My name is {SECRET}."),
    event("conversation.rated", at=AT + SECOND, id="b3", rating=1, comment=f"{SECRET} was here"),
    event("label.set", at=AT + 2 * SECOND, id="b4", correction=f"Say hello to {SECRET}."),
)
ERASED = event("conversation.erased", at=AT + MINUTE, id="erased", by="mara")
AFTER = (
    event("message.sent", at=AT + HOUR, id="a1", text="Where is my parcel?"),
    event("message.sent", at=AT + HOUR + SECOND, id="a2", role="assistant"),
)
SIZES = pytest.mark.parametrize("cache_bytes", [64 << 20, 0], ids=["cached", "evicted"])


def _remains(world: World) -> bool:
    """Whether the secret is anywhere in the store, in hidden rows too."""
    said = SECRET.encode()
    world.store.rows()
    everything = repr(list(world.store._rows.values())).encode()
    return (
        said in everything
        or any(said in fact for fact in world.stored())
        or any(said in one.value for one in world.store.dead_letters(requeued=True))
    )


def _slow_row(at: int, facts: int, erasures: int = 0) -> dict[str, object]:
    version = (erasures << Version.ERASURE_SHIFT) + (facts << Version.FACT_SHIFT)
    return row(started_at=at, version=version + (FOLD_REVISION << Version.FOLD_SHIFT), user_name=SECRET)


@SIZES
@pytest.mark.parametrize(
    "stages",
    [
        [[*BEFORE, ERASED, *AFTER]],
        [[*BEFORE], [ERASED], [*AFTER]],
        [[*BEFORE, *AFTER], [ERASED]],
        [[*BEFORE[:2]], [ERASED, *BEFORE[2:]], [*AFTER]],
        [[ERASED], [*BEFORE, *AFTER]],
        [[AFTER[0]], [ERASED], [*BEFORE], [AFTER[1]]],
        [[*AFTER], [*BEFORE, ERASED], [*BEFORE, *AFTER]],
    ],
    ids=["at once", "in order", "last", "amid", "first", "between late ones", "again"],
)
async def test_what_was_said_before_an_erasure_is_gone_and_what_comes_later_begins_anew(
    world: World, stages: list[list[Event]], cache_bytes: int
) -> None:
    process = world.start(cache_bytes=cache_bytes).assign()
    for stage in stages:
        world.produce(*stage)
        await process.catch_up()
        assert world.rows() == world.truth()
        assert not world.boasting()
    assert not _remains(world)
    assert world.stored() == {line(one) for one in (ERASED, *AFTER)}
    await process.catch_up(LATER)
    assert world.rows() == world.truth(LATER)


@SIZES
async def test_an_erasure_with_nothing_behind_it_leaves_no_row(world: World, cache_bytes: int) -> None:
    process = world.start(cache_bytes=cache_bytes).assign()
    world.produce(*BEFORE)
    await process.catch_up(LATER)
    world.produce(ERASED)
    await process.catch_up(LATER)
    assert world.rows() == world.truth() == []
    assert world.stored() == {line(ERASED)}
    assert not _remains(world)
    world.produce(*AFTER)
    await process.catch_up(LATER)
    assert world.rows() == world.truth(LATER)


async def test_an_erasure_of_a_conversation_nobody_knows_leaves_no_row(world: World) -> None:
    world.produce(ERASED)
    await world.start().assign().catch_up(LATER)
    assert world.rows() == []
    assert world.stored() == {line(ERASED)}


@SIZES
async def test_a_late_fact_from_before_the_cut_is_not_kept(world: World, cache_bytes: int) -> None:
    process = world.start(cache_bytes=cache_bytes).assign()
    world.produce(ERASED, *AFTER)
    await process.catch_up()
    former = process.worker.progress.rows
    for late in BEFORE:
        world.produce(late)
        await process.catch_up()
        assert world.stored() == {line(one) for one in (ERASED, *AFTER)}
        assert world.rows() == world.truth()
    if cache_bytes:
        assert process.worker.progress.rows == former
    assert not _remains(world)
    assert world.log.acknowledged()


async def test_a_fact_at_the_very_cut_is_not_kept_and_one_a_millisecond_later_is(world: World) -> None:
    at_cut = event("message.sent", at=ERASED["at"], id="at the cut")
    behind = event("message.sent", at=ERASED["at"] + 1, id="behind it")
    world.produce(at_cut, behind, ERASED)
    await world.start().assign().catch_up()
    assert world.stored() == {line(ERASED), line(behind)}
    assert world.rows() == world.truth()


async def test_an_erasure_that_comes_while_its_conversation_is_being_loaded(world: World) -> None:
    """It waits with a late fact; the conversation is in memory when their turn comes."""
    process = world.start().assign()
    world.produce(*BEFORE[:2])
    await process.take()
    held = process.faults.hold("look_up")
    flush = asyncio.create_task(process.flush())
    await until(held.reached.is_set, 5, "the flush to read facts")
    world.produce(ERASED, BEFORE[2], AFTER[0])
    await process.take()
    held.release.set()
    await flush
    assert world.boasting() == []
    await process.catch_up()
    assert world.rows() == world.truth()
    assert world.stored() == {line(ERASED), line(AFTER[0])}


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["in order", "the later first"])
@SIZES
async def test_the_latest_of_two_erasures_is_the_cut(world: World, order: tuple[int, int], cache_bytes: int) -> None:
    second = event("conversation.erased", at=AT + HOUR, id="erased again")
    erasures = (ERASED, second)
    process = world.start(cache_bytes=cache_bytes).assign()
    world.produce(*BEFORE, *AFTER)
    await process.catch_up()
    for place in order:
        world.produce(erasures[place])
        await process.catch_up()
        assert world.rows() == world.truth()
    assert world.stored() == {line(one) for one in (*erasures, AFTER[1])}
    assert Version.facts(world.row()["version"]) == (2, 1)


async def test_dead_letters_of_the_conversation_go_with_it_and_others_stay(world: World) -> None:
    bad = line(event("message.sent", text=SECRET) | {"role": "nobody"})
    others = line(event("message.sent", conversation_id="c-2") | {"role": "nobody"})
    for value in (bad, others):
        world.log.append("assistant.events", 0, value)
    process = world.start().assign()
    world.produce(*BEFORE)
    await process.catch_up()
    assert len(world.letters()) == 2
    world.produce(ERASED)
    await process.catch_up()
    assert world.letters() == [("invalid", others)]
    assert not _remains(world)


async def test_what_a_slow_writer_brings_back_stays_hidden_and_is_swept(world: World) -> None:
    process = world.start().assign()
    world.produce(*BEFORE)
    await process.catch_up()
    former = world.store.read_facts([("shop", "c-1")])
    world.produce(ERASED, *AFTER)
    await process.catch_up()
    for one in BEFORE:
        world.store.insert_facts(facts({"id": one["id"], "at": one["at"], "type": one["type"], "payload": line(one)}))
    assert set(former) <= set(world.store.read_facts([("shop", "c-1")]))
    for one in BEFORE[:3]:
        world.store.insert_rows(rows(_slow_row(one["at"], 2)))
    world.store.insert_dead_letters(
        [letter(value=SECRET.encode(), assistant="shop", conversation_id="c-1", recorded_at=AT, reason=Reason.INVALID)]
    )
    assert world.rows() == world.truth()
    assert world.store.sweep() == 1
    assert world.stored() == {line(one) for one in (ERASED, *AFTER)}
    assert world.letters() == []
    assert world.rows() == world.truth()
    assert not _remains(world)
    assert world.store.sweep() == 0


async def test_a_slow_row_under_a_day_that_nobody_knew_is_swept(world: World) -> None:
    world.produce(ERASED)
    await world.start().assign().catch_up()
    world.store.insert_rows(rows(_slow_row(AT - 9 * DAY, 1)))
    assert world.store.sweep() == 1
    assert world.rows() == world.truth() == []


@SIZES
async def test_later_events_are_right_although_a_slow_writer_brought_facts_back(world: World, cache_bytes: int) -> None:
    process = world.start(cache_bytes=cache_bytes).assign()
    world.produce(ERASED)
    await process.catch_up()
    world.store.insert_facts(facts({"id": "b2", "at": AT, "payload": line(BEFORE[1])}))
    world.produce(*AFTER)
    await process.catch_up(LATER)
    assert world.rows() == world.truth(LATER)
