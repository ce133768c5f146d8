"""`python -m bench.open_conversations`: a worker beside ten million open conversations in ClickHouse.

The rows are made by ClickHouse itself, behind its HTTP interface in another process; so many of them fall due in each
second. A worker with default settings starts on empty topics. How soon is it ready, and again after kill -9; what does
it take of memory; does it close as many as fall due?
"""

import argparse
import asyncio
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

from bench.arguments import positive
from bench.machine import cpu_of
from bench.page_rows import Made, write_rows
from runtime.kafka import Cluster as Address
from runtime.kafka import create_topics
from sinks.connection import Database
from tests.e2e.cluster import Cluster, WorkerProcess
from tests.kafka.broker import KafkaBroker

CONVERSATIONS: Final = 10_000_000
_PARTITIONS: Final = 4
_PORTION: Final = 500_000
_AHEAD_S: Final = 45
"""From the last row made to the first that falls due: the worker has started twice by then."""
_OPEN: Final = {
    "closed": "false",
    "ended_at": "NULL",
    "duration_ms": "NULL",
    "close_reason": "''",
    "version": "toUInt64(7) * 16777216 + 131072 + 2",
    "started_at": "toDateTime64({now:UInt32} - 7200 - n % 80000, 3, 'UTC')",
}


class Found(NamedTuple):
    """Times in seconds. `late`: how many of those due were not closed, at each look."""

    ready: float
    ready_again: float
    peak_mib: float
    closed: int
    seconds: float
    late: list[int]
    cpu_worker: float
    cpu_server: float


def fill(database: Database, conversations: int, due: int, rate: int) -> float:
    """Make the rows, all open; gives the epoch second from which `rate` of the last `due` fall due in each second."""
    client = database.client()
    made = Made(conversations, int(time.time()))
    for first in range(0, conversations - due, _PORTION):
        some = min(_PORTION, conversations - due - first)
        write_rows(client, made, f"numbers({first}, {some})", **_OPEN, closes_at="addDays(started_at, 9)")
        print(f"    {first + some:,} of {conversations:,} rows", file=sys.stderr, flush=True)
    begin = int(time.time()) + _AHEAD_S
    first = conversations - due
    falls_due = f"toDateTime64({begin}, 3, 'UTC') + toIntervalMillisecond(intDiv((n - {first}) * 1000, {rate}))"
    write_rows(client, made, f"numbers({first}, {due})", **_OPEN, closes_at=falls_due)
    client.close()
    return begin


async def started(cluster: Cluster) -> tuple[WorkerProcess, float]:
    """Start a worker; gives the seconds until it was ready."""
    begun = time.monotonic()
    worker = await cluster.worker()
    return worker, time.monotonic() - begun


async def measured(conversations: int, rate: int, seconds: int, folder: Path) -> Found:
    """Let the rows fall due, and look once a second."""
    (folder / "kafka").mkdir()
    async with KafkaBroker(folder / "kafka") as broker:
        await create_topics(Address(broker.address), _PARTITIONS, 1)
        async with Cluster(Address(broker.address), folder, partitions=_PARTITIONS) as cluster:
            begin = await asyncio.to_thread(fill, cluster.clickhouse.database, conversations, rate * seconds, rate)
            worker, ready = await started(cluster)
            await worker.kill()
            worker, again = await started(cluster)
            server = cluster.clickhouse._child
            assert server is not None
            await asyncio.sleep(max(0.0, begin - time.time()))
            before = cpu_of(worker.pid) or 0.0, cpu_of(server.pid) or 0.0
            late = []
            while (passed := time.time() - begin) < seconds:
                await asyncio.sleep(1)
                late.append(int(rate * passed - await worker.metric("afterword_closed_idle_total")))
            cpu = (cpu_of(worker.pid) or 0.0) - before[0], (cpu_of(server.pid) or 0.0) - before[1]
            closed = int(await worker.metric("afterword_closed_idle_total"))
            peak = _peak_mib(worker.pid)
    return Found(ready, again, peak, closed, passed, late, *cpu)


def _peak_mib(pid: int) -> float:
    (line,) = (one for one in Path(f"/proc/{pid}/status").read_text().splitlines() if one.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser("bench.open_conversations", description=__doc__)
    parser.add_argument("--conversations", type=positive, default=CONVERSATIONS, help="rows (default: 10,000,000)")
    parser.add_argument("--rate", type=positive, default=5_000, help="that fall due in each second (default: 5,000)")
    parser.add_argument("--seconds", type=positive, default=120, help="for so long (default: 120)")
    options = parser.parse_args()
    if options.rate * options.seconds > options.conversations:
        parser.error("more rows would fall due than there are: give it more --conversations")
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        found = asyncio.run(measured(options.conversations, options.rate, options.seconds, Path(folder)))
    half = found.late[len(found.late) // 2 :]
    print(
        f"{options.conversations:,} open conversations: ready after {found.ready:.1f} s, after kill -9 "
        f"{found.ready_again:.1f} s; at most {found.peak_mib:,.0f} MiB\n"
        f"{found.closed / found.seconds:,.0f} closed a second for {found.seconds:.0f} s; due and not closed: at most "
        f"{max(found.late):,}, in the second half {max(half):,}\n"
        f"of a core: worker {found.cpu_worker / found.seconds:.0%}, ClickHouse {found.cpu_server / found.seconds:.0%}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
