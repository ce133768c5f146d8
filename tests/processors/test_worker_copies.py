"""One id with two contents: the row is the same whichever came first, wherever the other was met."""

import itertools

import pytest

from tests.builders import AT, DAY, SECOND, Event, event
from tests.processors.world import LATER, World

EARLIER = event("message.sent", id="twice", at=AT + SECOND, text="Where is my parcel?")
LATER_COPY = event("message.sent", id="twice", at=AT + 5 * SECOND, role="assistant", text="It arrives on Tuesday.")
SAME_TIME = event("conversation.rated", id="twice", at=AT + SECOND, rating=1)
OTHERS = event("conversation.started", id="start"), event("message.sent", id="last", at=AT + 9 * SECOND, text="Thanks")

ORDERS = list(itertools.permutations((EARLIER, LATER_COPY, SAME_TIME)))


def _ids(order: tuple[Event, ...]) -> str:
    return "-".join(str(one["type"]).split(".")[1] + str((one["at"] - AT) // SECOND) for one in order)


@pytest.mark.parametrize("order", ORDERS, ids=_ids)
async def test_in_one_batch(world: World, order: tuple[Event, ...]) -> None:
    world.produce(OTHERS[0], *order, OTHERS[1])
    await world.start().assign().catch_up(LATER)
    assert world.rows() == world.truth(LATER)


@pytest.mark.parametrize("order", ORDERS, ids=_ids)
async def test_in_batches_of_one_epoch_and_of_several(world: World, order: tuple[Event, ...]) -> None:
    process = world.start().assign()
    for one in (OTHERS[0], order[0]):
        world.produce(one)
    await process.catch_up()
    world.produce(order[1])
    await process.take()
    world.produce(order[2], OTHERS[1])
    await process.take()
    await process.flush()
    assert world.rows() == world.truth()
    world.produce(*order)
    await process.catch_up(LATER)
    assert world.rows() == world.truth(LATER)


@pytest.mark.parametrize("order", ORDERS, ids=_ids)
@pytest.mark.parametrize("cache_bytes", [64 << 20, 0], ids=["cached", "evicted"])
async def test_across_flushes(world: World, order: tuple[Event, ...], cache_bytes: int) -> None:
    process = world.start(cache_bytes=cache_bytes).assign()
    for one in (OTHERS[0], *order, OTHERS[1]):
        world.produce(one)
        await process.catch_up()
        assert world.rows() == world.truth()
        assert process.worker.cached == (1 if cache_bytes else 0)
    await process.catch_up(LATER)
    assert world.rows() == world.truth(LATER)


@pytest.mark.parametrize("order", ORDERS, ids=_ids)
async def test_across_a_restart(world: World, order: tuple[Event, ...]) -> None:
    for one in (OTHERS[0], *order, OTHERS[1]):
        world.produce(one)
        process = world.start().assign()
        await process.catch_up()
        assert world.rows() == world.truth()
        process.kill()


async def test_a_second_content_on_another_day_leaves_one_row(world: World) -> None:
    process = world.start().assign()
    for at in (AT, AT - 3 * DAY, AT - 40 * DAY, AT + 3 * DAY):
        world.produce(event("message.sent", id="twice", at=at), event("message.sent", id=f"at {at}", at=at + SECOND))
        await process.catch_up()
        assert world.rows() == world.truth()


async def test_the_same_contents_in_other_bytes_are_another_copy_and_count_once(world: World) -> None:
    told = event("message.sent", id="twice", text="Where is my parcel?")
    process = world.start().assign()
    world.produce(told)
    await process.catch_up()
    world.produce(dict(reversed(told.items())))
    await process.catch_up()
    assert world.rows() == world.truth()
    assert world.row()["messages"] == 1
    assert len(world.stored()) == 2
