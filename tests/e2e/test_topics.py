"""Input topics that are missing, or that have unequal numbers of partitions: nothing is consumed, and it says why."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from runtime.kafka import Cluster as Address
from schemas.partitioning import home_partition
from schemas.topics import EVENTS, LABELS
from tests.builders import event, line
from tests.e2e import simulated
from tests.e2e.cluster import Cluster
from tests.e2e.conftest import PARTITIONS
from tests.kafka.broker import KafkaBroker
from tests.waiting import until


@pytest_asyncio.fixture
async def bare_cluster(bare_kafka: KafkaBroker, tmp_path: Path) -> AsyncIterator[Cluster]:
    """A cluster whose Kafka has no input topics yet."""
    async with Cluster(Address(bare_kafka.address), tmp_path, partitions=PARTITIONS) as cluster:
        yield cluster


async def assert_nothing_consumed(cluster: Cluster) -> None:
    (worker,) = cluster.workers
    assert await worker.metric("afterword_records_total") == 0
    committed, _ = await cluster.progress()
    assert not any(committed.values())
    assert await cluster.clickhouse.facts() == 0


@pytest.mark.parametrize(
    ("events", "labels"), [pytest.param(4, 2, id="fewer for labels"), pytest.param(2, 4, id="more for labels")]
)
async def test_unequal_topics_wait_to_be_made_equal(
    bare_kafka: KafkaBroker, bare_cluster: Cluster, events: int, labels: int
) -> None:
    cluster = bare_cluster
    await cluster.divide(2)
    await bare_kafka.create_topic(EVENTS.name, events)
    await bare_kafka.create_topic(LABELS.name, labels)
    lines = simulated.shop(200, labels=0.5)
    worker = cluster.start_worker()
    why = await worker.lacks("partitions")
    assert f"{EVENTS.name} has {events} partitions and {LABELS.name} has {labels}" in why
    await cluster.produce(lines[: len(lines) // 2])
    await worker.lacks("partitions")
    await assert_nothing_consumed(cluster)

    await bare_kafka.add_partitions(LABELS.name if labels < events else EVENTS.name, 4)
    await worker.ready()
    await cluster.divide(4)
    await cluster.produce(lines[len(lines) // 2 :])
    await cluster.stored()
    await cluster.settled(simulated.wanted(lines))
    assert worker.status is None


@pytest.mark.parametrize(
    "there",
    [pytest.param([], id="both"), pytest.param([EVENTS.name], id="that of labels")],
)
async def test_missing_topics_wait_to_be_created(
    bare_kafka: KafkaBroker, bare_cluster: Cluster, there: list[str]
) -> None:
    cluster = bare_cluster
    for name in there:
        await bare_kafka.create_topic(name, PARTITIONS)
    worker = cluster.start_worker()
    why = await worker.lacks("does not exist")
    assert all((name in why) != (name in there) for name in (EVENTS.name, LABELS.name))
    assert "afterword topics create" in why

    said = await cluster.command("topics", "create")
    assert said.count("created") == 2 - len(there)
    await worker.ready()
    lines = simulated.shop(200, labels=0.5)
    await cluster.produce(lines)
    await cluster.stored()
    await cluster.settled(simulated.wanted(lines))
    assert worker.status is None


async def test_topics_that_are_widened_while_they_are_consumed_keep_every_conversation_whole(
    bare_kafka: KafkaBroker, bare_cluster: Cluster
) -> None:
    cluster = bare_cluster
    for name in (EVENTS.name, LABELS.name):
        await bare_kafka.create_topic(name, 2)
    await cluster.divide(2)
    worker = await cluster.worker()
    lines = simulated.shop(200, labels=0.5)
    stray = line(event("message.sent", conversation_id="stray"))
    await cluster.put(EVENTS.name, 1 - home_partition("stray", 2), stray)  # the worker knows where two partitions are
    await cluster.produce(lines[: len(lines) // 2])
    await cluster.stored()

    await bare_kafka.add_partitions(EVENTS.name, 4)
    await bare_kafka.add_partitions(LABELS.name, 4)
    await until(lambda: "[0, 1, 2, 3] of 4" in worker.log.read_text(), 60, "the worker to have four partitions")
    await cluster.produce(lines[len(lines) // 2 : len(lines) * 3 // 4])  # by a producer that has not heard of it
    await cluster.divide(4)
    await cluster.produce(lines[len(lines) * 3 // 4 :])
    await cluster.stored()
    await cluster.settled(simulated.wanted([*lines, stray]))
    assert worker.status is None


async def test_missing_tables_wait_to_be_made(bare_kafka: KafkaBroker, tmp_path: Path) -> None:
    async with Cluster(Address(bare_kafka.address), tmp_path, partitions=PARTITIONS, tables=False) as cluster:
        await cluster.command("topics", "create")
        lines = simulated.shop(50)
        await cluster.produce(lines)
        worker = cluster.start_worker()
        await worker.lacks("run `afterword migrate`")
        assert "applied" in await cluster.command("migrate")
        await worker.ready()
        await cluster.stored()
        await cluster.settled(simulated.wanted(lines))
