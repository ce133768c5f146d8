"""An event loop on virtual time, which runs what is ready in an order that a seed decides, and lets processes die."""

import asyncio
import contextvars
import heapq
import math
from asyncio import events
from collections.abc import Callable, Coroutine
from itertools import count
from random import Random
from typing import Any, Final, TypeVar, cast

from schemas.failures import Refused, Unavailable

T = TypeVar("T")

_ENDING_STEPS: Final = 200_000
"""What is cancelled ends in a few thousand."""

PROCESS: Final[contextvars.ContextVar["Fate | None"]] = contextvars.ContextVar("process", default=None)
"""To which simulated process a task belongs; None: to the world around them."""


class Fate:
    """What becomes of one process: it runs, stands still until some time, or is dead."""

    def __init__(self) -> None:
        self.dead = False
        self.still_until = -math.inf

    def stands_still(self, now: float) -> bool:
        """Whether it was stopped and not yet continued."""
        return now < self.still_until


class VirtualLoop(asyncio.SelectorEventLoop):
    """Time passes only when nothing is ready, and then at once up to the next timer. No thread is ever started.

    `step` is called with the process before each step of one of its tasks: it may change its fate.
    """

    def __init__(self, random: Random, step: Callable[[Fate], None] = lambda _: None) -> None:
        super().__init__()
        self.random = random
        self.steps = 0
        self.step = step
        self._virtual = 0.0
        self._busy_until: dict[object, float] = {}
        self._parked: list[Any] = []
        """What a dead process would have done."""

    def time(self) -> float:
        """Virtual seconds since the beginning."""
        return self._virtual

    def _run_once(self) -> None:
        ready: Any = self._ready  # type: ignore[attr-defined]
        scheduled: list[Any] = self._scheduled  # type: ignore[attr-defined]
        while scheduled and scheduled[0]._cancelled:
            heapq.heappop(scheduled)._scheduled = False
        if not ready:
            if not scheduled:
                raise RuntimeError("nothing is left to happen, and somebody waits")
            self._virtual = max(self._virtual, scheduled[0]._when)
        while scheduled and scheduled[0]._when <= self._virtual:
            timer = heapq.heappop(scheduled)
            timer._scheduled = False
            ready.append(timer)
        if ready:
            # Mostly the one that waits longest, as in life; else any.
            place = 0 if self.random.random() < 0.5 else self.random.randrange(len(ready))
            handle = ready[place]
            del ready[place]
            self._run(handle)

    def _run(self, handle: Any) -> None:
        if handle._cancelled:
            return
        fate: Fate | None = handle._context.get(PROCESS)
        if fate is not None:
            if not fate.dead:
                self.step(fate)
            if fate.dead:  # it does nothing, not even clean up
                self._parked.append(handle)
                return
            if fate.stands_still(self._virtual):
                self.call_at(fate.still_until, self._ready.append, handle, context=contextvars.Context())  # type: ignore[attr-defined]
                return
        self.steps += 1
        handle._run()

    def spawn(self, fate: Fate | None, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start a task of a process."""
        context = contextvars.copy_context()
        context.run(PROCESS.set, fate)
        return self.create_task(work, context=context)

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> "asyncio.Future[T]":  # type: ignore[override]
        """Let a call be made after a while, and its answer come after another; one at a time per executor.

        Like a request on the network: it may take effect although its process died or stopped before the answer.
        """
        future: asyncio.Future[T] = self.create_future()
        outside = contextvars.Context() if self.random.random() < 0.5 else contextvars.copy_context()
        begin = max(self._virtual, self._busy_until.get(executor, 0.0)) + self.random.expovariate(40)
        self._busy_until[executor] = begin

        def answer(result: T | None, error: BaseException | None) -> None:
            if future.done():
                return
            if error is None:
                future.set_result(cast("T", result))
            else:
                future.set_exception(error)

        def call() -> None:
            result, failure = None, None
            try:
                result = func(*args)
            except (Unavailable, Refused) as error:
                failure = error
            self.call_later(self.random.expovariate(40), answer, result, failure)

        self.call_at(begin, call, context=outside)
        return future

    def lead(self, main: Coroutine[Any, Any, T]) -> T:
        """Run until this ends, and then let everything else be cancelled, the dead included."""
        asyncio.set_event_loop(self)
        failures: list[BaseException] = []
        self.set_exception_handler(lambda _, context: failures.append(context.get("exception", KeyboardInterrupt())))
        try:
            result = self.run_until_complete(main)
        finally:
            steps = count()

            def ending(_fate: Fate) -> None:
                assert next(steps) < _ENDING_STEPS, "what was cancelled goes on for ever"

            self.step = ending
            for handle in self._parked:
                handle._context.get(PROCESS).dead = False
            self._ready.extend(self._parked)  # type: ignore[attr-defined]
            tasks = asyncio.all_tasks(self)
            for task in tasks:
                task.cancel()
            self.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            asyncio.set_event_loop(None)
            self.close()
        if failures:
            raise failures[0]
        return result


def running() -> VirtualLoop:
    """The loop that runs now."""
    loop = events.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return loop
