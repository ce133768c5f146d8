"""`python -m bench.two_workers`: what an event costs with two workers in a group, against one, in turn.

Workers with in-memory sinks, a process each, wait in their group with their partitions; then the input is loaded.
Measured is the CPU of the workers from then until everything is stored and committed.
"""

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final

from bench.afterword_worker import engine_of, memory
from bench.arguments import positive
from bench.producer import bulk_of
from processors.measures import NoMetrics
from runtime.kafka import Cluster, KafkaProducer, create_topics
from runtime.loader import load
from runtime.settings import Settings
from tests.kafka.broker import KafkaBroker
from tests.waiting import until

PARTITIONS: Final = 4
_LOOK_S: Final = 0.2
_PATIENCE_S: Final = 600


async def take_part(address: str, group: str) -> None:
    """Be one worker: say how many records were taken and the CPU since it was ready, until a line comes in."""
    with memory(Path()) as sink:
        engine = engine_of(sink, address, Settings.load(group=group), NoMetrics())
        await engine.start()
        await until(lambda: not engine.ready(), _PATIENCE_S, "the worker to be ready")
        asked = asyncio.ensure_future(asyncio.to_thread(sys.stdin.readline))
        began = None
        while not asked.done():
            if began is None and engine.worker.progress.records:
                began = time.process_time()
            spent = time.process_time() - began if began is not None else 0.0
            idle = engine.worker.idle
            print(json.dumps([len(engine.worker.owned), engine.worker.progress.records, spent, idle]), flush=True)
            await asyncio.sleep(_LOOK_S)
        await engine.stop()


class Worker:
    """One of them, as its parent sees it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.owned = self.records = 0
        self.cpu = 0.0
        self.idle = False
        self._process = process
        self._listening = asyncio.create_task(self._listen())

    @classmethod
    async def start(cls, address: str, group: str) -> "Worker":
        """Start its process."""
        command = [sys.executable, "-m", "bench.two_workers", "--join", address, "--group", group]
        pipe = asyncio.subprocess.PIPE
        return cls(await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe))

    async def _listen(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self.owned, self.records, self.cpu, self.idle = json.loads(line)

    async def stop(self) -> None:
        """End it in order."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        await self._process.wait()
        await self._listening


async def measured(count: int, events: int, folder: Path) -> float:
    """Give the CPU seconds per million events with so many workers."""
    (folder / "kafka").mkdir()
    async with KafkaBroker(folder / "kafka") as broker:
        cluster = Cluster(broker.address)
        await create_topics(cluster, PARTITIONS, 1)
        workers = [await Worker.start(broker.address, f"group-{count}") for _ in range(count)]
        shares = [PARTITIONS // count] * count
        await until(lambda: [one.owned for one in workers] == shares, _PATIENCE_S, "each to have its partitions")
        producer = KafkaProducer(cluster)
        await producer.start()
        bulk = await asyncio.to_thread(bulk_of, events)
        loaded = await load(producer, (payload for _, payload in bulk), PARTITIONS)

        def done() -> bool:
            return sum(one.records for one in workers) >= loaded.records and all(one.idle for one in workers)

        await until(done, _PATIENCE_S, "all to be stored")
        await asyncio.sleep(2 * _LOOK_S)
        assert sum(one.records for one in workers) == loaded.records, "something was read twice"
        cpu = sum(worker.cpu for worker in workers)
        await producer.stop()
        for worker in workers:
            await worker.stop()
    return cpu / loaded.records * 1e6


def main() -> int:
    """Measure in turn and print."""
    parser = argparse.ArgumentParser("bench.two_workers", description=__doc__)
    parser.add_argument("--events", type=positive, default=500_000, help="a run (default: 500,000)")
    parser.add_argument("--rounds", type=positive, default=3, help="of one worker and two (default: 3)")
    parser.add_argument("--join", metavar="ADDRESS", help=argparse.SUPPRESS)
    parser.add_argument("--group", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.join:
        asyncio.run(take_part(options.join, options.group))
        return 0
    took: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(options.rounds):
        for count, figures in took.items():
            with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
                figures.append(asyncio.run(measured(count, options.events, Path(folder))))
            print(f"{count} of them: {figures[-1]:.1f} CPU seconds per million events", flush=True)
    one, two = median(took[1]), median(took[2])
    print(f"medians: one {one:.1f}, two {two:.1f}: {two / one - 1:+.0%}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
