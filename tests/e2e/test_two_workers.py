"""Two workers of one group on Apache Kafka: one joins under load, the other dies, and the rows are those of one."""

from tests.e2e import simulated
from tests.e2e.cluster import Cluster


async def test_a_worker_that_joins_and_one_that_is_killed_change_no_row(kafka_cluster: Cluster) -> None:
    cluster = kafka_cluster
    lines = simulated.shop(3_000, labels=0.2)
    third = len(lines) // 3
    first = await cluster.worker()
    async with cluster.producing(lines[:third]):
        await cluster.until_facts(500)
        second = await cluster.worker()
    async with cluster.producing(lines[third : 2 * third]):
        await cluster.until_facts(third + 500)
        await first.kill()
    async with cluster.producing(lines[2 * third :]):
        await cluster.until_facts(2 * third + 500)
    await cluster.stored()
    assert await second.metric("afterword_records_total") > third
    await cluster.settled(simulated.wanted(lines))
