"""Holes in the offsets of a partition: transactions leave markers there that nobody is given to read."""

import time

from schemas.partitioning import home_partition
from schemas.topics import EVENTS
from tests.builders import event, line
from tests.e2e.cluster import Cluster
from tests.e2e.rows import of_the_oracle


async def transact(cluster: Cluster, transactions: int) -> list[bytes]:
    """Produce messages of twelve conversations in many small transactions."""
    lines = []
    async with cluster.plain_producer(transactional_id="shop") as producer:
        for number in range(transactions):
            async with producer.transaction():
                for part in range(5):
                    name = f"c-{(number + part) % 12}"
                    home = home_partition(name, cluster.partitions)
                    lines.append(line(event("message.sent", conversation_id=name, text=f"{number} and {part}")))
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


async def test_a_partition_that_ends_with_a_marker_is_read_to_its_end_and_its_clock_goes_on(
    kafka_cluster: Cluster,
) -> None:
    cluster = kafka_cluster
    worker = await cluster.worker()
    lines = await transact(cluster, 12)
    await cluster.until_facts(len(lines))
    await cluster.settled(of_the_oracle(lines, int(time.time() * 1000)))  # closed idle, that is
    await cluster.stored()
    assert await worker.metric("afterword_records_total") == len(lines)
