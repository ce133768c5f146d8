"""The deterministic simulation, seed after seed."""

import asyncio
import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from tests.faults.simulation.life import lead, told
from tests.faults.trial import Trial, experiment


@experiment(14, in_short=False)
async def simulation(trial: Trial) -> None:
    """Real workers on virtual time: crashes, stops, lost answers and any order, in 1,000 seeds."""
    count = 50 if trial.short else 1_000
    seeds = range(trial.seed * 1_000_000, trial.seed * 1_000_000 + count)
    pool = ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn"))
    try:
        loop = asyncio.get_running_loop()
        outcomes = await asyncio.gather(*(loop.run_in_executor(pool, lead, seed) for seed in seeds))
    except BaseException:
        for life in list((pool._processes or {}).values()):  # who ends the experiment ends them too
            life.kill()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
    trial.note(told(outcomes))
