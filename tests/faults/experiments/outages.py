"""Servers that die, hang, break connections, lose answers and answer late."""

import asyncio
import time

from tests.e2e.cluster import WorkerProcess
from tests.faults.laboratory import Laboratory, resident_mib
from tests.faults.trial import Trial, experiment

INSERTS = "INSERT INTO (events|conversations)"


@experiment(5)
async def broker_down(trial: Trial) -> None:
    """The broker dies and comes back on its data; connections break; one in a hundred answers comes 2 s late."""
    down = 10 if trial.short else 60
    async with trial.laboratory() as laboratory:
        workers = [await laboratory.worker() for _ in range(2)]
        lines = trial.load.arrivals
        laboratory.kafka.late_share, laboratory.kafka.late_s = 0.01, 2.0
        async with laboratory.loading(lines[: len(lines) // 2], 10):
            for _ in range(5):
                await asyncio.sleep(1.5)
                laboratory.kafka.reset(0.5)
        before = max(map(resident_mib, workers))
        await laboratory.broker.kill()
        await asyncio.sleep(down)
        await laboratory.broker.start()
        up = time.monotonic()
        await laboratory.produce(lines[len(lines) // 2 :])
        await laboratory.caught_up(120)
        trial.note(f"broker down {down} s, half of the load stored {time.monotonic() - up:.1f} s after it was back")
        _assert_running(workers)
        trial.note(f"memory of a worker {before:.0f} MiB before, {max(map(resident_mib, workers)):.0f} MiB after")
        await trial.judge(laboratory)


def _assert_running(workers: list[WorkerProcess]) -> None:
    """No crash loop: those that were started are still there."""
    for worker in workers:
        assert worker.status is None, worker.words()


@experiment(6)
async def clickhouse_down(trial: Trial) -> None:
    """ClickHouse dies and comes back; inserts are stored and their answers lost; the third of five inserts fails."""
    down = 8 if trial.short else 60
    async with trial.laboratory() as laboratory:
        worker = await laboratory.worker()
        lines = trial.load.arrivals
        third = len(lines) // 3
        async with laboratory.loading(lines[:third], 8):
            await laboratory.until_facts(third // 3)
            await laboratory.clickhouse.plan("lose", INSERTS, times=3)
            await laboratory.until_facts(third // 2)
            await laboratory.clickhouse.plan("fail", INSERTS, passing=2)
            await laboratory.clickhouse.plan("reset", INSERTS, passing=4)
        await laboratory.caught_up(60)

        async with laboratory.loading(lines[third : 2 * third], down + 2):
            await laboratory.clickhouse.kill()
            await worker.lacks("waiting")
            await asyncio.sleep(1)
            held, begun = await _progress(laboratory, worker), time.monotonic()
            await asyncio.sleep(down)
            now = await _progress(laboratory, worker)
            assert now[0] == held[0], "something was acknowledged while nothing could be stored"
            trial.note(
                f"down {time.monotonic() - begun:.0f} s: 0 records acknowledged, {now[1] - held[1]:.0f} more taken"
            )
            await laboratory.clickhouse.start()
        await worker.ready()
        waited = await laboratory.caught_up(60)

        await laboratory.clickhouse.plan("hang", "INSERT INTO events")
        await laboratory.produce(lines[2 * third :])
        await asyncio.sleep(2)
        await laboratory.clickhouse.mend()
        await laboratory.caught_up(60)
        trial.note(f"caught up {waited:.1f} s after it was back; memory {resident_mib(worker):.0f} MiB")
        assert worker.log.read_text().count("assigned: partitions") == 1, "the group was not kept"
        await trial.judge(laboratory)


async def _progress(laboratory: Laboratory, worker: WorkerProcess) -> tuple[int, float]:
    """How many records are committed, and how many the worker has taken."""
    committed, _ = await laboratory.progress()
    return sum(committed.values()), await worker.metric("afterword_records_total")


@experiment(6, in_short=False)
async def network_between(trial: Trial) -> None:
    """Latency, little bandwidth, resets and half-open connections between the worker and both servers."""
    lines = trial.load.arrivals if trial.short else trial.load.arrivals[:40_000]
    async with trial.laboratory() as laboratory:
        worker = await laboratory.worker()
        for proxy in (laboratory.kafka, laboratory.store):
            proxy.latency_s, proxy.bytes_per_s = 0.02, 4e6
        async with laboratory.loading(lines, 25):
            for _ in range(6):
                await asyncio.sleep(trial.random.uniform(1, 3))
                proxy = trial.random.choice((laboratory.kafka, laboratory.store))
                if trial.random.random() < 0.5:
                    proxy.reset()
                else:
                    with proxy.stalled():
                        await asyncio.sleep(trial.random.uniform(1, 4))
            await laboratory.store.refuse()
            await asyncio.sleep(3)
            await laboratory.store.listen()
        seconds = await laboratory.caught_up(90)
        assert worker.status is None, worker.words()
        trial.note(f"20 ms and 4 MB/s each way, 6 faults: caught up {seconds:.1f} s after the load")
        await trial.judge(laboratory, lines)


@experiment(19)
async def stale_reads(trial: Trial) -> None:
    """ClickHouse answers reloads from an earlier state once: it is noticed, read again, and the row is right."""
    lines = trial.load.arrivals
    half = len(lines) // 2
    async with trial.laboratory() as laboratory:
        await laboratory.produce(lines[: half // 2])
        first = await laboratory.worker()
        await laboratory.caught_up(60)
        await laboratory.clickhouse.remember()
        await laboratory.produce(lines[half // 2 : half])
        await laboratory.caught_up(60)
        await first.stop()

        await laboratory.clickhouse.plan("stale", "SELECT conversation_id, digest, payload, .* FROM frontiers", times=3)
        await laboratory.produce(lines[half:])
        worker = await laboratory.worker()  # which has nothing in memory
        await laboratory.caught_up(60)
        stale = await worker.metric("afterword_stale_reads_total")
        assert stale > 0, "no stale read was noticed"
        trial.note(f"{stale:.0f} conversations noticed as stale and read again")
        said = worker.log.read_text()
        assert "made anew from the facts" not in said, "a row was given up"
        assert "and the store has it up to" not in said, "an old state was taken for the last one"
        await trial.judge(laboratory)
