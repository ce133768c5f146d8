"""What runs out: disk, and over a long time memory."""

import asyncio
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from runtime.folder import Folder, Running
from runtime.kafka import KafkaProducer, cluster_of, partition_counts
from runtime.loader import load
from runtime.simulator import Simulation
from sinks.connection import Database
from tests.e2e.children import Child
from tests.e2e.cluster import START_S, ClickHouse, facts_in, get
from tests.e2e.rows import of_the_oracle
from tests.faults.laboratory import resident_mib
from tests.faults.load import NOW
from tests.faults.trial import Trial, experiment
from tests.faults.verdict import judge
from tests.waiting import until

_DISK_MIB = 700
_WARM_UP = 1 / 3


@experiment(8, in_short=False)
async def disk_full(trial: Trial) -> None:
    """The disk under chDB is full: `afterword up` says so and waits, nothing is corrupt, and it goes on."""
    good = set(trial.load.good)
    lines = [one for one in trial.load.arrivals[:20_000] if one in good]
    folder = Folder(trial.directory / "data")
    with _small_disk(folder.path) as mounted:
        if not mounted:
            trial.note("not done: a disk of its own needs the right to mount one")
            return
        arguments = ("up", "--data", str(folder.path), "--port", "0")
        up = Child("afterword up", trial.directory / "up.log", "runtime.cli", *arguments)
        try:
            await until((folder.path / "up.json").exists, START_S, "afterword up to run")
            running = folder.running()
            assert running is not None
            producer = KafkaProducer(cluster_of(running.kafka))
            await producer.start()
            try:
                trial.note(await _full_and_free(folder.path, lines, len(lines) // 2, producer, running))
            finally:
                await producer.stop()
        finally:
            await up.stop()
        server = ClickHouse(folder.clickhouse, trial.directory / "clickhouse.log")
        await server.start()
        try:
            await asyncio.to_thread(_check_parts, server.database)
            wanted = await asyncio.to_thread(of_the_oracle, lines, int(time.time() * 1000))
            verdict = await asyncio.to_thread(judge, server.database, wanted, set(lines))
        finally:
            await server.stop()
        trial.note(f"every part of every table is whole; {str(verdict).splitlines()[0]}")
        assert verdict.good, str(verdict)


async def _full_and_free(
    disk: Path, lines: Sequence[bytes], half: int, producer: KafkaProducer, running: Running
) -> str:
    """Fill the disk amid a load until nothing can be stored, and free it again; gives what was said."""
    database = Database.parse(running.clickhouse)
    partitions = min((await partition_counts(cluster_of(running.kafka))).values())

    async def stored(count: int) -> bool:
        return await asyncio.to_thread(facts_in, database) == count

    async def told() -> tuple[int, str]:
        return await asyncio.to_thread(get, urlsplit(running.http).port or 0, "/readyz") or (0, "")

    async def lacks_space() -> str:
        status, said = await told()
        return said if status == 503 and "space" in said else ""

    await load(producer, lines[:half], partitions)
    first = len(set(lines[:half]))
    await until(lambda: stored(first), START_S, "the first half to be stored")
    filler = _filled(disk)
    await load(producer, lines[half:], partitions)
    why = await until(lacks_space, START_S, "/readyz to say that there is no space")
    await asyncio.sleep(5)
    assert await stored(first)
    filler.unlink()
    freed = time.monotonic()
    await until(lambda: stored(len(set(lines))), START_S, "the rest to be stored")
    return f"/readyz: {why[why.find('Code') :][:80]}…; all stored {time.monotonic() - freed:.1f} s after there was room"


def _check_parts(database: Database) -> None:
    """Let ClickHouse compare every part with its checksums."""
    client = database.client()
    try:
        for table in ("events", "conversations", "dead_letters"):
            told = client.command(f"CHECK TABLE {table} SETTINGS check_query_single_value_result = 1")
            assert told == 1, f"{table}: {told}"
    finally:
        client.close()


@contextmanager
def _small_disk(directory: Path) -> Iterator[Path | None]:
    """A small disk at this folder; None where it may not be mounted."""
    directory.mkdir(parents=True)
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={_DISK_MIB}m", "tmpfs", str(directory)]
    mounted = shutil.which("mount") and not subprocess.run(mounting, capture_output=True, check=False).returncode
    try:
        yield directory if mounted else None
    finally:
        if mounted:
            subprocess.run(["umount", str(directory)], check=True)


def _filled(disk: Path) -> Path:
    """Take all room there is; gives the file that has it."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4_096)) == 4_096:
            pass
    return filler


@experiment(13, in_short=False)
async def soak(trial: Trial) -> None:
    """Half of what it can do, for 30 minutes: memory does not grow, and the lag returns to nothing."""
    seconds = 170 if trial.short else 1_800
    async with trial.laboratory(strays=False) as laboratory:
        worker = await laboratory.worker(cache_bytes="32MiB")
        events = iter(
            Simulation(now=datetime.fromtimestamp(NOW.timestamp(), UTC), seed=trial.seed).bulk(
                conversations=2_000_000, live_at_once=20_000
            )
        )
        begun, first = time.monotonic(), 60_000
        await laboratory.produce([next(events)[1] for _ in range(first)])
        await laboratory.caught_up(120)
        capacity = first / (time.monotonic() - begun)
        rate = capacity / 2
        trial.note(f"capacity here about {capacity:,.0f} events/s, so {rate:,.0f} for {seconds} s")

        samples: list[tuple[float, float]] = []
        produced, begun = 0, time.monotonic()
        while (now := time.monotonic() - begun) < seconds:
            due = int(now * rate)
            await laboratory.produce([next(events)[1] for _ in range(due - produced)])
            produced = due
            samples.append((now / 60, resident_mib(worker)))
            await asyncio.sleep(0.5)
        lag = await laboratory.caught_up(30)
        warm = np.array([one for one in samples if one[0] > seconds / 60 * _WARM_UP])
        parts = np.array_split(np.array(samples)[:, 1], 6)
        trial.note("MiB in each sixth of the time: " + ", ".join(f"{np.median(part):.0f}" for part in parts))
        slope = float(np.polyfit(warm[:, 0], warm[:, 1], 1)[0])
        trial.note(f"{produced:,} events; lag gone {lag:.1f} s after the last; memory {warm[-1, 1]:.0f} MiB")
        trial.note(f"slope {slope:+.2f} MiB/min after a warm-up of {seconds * _WARM_UP:.0f} s")
        assert await laboratory.clickhouse.facts() == first + produced
        assert slope < (10 if trial.short else 1)
