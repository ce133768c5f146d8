"""`python -m bench.label_latency`: how long a label takes from Kafka to its row, the conversation not being in memory.

A worker with the smallest cache stores old conversations, whose idle gap has long passed, into chDB in its process.
Then labels are produced one after another, each for a closed conversation that was evicted, and its row is asked for
until it has the label's id. So the whole way is measured: produce, fetch, flush, reload, insert, query.
"""

import argparse
import asyncio
import random
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import msgspec

from bench.afterword_worker import chdb, engine_of
from bench.arguments import positive
from bench.waits import in_words
from processors.measures import NoMetrics
from runtime.kafka import Cluster, KafkaProducer, create_topics
from runtime.loader import load
from runtime.settings import Settings
from runtime.simulator import Simulation
from tests.kafka.broker import KafkaBroker

PARTITIONS: Final = 4
CONVERSATIONS: Final = 20_000
_SMALLEST_CACHE: Final = 16 << 20
_ASK: Final = """
SELECT label_id FROM conversations FINAL WHERE assistant = 'shop' AND conversation_id = {id:String}
"""
_ASK_S: Final = 0.005
_PAUSE_S: Final = 0.1


async def measured(labels: int, folder: Path) -> tuple[list[float], int, int]:
    """Give the seconds that each label took, and how many conversations there were and were in memory."""
    chance, now = random.Random(7), datetime.now(UTC) - timedelta(days=2)
    simulation = Simulation(now=now, conversations=CONVERSATIONS)
    settings = Settings.load(group="label-latency", cache_bytes=_SMALLEST_CACHE)
    (folder / "kafka").mkdir()
    with chdb(folder) as sink:
        async with KafkaBroker(folder / "kafka") as broker:
            cluster = Cluster(broker.address)
            await create_topics(cluster, PARTITIONS, 1)
            producer = KafkaProducer(cluster)
            await producer.start()
            loaded = await load(producer, (payload for _, payload in simulation.events()), PARTITIONS)
            engine = engine_of(sink, broker.address, settings, NoMetrics())
            await engine.start()
            await engine.caught_up(loaded.records)
            await engine.close_due()
            cached = engine.worker.cached
            waits = []
            names = [row[0] for row in sink.client.query("SELECT conversation_id FROM conversations FINAL").result_rows]
            chosen = [name for name in chance.sample(names, len(names)) if ("shop", name) not in engine.worker._cache]
            for number, name in enumerate(chosen[:labels]):
                label = {
                    "type": "label.set",
                    "id": f"label-{number}",
                    "assistant": "shop",
                    "conversation_id": name,
                    "at": int(time.time() * 1000),
                    "label": "positive",
                }
                began = time.monotonic()
                await load(producer, [msgspec.json.encode(label)], PARTITIONS)
                while True:
                    found = await asyncio.to_thread(sink.client.query, _ASK, parameters={"id": name})
                    if found.result_rows and found.result_rows[0][0] == label["id"]:
                        break
                    await asyncio.sleep(_ASK_S)
                waits.append(time.monotonic() - began)
                await asyncio.sleep(chance.random() * _PAUSE_S)
            await engine.stop()
            await producer.stop()
    return waits, len(names), cached


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser("bench.label_latency", description=__doc__)
    parser.add_argument("--labels", type=positive, default=200, help="how many labels (default: 200)")
    options = parser.parse_args()
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        waits, stored, cached = asyncio.run(measured(options.labels, Path(folder)))
    print(f"{len(waits)} labels, each for one of {stored:,} closed conversations, {cached:,} others in memory:")
    print(in_words(waits))
    return 0


if __name__ == "__main__":
    sys.exit(main())
