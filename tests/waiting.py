"""Waiting in tests: for a condition, with a deadline, never for a fixed time."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

T = TypeVar("T")

PAUSE_S = 0.02


@overload
async def until(condition: Callable[[], Awaitable[T]], deadline_s: float, what: str) -> T: ...
@overload
async def until(condition: Callable[[], T], deadline_s: float, what: str) -> T: ...
async def until(condition: Callable[[], Any], deadline_s: float, what: str) -> Any:
    """The first true answer of `condition`, which may be a coroutine function; asked at least once.

    Raises AssertionError naming `what` and the last answer when `deadline_s` seconds brought no true one. A condition
    that raises ends the waiting.
    """
    end = time.monotonic() + deadline_s
    while True:
        answer = condition()
        value = await answer if inspect.isawaitable(answer) else answer
        if value:
            return value
        if time.monotonic() >= end:
            raise AssertionError(f"waited {deadline_s:g} s for {what}, the last answer was {value!r}")
        await asyncio.sleep(PAUSE_S)


def until_sync(condition: Callable[[], T], deadline_s: float, what: str) -> T:
    """As `until`, where no event loop runs."""
    return asyncio.run(until(condition, deadline_s, what))
