"""Brokers and clusters for the end-to-end tests: the same tests on Apache Kafka and on the embedded broker."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from runtime.broker import EmbeddedBroker
from runtime.kafka import Cluster as Address
from runtime.kafka import create_topics
from schemas.topics import TOPICS
from tests.e2e.cluster import Cluster
from tests.kafka.broker import KafkaBroker

ON_BOTH = [
    pytest.param("kafka", id="Apache Kafka", marks=pytest.mark.kafka),
    pytest.param("embedded", id="the embedded broker", marks=pytest.mark.embedded),
]
PARTITIONS = 4


@pytest_asyncio.fixture
async def bare_kafka(kafka: KafkaBroker) -> AsyncIterator[KafkaBroker]:
    """Apache Kafka without the input topics, before the test and after it."""
    names = [topic.name for topic in TOPICS]
    await kafka.delete_topics(*names)
    yield kafka
    await kafka.delete_topics(*names)


@pytest_asyncio.fixture
async def kafka_cluster(bare_kafka: KafkaBroker, tmp_path: Path) -> AsyncIterator[Cluster]:
    """A cluster on Apache Kafka."""
    address = Address(bare_kafka.address)
    await create_topics(address, PARTITIONS, 1)
    async with Cluster(address, tmp_path, partitions=PARTITIONS) as cluster:
        yield cluster


@pytest_asyncio.fixture
async def embedded_cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    """A cluster on the embedded broker."""
    broker = EmbeddedBroker(tmp_path / "broker.log", PARTITIONS)
    await broker.start()
    try:
        async with Cluster(broker.cluster, tmp_path, partitions=PARTITIONS) as cluster:
            yield cluster
    finally:
        await broker.stop()


@pytest.fixture(params=ON_BOTH)
def cluster(request: pytest.FixtureRequest) -> Cluster:
    """A cluster: once on Apache Kafka, once on the embedded broker."""
    chosen: Cluster = request.getfixturevalue(f"{request.param}_cluster")
    return chosen
