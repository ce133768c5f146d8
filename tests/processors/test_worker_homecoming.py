"""Records in another than their home partition: brought home with the same bytes, and acknowledged only then."""

import asyncio

import pytest

from schemas.partitioning import home_partition
from schemas.topics import EVENTS, HOPS_HEADER, LABELS, MAX_HOPS
from tests.builders import AT, SECOND, event, line
from tests.processors.faults import Killed
from tests.processors.world import LATER, World

pytestmark = pytest.mark.usefixtures("quick")

HOME = home_partition("c-1", 2)
AWAY = 1 - HOME
STRAY = event("message.sent", id="stray", at=AT + SECOND, text="Where is my parcel?")


def _stray(world: World, *, key: bytes | None = None, headers: tuple[tuple[str, bytes], ...] = ()) -> None:
    world.log.append(EVENTS.name, AWAY, line(STRAY), key=key, headers=headers)


@pytest.mark.parametrize("key", [None, b"c-1", b"another"], ids=["keyless", "misplaced", "under another key"])
async def test_a_record_away_from_home_is_brought_home_and_counts(world: World, key: bytes | None) -> None:
    world.produce(event("message.sent", id="one"))
    _stray(world, key=key, headers=(("trace", b"7"),))
    world.lines.append(line(STRAY))
    await world.start().assign().catch_up(LATER)
    assert world.rows() == world.truth(LATER)
    assert world.letters() == []
    home = world.log.records[EVENTS.name, HOME][-1]
    assert (home.key, home.value) == (b"c-1", line(STRAY))
    assert list(home.headers) == [("trace", b"7"), (HOPS_HEADER, b"1")]
    assert world.log.acknowledged()


@pytest.mark.parametrize("key", [None, b"c-1"], ids=["keyless", "under its key"])
async def test_a_keyless_record_at_home_stays_there(world: World, key: bytes | None) -> None:
    world.log.append(EVENTS.name, HOME, line(STRAY), key=key)
    world.lines.append(line(STRAY))
    process = world.start().assign()
    await process.catch_up()
    assert world.rows() == world.truth()
    assert "send" not in process.faults.calls


async def test_labels_away_from_home_are_brought_home_in_their_topic(world: World) -> None:
    label = event("label.set", id="label")
    world.log.append(LABELS.name, AWAY, line(label))
    world.lines.append(line(label))
    await world.start().assign().catch_up()
    assert [record.value for record in world.log.records[LABELS.name, HOME]] == [line(label)]
    world.produce(event("message.sent"))
    await world.start().assign().catch_up()
    assert world.rows() == world.truth()


async def test_a_record_away_from_home_is_sent_there_though_its_conversation_is_in_memory(world: World) -> None:
    world.produce(event("message.sent", id="one"))
    process = world.start().assign()
    await process.catch_up()
    _stray(world)
    world.lines.append(line(STRAY))
    await process.catch_up()
    assert world.rows() == world.truth()
    assert process.faults.calls.count("send") == 1


async def test_a_worker_that_does_not_own_the_home_partition_stores_nothing_of_the_record(world: World) -> None:
    _stray(world)
    await world.start().assign(AWAY).catch_up()
    assert world.stored() == set()
    assert world.log.records[EVENTS.name, HOME][0].value == line(STRAY)
    world.lines.append(line(STRAY))
    await world.start().assign(HOME).catch_up()
    assert world.rows() == world.truth()


@pytest.mark.parametrize("hops", range(MAX_HOPS))
async def test_the_hops_are_counted(world: World, hops: int) -> None:
    _stray(world, headers=((HOPS_HEADER, b"%d" % hops),) if hops else ())
    await world.start().assign(AWAY).catch_up()
    (home,) = world.log.records[EVENTS.name, HOME]
    assert list(home.headers) == [(HOPS_HEADER, b"%d" % (hops + 1))]


@pytest.mark.parametrize("hops", [b"%d" % MAX_HOPS, b"17", b"9" * 5_000], ids=["three", "more", "absurdly many"])
async def test_a_record_that_was_sent_home_three_times_is_a_dead_letter(world: World, hops: bytes) -> None:
    _stray(world, headers=((HOPS_HEADER, hops),))
    world.produce(event("message.sent", id="one"))
    process = world.start().assign()
    await process.catch_up()
    assert world.letters() == [("no_home", line(STRAY))]
    assert "send" not in process.faults.calls
    assert world.rows() == world.truth()
    assert world.log.acknowledged()


@pytest.mark.parametrize("header", [b"", b"-1", b"two", None], ids=["empty", "negative", "a word", "null"])
async def test_a_hop_count_that_is_none_counts_as_none(world: World, header: bytes | None) -> None:
    _stray(world, headers=((HOPS_HEADER, header),))  # type: ignore[arg-type]
    world.lines.append(line(STRAY))
    await world.start().assign().catch_up()
    assert world.rows() == world.truth()


async def test_a_send_that_fails_is_repeated_and_acknowledged_only_after(world: World) -> None:
    _stray(world)
    process = world.start().assign(AWAY)
    process.faults.fail("send", times=3)
    await process.take()
    assert not world.log.acknowledged()
    await process.flush()
    assert process.faults.calls.count("send") == 4
    assert process.faults.calls[-1] == "commit"
    assert [record.value for record in world.log.records[EVENTS.name, HOME]] == [line(STRAY)]
    assert world.log.committed[EVENTS.name, AWAY] == 1


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_process_killed_around_the_send_leaves_the_record_to_the_next(world: World, after: bool) -> None:
    _stray(world)
    world.lines.append(line(STRAY))
    process = world.start().assign()
    process.faults.kill("send", after=after)
    with pytest.raises(Killed):
        await process.catch_up()
    assert world.log.committed[EVENTS.name, AWAY] == 0
    await world.start().assign().catch_up(LATER)
    assert world.rows() == world.truth(LATER)
    assert world.log.acknowledged()


async def test_many_strays_of_many_conversations_among_good_records(world: World) -> None:
    for number in range(60):
        one = event("message.sent", id=f"m{number}", conversation_id=f"c-{number % 7}", at=AT + number)
        if number % 3:
            world.produce(one)
        else:
            world.lines.append(line(one))
            world.log.append(EVENTS.name, number % 2, line(one))
    process = world.start().assign()
    while await process.take(9):
        await process.flush()
    await process.catch_up(LATER)
    assert world.rows() == world.truth(LATER)
    assert world.letters() == []


async def test_an_assignment_while_a_record_is_on_its_way_home_reads_it_again(world: World) -> None:
    """What was below the end of the flushed batch is not stored in the eyes of the new assignment, nor of its clock."""
    _stray(world)
    process = world.start().assign()
    process.sending = asyncio.Event()
    await process.take()
    flush = asyncio.create_task(process.flush())
    for _ in range(20):
        await asyncio.sleep(0)
    process.assign()
    process.tick(LATER)
    process.sending.set()
    await flush
    await process.flush()
    assert AWAY not in process.worker.clocks()
    assert world.log.committed[EVENTS.name, AWAY] == 0
    world.lines.append(line(STRAY))
    await process.catch_up(LATER)
    assert world.rows() == world.truth(LATER)
    assert world.log.acknowledged()
