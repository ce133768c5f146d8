"""Sleeping until something happens: what is cancelled meanwhile ends, whatever comes in the same moment."""

import asyncio

import pytest

from processors.persistence import sleep_unless


async def test_sleeping_tells_whether_it_was_woken() -> None:
    event = asyncio.Event()
    assert not await sleep_unless(event, 0)
    asyncio.get_running_loop().call_soon(event.set)
    assert await sleep_unless(event, 60)
    assert await sleep_unless(event, 60)


@pytest.mark.parametrize("turns", range(6))
async def test_a_cancellation_beside_the_event_is_not_lost(turns: int) -> None:
    event = asyncio.Event()

    async def run() -> None:
        while True:
            await sleep_unless(event, 60)
            event.clear()

    running = asyncio.create_task(run())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    event.set()
    for _ in range(turns):
        await asyncio.sleep(0)
    running.cancel()
    done, _ = await asyncio.wait([running], timeout=5)
    assert done == {running}
    assert running.cancelled()
