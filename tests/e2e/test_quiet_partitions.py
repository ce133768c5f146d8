"""A fetch that waits for records of quiet partitions holds nothing up: aiokafka asks a broker one thing at a time."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from processors.clock import Tick
from processors.transport import TickingFetcher
from tests.kafka.broker import KafkaBroker
from tests.waiting import until

TOPIC = "quiet-partitions"
BUSY, QUIET = TopicPartition(TOPIC, 0), TopicPartition(TOPIC, 1)
LONG_MS = 60_000
SOON_S = 20


@pytest.fixture
async def producer(kafka: KafkaBroker) -> AsyncIterator[AIOKafkaProducer]:
    await kafka.create_topic(TOPIC, partitions=2)
    async with AIOKafkaProducer(bootstrap_servers=kafka.address) as producer:
        yield producer
    await kafka.delete_topics(TOPIC)


async def test_a_busy_partition_never_waits_for_a_quiet_one(kafka: KafkaBroker, producer: AIOKafkaProducer) -> None:
    answered: list[TopicPartition] = []

    def told(place: TopicPartition, _tick: Tick) -> None:
        answered.append(place)

    for value in (b"1", b"2"):
        await producer.send_and_wait(TOPIC, value, partition=BUSY.partition)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka.address,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=LONG_MS,
        request_timeout_ms=2 * LONG_MS,
    )
    consumer.assign([BUSY, QUIET])
    async with consumer, asyncio.timeout(3 * SOON_S):
        TickingFetcher.listen(consumer._fetcher, told)
        assert (await consumer.getone()).value == b"1"
        # The other one is at hand, so the next requests are for the quiet partition alone.
        await until(lambda: answered[-2:] == [QUIET, QUIET], SOON_S, "requests for the quiet partition to end")
        assert (await consumer.getone()).value == b"2"
        await producer.send_and_wait(TOPIC, b"3", partition=BUSY.partition)
        assert (await consumer.getone()).value == b"3"
