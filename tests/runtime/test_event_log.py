"""The log of HTTP writes, on Apache Kafka and on the embedded broker: what it says was taken is there."""

import asyncio
import contextlib
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from api.writing.log import Outgoing
from runtime.broker import EmbeddedBroker
from runtime.event_log import KafkaEventLog, Stored
from runtime.kafka import Cluster, KafkaProducer, create_topics
from schemas.partitioning import home_partition
from schemas.topics import EVENTS, LABELS, MAX_RECORD_BYTES, TOPICS
from tests.e2e.conftest import ON_BOTH, bare_kafka  # noqa: F401  (a fixture)
from tests.kafka.broker import KafkaBroker
from tests.waiting import until

PARTITIONS = 4
QUICK = 1.0
"""Seconds of patience where the answer is awaited that comes when it ends."""

Place = tuple[str, int, int]


@pytest_asyncio.fixture
async def kafka_topics(bare_kafka: KafkaBroker) -> Cluster:  # noqa: F811
    """Apache Kafka with the input topics."""
    cluster = Cluster(bare_kafka.address)
    await create_topics(cluster, PARTITIONS, 1)
    return cluster


@pytest_asyncio.fixture
async def embedded_topics(tmp_path: Path) -> AsyncIterator[Cluster]:
    """The embedded broker with the input topics."""
    broker = EmbeddedBroker(tmp_path / "broker.log", PARTITIONS)
    await broker.start()
    yield broker.cluster
    await broker.stop()


@pytest.fixture(params=ON_BOTH)
def cluster(request: pytest.FixtureRequest) -> Cluster:
    """A broker with the input topics, one of each kind."""
    found: Cluster = request.getfixturevalue(f"{request.param}_topics")
    return found


@pytest_asyncio.fixture
async def own_kafka(kafka_jars: Path, tmp_path: Path) -> AsyncIterator[KafkaBroker]:
    """An Apache Kafka that a test may break."""
    async with KafkaBroker(tmp_path / "kafka") as broker:
        await create_topics(Cluster(broker.address), PARTITIONS, 1)
        yield broker
        if broker.process is not None:
            broker.process.send_signal(signal.SIGCONT)


@contextlib.asynccontextmanager
async def started(
    cluster: Cluster, *, stored: Stored | None = None, patience: float = 10.0
) -> AsyncIterator[KafkaEventLog]:
    log = KafkaEventLog(cluster, stored=stored, patience=patience)
    log.start()
    try:
        yield log
    finally:
        await log.stop()


def outgoing(count: int, *, size: int = 20) -> list[Outgoing]:
    """Events of as many conversations, every fifth for the labels' topic."""
    return [
        Outgoing(EVENTS if number % 5 else LABELS, f"conversation {number} é", b"%d:" % number + b"x" * size)
        for number in range(count)
    ]


async def consumed(cluster: Cluster, count: int) -> dict[Place, tuple[bytes | None, bytes | None]]:
    """Key and value of all records in both topics, which are so many at least."""
    consumer = AIOKafkaConsumer(**cluster.client(), enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    found: dict[Place, tuple[bytes | None, bytes | None]] = {}
    try:
        places = [TopicPartition(topic.name, number) for topic in TOPICS for number in range(PARTITIONS)]
        consumer.assign(places)
        for place in places:
            consumer.seek(place, 0)
        deadline = time.monotonic() + 30
        while len(found) < count:
            assert time.monotonic() < deadline, f"only {len(found)} of {count} records"
            for place, records in (await consumer.getmany(timeout_ms=200)).items():
                found |= {(place.topic, place.partition, one.offset): (one.key, one.value) for one in records}
        return found
    finally:
        await consumer.stop()


async def test_each_event_lies_under_its_key_in_the_home_partition_of_its_topic(cluster: Cluster) -> None:
    events = outgoing(300)
    async with started(cluster) as log:
        assert await log.append(events) == [True] * 300
        assert log.lacks == ""
    found = await consumed(cluster, 300)
    wanted = Counter(
        (one.topic.name, home_partition(one.conversation_id, PARTITIONS), one.conversation_id.encode(), one.value)
        for one in events
    )
    assert Counter((topic, partition, *record) for (topic, partition, _), record in found.items()) == wanted


async def test_the_offsets_that_a_producer_gives_are_those_that_a_consumer_finds(cluster: Cluster) -> None:
    """Many at once and in batches: the embedded broker is wrong about other offsets."""
    producer = KafkaProducer(cluster)
    await producer.start()

    async def send(name: int) -> dict[Place, bytes]:
        sent = {}
        for number in range(150):
            value = b"%d-%d" % (name, number) + b"x" * (40_000 if number % 50 == 0 else number)
            topic, partition = TOPICS[number % 2].name, (name + number // 7) % PARTITIONS
            sent[value] = (topic, partition, await producer.submit(topic, partition, b"key", value))
            if number % 40 == 0:
                await asyncio.wait([one[2] for one in sent.values()])
        return {(topic, partition, (await one).offset): value for value, (topic, partition, one) in sent.items()}

    try:
        given = {place: value for one in await asyncio.gather(*map(send, range(12))) for place, value in one.items()}
    finally:
        await producer.stop()
    assert len(given) == 12 * 150
    found = await consumed(cluster, len(given))
    assert {place: value for place, (_, value) in found.items()} == given


async def test_nothing_to_append_is_nothing_taken(cluster: Cluster) -> None:
    async with started(cluster) as log:
        assert await log.append([]) == []


async def test_an_event_is_taken_when_it_is_stored_too(cluster: Cluster) -> None:
    asked: list[Place] = []
    gate = asyncio.Event()

    async def stored(topic: str, partition: int, offset: int) -> None:
        asked.append((topic, partition, offset))
        await gate.wait()

    events = outgoing(50)
    async with started(cluster, stored=stored) as log:
        appending = asyncio.create_task(log.append(events))
        places = {(one.topic.name, home_partition(one.conversation_id, PARTITIONS)) for one in events}
        await until(lambda: {one[:2] for one in asked} == places, 10, "all partitions to be asked for")
        assert not appending.done()
        gate.set()
        assert await appending == [True] * 50
    last: dict[tuple[str, int], int] = {}
    for topic, partition, offset in await consumed(cluster, 50):
        last[topic, partition] = max(offset, last.get((topic, partition), 0))
    assert sorted(asked) == sorted((*place, offset) for place, offset in last.items())


async def test_what_is_not_stored_in_time_is_not_taken_and_what_is_is(cluster: Cluster) -> None:
    async def stored(topic: str, _partition: int, _offset: int) -> None:
        if topic == LABELS.name:
            await asyncio.Event().wait()

    events = outgoing(50)
    async with started(cluster, stored=stored, patience=QUICK) as log:
        before = time.monotonic()
        assert await log.append(events) == [one.topic is EVENTS for one in events]
        assert QUICK <= time.monotonic() - before < QUICK + 2


async def test_an_event_that_kafka_refuses_is_not_taken_and_the_others_are(cluster: Cluster) -> None:
    events = outgoing(40)
    events[7] = Outgoing(EVENTS, "large", b"x" * (MAX_RECORD_BYTES + 100_000))
    async with started(cluster) as log:
        assert await log.append(events) == [one.conversation_id != "large" for one in events]


async def test_records_of_the_largest_size_are_taken(cluster: Cluster) -> None:
    events = [Outgoing(EVENTS, "é" * 128 + str(number), b"x" * MAX_RECORD_BYTES) for number in range(3)]
    async with started(cluster) as log:
        assert await log.append(events) == [True] * 3


async def test_without_a_broker_nothing_is_taken_and_the_answer_comes_in_time(tmp_path: Path) -> None:
    broker = EmbeddedBroker(tmp_path / "broker.log", PARTITIONS)
    async with started(broker.cluster, patience=QUICK) as log:
        before = time.monotonic()
        assert await log.append(outgoing(3)) == [False] * 3
        assert QUICK <= time.monotonic() - before < QUICK + 2
        assert broker.cluster.address in log.lacks


async def test_a_broker_that_comes_later_is_found(tmp_path: Path) -> None:
    broker = EmbeddedBroker(tmp_path / "broker.log", PARTITIONS)
    async with started(broker.cluster, patience=30) as log:
        await until(lambda: broker.cluster.address in log.lacks, 10, "an attempt that fails")
        appending = asyncio.create_task(log.append(outgoing(3)))
        await broker.start()
        try:
            assert await appending == [True] * 3
            assert log.lacks == ""
        finally:
            await broker.stop()


async def test_it_says_that_kafka_went_away_before_somebody_writes_and_when_it_is_back(
    own_kafka: KafkaBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.event_log._LOOK", 0.05)
    monkeypatch.setattr("runtime.event_log._SILENCE", 0.5)
    async with started(Cluster(own_kafka.address)) as log:
        await until(lambda: not log.lacks, 20, "the connection")
        await own_kafka.stop()
        await until(lambda: own_kafka.address in log.lacks, 20, "the log to say so")
        before = log._producer
        await own_kafka.start()
        await until(lambda: not log.lacks, 60, "the log to take it back")
        assert log._producer is not before  # it was away for long
        assert await log.append(outgoing(10)) == [True] * 10


async def test_what_waits_for_kafka_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.event_log._MOST_WAITING", 1_000)
    broker = EmbeddedBroker(tmp_path / "broker.log", PARTITIONS)
    async with started(broker.cluster, patience=30) as log:
        first = asyncio.create_task(log.append(outgoing(10, size=2_000)))  # one alone may be of any size
        await asyncio.sleep(0)
        assert await log.append(outgoing(1)) == [False]
        await broker.start()
        try:
            assert await first == [True] * 10
            assert await log.append(outgoing(1)) == [True]
        finally:
            await broker.stop()


async def test_it_stops_although_what_was_sent_cannot_arrive(tmp_path: Path) -> None:
    broker = EmbeddedBroker(tmp_path / "broker.log", PARTITIONS)
    await broker.start()
    async with started(broker.cluster, patience=QUICK) as log:
        assert await log.append(outgoing(3)) == [True] * 3
        await broker.stop()
        assert await log.append(outgoing(3)) == [False] * 3
        before = time.monotonic()
        await log.stop()
        assert time.monotonic() - before < QUICK + 5


@pytest.mark.parametrize("end", ["killed", "hanging"])
async def test_while_kafka_is_away_nothing_is_taken_and_when_it_is_back_everything(
    own_kafka: KafkaBroker, end: str
) -> None:
    async with started(Cluster(own_kafka.address), patience=3) as log:
        assert await log.append(outgoing(10)) == [True] * 10
        assert own_kafka.process is not None
        if end == "killed":
            await own_kafka.kill()
        else:
            own_kafka.process.send_signal(signal.SIGSTOP)
        for _ in range(2):
            before = time.monotonic()
            assert await log.append(outgoing(10)) == [False] * 10
            assert time.monotonic() - before < 5
        if end == "killed":
            await own_kafka.start()
        else:
            own_kafka.process.send_signal(signal.SIGCONT)

        async def back() -> bool:
            return all(await log.append(outgoing(10)))

        await until(back, 60, "events to be taken again")


async def test_a_producer_that_has_failed_for_good_is_replaced(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.event_log._SILENCE", 0.2)
    async with started(cluster, patience=QUICK) as log:
        assert await log.append(outgoing(3)) == [True] * 3
        broken = log._producer
        assert broken._producer is not None
        broken._producer._message_accumulator.fail_all(KafkaError("broken"))

        async def replaced() -> bool:
            return all(await log.append(outgoing(3)))

        await until(replaced, 20, "a producer that works")
        assert log._producer is not broken


async def test_a_topic_that_was_widened_is_used_as_wide_as_it_is(
    own_kafka: KafkaBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.kafka._METADATA_MS", 200)
    cluster = Cluster(own_kafka.address)
    name = next(f"c-{n}" for n in range(100) if home_partition(f"c-{n}", 2 * PARTITIONS) >= PARTITIONS)
    seen: list[int] = []

    async def stored(_topic: str, partition: int, _offset: int) -> None:
        seen.append(partition)

    async with started(cluster, stored=stored) as log:
        await log.append([Outgoing(EVENTS, name, b"narrow")])
        assert seen == [home_partition(name, PARTITIONS)]
        await own_kafka.add_partitions(EVENTS.name, 2 * PARTITIONS)

        async def wide() -> bool:
            await log.append([Outgoing(EVENTS, name, b"wide")])
            return seen[-1] == home_partition(name, 2 * PARTITIONS)

        await until(wide, 20, "the new home")


async def test_a_request_that_is_broken_off_leaves_the_log_as_it_was(cluster: Cluster) -> None:
    hung = asyncio.Event()

    async def stored(_topic: str, _partition: int, _offset: int) -> None:
        hung.set()
        await asyncio.Event().wait()

    async with started(cluster, stored=stored) as log:
        appending = asyncio.create_task(log.append(outgoing(5)))
        await hung.wait()
        appending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await appending
        log._stored = None
        assert await log.append(outgoing(5)) == [True] * 5


async def test_events_of_one_conversation_keep_their_order(cluster: Cluster) -> None:
    events = [Outgoing(EVENTS, "c-1", b"%d" % number) for number in range(500)]
    async with started(cluster) as log:
        assert all(await log.append(events))
    found = await consumed(cluster, 500)
    assert [value for _, (_, value) in sorted(found.items())] == [one.value for one in events]
