"""Looking again and again beside an experiment: at what must never be, not even for a while."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from tests.faults.group import owned_partitions
from tests.faults.laboratory import Laboratory

_VERSIONS = "SELECT assistant, conversation_id, version FROM conversations FINAL"


@asynccontextmanager
async def looking(look: Callable[[], Awaitable[None]], pause_s: float = 0.5) -> AsyncIterator[None]:
    """Look, pause, look, until the block ends; a look that raises makes the end of the block raise."""

    async def again() -> None:
        while True:
            await look()
            await asyncio.sleep(pause_s)

    task = asyncio.create_task(again())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


class Versions:
    """The versions of all rows as they were looked at. `back`: those that were less, or gone, at a later look."""

    def __init__(self, laboratory: Laboratory, measure: Callable[[int], Any] = lambda version: version) -> None:
        """`measure`: what of a version must never grow less."""
        self.back: list[str] = []
        self._laboratory = laboratory
        self._measure = measure
        self._most: dict[tuple[str, str], Any] = {}

    async def look(self) -> None:
        """Look at all rows."""
        found = await self._laboratory.clickhouse.ask(_VERSIONS)
        seen = {(assistant, name): self._measure(version) for assistant, name, version in found}
        less = [key for key, most in self._most.items() if key not in seen or seen[key] < most]
        self.back += [f"{key}: {self._most[key]}, then {seen.get(key)}" for key in less]
        self._most |= seen


class Ownership:
    """Who owns what. `longest`: the longest time in seconds that a partition had no owner."""

    def __init__(self, laboratory: Laboratory) -> None:
        self.longest = 0.0
        self._laboratory = laboratory
        self._last: dict[Any, float] = {}

    async def look(self) -> None:
        """Look at all partitions."""
        owned = await owned_partitions(self._laboratory.address, self._laboratory.group)
        now = time.monotonic()
        for place in await self._laboratory.places():
            self._last[place] = now if place in owned else self._last.get(place, now)
        self.longest = max(self.longest, *(now - at for at in self._last.values()))
