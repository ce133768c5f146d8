"""Holes in the offsets of a partition: transactions leave markers there that nobody is given to read."""

import time

from schemas.partitioning import home_partition
from schemas.topics import EVENTS
from tests.builders import event, line
from tests.e2e.cluster import Cluster
from tests.e2e.rows import of_the_oracle


async def test_transactions_of_a_producer_leave_nothing_out_and_nothing_behind(kafka_cluster: Cluster) -> None:
    cluster = kafka_cluster
    worker = await cluster.worker()
    lines = []
    async with cluster.plain_producer(transactional_id="shop") as producer:
        for number in range(40):
            async with producer.transaction():
                for part in range(5):
                    name = f"c-{(number + part) % 12}"
                    lines.append(line(event("message.sent", conversation_id=name, text=f"{number} and {part}")))
                    await producer.send(
                        EVENTS.name, lines[-1], name.encode(), partition=home_partition(name, cluster.partitions)
                    )
    await cluster.stored()
    await cluster.settled(of_the_oracle(lines, int(time.time() * 1000)))
    assert await worker.metric("afterword_records_total") == len(lines)
    assert await worker.metric("afterword_duplicates_total") == 0
