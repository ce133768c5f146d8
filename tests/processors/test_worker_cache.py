"""The cache of a worker: bounded in bytes, evicting only what is flushed, its estimate near the truth."""

import asyncio
import gc
import random
import tracemalloc

import pytest

from processors.cache import PACKED_BYTES, Cache
from processors.conversation import Conversation
from processors.projection import project
from schemas.facts import Key
from tests.builders import AT, DAY, HOUR, SECOND, event, line
from tests.processors.folding import effects_of, fact, whole
from tests.processors.world import LATER, World
from tests.waiting import until

LIMIT = 40_000
"""Bytes for six short conversations, and fifty more that are packed."""


def _say(world: World, number: int, *, at: int) -> None:
    world.produce(event("message.sent", conversation_id=f"c-{number}", at=at))


async def test_memory_stays_within_its_limit_however_many_conversations_come(world: World) -> None:
    process = world.start(cache_bytes=LIMIT).assign()
    for number in range(200):
        _say(world, number, at=AT + number)
        await process.catch_up()
        assert process.worker._cache.bytes <= LIMIT
    assert 40 < process.worker.cached < 80
    await process.catch_up(LATER)
    assert world.rows() == world.truth(LATER)


async def test_one_that_is_written_again_and_again_stays(world: World) -> None:
    process = world.start(cache_bytes=LIMIT).assign()
    for number in range(100):
        _say(world, number, at=AT)
        _say(world, 0, at=AT + number)
        await process.catch_up()
    cache = process.worker._cache
    assert ("shop", "c-0") in cache
    assert ("shop", "c-99") in cache
    assert ("shop", "c-1") not in cache


async def test_the_limit_is_kept_when_all_have_been_written_of_late(world: World) -> None:
    process = world.start().assign()
    for at in range(3):
        for number in range(60):
            _say(world, number, at=AT + at)
        await process.catch_up()
    process.worker._cache.limit = LIMIT
    world.log.append("assistant.events", 0, b"bad")
    await process.catch_up()
    assert 40 < process.worker.cached < 80
    assert process.worker._cache.bytes <= LIMIT
    await process.catch_up(LATER)
    assert world.rows() == world.truth(LATER)


async def test_what_comes_during_a_flush_survives_the_eviction_behind_it(world: World) -> None:
    """The limit is nothing, and a message has come while the conversation was being written."""
    process = world.start(cache_bytes=64 << 20).assign()
    _say(world, 0, at=AT)
    _say(world, 1, at=AT)
    await process.catch_up()
    process.worker._cache.limit = 0
    _say(world, 2, at=AT)
    await process.take()
    held = process.faults.hold("insert_rows")
    flush = asyncio.create_task(process.flush())
    await until(held.reached.is_set, 5, "the flush to store its rows")
    _say(world, 1, at=AT + SECOND)
    await process.take()
    held.release.set()
    await flush
    assert process.worker.cached == 0
    await process.flush()
    assert process.worker.cached == 0
    assert process.worker._cache.bytes == 0
    assert world.rows() == world.truth()


async def test_an_assignment_forgets_everything(world: World) -> None:
    process = world.start().assign()
    _say(world, 0, at=AT)
    await process.catch_up()
    process.assign()
    assert process.worker.cached == 0
    assert process.worker._cache.bytes == 0


async def test_the_bytes_are_counted_right_through_growth_copies_and_erasures(world: World) -> None:
    process = world.start().assign()
    chance = random.Random(7)
    for step in range(60):
        name = f"c-{chance.randrange(4)}"
        kind = "conversation.erased" if chance.random() < 0.1 else "message.sent"
        world.produce(event(kind, id=f"e{chance.randrange(40)}", conversation_id=name, at=AT + step * SECOND))
        await process.catch_up()
        cache = process.worker._cache
        assert cache.bytes == sum(one.size for one in cache._all.values())
        assert not cache.packed
    assert world.rows() == world.truth()


def _unpack(key: Key, packed: bytes) -> Conversation:
    return Conversation.unpack(key, packed, effects_of(key[0]))


async def test_what_does_not_fit_is_packed_and_then_needs_no_store(world: World) -> None:
    process = world.start(cache_bytes=LIMIT).assign()
    for number in range(40):
        _say(world, number, at=AT)
    await process.catch_up()
    cache = process.worker._cache
    assert len(cache) == 40
    assert 10 < cache.packed < 40
    process.faults.fail("look_up", times=10**6)
    for number in range(40):
        _say(world, number, at=AT + SECOND)
    await process.catch_up()
    assert len(cache) == 40
    assert cache.bytes <= LIMIT
    assert world.rows() == world.truth()


def test_the_bytes_of_packed_conversations_are_counted_right() -> None:
    chance = random.Random(11)
    cache = Cache(30_000, _unpack)
    for step in range(400):
        key = ("shop", f"c-{chance.randrange(60)}")
        if chance.random() < 0.1:
            cache.drop(key)
        elif key in cache:
            cache[key].epoch = step
        else:
            cache.put(whole([fact(line(event("message.sent", conversation_id=key[1])))], key))
        if step % 7 == 0:
            cache.evict()
            assert cache.bytes <= cache.limit
        packed = sum(len(one) + PACKED_BYTES for one in cache._packed.values())
        assert cache.bytes == packed + sum(one.size for one in cache._all.values())
    assert cache.packed
    cache.clear()
    assert (cache.bytes, len(cache)) == (0, 0)


def test_a_conversation_that_is_not_in_the_cache_any_more_is_not_counted_as_grown() -> None:
    former, present = (whole([fact(line(event("message.sent")))]) for _ in range(2))
    cache = Cache(1 << 20, _unpack)
    cache.put(former)
    cache.put(present)
    for one in (former, present):
        later = fact(line(event("message.sent", id="later", at=AT + SECOND)))
        assert one.add(later.effect, later.pair)
    assert project([former], {}, 1, 0).grown == 0
    cache.bytes += project([present], {}, 1, 0).grown
    assert cache[present.key] is present
    assert cache.bytes == present.size


_WORDS = (
    "the a to my where is parcel order when will it arrive thanks hello please can you tell me size blue shoe".split()
)


_CHANCE = random.Random(3)
_SENTENCES = [" ".join(_CHANCE.choices(_WORDS, k=_CHANCE.randint(1, 16))) for _ in range(500)]
"""Few enough that the caches of texts, which are bounded and are everybody's, do not count."""


def _chat(chance: random.Random, number: int, messages: int) -> list[bytes]:
    """One conversation of the shape of the chitchat data set: two who take turns, in short sentences."""
    return [
        line(
            event(
                "message.sent",
                id=f"{number:06}-{place:03}",
                conversation_id=f"{number:032x}",
                assistant="chitchat",
                at=AT + place * 20 * SECOND,
                role="assistant" if place % 2 else "user",
                text=chance.choice(_SENTENCES),
            )
        )
        for place in range(messages)
    ]


@pytest.mark.parametrize("messages", [4, 36], ids=["short", "as in the chitchat data set"])
def test_the_estimate_is_within_two_fifths_of_what_tracemalloc_finds(messages: int) -> None:
    chance = random.Random(messages)
    lines = [_chat(chance, number, messages) for number in range(5_000 if messages > 30 else 2_000)]
    effects_of("chitchat")
    cache = Cache(1 << 40, _unpack)
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for payloads in lines:
            cache.put(whole([fact(payload) for payload in payloads], ("chitchat", f"{len(cache):032x}")))
        gc.collect()
        held = tracemalloc.get_traced_memory()[0] - before
        counted = cache.bytes
        cache.limit = 0
        cache._pack()
        gc.collect()
        packed = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert len(cache) == len(lines)
    assert 0.6 * held <= counted <= 1.4 * held, f"{counted / held:.2f} of {held / len(cache):.0f} bytes each"
    assert 0.6 * packed <= cache.bytes <= 1.4 * packed, f"{cache.bytes / packed:.2f} of {packed / len(cache):.0f} bytes"
    assert packed < held / 2


async def test_an_evicted_conversation_is_whole_again_at_its_next_event(world: World) -> None:
    process = world.start(cache_bytes=0).assign()
    for said in (
        event("conversation.started", at=AT - HOUR, channel="web", attributes={"plan": "gold"}),
        event("message.sent", text="Where is my parcel, please? I ordered it last week."),
        event("label.set", at=AT + DAY),
        event("conversation.rated", at=AT + SECOND, rating=4),
        event("message.sent", at=AT + 2 * SECOND, role="assistant", sources=0),
    ):
        world.produce(said)
        await process.catch_up()
        assert process.worker.cached == 0
        assert world.rows() == world.truth()
