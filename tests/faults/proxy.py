"""A TCP proxy on loopback: latency, bandwidth, late answers, resets, half-open connections, refusals."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from types import TracebackType
from typing import Final, Self

_PIECE: Final = 1 << 16
_UNDER_WAY: Final = 64
"""Pieces that may be under way in one direction of a connection."""
_RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER of no seconds: closing sends RST."""


class Proxy:
    """`async with Proxy(target) as proxy`: what connects to `proxy.port` speaks with `target`.

    What its attributes say holds from then on, for connections that are open too. `latency_s` is added to each
    direction, `bytes_per_s` bounds each direction of a connection (None: not); of the pieces of an answer a share
    `late_share` comes `late_s` later. While `stalled`, connections are half-open: both sides think that they stand,
    and nothing passes.
    """

    def __init__(self, target: int, port: int = 0, seed: int = 1) -> None:
        self.latency_s = 0.0
        self.bytes_per_s: float | None = None
        self.late_share = 0.0
        self.late_s = 0.0
        self.connected = 0
        """Connections that were ever made."""
        self.port = port
        self._target = target
        self._random = Random(seed)
        self._server: asyncio.Server | None = None
        self._passing = asyncio.Event()
        self._passing.set()
        self._open: dict[asyncio.Task[None], list[asyncio.StreamWriter]] = {}

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.refuse()

    async def listen(self) -> None:
        """Take connections, on the same port as before if there was one."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def refuse(self) -> None:
        """Take no more connections, and reset those that are open."""
        if self._server is not None:
            self._server.close()
            self._server = None
        tasks = list(self._open)
        self.reset()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def reset(self, share: float = 1.0) -> int:
        """Reset open connections, or a share of them; gives how many."""
        chosen = [one for one in self._open if self._random.random() < share]
        for one in chosen:
            for writer in self._open[one]:
                _reset(writer)
        return len(chosen)

    @contextmanager
    def stalled(self) -> Iterator[None]:
        """Let nothing pass during the block; what was under way passes after it."""
        self._passing.clear()
        try:
            yield
        finally:
            self._passing.set()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers = [writer]
        task = asyncio.create_task(self._serve(reader, writer, writers))
        self._open[task] = writers
        task.add_done_callback(self._open.pop)
        self.connected += 1

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, writers: list[asyncio.StreamWriter]
    ) -> None:
        """Pass on in both directions until one ends; `writers` gets what is to be reset."""
        try:
            await self._passing.wait()
            there = await asyncio.open_connection("127.0.0.1", self._target)
            writers.append(there[1])
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pass_on(reader, there[1], answers=False))
                both.create_task(self._pass_on(there[0], writer, answers=True))
        except* (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            for one in writers:
                _reset(one)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool) -> None:
        """Read and write side by side, so that latency costs no bandwidth; ends with the side that is read."""
        pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_UNDER_WAY)
        writing = asyncio.create_task(self._write(pieces, writer))
        try:
            now = asyncio.get_running_loop().time
            while piece := await reader.read(_PIECE):
                due = now() + self.latency_s
                if answers and self.late_share and self._random.random() < self.late_share:
                    due += self.late_s
                await pieces.put((due, piece))
            await pieces.put((0.0, b""))
            await writing
        finally:
            writing.cancel()

    async def _write(self, pieces: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
        now = asyncio.get_running_loop().time
        while True:
            due, piece = await pieces.get()
            if due > now():
                await asyncio.sleep(due - now())
            await self._passing.wait()
            if not piece:
                with contextlib.suppress(OSError):
                    writer.write_eof()
                return
            writer.write(piece)
            await writer.drain()
            if self.bytes_per_s:
                await asyncio.sleep(len(piece) / self.bytes_per_s)


def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    if connection is not None and connection.fileno() >= 0:
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
