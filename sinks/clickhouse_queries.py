"""Questions to ClickHouse from an event loop: clients in threads, each question within a limit of time and memory.

It fulfils the Protocol `Queries` that `api` declares, and knows nothing of what is asked.
"""

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import Error
from urllib3.exceptions import HTTPError

from schemas.failures import TooMuch, Unavailable
from sinks.clickhouse_errors import answers, first_line
from sinks.connection import Database

T = TypeVar("T")

SECONDS: Final = 20
MEMORY: Final = 1 << 30
STREAM_SECONDS: Final = 900
"""A stream lasts as long as its reader takes: an export over a slow line is not a question that takes long."""

PIECE: Final = 256 << 10
"""So many bytes of a stream are read at once."""

_TIME_CODES: Final = {159: "TIMEOUT_EXCEEDED", 160: "TOO_SLOW"}
_MEMORY_CODE: Final = 241
_OF_THE_QUERY: Final = re.compile(r"\bquery memory limit|\(for query\)", re.IGNORECASE)

_EXCEPTION: Final = b"\r\n__exception__\r\n"
_TAG_HEADER: Final = "X-ClickHouse-Exception-Tag"


class _Clients:
    """Clients that are used by one thread at a time: as many are opened as are used at once."""

    def __init__(self, database: Database, settings: Mapping[str, float]) -> None:
        self._database = database
        self._settings = settings
        self._idle: list[Client] = []
        self._lock = threading.Lock()

    @contextmanager
    def one(self, seconds: float, memory: int) -> Iterator[Client]:
        """Lend a client; one that failed to reach its server is not lent again."""
        client = self.take()
        try:
            with _failures(self._database.where, seconds, memory):
                yield client
        except Unavailable:
            client.close()
            raise
        except BaseException:
            self.give_back(client)
            raise
        else:
            self.give_back(client)

    def take(self) -> Client:
        """Give an idle client, or a new one; raises Unavailable."""
        with self._lock:
            if self._idle:
                return self._idle.pop()
        client = self._database.client()
        client.tz_mode = "aware"
        with answers(self._database.where):
            for name, value in self._settings.items():
                client.set_client_setting(name, value)
        return client

    def give_back(self, client: Client) -> None:
        """Keep a client for the next question."""
        with self._lock:
            self._idle.append(client)

    def close(self) -> None:
        """Close what is idle."""
        with self._lock:
            idle, self._idle = self._idle, []
        for client in idle:
            client.close()


class ClickHouseQueries:
    """Asks on up to `width` clients at once, and streams on as many others; they are opened when they are needed.

    `seconds`, `memory` (bytes): what one question may take, else TooMuch. Reading clients cannot write (readonly = 2).
    """

    def __init__(self, database: Database, *, seconds: float = SECONDS, memory: int = MEMORY, width: int = 4) -> None:
        self._where = database.where
        self._seconds = seconds
        self._memory = memory
        limits = {
            "max_execution_time": seconds,
            "max_memory_usage": memory,
            # What a question may not hold it may sort and group on disk.
            "max_bytes_before_external_sort": memory // 2,
            "max_bytes_before_external_group_by": memory // 2,
        }
        last = {"readonly": 2}  # after it nothing can be set that clients set when they are opened
        self._asking = _Clients(database, {**limits, **last})
        self._streaming = _Clients(database, {**limits, "max_execution_time": STREAM_SECONDS, **last})
        self._writing = _Clients(database, limits)
        self._threads = ThreadPoolExecutor(width, "clickhouse-queries")
        self._stream_threads = ThreadPoolExecutor(width, "clickhouse-streams")
        self._streams = asyncio.Semaphore(width)

    def close(self) -> None:
        """Wait for what is being asked, and close the clients; blocks."""
        for threads in (self._threads, self._stream_threads):
            threads.shutdown(cancel_futures=True)
        for clients in (self._asking, self._streaming, self._writing):
            clients.close()

    async def rows(self, sql: str, parameters: Mapping[str, object] | None = None) -> list[tuple[Any, ...]]:
        """Give the whole answer, a tuple a row; times are aware, in UTC."""
        return await self._ask(lambda client: _rows(client, sql, parameters))

    async def records(self, sql: str, parameters: Mapping[str, object] | None = None) -> list[dict[str, Any]]:
        """Give the whole answer, a dictionary by column name a row."""
        return await self._ask(lambda client: _records(client, sql, parameters))

    async def write(self, sql: str, parameters: Mapping[str, object] | None = None) -> None:
        """Do a small INSERT; returns when it can be read."""
        await self._ask(lambda client: client.command(sql, parameters=_bound(parameters)), self._writing)

    async def stream(self, sql: str, parameters: Mapping[str, object] | None, output: str) -> AsyncIterator[bytes]:
        """Give the answer in one of ClickHouse's formats, in pieces as they are read; the query ends with its reader.

        In the embedded ClickHouse formats with a head or a foot, such as Parquet, come whole.
        """
        try:
            async with asyncio.timeout(self._seconds):
                await self._streams.acquire()
        except TimeoutError:
            raise Unavailable("all streams of ClickHouse are in use") from None
        try:
            stream = _Stream(self._streaming, self._where, self._memory)
            try:
                piece = await self._step(lambda: stream.open(sql, parameters, output))
                while piece:
                    yield piece
                    piece = await self._step(stream.read)
            finally:
                await asyncio.shield(self._step(stream.close))
        finally:
            self._streams.release()

    async def _ask(self, question: Callable[[Client], T], clients: _Clients | None = None) -> T:
        def asked() -> T:
            with (clients or self._asking).one(self._seconds, self._memory) as client:
                return question(client)

        return await asyncio.get_running_loop().run_in_executor(self._threads, asked)

    async def _step(self, step: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._stream_threads, step)


class _Stream:
    """One answer in pieces, on a client of its own from its beginning to its end."""

    def __init__(self, clients: _Clients, where: str, memory: int) -> None:
        self._clients = clients
        self._where = where
        self._memory = memory
        self._lock = threading.Lock()  # a reader who leaves may do so while a piece is being read
        self._client: Client | None = None
        self._source: Any = None
        self._tag = b""
        self._held = b""

    def open(self, sql: str, parameters: Mapping[str, object] | None, output: str) -> bytes:
        """Begin, and give the first piece; b'' when there is nothing."""
        with self._lock:
            self._client = self._clients.take()
            with self._failures():
                self._source = self._client.raw_stream(sql, parameters=_bound(parameters), fmt=output)
                self._tag = getattr(self._source, "headers", {}).get(_TAG_HEADER, "").encode()
                if self._tag:
                    self._held = self._source.read(PIECE)
                return self._next()

    def read(self) -> bytes:
        """Give the next piece, b'' at the end."""
        with self._lock, self._failures():
            return self._next()

    def close(self) -> None:
        """End the query, wherever it is."""
        with self._lock:
            client, self._client = self._client, None
            source, self._source = self._source, None
            if source is not None:
                source.close()
            if client is not None:
                self._clients.give_back(client)

    def _next(self) -> bytes:
        """Read on; where a server writes an error behind what it has sent already, one piece is held back to see it."""
        piece: bytes = self._source.read(PIECE)
        if not self._tag:
            return piece
        held, self._held = self._held, piece
        ending = held + piece
        place = ending.find(_EXCEPTION + self._tag)
        if place >= 0:
            told = (ending[place + len(_EXCEPTION) + len(self._tag) :] + self._source.read(PIECE)).decode(
                errors="replace"
            )
            code = re.search(r"Code: (\d+)", told)
            raise Error(told.strip(), code=int(code[1]) if code else None)
        return held

    @contextmanager
    def _failures(self) -> Iterator[None]:
        with _failures(self._where, STREAM_SECONDS, self._memory):
            yield


@contextmanager
def _failures(where: str, seconds: float, memory: int) -> Iterator[None]:
    """Turn failures inside this block into Unavailable and TooMuch; bugs pass unchanged."""
    with answers(where):
        try:
            yield
        except HTTPError as error:  # a connection that broke amid an answer
            raise Unavailable(f"ClickHouse at {where}: {first_line(error)}") from error
        except Error as error:
            if error.code in _TIME_CODES:
                raise TooMuch(
                    f"ClickHouse did not get it done within {seconds:g} s. Choose a shorter range or more filters."
                ) from error
            if error.code == _MEMORY_CODE and _OF_THE_QUERY.search(str(error)):
                raise TooMuch(
                    f"It needs over {memory / (1 << 20):,.0f} MiB of memory. Choose a shorter range or more filters."
                ) from error
            raise


def _rows(client: Client, sql: str, parameters: Mapping[str, object] | None) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in client.query(sql, parameters=_bound(parameters)).result_rows]


def _records(client: Client, sql: str, parameters: Mapping[str, object] | None) -> list[dict[str, Any]]:
    answer = client.query(sql, parameters=_bound(parameters))
    return [dict(zip(answer.column_names, row, strict=True)) for row in answer.result_rows]


def _bound(parameters: Mapping[str, object] | None) -> dict[str, Any]:
    return dict(parameters or {})
