"""What is found of the input topics on Apache Kafka, and what it refuses: on a broker of its own, for their names."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from runtime.broker import free_port
from runtime.finding import Finding, Verdict
from runtime.kafka import Cluster, create_topics
from runtime.kafka_check import check_kafka
from runtime.requeueing import requeue
from schemas.topics import EVENTS, LABELS, MAX_RECORD_BYTES
from sinks.memory import MemoryStore
from tests.builders import AT
from tests.kafka.broker import KafkaBroker
from tests.sinks.building import letter


@pytest_asyncio.fixture
async def broker(kafka_jars: Path, tmp_path: Path) -> AsyncIterator[KafkaBroker]:
    async with KafkaBroker(tmp_path) as broker:
        yield broker


def told(findings: list[Finding], verdict: Verdict) -> list[tuple[str, str]]:
    """What was found with this verdict: of what, and the beginning of what was found."""
    return [(one.what, one.found.split(":")[0].split(",")[0]) for one in findings if one.verdict is verdict]


async def test_topics_are_compared_with_what_the_workers_need(broker: KafkaBroker) -> None:
    cluster = Cluster(broker.address)
    (_, missing) = await check_kafka(cluster, embedded=False)
    assert missing.line() == (
        "✗ wrong  topics: assistant.events and manager.labels are missing: create them with `afterword topics create`"
    )

    await broker.create_topic(EVENTS.name, 2, cleanup_policy="compact", retention_ms="3600000")
    await broker.create_topic(LABELS.name, 3, **{name.replace(".", "_"): value for name, value in LABELS.config})
    findings = await check_kafka(cluster, embedded=False)
    assert told(findings, Verdict.OK) == [("Kafka", f"answers at {broker.address}".split(":")[0])]
    assert told(findings, Verdict.WRONG) == [
        ("topics", "assistant.events has 2 partitions"),
        (EVENTS.name, "max.message.bytes is 1048588"),
        (EVENTS.name, "cleanup.policy is compact"),
    ]
    assert told(findings, Verdict.NOTE) == [
        (EVENTS.name, "message.timestamp.type is CreateTime"),
        (EVENTS.name, "retention.ms is 3600000"),
    ]
    assert all(one.do for one in findings if one.verdict is not Verdict.OK)

    # The same broker, because its start is what costs: a record that the topic does not take stays a dead letter.
    too_large = b"x" * (MAX_RECORD_BYTES + (64 << 10))
    store = MemoryStore()
    store.insert_dead_letters(
        [letter(value=value, failed_at=AT + number) for number, value in enumerate((b"a", too_large, b"b"))]
    )
    done = await requeue(store, store, cluster, None, now=lambda: AT + 1_000)
    assert (done.sent, done.broken_off) == (2, "")
    assert [(one.value == too_large, "too large" in why or "Size" in why) for one, why in done.refused] == [
        (True, True)
    ]
    assert [one.value == too_large for one in store.dead_letters()] == [True]


async def test_topics_as_they_are_created_here_are_right(broker: KafkaBroker) -> None:
    cluster = Cluster(broker.address)
    await create_topics(cluster, 4, 1)
    findings = await check_kafka(cluster, embedded=False)
    assert [one.line() for one in findings] == [
        f"✓ ok     Kafka: answers at {broker.address}",
        "✓ ok     topics: assistant.events and manager.labels are there, with 4 partitions each",
    ]


async def test_a_kafka_that_does_not_answer_is_wrong() -> None:
    (finding,) = await check_kafka(Cluster(f"127.0.0.1:{free_port()}"), embedded=False)
    assert (finding.verdict, finding.what) == (Verdict.WRONG, "Kafka")
    assert "AFTERWORD_KAFKA" in finding.do
