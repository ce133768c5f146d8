"""`afterword worker`: one worker of a cluster, against Kafka and ClickHouse, until it is told to stop."""

import logging

from runtime import crashing
from runtime.engine import Engine
from runtime.front import Front
from runtime.kafka import Cluster
from runtime.metrics import PrometheusMetrics
from runtime.service import Health, served, stop_signal, tuning, until_stopped
from runtime.settings import Settings
from runtime.waiting import migrated, persist
from schemas.rules import Rules
from sinks.clickhouse_reader import ClickHouseReader
from sinks.connection import Database

log = logging.getLogger(__name__)


async def work(settings: Settings, rules: Rules, cluster: Cluster, database: Database) -> int:
    """Run a worker; gives the exit status. Waits for Kafka, ClickHouse and the tables; raises what makes it fail."""
    health, metrics = Health(), PrometheusMetrics()
    async with served(settings, Front(health, metrics, alone=True)) as server:
        stop = stop_signal()
        log.info("probes and metrics at %s", server.address)
        if not await persist(lambda: migrated(database), stop, health):
            return 0
        passing = crashing.passing()
        writer, reader = crashing.writer(database, passing), ClickHouseReader(database)
        engine = Engine(
            cluster=cluster,
            writer=writer,
            reader=reader,
            metrics=metrics,
            rules=rules,
            tuning=tuning(settings),
            passing=passing,
        )
        try:
            if not await persist(engine.start, stop, health):
                return 0
            health.engine = engine
            await until_stopped(stop, engine)
        finally:
            stored = await engine.stop()
            writer.close()
            reader.close()
    return 0 if stored else 1
