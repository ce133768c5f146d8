"""Columns of facts and rows as Arrow tables: the shape in which both kinds of ClickHouse take them fastest.

Python touches a cell only where Arrow or numpy cannot: this is the hot path. A column whose values are all the default
of its type is left out, because ClickHouse fills it in for nothing; so a default other than the type's own must never
be given to a column in a migration. Plain strings, not dictionaries: they took as long to insert and less time to
build (3 or 4 ms of 50,000 facts).
"""

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from importlib.abc import MetaPathFinder
from itertools import chain
from typing import Any, cast

import numpy as np
import pyarrow as pa

from schemas.conversation import COLUMNS, RowColumns
from schemas.dead_letters import DeadLetter
from schemas.events import LATEST_AT
from schemas.facts import FactColumns
from schemas.store import Frontier


class _NoPandas(MetaPathFinder):
    def find_spec(self, name: str, _path: object, _target: object = None) -> None:
        if name == "pandas":
            raise ImportError("not needed")


def _without_pandas() -> None:
    """Have pyarrow look for pandas now, and not find it.

    It looks once, when it first makes an array of a list, only to see whether that is a Series: a second of CPU in the
    middle of the first batch, and 50 MB. chDB's package brings pandas along, and nothing here uses it.
    """
    absent = _NoPandas()
    sys.meta_path.insert(0, absent)
    try:
        pa.array([])
    finally:
        sys.meta_path.remove(absent)


_without_pandas()

_TIME = pa.timestamp("ms", "UTC")
_CAUSE_TYPES = {"event_id": pa.string(), "rule": pa.string(), "reason": pa.string(), "confidence": pa.float64()}

_NUMBERS: dict[str, tuple[type[np.generic], pa.DataType]] = {
    "UInt32": (np.uint32, pa.uint32()),
    "UInt64": (np.uint64, pa.uint64()),
    "Date": (np.int32, pa.date32()),
    "DateTime64(3, 'UTC')": (np.int64, _TIME),
}
_NULLABLE: dict[str, pa.DataType] = {
    "Nullable(UInt8)": pa.uint8(),
    "Nullable(UInt64)": pa.uint64(),
    "Nullable(DateTime64(3, 'UTC'))": _TIME,
}
_TEXTS = frozenset({"String", "LowCardinality(String)"})
_FLAGS = frozenset({"Bool", "UInt8"})


class ArrowFacts:
    """Facts that become Arrow a batch at a time, as they come; what cannot says so when it is inserted.

    From strings that nobody has touched for a second it takes three times as long.
    """

    def __init__(self, parts: Iterable[pa.Table | FactColumns] = ()) -> None:
        self._parts = list(parts)
        self._count = sum(map(len, self._parts))

    def __len__(self) -> int:
        return self._count

    def extend(self, more: FactColumns) -> None:
        """See Facts."""
        try:
            self._parts.append(facts_table(more))
        except (pa.ArrowInvalid, OverflowError, UnicodeEncodeError):
            self._parts.append(more)
        self._count += len(more)

    def take(self, indices: Sequence[int]) -> "ArrowFacts":
        """See Facts."""
        if all(isinstance(part, pa.Table) for part in self._parts):
            return ArrowFacts([self.table().take(pa.array(indices, pa.int64()))])
        return ArrowFacts([self.columns().take(indices)])

    def table(self) -> pa.Table:
        """Give all as one table; a bad value raises what `facts_table` raises."""
        tables = [part if isinstance(part, pa.Table) else facts_table(part) for part in self._parts]
        return pa.concat_tables(tables)

    def columns(self) -> FactColumns:
        """See Facts."""
        whole = FactColumns()
        for part in self._parts:
            whole.extend(_columns(part) if isinstance(part, pa.Table) else part)
        return whole

    def recorded(self, most: int) -> list[int]:
        """See Facts."""
        step = -(-self._count // most) or 1
        return [at for part in self._parts for at in _recorded_at(part)[::step]]


def _recorded_at(part: pa.Table | FactColumns) -> list[int]:
    if isinstance(part, FactColumns):
        return part.recorded_at
    times: list[int] = part["recorded_at"].cast(pa.int64()).to_numpy().tolist()
    return times


def _columns(table: pa.Table) -> FactColumns:
    times = {name: table[name].cast(pa.int64()).to_pylist() for name in ("at", "recorded_at")}
    return FactColumns(**{one.name: times.get(one.name) or table[one.name].to_pylist() for one in fields(FactColumns)})


def facts_table(facts: FactColumns) -> pa.Table:
    """Build the Arrow table of these facts; a bad value raises ArrowInvalid, OverflowError, UnicodeEncodeError."""
    columns = {
        "assistant": _texts(facts.assistant),
        "conversation_id": pa.array(facts.conversation_id, pa.string()),
        "id": pa.array(facts.id, pa.string()),
        "digest": _digests(facts.digest),
        "type": _texts(facts.type),
        "at": _numbers(facts.at, np.int64, _TIME),
        "seq": _numbers(facts.seq, np.int64, pa.int64()),
        "role": _texts(facts.role),
        "text": pa.array(facts.text, pa.string()),
        "payload": pa.array(facts.payload, pa.binary()),
        "recorded_at": _recorded(facts.recorded_at),
    }
    return pa.table(columns)


def rows_table(rows: RowColumns) -> pa.Table:
    """Build the Arrow table of these rows; a bad value raises ArrowInvalid, OverflowError, UnicodeEncodeError."""
    count = len(rows)
    table = {}
    for name, kind in COLUMNS.items():
        column = rows.columns[name]
        if kind in _NESTED:
            if any(column):
                table[name] = _NESTED[kind](column)
            continue
        first = column[0]
        # Comparing the ends first spares counting in nearly all columns that vary.
        constant = first == column[-1] and column.count(first) == count
        if constant and (first is None or (not first and kind not in _NULLABLE)):
            continue
        if kind in _TEXTS:
            table[name] = pa.repeat(pa.scalar(first, pa.string()), count) if constant else pa.array(column, pa.string())
        elif kind in _FLAGS:
            table[name] = _buffered(bytes(column), count, pa.uint8())
        elif kind in _NUMBERS:
            table[name] = _numbers(column, *_NUMBERS[kind])
        else:
            table[name] = pa.array(column, _NULLABLE[kind])
    return pa.table(table)


def letters_table(letters: Sequence[DeadLetter]) -> pa.Table:
    """Build the Arrow table of these dead letters."""
    return pa.table(
        {
            "topic": pa.array([one.topic for one in letters], pa.string()),
            "partition": pa.array([one.partition for one in letters], pa.int32()),
            "offset": pa.array([one.offset for one in letters], pa.int64()),
            "key": pa.array([one.key for one in letters], pa.binary()),
            "value": pa.array([one.value for one in letters], pa.binary()),
            "digest": _digests([one.digest for one in letters]),
            "reason": pa.array([one.reason.value for one in letters], pa.string()),
            "detail": pa.array([one.detail for one in letters], pa.string()),
            "assistant": pa.array([one.assistant for one in letters], pa.string()),
            "conversation_id": pa.array([one.conversation_id for one in letters], pa.string()),
            "recorded_at": _recorded([one.recorded_at for one in letters]),
            "failed_at": pa.array([one.failed_at for one in letters], _TIME),
            "requeued_at": pa.array([one.requeued_at for one in letters], _TIME),
        }
    )


def frontier_table(frontier: Frontier) -> pa.Table:
    """Build the Arrow table of a frontier."""
    topics, partitions = zip(*frontier, strict=True)
    return pa.table(
        {
            "topic": pa.array(topics, pa.string()),
            "partition": pa.array(partitions, pa.int32()),
            "offset": pa.array(frontier.values(), pa.int64()),
        }
    )


def file_bytes(table: pa.Table, *, compressed: bool) -> bytes:
    """Give the table as an Arrow file, its buffers compressed with lz4 where a network is worth it.

    Not copied once more to be bytes: clickhouse-connect takes any buffer, whatever its types say.
    """
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="lz4" if compressed else None)
    with pa.ipc.new_file(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    return cast("bytes", memoryview(sink.getvalue()))


def _buffered(buffer: Any, count: int, kind: pa.DataType) -> pa.Array:
    return pa.Array.from_buffers(kind, count, [None, pa.py_buffer(buffer)])


def _numbers(column: list[int], width: type[np.generic], kind: pa.DataType) -> pa.Array:
    return _buffered(np.fromiter(column, width, len(column)), len(column), kind)


def _recorded(column: list[int]) -> pa.Array:
    # A record's timestamp is whatever its producer says, unless the topic has LogAppendTime.
    return _buffered(np.fromiter(column, np.int64, len(column)).clip(0, LATEST_AT), len(column), _TIME)


def _texts(column: list[str]) -> pa.Array:
    if column and column[0] == column[-1] and column.count(column[0]) == len(column):
        return pa.repeat(pa.scalar(column[0], pa.string()), len(column))
    return pa.array(column, pa.string())


def _digests(column: list[bytes]) -> pa.Array:
    joined = b"".join(column)
    if len(joined) != 16 * len(column):
        raise ValueError("a digest has 16 bytes")
    return _buffered(joined, len(column), pa.binary(16))


def _offsets(column: list[Any]) -> pa.Array:
    offsets = np.zeros(len(column) + 1, np.int32)
    np.cumsum([len(value) if value else 0 for value in column], out=offsets[1:])
    return pa.array(offsets)


def _attributes(column: list[dict[str, str] | None]) -> pa.Array:
    given = list(filter(None, column))
    names, values = list(chain.from_iterable(given)), list(chain.from_iterable(map(dict.values, given)))
    return pa.MapArray.from_arrays(_offsets(column), pa.array(names, pa.string()), pa.array(values, pa.string()))


def _causes(column: list[list[tuple[str, str, str, float | None]] | None]) -> pa.Array:
    causes = zip(*chain.from_iterable(filter(None, column)), strict=True)
    parts = [pa.array(part, kind) for part, kind in zip(causes, _CAUSE_TYPES.values(), strict=True)]
    return pa.ListArray.from_arrays(_offsets(column), pa.StructArray.from_arrays(parts, list(_CAUSE_TYPES)))


_NESTED: dict[str, Callable[[list[Any]], pa.Array]] = {
    COLUMNS["attributes"]: _attributes,
    COLUMNS["fallback_causes"]: _causes,
}
