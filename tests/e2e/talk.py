"""Conversations that go on at this moment, for tests of the clock."""

import asyncio
import time
from contextlib import suppress
from typing import Self

from schemas.partitioning import home_partition
from tests.builders import event, line
from tests.e2e.cluster import Cluster


class Talk:
    """`async with Talk(cluster, pause_s)`: conversations in every partition, each with a message after every pause."""

    def __init__(self, cluster: Cluster, pause_s: float) -> None:
        self.names = [f"c-{number}" for number in range(12)]
        self.last = 0
        self.said = 0
        self._cluster = cluster
        self._pause_s = pause_s
        self._enough = asyncio.Event()
        self._talking: asyncio.Task[None]
        assert {home_partition(name, cluster.partitions) for name in self.names} == set(range(cluster.partitions))

    async def __aenter__(self) -> Self:
        self._talking = asyncio.create_task(self._talk())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._enough.set()
        await self._talking

    async def _talk(self) -> None:
        while not self._enough.is_set():
            at, text = int(time.time() * 1000), f"message {self.said}"
            messages = [event("message.sent", conversation_id=name, at=at, text=text) for name in self.names]
            await self._cluster.produce(map(line, messages))
            self.last, self.said = at, self.said + 1
            with suppress(TimeoutError):
                await asyncio.wait_for(self._enough.wait(), self._pause_s)
