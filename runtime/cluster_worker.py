"""`afterword worker`: one worker of a cluster, against Kafka and ClickHouse, until it is told to stop."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from runtime.engine import Engine
from runtime.kafka import Cluster
from runtime.metrics import PrometheusMetrics
from runtime.service import Health, served, stop_signal, tuning, until_stopped
from runtime.settings import Settings
from schemas.failures import Unavailable
from schemas.rules import Rules
from sinks.clickhouse_reader import ClickHouseReader
from sinks.clickhouse_writer import ClickHouseWriter
from sinks.connection import Database
from sinks.migrate import pending

log = logging.getLogger(__name__)
T = TypeVar("T")

_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 10.0


async def work(settings: Settings, rules: Rules, cluster: Cluster, database: Database) -> int:
    """Run a worker; gives the exit status. Waits for Kafka, ClickHouse and the tables; raises what makes it fail."""
    health, metrics = Health(), PrometheusMetrics()
    async with served(settings, health, metrics) as server:
        stop = stop_signal()
        log.info("probes and metrics at %s", server.address)
        if not await _persist(lambda: _migrated(database), stop, health):
            return 0
        writer, reader = ClickHouseWriter(database), ClickHouseReader(database)
        engine = Engine(
            cluster=cluster, writer=writer, reader=reader, metrics=metrics, rules=rules, tuning=tuning(settings)
        )
        try:
            if not await _persist(engine.start, stop, health):
                return 0
            health.engine = engine
            await until_stopped(stop, engine)
        finally:
            stored = await engine.stop()
            writer.close()
            reader.close()
    return 0 if stored else 1


async def _migrated(database: Database) -> None:
    missing = await asyncio.to_thread(pending, database)
    if missing:
        raise Unavailable(f"the tables in {database.where} are not there or old: run `afterword migrate`")


async def _persist(attempt: Callable[[], Awaitable[None]], stop: asyncio.Event, health: Health) -> bool:
    """Attempt until the world is there; False when a signal came first."""
    pause = _FIRST_PAUSE
    while not stop.is_set():
        try:
            await attempt()
        except Unavailable as error:
            log.warning("waiting: %s", error)
            health.starting = str(error)
        else:
            return True
        try:
            await asyncio.wait_for(stop.wait(), pause)
        except TimeoutError:
            pause = min(pause * 2, _LONGEST_PAUSE)
    return False
