"""`afterword simulate`: the simulated shop's events as JSON Lines, or straight into Kafka, at once or in real time."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from typing import Final

from runtime.kafka import Cluster, KafkaProducer, partition_counts
from runtime.loader import load
from runtime.simulator import Simulation

DEFAULT_LIVE_RATE: Final = 5.0
_CHUNK: Final = 1_000

Write = Callable[[list[bytes]], Awaitable[None]]


async def simulate(simulation: Simulation, *, rate: float | None, live: bool, cluster: Cluster | None) -> int:
    """Write the events up to now, no faster than `rate` a second, then with `live` go on as time does; gives how many.

    Raises Unavailable when Kafka does not take them, BrokenPipeError when nobody reads any more.
    """
    if cluster is None:
        return await _write_all(simulation, rate, live, _to_output)
    counts = await partition_counts(cluster)
    producer = KafkaProducer(cluster)
    await producer.start()
    try:

        async def produce(payloads: list[bytes]) -> None:
            await load(producer, payloads, min(counts.values()))

        return await _write_all(simulation, rate, live, produce)
    finally:
        await producer.stop()


async def _to_output(payloads: list[bytes]) -> None:
    sys.stdout.buffer.write(b"\n".join(payloads) + b"\n")
    sys.stdout.buffer.flush()


async def _write_all(simulation: Simulation, rate: float | None, live: bool, write: Write) -> int:
    written, started = 0, time.monotonic()
    size = _CHUNK if rate is None else max(1, min(_CHUNK, int(rate / 10)))
    for chunk in _chunks((payload for _, payload in simulation.events()), size):
        if rate is not None:
            await asyncio.sleep(started + written / rate - time.monotonic())
        await write(chunk)
        written += len(chunk)
    if live:
        for due, _, payload in simulation.live(rate or DEFAULT_LIVE_RATE):
            await asyncio.sleep((due - datetime.now(UTC)).total_seconds())
            await write([payload])
            written += 1
    return written


def _chunks(payloads: Iterator[bytes], size: int) -> Iterator[list[bytes]]:
    chunk: list[bytes] = []
    for payload in payloads:
        chunk.append(payload)
        if len(chunk) >= size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
