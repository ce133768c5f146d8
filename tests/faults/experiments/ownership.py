"""Workers that stand still, lose their partitions to others, and come back to them."""

import signal
import time

from tests.e2e.cluster import SESSION_S, WorkerProcess
from tests.faults.trial import Trial, experiment
from tests.faults.watching import Versions, looking
from tests.waiting import until


@experiment(4)
async def zombie(trial: Trial) -> None:
    """A worker stands still amid an insert for two session time-outs, another takes over, and it goes on."""
    lines = trial.load.arrivals
    half = len(lines) // 2
    async with trial.laboratory() as laboratory:
        first, versions = await laboratory.worker(), Versions(laboratory)
        async with looking(versions.look):
            async with laboratory.loading(lines[:half], 6):
                await laboratory.until_facts(half // 3)
                await laboratory.clickhouse.plan("hang", "INSERT INTO conversations")
                await until(laboratory.clickhouse.hanging, 30, "an insert to hang")
                first.send(signal.SIGSTOP)
                stopped = time.monotonic()
            await laboratory.worker()
            await laboratory.caught_up(60)
            await laboratory.produce(lines[half:])
            await until(lambda: time.monotonic() - stopped > 2 * SESSION_S, 60, "two session time-outs to pass")
            await laboratory.clickhouse.mend()  # the rows of the zombie come now, behind newer ones
            first.send(signal.SIGCONT)
            await until(lambda: _has_left_or_joined(first), 60, "the zombie to join again or to end")
            await laboratory.caught_up(60)
        assert versions.back == [], "rows went back"
        failed = first.log.read_text().count("commit failed") + first.log.read_text().count("was abandoned")
        trial.note(f"stopped {time.monotonic() - stopped:.0f} s; {failed} of its flushes or commits came to nothing")
        await trial.judge(laboratory)


def _has_left_or_joined(worker: WorkerProcess) -> bool:
    return worker.status is not None or worker.log.read_text().count("assigned: partitions") > 1


@experiment(17, in_short=False)
async def partition_regained(trial: Trial) -> None:
    """A worker with a warm cache loses its partitions, another writes, and it gets them back."""
    lines = trial.load.arrivals
    third = len(lines) // 3
    async with trial.laboratory() as laboratory:
        first = await laboratory.worker()
        await laboratory.produce(lines[:third])
        await laboratory.caught_up(60)
        cached = await first.metric("afterword_cached")
        first.send(signal.SIGSTOP)
        second = await laboratory.worker()
        await laboratory.produce(lines[third : 2 * third])
        await laboratory.caught_up(60)
        first.send(signal.SIGCONT)
        await second.stop()
        laboratory.workers.remove(second)
        looked_up = await first.metric("afterword_reloaded_total")
        await laboratory.produce(lines[2 * third :])
        await laboratory.caught_up(60)
        again = await first.metric("afterword_reloaded_total") - looked_up
        assert first.status is None, first.words()
        trial.note(f"{cached:.0f} conversations in memory when it lost them, {again:.0f} looked up again")
        assert again > 0
        await trial.judge(laboratory)
