"""The store as a worker uses it: each side in a thread of its own, tried again while the world is down."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol, Self, TypeVar

from processors import measures
from processors.measures import Metrics
from schemas.failures import Refused, Unavailable
from schemas.store import Reader, Writer

log = logging.getLogger(__name__)
T = TypeVar("T")

_FIRST_BACKOFF: Final = 0.1
_LONGEST_BACKOFF: Final = 5.0


class Abandoned(Exception):  # noqa: N818  (not an error: the partitions are gone)
    """The flush cannot end before its partitions are revoked; nothing of it is acknowledged."""


class Columns(Protocol):
    """Rows of some kind, as columns."""

    def __len__(self) -> int: ...

    def take(self, indices: Sequence[int]) -> Self:
        """Copy the rows at these places, in this order."""


ColumnsT = TypeVar("ColumnsT", bound=Columns)


class Persistence:
    """The writer and the reader of a worker.

    `waiting_on` says in words what is being tried again, '' when nothing is: a worker that waits is not stuck.
    """

    def __init__(self, writer: Writer, reader: Reader, metrics: Metrics) -> None:
        self.writer = writer
        self.reader = reader
        self.waiting_on = ""
        self._metrics = metrics
        self._write_thread = ThreadPoolExecutor(1, "afterword-writer")
        self._read_thread = ThreadPoolExecutor(1, "afterword-reader")

    async def write(self, what: str, call: Callable[[], T], given_up: asyncio.Event) -> T:
        """Call the writer in its thread, again and again while it is unavailable."""
        return await self.persist(what, lambda: _in_thread(self._write_thread, call), given_up)

    async def read(self, what: str, call: Callable[[], T], given_up: asyncio.Event) -> T:
        """Call the reader in its thread, again and again while it is unavailable."""
        return await self.persist(what, lambda: _in_thread(self._read_thread, call), given_up)

    async def persist(self, what: str, attempt: Callable[[], Awaitable[T]], given_up: asyncio.Event) -> T:
        """Attempt until it succeeds. Raises Abandoned when the flush is given up meanwhile."""
        backoff, waited = _FIRST_BACKOFF, False
        try:
            while not given_up.is_set():
                try:
                    result = await attempt()
                except Unavailable as error:
                    if not waited:
                        log.warning("waiting: %s: %s", what, error)
                    waited, self.waiting_on = True, f"{what}: {error}"
                    self._metrics.count(measures.RETRIES, 1, what)
                    await sleep_unless(given_up, backoff)
                    backoff = min(backoff * 2, _LONGEST_BACKOFF)
                    continue
                if given_up.is_set():
                    break
                if waited:
                    log.warning("going on: %s", what)
                return result
        finally:
            if waited:
                self.waiting_on = ""
        raise Abandoned

    def close(self) -> None:
        """End the threads; what they are doing is finished first."""
        self._write_thread.shutdown()
        self._read_thread.shutdown()


async def _in_thread(thread: ThreadPoolExecutor, call: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(thread, call)


async def sleep_unless(event: asyncio.Event, seconds: float) -> bool:
    """Sleep, but not on when the event is set; whether it was.

    Not by `asyncio.wait_for`: up to Python 3.11 it loses a cancellation that comes in the moment in which the event is
    set (cpython #86296), and who is cancelled goes on for ever.
    """
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


def insert_bisecting(insert: Callable[[ColumnsT], None], columns: ColumnsT) -> list[int]:
    """Insert everything but the rows that are at fault by themselves; gives their places. Blocks."""
    count = len(columns)
    if not count:
        return []
    try:
        insert(columns)
    except Refused as error:
        if count == 1:
            log.error("ClickHouse refuses a record: %s", error)  # noqa: TRY400  (known, and said again as dead letter)
            return [0]
        middle = count // 2
        left = insert_bisecting(insert, columns.take(range(middle)))
        right = insert_bisecting(insert, columns.take(range(middle, count)))
        return left + [middle + place for place in right]
    return []
