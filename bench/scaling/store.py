"""What ClickHouse pays for an insert, a fact, a row, a part and a look-up, and what lies on its disk: on chDB, here.

`nice python -m bench.scaling.store` takes a minute or two and prints the figures that `bench.scaling.figures` keeps.
CPU is that of the whole process, merges in the background included, so nothing else may run in it meanwhile.
"""

import asyncio
import gc
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple

import pyarrow as pa
from clickhouse_connect.driver.client import Client

from processors.measures import NoMetrics
from processors.persistence import Columns
from processors.worker import Pace, Worker
from runtime.simulator import Bulk
from schemas.conversation import RowColumns
from schemas.facts import FactColumns, Facts, Key
from schemas.rules import Rules
from schemas.topics import EVENTS
from sinks.arrow import facts_table, file_bytes, rows_table
from sinks.clickhouse_reader import ClickHouseReader
from sinks.connection import Database
from sinks.memory import MemoryStore
from sinks.migrate import migrate

_LARGE: Final = 50_000
_LARGE_INSERTS: Final = 4
_SMALL: Final = 200
_SMALL_INSERTS: Final = 200
_MANY: Final = 5_000
_LOOK_S: Final = 0.2
_QUIET_LOOKS: Final = 10
_MERGES: Final = "SELECT count() FROM system.merges"
_SIZES: Final = """
SELECT table, sum(bytes_on_disk) / sum(rows) FROM system.parts
WHERE active AND database = currentDatabase() AND table IN ('events', 'conversations') GROUP BY table ORDER BY table
"""


class _Record(NamedTuple):
    offset: int
    timestamp: int
    key: bytes
    value: bytes
    headers: tuple[()] = ()


class _Recorder(MemoryStore):
    """The store in memory, which keeps what it was given as it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.given_facts: list[FactColumns] = []
        self.given_rows: list[RowColumns] = []

    def insert_facts(self, facts: Facts) -> None:
        self.given_facts.append(facts.columns())
        super().insert_facts(facts)

    def insert_rows(self, rows: RowColumns) -> None:
        self.given_rows.append(rows)
        super().insert_rows(rows)


class _Nowhere:
    """Nothing has to be sent home: there is one partition."""

    async def send(self, *_record: object) -> None:
        raise AssertionError("a record was not at home")


async def _epochs(sizes: list[int]) -> _Recorder:
    """Give what a worker writes for epochs of these sizes, one after another."""
    bulk = Bulk(now=datetime.now(UTC), conversations=30_000, live_at_once=12_000)
    store, events, offset = _Recorder(), iter(bulk), 0
    worker = Worker(
        writer=store,
        reader=store,
        producer=_Nowhere(),
        metrics=NoMetrics(),
        rules=Rules.load(None),
        cache_bytes=512 << 20,
        pace=Pace(closing=1e9, sweep_first=1e9),
    )
    worker.assigned(frozenset({0}), 1, 1, _committed)
    try:
        for size in sizes:
            now = time.time_ns() // 1_000_000
            records = [_Record(offset + place, now, *one) for place, one in enumerate(islice(events, size))]
            offset += size
            await worker.take(EVENTS.name, 0, records, lambda: None)
            await worker.flush()
    finally:
        worker.close()
    return store


async def _committed() -> bool:
    return True


def _cpu(call: Callable[[], object]) -> float:
    began = time.process_time()
    call()
    return time.process_time() - began


def measure(folder: Path) -> Iterator[tuple[str, float]]:
    """Give each figure with what it is; CPU in microseconds."""
    recorded = asyncio.run(_epochs([_LARGE] * _LARGE_INSERTS + [_SMALL] * _SMALL_INSERTS))
    facts, rows = recorded.given_facts, recorded.given_rows
    gc.collect()
    gc.disable()  # a full collection amid a measurement takes more than what is measured; the worker tames its own
    database = Database.parse(f"chdb://{folder}")
    migrate(database)
    client = database.client()
    try:
        yield from _inserts(client, "events", facts, facts_table)
        yield from _inserts(client, "conversations", rows, rows_table)
        for table, size in client.query(_SIZES).result_rows:
            yield f"bytes on disk of one of {table}", size
        yield from _look_ups(ClickHouseReader(database), facts)
    finally:
        client.close()


def _inserts(
    client: Client, table: str, batches: Sequence[Columns], build: Callable[[Any], pa.Table]
) -> Iterator[tuple[str, float]]:
    """Insert large batches, merge them; then small ones, and let them be merged."""
    counts = list(map(len, batches))
    files: list[tuple[list[str], bytes]] = []

    def make_ready(some: Sequence[Columns]) -> None:
        for one in some:
            arrow = build(one)
            files.append((arrow.column_names, file_bytes(arrow, compressed=True)))

    def insert(file: tuple[list[str], bytes]) -> float:
        return _cpu(partial(client.raw_insert, table, *file, fmt="Arrow"))

    def settle() -> None:
        quiet = 0
        while quiet < _QUIET_LOOKS:
            time.sleep(_LOOK_S)
            quiet = 0 if client.query(_MERGES).result_rows[0][0] else quiet + 1

    stored, few = sum(counts[:_LARGE_INSERTS]), sum(counts[_LARGE_INSERTS:]) / _SMALL_INSERTS
    readying = _cpu(partial(make_ready, batches[:_LARGE_INSERTS]))
    yield f"one of {table}, made ready in the worker", readying / stored * 1e6
    yield f"bytes of one of {table} on the wire", sum(len(file) for _, file in files) / stored
    make_ready(batches[_LARGE_INSERTS:])
    client.command(f"SYSTEM STOP MERGES {table}")
    large = median([insert(one) for one in files[:_LARGE_INSERTS]][1:])
    client.command(f"SYSTEM START MERGES {table}")
    yield f"one of {table} merged once", _cpu(partial(client.command, f"OPTIMIZE TABLE {table} FINAL")) / stored * 1e6
    client.command(f"SYSTEM STOP MERGES {table}")
    small = median(insert(one) for one in files[_LARGE_INSERTS:])
    each = (large - small) / (stored / _LARGE_INSERTS - few)
    yield f"one of {table} inserted", each * 1e6
    yield f"an insert into {table} beside", (small - few * each) * 1e6
    waiting = _cpu(settle)
    client.command(f"SYSTEM START MERGES {table}")
    yield f"merging away a small part of {table}", (_cpu(settle) - waiting) / _SMALL_INSERTS * 1e6
    client.command(f"OPTIMIZE TABLE {table} FINAL")


def _look_ups(reader: ClickHouseReader, facts: Sequence[FactColumns]) -> Iterator[tuple[str, float]]:
    known = sorted({("shop", name) for one in facts for name in one.conversation_id})
    days = {at // 86_400_000 for one in facts for at in one.at}
    new = [("shop", f"new-{number}") for number in range(_MANY)]

    def look_up(keys: Sequence[Key]) -> None:
        reader.read_facts(keys)
        reader.read_rows(keys, days)

    look_up(known[:1])
    for what, keys in (("10", known[:10]), (f"{_MANY:,}", known[:: len(known) // _MANY][:_MANY]), ("new ones", new)):
        yield f"a look-up of {what}", median(_cpu(partial(look_up, keys)) for _ in range(3)) * 1e6
    reader.close()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for what, value in measure(Path(folder) / "clickhouse"):
            print(f"{value:12,.1f}  {what}", flush=True)


if __name__ == "__main__":
    main()
