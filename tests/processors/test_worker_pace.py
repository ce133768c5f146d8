"""How often a worker flushes, on virtual time."""

import asyncio
import time
from itertools import pairwise
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from processors import worker as module
from processors.measures import NoMetrics
from processors.worker import Pace, Worker
from schemas.rules import Rules
from sinks.memory import MemoryStore
from tests.faults.simulation.loop import VirtualLoop

PACE = Pace(interval=1.0)


@pytest.mark.parametrize(
    ("takes", "apart"),
    [
        pytest.param(0.0, 1.0, id="short flushes begin an interval apart"),
        pytest.param(0.6, 1.0, id="however long they take"),
        pytest.param(3.0, 3.25, id="and rest a little behind one that took longer"),
    ],
)
def test_flushes_come_at_an_even_pace(monkeypatch: pytest.MonkeyPatch, takes: float, apart: float) -> None:
    loop = VirtualLoop(Random(1))
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=loop.time, time_ns=time.time_ns))
    store, nobody = MemoryStore(), SimpleNamespace()
    producer: Any = nobody
    worker = Worker(
        writer=store,
        reader=store,
        producer=producer,
        metrics=NoMetrics(),
        rules=Rules.load(None),
        cache_bytes=1 << 20,
        pace=PACE,
    )
    begun: list[float] = []

    async def flush() -> None:
        begun.append(loop.time())
        await asyncio.sleep(takes)

    monkeypatch.setattr(worker, "flush", flush)

    async def lives() -> None:
        running = asyncio.create_task(worker.run())
        await asyncio.sleep(30)
        running.cancel()

    try:
        loop.lead(lives())
    finally:
        worker.close()
    assert len(begun) > 5
    assert [later - earlier for earlier, later in pairwise(begun)] == pytest.approx([apart] * (len(begun) - 1))
