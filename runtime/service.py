"""Running until told to stop: signals, the HTTP side, and what a failure of the worker means for the process."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Coroutine
from typing import Any

from processors.worker import Pace
from runtime.engine import Engine, Tuning
from runtime.front import Front
from runtime.server import HttpServer
from runtime.settings import Settings


class Health:
    """What the probes say: of the worker once there is one, before that what is being waited for."""

    def __init__(self) -> None:
        self.engine: Engine | None = None
        self.starting = "starting"

    def live(self) -> str:
        """Say why the process should be started anew, '' when it is fine."""
        return self.engine.live() if self.engine else ""

    def ready(self) -> list[str]:
        """Say what is missing; empty when everything is there."""
        return self.engine.ready() if self.engine else [self.starting]

    def notes(self) -> list[str]:
        """Say what an operator should know all the same."""
        return self.engine.notes() if self.engine else []


def tuning(settings: Settings, *, default_assistant: str | None = None) -> Tuning:
    """Give the worker's part of the settings."""
    return Tuning(
        cache_bytes=settings.cache_bytes,
        default_assistant=settings.default_assistant or default_assistant,
        group=settings.group,
        session=settings.session_timeout_s,
        drain=settings.drain_s,
        watchdog=settings.watchdog_s,
        pace=Pace(interval=settings.flush_interval_s, facts=settings.flush_facts),
    )


@contextlib.asynccontextmanager
async def served(settings: Settings, front: Front) -> AsyncIterator[HttpServer]:
    """Listen for as long as the context lasts."""
    server = HttpServer(front, host=settings.host, port=settings.port)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


def stop_signal() -> asyncio.Event:
    """Give an event that the first SIGTERM or SIGINT sets; the second ends the process at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def told(number: signal.Signals) -> None:
        if stop.is_set():
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told, number)
    return stop


async def unless_stopped(work: Coroutine[Any, Any, None], stop: asyncio.Event, engine: Engine) -> bool:
    """Do some work beside the worker; False when a signal came first. Raises what made the worker fail."""
    doing, told = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        watched: set[asyncio.Future[Any]] = {doing, told, engine.failed}
        await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
        if engine.failed.done():
            engine.failed.result()
        if doing.done():
            doing.result()
            return True
        return False
    finally:
        for task in (doing, told):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def until_stopped(stop: asyncio.Event, engine: Engine) -> None:
    """Go on until a signal comes. Raises what made the worker fail."""
    await unless_stopped(for_ever(), stop, engine)


async def for_ever() -> None:
    """Never end."""
    await asyncio.Event().wait()
