"""The broker of the tests keeps Kafka's promises, so that a failure above it is ours."""

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.errors import TopicAlreadyExistsError, UnknownTopicOrPartitionError

from tests.kafka import jars
from tests.kafka.broker import PORTS, KafkaBroker, free_ports


@pytest.fixture
async def own_kafka(kafka_jars: Path, tmp_path: Path) -> AsyncIterator[KafkaBroker]:
    """A broker that the test may break."""
    async with KafkaBroker(tmp_path / "kafka") as broker:
        yield broker


async def produce(broker: KafkaBroker, topic: str, values: list[bytes], timestamp_ms: int | None = None) -> None:
    """Send `values` to partition 0 of `topic`, each acknowledged when this returns."""
    async with AIOKafkaProducer(bootstrap_servers=broker.address, acks="all", enable_idempotence=True) as producer:
        sent = [await producer.send(topic, value, partition=0, timestamp_ms=timestamp_ms) for value in values]
        await producer.flush()
        for record in sent:
            await record


async def stored(broker: KafkaBroker, topic: str) -> list[ConsumerRecord[bytes, bytes]]:
    """All records in partition 0 of `topic`, from its beginning to the end it has now."""
    partition = TopicPartition(topic, 0)
    async with AIOKafkaConsumer(bootstrap_servers=broker.address, auto_offset_reset="earliest") as consumer:
        consumer.assign([partition])
        end = (await consumer.end_offsets([partition]))[partition]
        records: list[ConsumerRecord[bytes, bytes]] = []
        while await consumer.position(partition) < end:
            records += (await consumer.getmany(partition, timeout_ms=5_000)).get(partition, [])
        return records


async def test_acknowledged_records_survive_a_kill_and_a_restart(own_kafka: KafkaBroker) -> None:
    await own_kafka.create_topic("kept", 2)
    values = [b"record %d" % number for number in range(500)]
    await produce(own_kafka, "kept", values)
    address = own_kafka.address

    await own_kafka.kill()
    await own_kafka.start()

    assert own_kafka.address == address
    assert [record.value for record in await stored(own_kafka, "kept")] == values
    await produce(own_kafka, "kept", [b"one more"])
    assert (await stored(own_kafka, "kept"))[-1].value == b"one more"


async def test_a_stopped_broker_is_gone_and_comes_back_with_its_records(own_kafka: KafkaBroker) -> None:
    await own_kafka.create_topic("kept", 1)
    await produce(own_kafka, "kept", [b"before"])

    await own_kafka.stop()
    assert own_kafka.process is None
    assert "shut down completed" in own_kafka.log.read_text()
    await own_kafka.stop()
    await own_kafka.start()

    assert [record.value for record in await stored(own_kafka, "kept")] == [b"before"]


async def test_a_topic_has_the_partitions_it_was_created_with_and_those_added(kafka: KafkaBroker) -> None:
    await kafka.create_topic("widened", 3)
    assert (await kafka.partitions())["widened"] == {0: 1, 1: 1, 2: 1}
    await kafka.add_partitions("widened", 5)
    assert (await kafka.partitions())["widened"] == {0: 1, 1: 1, 2: 1, 3: 1, 4: 1}


async def test_a_refused_topic_is_an_error(kafka: KafkaBroker) -> None:
    await kafka.create_topic("once", 1)
    with pytest.raises(TopicAlreadyExistsError, match="once"):
        await kafka.create_topic("once", 1)


@pytest.mark.parametrize(
    ("kind", "brokers"),
    [
        pytest.param("LogAppendTime", True, id="the broker's time where the topic says so"),
        pytest.param("CreateTime", False, id="the producer's time where the topic says so"),
    ],
)
async def test_a_records_time_is_what_its_topic_says(kafka: KafkaBroker, kind: str, brokers: bool) -> None:
    topic = f"times-{kind}"
    await kafka.create_topic(topic, 1, message_timestamp_type=kind)
    yesterday = (int(time.time()) - 86_400) * 1000
    before = int(time.time() * 1000)
    await produce(kafka, topic, [b"now"], timestamp_ms=yesterday)
    [record] = await stored(kafka, topic)
    assert (record.timestamp >= before) is brokers
    assert (record.timestamp == yesterday) is not brokers


async def test_no_topic_appears_by_itself(kafka: KafkaBroker) -> None:
    async with kafka._admin() as admin:
        [topic] = await admin.describe_topics(["never-created"])
    assert topic["error_code"] == UnknownTopicOrPartitionError.errno
    assert "never-created" not in await kafka.partitions()


async def test_a_broker_that_cannot_start_says_why(kafka_jars: Path, kafka: KafkaBroker, tmp_path: Path) -> None:
    second = KafkaBroker(tmp_path / "second")
    second.port = kafka.port
    with pytest.raises(AssertionError, match="ended with 1 instead of starting") as failure:
        async with second:
            pass
    assert "Address already in use" in "".join(failure.value.__notes__)
    assert second.process is None


def test_free_ports_are_distinct_and_not_taken_for_outgoing_connections() -> None:
    ports = free_ports(5)
    assert len(set(ports)) == 5
    assert all(port in PORTS for port in ports)


def test_the_jars_are_fetched_once(kafka_jars: Path) -> None:
    names = {path.name for path in kafka_jars.iterdir()}
    assert f"kafka_2.13-{jars.version()}.jar" in names
    assert jars.fetched() == kafka_jars
