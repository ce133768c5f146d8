"""Afterword's worker as it ships, with default settings: to chDB on disk in its process, or to the store in memory.

All that the design promises is on: validation, digests, facts and rows, ownership, reloads, labels, clocks, commits,
metrics.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from prometheus_client.parser import text_string_to_metric_families

from bench.contender import Task, Watch, run, until_taken
from processors.measures import CACHE_BYTES, CACHED, EVICTED, RELOADED, ROWS, Metrics
from runtime.engine import Engine
from runtime.kafka import Cluster
from runtime.metrics import PrometheusMetrics, name_of
from runtime.service import tuning
from runtime.settings import Settings
from schemas.conversation import Version
from schemas.rules import Rules
from schemas.store import Reader, Writer
from sinks.clickhouse_reader import ClickHouseReader
from sinks.clickhouse_writer import ClickHouseWriter
from sinks.connection import Database
from sinks.memory import MemoryStore
from sinks.migrate import migrate

_READY_S: Final = 0.001
_NOTED: Final = (ROWS, RELOADED, EVICTED, CACHED, CACHE_BYTES)
_TOTALS: Final = f"""
SELECT sum(bitAnd(bitShiftRight(version, {Version.FACT_SHIFT}), 4294967295)) AS events, count() AS conversations,
       sum(messages) AS messages, sum(fallbacks) AS fallbacks, sum(queries) AS queries
FROM conversations FINAL
"""


@dataclass(frozen=True, slots=True)
class Sink:
    """Where the worker writes. `facts`: how many are stored; `totals`: what its rows say, afterwards."""

    writer: Writer
    reader: Reader
    facts: Callable[[], int]
    totals: Callable[[], dict[str, int]]
    client: Any = None
    """Asks the database, where there is one."""


def chdb(folder: Path) -> AbstractContextManager[Sink]:
    """Write to chDB in this process, in a fresh folder."""
    return clickhouse(Database.parse(f"chdb://{folder / 'clickhouse'}"))


@contextmanager
def clickhouse(database: Database) -> Iterator[Sink]:
    """Write to an empty ClickHouse, in tables made by the migrations."""
    migrate(database)
    writer, reader = ClickHouseWriter(database), ClickHouseReader(database)
    client = database.client()

    def facts() -> int:
        return int(client.query("SELECT count() FROM events FINAL").result_rows[0][0])

    def totals() -> dict[str, int]:
        answer = client.query(_TOTALS)
        return dict(zip(answer.column_names, map(int, answer.result_rows[0]), strict=True))

    try:
        yield Sink(writer, reader, facts, totals, client)
    finally:
        client.close()
        reader.close()
        writer.close()


@contextmanager
def memory(_folder: Path) -> Iterator[Sink]:
    """Write to the store in memory, which keeps every fact and row."""
    store = MemoryStore()

    def totals() -> dict[str, int]:
        rows = store.rows()
        sums = {name: sum(row[name] for row in rows) for name in ("messages", "fallbacks", "queries")}
        facts = sum(Version.facts(row["version"])[1] for row in rows)
        return {"events": facts, "conversations": len(rows), **sums}

    yield Sink(store, store, lambda: sum(len(batch.facts) for batch in store._batches), totals)


def engine_of(sink: Sink, address: str, settings: Settings, metrics: Metrics) -> Engine:
    """Make a worker as it ships, which reads from this Kafka."""
    return Engine(
        cluster=Cluster(address),
        writer=sink.writer,
        reader=sink.reader,
        metrics=metrics,
        rules=Rules.load(None),
        tuning=tuning(settings),
    )


async def contend(task: Task, watch: Watch) -> dict[str, int]:
    """Take the whole input; the watch stops when every fact and row is stored and the last offset committed."""
    with {"chdb": chdb, "memory": memory}[task.name](Path(task.folder)) as sink:
        return await contend_with(sink, task, watch)


async def contend_with(sink: Sink, task: Task, watch: Watch) -> dict[str, int]:
    """Do so with any sink."""
    metrics = PrometheusMetrics()
    engine = engine_of(sink, task.address, Settings.load(group=task.group), metrics)

    def taken() -> int:
        if engine.failed.done():
            engine.failed.result()
        return engine.worker.progress.records

    await engine.start()
    while engine.ready():
        taken()
        await asyncio.sleep(_READY_S)
    watch.start()
    await until_taken(taken, task.known.events)
    await engine.caught_up(task.known.events)
    watch.stop()
    watch.note(flushes=engine.worker.progress.flushes, **noted(metrics))
    assert await engine.stop(), "the worker did not store what it took when it was stopped"
    task.known.check({"events": sink.facts()})
    return sink.totals()


def noted(metrics: PrometheusMetrics) -> dict[str, float]:
    """Give the metrics that tell how much work an event made."""
    samples = {
        sample.name: sample.value
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
    }
    return {measure.name: samples[name_of(measure)] for measure in _NOTED}


if __name__ == "__main__":
    run(contend)
