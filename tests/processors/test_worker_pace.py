"""How often a worker flushes, on virtual time."""

import asyncio
import time
from itertools import pairwise
from random import Random
from types import SimpleNamespace
from typing import Any, Final

import pytest

from processors import worker as module
from processors.measures import NoMetrics
from processors.records import Taken
from processors.worker import Pace, Worker
from schemas.rules import Rules
from schemas.topics import EVENTS
from sinks.memory import MemoryStore
from tests.faults.simulation.loop import VirtualLoop

PACE = Pace(interval=1.0)


NOW: Final = 1_790_000_000_000


@pytest.mark.parametrize(
    ("takes", "age", "apart"),
    [
        pytest.param(0.0, 0.1, 1.0, id="short flushes begin an interval apart"),
        pytest.param(0.7, 0.1, 1.0, id="however long they take"),
        pytest.param(2.0, 0.1, 2.25, id="longer ones rest a little"),
        pytest.param(0.7, 9.0, 1.4, id="where old records come, as long as they took"),
        pytest.param(3.0, 9.0, 4.0, id="but for a second at most"),
    ],
)
def test_flushes_come_at_an_even_pace(monkeypatch: pytest.MonkeyPatch, takes: float, age: float, apart: float) -> None:
    """`age`: of the record that the worker has taken last, in seconds."""
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
        now=lambda: NOW,
    )
    begun: list[float] = []

    async def flush() -> None:
        begun.append(loop.time())
        await asyncio.sleep(takes)

    monkeypatch.setattr(worker, "flush", flush)

    async def commit() -> bool:
        return True

    async def lives() -> None:
        worker.assigned(frozenset({0}), 1, 1, commit)
        record = Taken(0, NOW - round(age * 1_000), None, b"no event")
        await worker.take(EVENTS.name, 0, [record], lambda: None)
        running = asyncio.create_task(worker.run())
        await asyncio.sleep(max(30, 7 * apart))
        running.cancel()

    try:
        loop.lead(lives())
    finally:
        worker.close()
    assert len(begun) > 5
    assert [later - earlier for earlier, later in pairwise(begun)] == pytest.approx([apart] * (len(begun) - 1))
