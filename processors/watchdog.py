"""The watchdog: ends a process whose worker has records to take and does not move; its supervisor starts it anew.

Consumers do get stuck (faust-streaming #523, #175, #532). Waiting for ClickHouse or for Kafka is not being stuck.
"""

import asyncio
import faulthandler
import logging
import sys
import time
from collections.abc import Callable
from typing import Final

log = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 5.0
ANSWERS_RECENT: Final = 15.0
"""Kafka answers a fetch at least every 1.5 s; after so many seconds without one it is Kafka that is waited for."""


class Watchdog:
    """Looks now and then whether the worker moves. `stuck` says in words for how long it has not, '' if it does."""

    def __init__(
        self,
        *,
        beats: Callable[[], int],
        behind: Callable[[], int],
        waits: Callable[[], bool],
        limit: float,
        bite: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`limit` is in seconds.

        `beats` grows with every step of the worker; `behind`: records not yet taken or stored; `waits`: whether the
        worker waits for ClickHouse or Kafka; `bite` is called after `limit` without a beat.
        """
        self.stuck = ""
        self._beats = beats
        self._behind = behind
        self._waits = waits
        self._limit = limit
        self._bite = bite
        self._clock = clock
        self._last = -1
        self._since = clock()

    def look(self) -> None:
        """Look once; calls `bite` when the worker has been stuck for the limit."""
        beats, now = self._beats(), self._clock()
        if beats != self._last or self._waits() or not self._behind():
            self._last, self._since, self.stuck = beats, now, ""
            return
        still = now - self._since
        if still > self._limit / 2:
            self.stuck = f"no progress for {still:.0f} s with {self._behind()} records to go"
        if still >= self._limit:
            log.critical("%s; ending the process so that it is started anew", self.stuck)
            self._bite()

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(min(_LOOK_SECONDS, self._limit / 4))
            self.look()


def dump_stacks() -> None:
    """Write what every thread and every task is doing to standard error."""
    faulthandler.dump_traceback(file=sys.stderr)
    for task in asyncio.all_tasks():
        task.print_stack(limit=8, file=sys.stderr)
