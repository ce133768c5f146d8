"""`python -m bench.event_latency`: how long events take from Kafka to their rows while so many come in every second.

A process of its own produces at an even rate; a worker stores into chDB in its process. What is measured is what the
worker tells of itself: from the time that Kafka gave a record to the moment in which its row is stored, and a query
finds it, of up to a thousand records of each flush; and how many conversations it had to read again, because more are
live than it keeps in memory (`--live`).
"""

import argparse
import asyncio
import sys
import time
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

from bench.afterword_worker import chdb, engine_of, noted
from bench.arguments import positive
from bench.waits import in_words
from processors.measures import CACHED, RELOADED, ROWS
from runtime.kafka import Cluster, KafkaProducer, create_topics
from runtime.loader import load
from runtime.metrics import PrometheusMetrics
from runtime.settings import Settings
from runtime.simulator import Bulk
from tests.kafka.broker import KafkaBroker
from tests.waiting import until

PARTITIONS: Final = 4
WARM_UP_S: Final = 10
LIVE: Final = 20_000
_READY_S: Final = 60
_TICKS: Final = 20
"""Loads a second: the producer sends evenly, not once a second."""


class Measured(NamedTuple):
    """Seconds from Kafka to the row; how many records were stored, and what the process took for them.

    `looked_up`: conversations that were not in memory, new ones too. `cached`: those in memory, at the end.
    """

    waits: list[float]
    records: int
    seconds: float
    cpu: float
    flushes: int
    rows: float
    looked_up: float
    cached: float


async def produce(address: str, rate: int, seconds: int, live: int) -> None:
    """Produce so many events a second."""
    producer = KafkaProducer(Cluster(address))
    await producer.start()
    source = iter(Bulk(now=datetime.now(UTC), conversations=max(live * 2, rate * seconds // 8), live_at_once=live))
    begun, sent = time.monotonic(), 0
    while (passed := time.monotonic() - begun) < seconds:
        due = int(rate * passed) - sent
        await load(producer, (payload for _, payload in islice(source, due)), PARTITIONS)
        sent += due
        await asyncio.sleep(max(0.0, begun + (int(passed * _TICKS) + 1) / _TICKS - time.monotonic()))
    await producer.stop()


async def measured(rate: int, seconds: int, warm_up: int, live: int, folder: Path) -> Measured:
    """Let events come in, and give what they waited after the warm-up."""
    metrics = PrometheusMetrics()
    (folder / "kafka").mkdir()
    with chdb(folder) as sink:
        async with KafkaBroker(folder / "kafka") as broker:
            await create_topics(Cluster(broker.address), PARTITIONS, 1)
            engine = engine_of(sink, broker.address, Settings.load(group="event-latency"), metrics)
            await engine.start()
            await until(lambda: not engine.ready(), _READY_S, "the worker to be ready")
            arguments = [sys.executable, "-m", "bench.event_latency", "--to", broker.address]
            arguments += ["--rate", str(rate), "--seconds", str(seconds + warm_up + 1), "--live", str(live)]
            producing = await asyncio.create_subprocess_exec(*arguments)
            progress = engine.worker.progress
            await until(lambda: progress.records, _READY_S, "the first record")
            await asyncio.sleep(warm_up)
            progress.waits.clear()
            records, flushes, before = progress.records, progress.flushes, noted(metrics)
            begun, spent = time.monotonic(), time.process_time()
            await asyncio.sleep(seconds)
            after = noted(metrics)
            took = Measured(
                list(progress.waits),
                progress.records - records,
                time.monotonic() - begun,
                time.process_time() - spent,
                progress.flushes - flushes,
                after[ROWS.name] - before[ROWS.name],
                after[RELOADED.name] - before[RELOADED.name],
                after[CACHED.name],
            )
            await producing.wait()
            await engine.stop()
    return took


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser("bench.event_latency", description=__doc__)
    parser.add_argument("--rate", type=positive, default=10_000, help="events a second (default: 10,000)")
    parser.add_argument("--seconds", type=positive, default=60, help="after the warm-up (default: 60)")
    parser.add_argument("--warm-up", type=positive, default=WARM_UP_S, help=f"seconds (default: {WARM_UP_S})")
    parser.add_argument("--live", type=positive, default=LIVE, help=f"conversations at once (default: {LIVE:,})")
    parser.add_argument("--to", metavar="ADDRESS", help="only produce, to this broker")
    options = parser.parse_args()
    if options.to:
        asyncio.run(produce(options.to, options.rate, options.seconds, options.live))
        return 0
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        took = asyncio.run(measured(options.rate, options.seconds, options.warm_up, options.live, Path(folder)))
    if not took.waits:
        sys.exit("no record was stored in that time: give it more --seconds")
    print(
        f"{took.records / took.seconds:,.0f} events/s for {took.seconds:.0f} s, {took.flushes} flushes, "
        f"{took.cpu / took.records * 1e6:.1f} CPU seconds per million:"
    )
    print(in_words(took.waits))
    print(
        f"{took.rows / took.records:.2f} rows an event; {took.looked_up / took.seconds:,.0f} conversations a second "
        f"were not in memory, where {took.cached:,.0f} are"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
