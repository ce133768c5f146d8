"""Workers that die, come, go and are told to stop."""

import asyncio
import itertools
import signal
import time
from collections.abc import Iterator

from processors.crash_point import CrashPoint
from tests.e2e.cluster import SESSION_S
from tests.faults.trial import Trial, experiment
from tests.faults.watching import Ownership, looking


@experiment(1)
async def workers_killed(trial: Trial) -> None:
    """Random ones of two or three workers are killed, again and again, 0.1 to 5 s apart."""
    kills = 4 if trial.short else 30
    pauses = [trial.random.uniform(0.1, 3.0 if trial.short else 5.0) for _ in range(kills)]
    async with trial.laboratory() as laboratory:
        for _ in range(2):
            laboratory.start_worker()
        await laboratory.workers[0].ready()
        async with laboratory.loading(trial.load.arrivals, sum(pauses) + 5):
            for pause in pauses:
                await asyncio.sleep(pause)
                await laboratory.killed(trial.random.choice(laboratory.workers))
                while len(laboratory.workers) < trial.random.choice((2, 3)):
                    laboratory.start_worker()
        seconds = await laboratory.caught_up(240)
        trial.note(f"{kills} kills; caught up {seconds:.1f} s after the last")
        await trial.judge(laboratory)
        assert seconds < 30


@experiment(2)
async def crash_points(trial: Trial) -> None:
    """A worker crashes at each named point, and the next one at another: every pair of points in a row."""
    points = list(CrashPoint)
    tour = [*trial.random.sample(points, 2), CrashPoint.MID_INSERT] if trial.short else list(_pairs(points))
    begun = time.monotonic()
    async with trial.laboratory() as laboratory:
        # A worker that meets no record never comes to its point: the load has to last. What is left comes at the end.
        async with laboratory.loading(trial.load.arrivals, len(tour) * 4 * SESSION_S):
            for point in tour:
                worker = laboratory.start_crashing_worker(point, trial.random.choice((0, 0, 1)))
                await laboratory.crashed(worker)
        await laboratory.worker()
        await laboratory.caught_up(60)
        trial.note(f"{len(tour)} crashes, {len(set(itertools.pairwise(tour)))} pairs, {time.monotonic() - begun:.0f} s")
        await trial.judge(laboratory)


def _pairs(points: list[CrashPoint]) -> Iterator[CrashPoint]:
    """A walk through the points in which each follows each, itself included, once."""
    left = {one: list(reversed(points)) for one in points}
    way, tour = [points[0]], []
    while way:  # Hierholzer's: every point has as many ways in as out
        if left[way[-1]]:
            way.append(left[way[-1]].pop())
        else:
            tour.append(way.pop())
    return reversed(tour)


@experiment(3, in_short=False)
async def workers_coming_and_going(trial: Trial) -> None:
    """Workers join and leave every 3 to 10 s for 3 minutes; no partition is without owner for two session time-outs."""
    seconds = 20 if trial.short else 180
    async with trial.laboratory() as laboratory:
        await laboratory.worker()
        ownership, changes = Ownership(laboratory), 0
        async with looking(ownership.look, 0.2), laboratory.loading(trial.load.arrivals, seconds):
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                await asyncio.sleep(trial.random.uniform(3, 10))
                if len(laboratory.workers) < 2 or (len(laboratory.workers) < 4 and trial.random.random() < 0.5):
                    # Not until it is ready: Faust leaves partitions where they are, and may have none for it.
                    await laboratory.start_worker().answers()
                else:
                    leaving = laboratory.workers.pop(trial.random.randrange(len(laboratory.workers)))
                    leaving.send(signal.SIGTERM)
                    assert await leaving.ended(20) == 0, leaving.words()
                changes += 1
        await laboratory.caught_up(60)
        trial.note(f"{changes} changes; the longest time that a partition had no owner: {ownership.longest:.1f} s")
        assert ownership.longest < 2 * SESSION_S
        await trial.judge(laboratory)


@experiment(12, in_short=False)
async def told_to_stop(trial: Trial) -> None:
    """SIGTERM under load: the worker ends with 0 within 10 s, and nothing that it took is delivered again."""
    lines = trial.load.good
    stops = 1 if trial.short else 5
    async with trial.laboratory() as laboratory:
        taken, longest = 0, 0.0
        async with laboratory.loading(lines, stops * 8):
            for _ in range(stops):
                worker = await laboratory.worker()
                await asyncio.sleep(trial.random.uniform(1, 3))
                told = time.monotonic()
                worker.send(signal.SIGTERM)
                assert await worker.ended(10) == 0, worker.words()
                longest = max(longest, time.monotonic() - told)
                laboratory.workers.remove(worker)
                committed, _ = await laboratory.progress()
                taken = sum(committed.values())
        last = await laboratory.worker()
        await laboratory.caught_up(60)
        committed, _ = await laboratory.progress()
        read = await last.metric("afterword_records_total")
        assert read == sum(committed.values()) - taken
        trial.note(f"{stops} stops, the longest {longest:.1f} s; then {read:.0f} records read, none twice")
        await trial.judge(laboratory, lines)
