"""Holes in the offsets of a partition: transactions leave markers there that nobody is given to read."""

import time
from pathlib import Path

from schemas.partitioning import home_partition
from schemas.topics import EVENTS, LABELS
from tests.builders import AT, event, line
from tests.e2e.cluster import Cluster
from tests.e2e.rows import of_the_oracle
from tests.waiting import until


async def transact(cluster: Cluster, transactions: int, at: int = AT) -> list[bytes]:
    """Produce messages of twelve conversations in many small transactions."""
    lines = []
    async with cluster.plain_producer(transactional_id="shop") as producer:
        for number in range(transactions):
            async with producer.transaction():
                for part in range(5):
                    name = f"c-{(number + part) % 12}"
                    home = home_partition(name, cluster.partitions)
                    lines.append(line(event("message.sent", conversation_id=name, at=at, text=f"{number}, {part}")))
                    await producer.send(EVENTS.name, lines[-1], name.encode(), partition=home)
    return lines


async def test_every_record_of_a_transaction_is_read_once(kafka_cluster: Cluster) -> None:
    cluster = kafka_cluster
    worker = await cluster.worker()
    lines = await transact(cluster, 40)
    await cluster.until_facts(len(lines))
    # Plain records behind the last markers, so that no partition ends with a hole.
    lines += [line(event("message.sent", conversation_id=f"c-{number}", text="goodbye")) for number in range(12)]
    await cluster.produce(lines[-12:])
    await cluster.stored()
    await cluster.settled(of_the_oracle(lines, int(time.time() * 1000)))
    assert await worker.metric("afterword_records_total") == len(lines)
    assert await worker.metric("afterword_duplicates_total") == 0


async def test_records_of_a_transaction_that_was_taken_back_do_not_count(kafka_cluster: Cluster) -> None:
    cluster = kafka_cluster
    await cluster.worker()
    said, unsaid = event("message.sent", text="said"), event("message.sent", text="unsaid")
    home = home_partition(said["conversation_id"], cluster.partitions)
    async with cluster.plain_producer(transactional_id="shop") as producer:
        await producer.begin_transaction()
        await producer.send_and_wait(EVENTS.name, line(unsaid), partition=home)
        await producer.abort_transaction()
        async with producer.transaction():
            await producer.send(EVENTS.name, line(said), partition=home)
    await cluster.until_facts(1)
    await cluster.stored()
    await cluster.settled(of_the_oracle([line(said)], int(time.time() * 1000)))


async def test_a_partition_that_ends_with_a_marker_is_read_to_its_end(kafka_cluster: Cluster) -> None:
    cluster = kafka_cluster
    worker = await cluster.worker()
    lines = await transact(cluster, 12)
    await cluster.until_facts(len(lines))
    await cluster.stored(60)
    await cluster.settled(of_the_oracle(lines, int(time.time() * 1000)))
    assert await worker.metric("afterword_records_total") == len(lines)


async def test_the_clock_of_a_partition_that_ends_with_a_marker_goes_on(kafka_cluster: Cluster, tmp_path: Path) -> None:
    cluster = kafka_cluster
    rules = tmp_path / "rules.toml"
    rules.write_text("revision = 2\n[default]\nidle_gap_minutes = 0.1\n")
    await cluster.worker(rules=str(rules))
    await transact(cluster, 12, at=int(time.time() * 1000))

    async def all_closed() -> bool:
        rows = (await cluster.rows()).values()
        return len(rows) == 12 and all(row["closed"] for row in rows)

    await until(all_closed, 60, "the silent conversations to be closed")


async def test_who_begins_behind_a_marker_takes_no_answer_for_old(kafka_cluster: Cluster) -> None:
    cluster = kafka_cluster
    worker = await cluster.worker()
    lines = await transact(cluster, 12)
    labels = [line(event("label.set", conversation_id=f"c-{number}", at=AT + 1)) for number in range(12)]
    async with cluster.plain_producer(transactional_id="managers") as producer, producer.transaction():
        for number, label in enumerate(labels):
            home = home_partition(f"c-{number}", cluster.partitions)
            await producer.send(LABELS.name, label, f"c-{number}".encode(), partition=home)
    await cluster.until_facts(len(lines) + len(labels))
    await cluster.stored(60)
    await worker.stop()
    worker = await cluster.worker()
    more = [line(event("message.sent", conversation_id=f"c-{number}", text="goodbye")) for number in range(12)]
    await cluster.produce(more)
    await cluster.stored()
    await cluster.settled(of_the_oracle([*lines, *labels, *more], int(time.time() * 1000)))
    assert await worker.metric("afterword_stale_reads_total") == 0
