"""Conversations told as events: the facts and rows that a worker leaves of them."""

import time
from collections.abc import Callable
from typing import Self

from xxhash import xxh3_128_digest

from processors.rebuilding import rebuild
from schemas.facts import FactColumns
from schemas.wire import decode
from sinks.clickhouse_reader import ClickHouseReader
from sinks.clickhouse_writer import ClickHouseWriter
from sinks.connection import Database
from tests.builders import Event, line
from tests.processors.folding import RULES


def now_ms() -> int:
    """Epoch milliseconds of the wall clock."""
    return time.time_ns() // 1_000_000


class Told:
    """A database that is told events; its rows follow from all that were told so far, by the real fold."""

    def __init__(self, database: Database, clock: Callable[[], int] = now_ms) -> None:
        """`clock`: stamps the rows, in epoch milliseconds."""
        self._writer = ClickHouseWriter(database, clock)
        self._reader = ClickHouseReader(database)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()
        self._reader.close()

    def tell(self, *events: Event) -> None:
        """Store these events, and write the rows that they change."""
        self._writer.insert_facts(facts(*events))
        rebuild(self._reader, self._writer, RULES, drifted=True, now=0)


def facts(*events: Event) -> FactColumns:
    """Bring events into columns, recorded when they happened."""
    columns = FactColumns()
    for one in events:
        payload = line(one)
        read, at = decode(payload)
        cells = {
            "assistant": read.assistant,
            "conversation_id": read.conversation_id,
            "id": read.id,
            "digest": xxh3_128_digest(payload),
            "type": read.kind,
            "at": at,
            "seq": read.seq or 0,
            "role": read.role,
            "text": read.text or "",
            "payload": payload,
            "recorded_at": at,
        }
        for name, cell in cells.items():
            getattr(columns, name).append(cell)
    return columns
