"""Waiting for the world: a part of a cluster starts before the others are there, and says what it waits for."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from runtime.service import Health
from schemas.failures import Unavailable
from sinks.connection import Database
from sinks.migrate import pending

log = logging.getLogger(__name__)

_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 10.0


async def migrated(database: Database) -> None:
    """Raise Unavailable unless the tables are as this version needs them."""
    missing = await asyncio.to_thread(pending, database)
    if missing:
        raise Unavailable(f"the tables in {database.where} are not there or old: run `afterword migrate`")


async def persist(attempt: Callable[[], Awaitable[None]], stop: asyncio.Event, health: Health) -> bool:
    """Attempt until the world is there; False when a signal came first."""
    pause = _FIRST_PAUSE
    while not stop.is_set():
        try:
            await attempt()
        except Unavailable as error:
            log.warning("waiting: %s", error)
            health.starting = str(error)
        else:
            return True
        try:
            await asyncio.wait_for(stop.wait(), pause)
        except TimeoutError:
            pause = min(pause * 2, _LONGEST_PAUSE)
    return False
