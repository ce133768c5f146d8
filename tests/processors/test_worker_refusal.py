"""Facts and rows that the store refuses: each becomes a dead letter by itself, all others are right."""

import asyncio

import pytest

from schemas.failures import Reason
from tests.builders import AT, HOUR, MINUTE, SECOND, Event, event, line
from tests.processors.world import LATER, World
from tests.waiting import until

CACHED = pytest.mark.parametrize("cached", [True, False], ids=["cached", "uncached"])


def _load(world: World, refused: Event) -> None:
    """Forty events of five conversations, with one among them that is refused: the oracle is not told of it."""
    for number in range(40):
        if number == 23:
            world.log.produce(refused)
        world.produce(event("message.sent", id=f"m{number}", at=AT + number, conversation_id=f"c-{number % 5}"))


@CACHED
async def test_a_refused_fact_of_many_is_the_only_one_that_is_missing(world: World, cached: bool) -> None:
    process = world.start().assign()
    if cached:
        world.produce(*(event("message.sent", id=f"first{c}", conversation_id=f"c-{c}") for c in range(5)))
        await process.catch_up()
    refused = event("message.sent", id="refused", text="No")
    process.faults.refused_facts = {"refused"}
    _load(world, refused)
    await process.catch_up()
    assert world.rows() == world.truth()
    assert world.letters(Reason.REFUSED) == [("refused", line(refused))]
    assert world.log.acknowledged()
    world.produce(event("message.sent", at=AT + HOUR))
    await process.catch_up(LATER)
    assert world.rows() == world.truth(LATER)
    assert not world.boasting()


@CACHED
async def test_a_refused_fact_that_comes_twice_counts_not_even_once(world: World, cached: bool) -> None:
    process = world.start().assign()
    if cached:
        world.produce(event("message.sent", id="first"))
        await process.catch_up()
    refused = event("message.sent", id="refused")
    process.faults.refused_facts = {"refused"}
    for _ in range(2):
        world.log.produce(refused)
        await process.take()
    await process.flush()
    assert not world.boasting()
    assert world.rows() == world.truth()
    assert world.letters() == [("refused", line(refused))]


async def test_several_refused_facts_of_one_conversation_and_of_others(world: World) -> None:
    process = world.start().assign()
    bad = [event("message.sent", id=f"bad{n}", conversation_id=f"c-{n % 2}", at=AT - n * HOUR) for n in range(5)]
    process.faults.refused_facts = {one["id"] for one in bad}
    for one in bad:
        world.log.produce(one)
    _load(world, bad[0])
    await process.catch_up(LATER)
    assert world.rows() == world.truth(LATER)
    assert world.letters() == sorted(("refused", line(one)) for one in bad)


async def test_a_conversation_of_nothing_but_refused_facts_has_no_row(world: World) -> None:
    process = world.start().assign()
    process.faults.refused_facts = {"refused"}
    world.log.produce(event("message.sent", id="refused"))
    await process.catch_up(LATER)
    assert world.rows() == []
    assert len(world.letters()) == 1
    assert world.log.acknowledged()


async def test_a_refused_erasure_erases_nothing(world: World) -> None:
    process = world.start().assign()
    world.produce(event("message.sent"))
    await process.catch_up()
    process.faults.refused_facts = {"refused"}
    world.log.produce(event("conversation.erased", id="refused", at=AT + MINUTE))
    world.produce(event("message.sent", at=AT + HOUR))
    await process.catch_up(LATER)
    assert world.rows() == world.truth(LATER)


@pytest.mark.parametrize("second", ["another", "the same"])
async def test_a_fact_that_comes_while_another_of_its_conversation_is_being_refused(world: World, second: str) -> None:
    """The next epoch has folded it into a conversation that holds the refused fact."""
    process = world.start().assign()
    world.produce(event("message.sent", id="first"))
    await process.catch_up()
    refused = event("message.sent", id="refused", at=AT + SECOND, text="No")
    process.faults.refused_facts = {"refused"}
    world.log.produce(refused)
    await process.take()
    held = process.faults.hold("insert_facts")
    flush = asyncio.create_task(process.flush())
    await until(held.reached.is_set, 5, "the flush to store its facts")
    if second == "another":
        world.produce(event("message.sent", id="second", at=AT + 2 * SECOND))
    else:
        world.log.produce(refused)
    await process.take()
    held.release.set()
    await flush
    assert not world.boasting()
    await process.flush()
    assert not world.boasting()
    assert world.rows() == world.truth()
    world.produce(event("message.sent", id="third", at=AT + 3 * SECOND))
    await process.catch_up(LATER)
    assert world.rows() == world.truth(LATER)
    assert world.letters() == [("refused", line(refused))]


@CACHED
async def test_a_refused_row_of_many_is_the_only_one_that_is_missing(world: World, cached: bool) -> None:
    process = world.start().assign()
    if cached:
        world.produce(event("message.sent", id="first", conversation_id="c-3"))
        await process.catch_up()
    process.faults.refused_rows = {"c-3"}
    _load(world, event("message.sent", id="m23", at=AT + 23, conversation_id="c-3"))
    await process.catch_up()
    right = [row for row in world.truth() if row["conversation_id"] != "c-3"]
    assert [row for row in world.rows() if row["conversation_id"] != "c-3"] == right
    assert {found.conversation_id for found in world.store.dead_letters(Reason.REFUSED)} == {"c-3"}
    assert world.log.acknowledged()
    process.faults.refused_rows = set()
    world.produce(event("message.sent", at=AT + HOUR, conversation_id="c-3"))
    await process.catch_up(LATER)
    assert world.rows() == world.truth(LATER)


async def test_a_fact_that_comes_while_the_row_of_its_conversation_is_being_refused(world: World) -> None:
    process = world.start().assign()
    world.produce(event("message.sent", id="first"))
    await process.catch_up()
    world.produce(event("message.sent", id="second", at=AT + SECOND))
    await process.take()
    process.faults.refused_rows = {"c-1"}
    held = process.faults.hold("insert_rows")
    flush = asyncio.create_task(process.flush())
    await until(held.reached.is_set, 5, "the flush to store its rows")
    world.produce(event("message.sent", id="third", at=AT + 2 * SECOND))
    await process.take()
    held.release.set()
    await flush
    process.faults.refused_rows = set()
    world.produce(event("message.sent", id="fourth", at=AT + 3 * SECOND))
    await process.take()
    await process.flush()
    assert world.rows() == world.truth()
    world.produce(event("message.sent", id="fifth", at=AT + 4 * SECOND))
    await process.catch_up(LATER)
    assert world.rows() == world.truth(LATER)
