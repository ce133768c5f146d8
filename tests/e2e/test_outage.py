"""ClickHouse is down for a while: nothing is lost, and the worker keeps its partitions and says why it waits."""

import time

from tests.e2e import simulated
from tests.e2e.cluster import SESSION_S, Cluster
from tests.waiting import until


async def test_an_outage_of_clickhouse_loses_nothing(cluster: Cluster) -> None:
    lines = simulated.shop(2_000, labels=0.2)
    worker = await cluster.worker()
    async with cluster.producing(lines):
        await cluster.until_facts(1_000)
        down = time.monotonic()
        await cluster.clickhouse.kill()
        why = await worker.lacks("waiting")
        assert "ClickHouse" in why or str(cluster.clickhouse.port) in why
        # Longer than Kafka waits for a worker that has died.
        await until(lambda: time.monotonic() - down > SESSION_S + 2, SESSION_S + 10, "the outage to last")
        await worker.lacks("waiting")
        await cluster.clickhouse.start()
        await worker.ready()
    await cluster.stored()
    await cluster.settled(simulated.wanted(lines))
    assert worker.log.read_text().count("assigned: partitions") == 1
