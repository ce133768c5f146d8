"""Requeueing: which record is sent where, and when it counts as sent."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from runtime.broker import EmbeddedBroker
from runtime.requeueing import LONGEST_ID, destination, requeue
from schemas.dead_letters import DeadLetter
from schemas.failures import Reason, Unavailable
from schemas.partitioning import home_partition
from schemas.topics import EVENTS, LABELS
from sinks.memory import MemoryStore
from tests.builders import AT, SECOND
from tests.sinks.building import letter
from tests.waiting import until

PARTITIONS = 4
NOW = AT + 3_600 * SECOND

pytestmark = pytest.mark.embedded


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[EmbeddedBroker]:
    broker = EmbeddedBroker(tmp_path / "broker.log", PARTITIONS)
    await broker.start()
    yield broker
    await broker.stop()


async def records(broker: EmbeddedBroker, count: int) -> dict[bytes, tuple[str, int, bytes | None]]:
    """Topic, partition and key of all records by their value, once there are so many."""
    found: dict[bytes, tuple[str, int, bytes | None]] = {}
    places = [TopicPartition(topic.name, number) for topic in (EVENTS, LABELS) for number in range(PARTITIONS)]
    async with AIOKafkaConsumer(bootstrap_servers=broker.cluster.address, auto_offset_reset="earliest") as consumer:
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)

        async def all_there() -> bool:
            for place, batch in (await consumer.getmany(timeout_ms=200)).items():
                found.update({one.value: (place.topic, place.partition, one.key) for one in batch})
            return len(found) >= count

        await until(all_there, 30, f"{count} records")
    return found


def marks(store: MemoryStore) -> dict[bytes, int | None]:
    """When each letter was requeued, by its value."""
    return {one.value: one.requeued_at for one in store.dead_letters(requeued=True)}


def filled(*letters: DeadLetter) -> MemoryStore:
    store = MemoryStore()
    store.insert_dead_letters(letters)
    return store


async def test_letters_go_home_in_the_topic_that_they_came_from(broker: EmbeddedBroker) -> None:
    store = filled(
        letter(value=b"a", conversation_id="c-1", key=b"another", partition=0),
        letter(value=b"b", conversation_id="c-2", key=None, topic=LABELS.name, reason=Reason.WRONG_TOPIC),
        letter(value=b"c", conversation_id="", key=b"\xff", partition=3),
        letter(value=b"", conversation_id="", key=None, partition=2, reason=Reason.EMPTY),
        letter(value=b"sent before", requeued_at=AT + SECOND),
    )
    steps: list[int] = []
    done = await requeue(store, store, broker.cluster, None, now=lambda: NOW, progress=steps.append)
    assert (done.sent, done.refused, done.broken_off, sum(steps)) == (4, [], "", 4)
    assert await records(broker, 4) == {
        b"a": (EVENTS.name, home_partition("c-1", PARTITIONS), b"c-1"),
        b"b": (LABELS.name, home_partition("c-2", PARTITIONS), b"c-2"),
        b"c": (EVENTS.name, 3, b"\xff"),
        b"": (EVENTS.name, 2, None),
    }
    assert marks(store) == {b"a": NOW, b"b": NOW, b"c": NOW, b"": NOW, b"sent before": AT + SECOND}


async def test_only_letters_with_the_reason_asked_for_are_sent(broker: EmbeddedBroker) -> None:
    store = filled(letter(value=b"a"), letter(value=b"b", reason=Reason.FUTURE_TIME))
    done = await requeue(store, store, broker.cluster, Reason.FUTURE_TIME, now=lambda: NOW)
    assert done.sent == 1
    assert marks(store) == {b"a": None, b"b": NOW}
    assert list(await records(broker, 1)) == [b"b"]


async def test_a_letter_that_fails_while_it_is_being_marked_is_open_again(broker: EmbeddedBroker) -> None:
    store = filled(letter(value=b"a"))

    class FailsAgain(MemoryStore):
        """A worker is faster than the mark."""

        def insert_dead_letters(self, letters: object) -> None:
            store.insert_dead_letters([letter(value=b"a", failed_at=NOW + 3, reason=Reason.INVALID)])
            store.insert_dead_letters(letters)  # type: ignore[arg-type]

    await requeue(store, FailsAgain(), broker.cluster, None, now=lambda: NOW)
    assert [(one.value, one.reason) for one in store.dead_letters()] == [(b"a", Reason.INVALID)]


async def test_a_mark_is_newer_than_its_letter_though_another_clock_was_ahead(broker: EmbeddedBroker) -> None:
    store = filled(letter(value=b"a", failed_at=NOW + SECOND))
    await requeue(store, store, broker.cluster, None, now=lambda: NOW)
    assert marks(store) == {b"a": NOW + SECOND + 1}


async def test_nothing_is_marked_when_kafka_does_not_answer(broker: EmbeddedBroker) -> None:
    store = filled(letter(value=b"a"))
    await broker.stop()
    with pytest.raises(Unavailable):
        await requeue(store, store, broker.cluster, None, now=lambda: NOW)
    assert marks(store) == {b"a": None}


def test_an_id_too_long_for_any_event_is_not_made_a_key() -> None:
    assert destination(letter(conversation_id="c" * (LONGEST_ID + 1), key=b"k", partition=9), PARTITIONS) == (b"k", 1)
