"""SIGTERM under load: what was taken is stored and committed, and nothing is read again."""

import signal
import time

from tests.e2e import simulated
from tests.e2e.cluster import Cluster


async def test_a_worker_that_is_told_to_stop_leaves_nothing_to_be_read_again(cluster: Cluster) -> None:
    lines = simulated.shop(2_000, labels=0.2)
    worker = await cluster.worker()
    async with cluster.producing(lines):
        await cluster.until_facts(2_000)
        told = time.monotonic()
        worker.send(signal.SIGTERM)
        assert await worker.ended(10) == 0
        assert time.monotonic() - told < 10
        committed, _ = await cluster.progress()
        assert sum(committed.values()) == await cluster.clickhouse.facts()

    again = await cluster.worker()
    await cluster.stored()
    assert await again.metric("afterword_records_total") == len(lines) - sum(committed.values())
    assert await again.metric("afterword_duplicates_total") == 0
    await cluster.settled(simulated.wanted(lines))
