"""Embedded ClickHouse as a server's engine: each request has a connection of its own, as cheap as it is forgetful.

A connection takes 0.2 ms to open on an engine that runs. What a request sets (settings, database, parameters) lives on
its connection and ends with it. All connections to a folder share one engine, with clickhouse-connect's
`interface="chdb"` clients of the same process too, and run side by side (eight `sleep(1)` took 1.0 s).
"""

import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from errno import ENOSPC
from glob import escape
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Final

import chdb

from runtime.clickhouse_requests import Request, pieces_of, read_up_to
from runtime.clickhouse_statements import Insert, Query, QueryError, insert_in, query_in

HEAD: Final = 256 << 10
"""The statement of an INSERT ends within so many bytes: ClickHouse's own default of `max_query_size`."""

STREAMED: Final = frozenset(
    {"NATIVE", "TABSEPARATED", "TSV", "CSV", "ROWBINARY", "JSONEACHROW", "JSONCOMPACTEACHROW", "JSONLINES", "NDJSON"}
)
"""Formats without a head or foot. chDB writes each block of a stream as if it were alone (measured on chDB 4.4: every
other format repeats its header, WITH TOTALS is lost), so only these can be sent block by block."""

_KEPT_BY_SESSIONS: Final = {"SET", "USE"}
_TEMPORARY: Final = re.compile(rb"\s*CREATE\s+(OR\s+REPLACE\s+)?TEMPORARY\b", re.IGNORECASE)
_OBJECTS: Final = {"dataframe", "arrowtable", "datastore"}
"""Names that chDB takes for Python objects, not for formats."""


@dataclass(slots=True)
class Result:
    """What a statement answers, good while its connection is open."""

    format: str | None  # None: the statement gives no table
    pieces: Iterator[bytes | memoryview] = field(default_factory=lambda: iter(()))
    summary: dict[str, str] = field(default_factory=dict)


class Engine:
    """The embedded ClickHouse of one folder, kept running from `open` to `close`."""

    def __init__(self, path: Path) -> None:
        # chDB compares folders by their letters; clickhouse-connect names them by their real path, so do we.
        self._path = os.path.realpath(path)
        self._spool = f"{self._path}.insert-"
        self._root: Any = None
        self._mark = f"http-{uuid.uuid4()}"
        self.timezone = ""
        self.version = ""

    def open(self) -> None:
        """Start the engine, or join the one that runs in this process.

        Raises RuntimeError when another process has the folder, or this process another folder.
        """
        self._root = chdb.connect(self._path)
        spool = Path(self._spool)
        for left in spool.parent.glob(f"{escape(spool.name)}*"):  # by a process that was killed
            left.unlink()
        self.timezone = self._text("SELECT timezone()")
        self.version = self._text("SELECT version()")

    def close(self) -> None:
        """Let go of the engine; it stops with the last connection of the process."""
        self._root.close()

    def kill(self) -> None:
        """End what requests are running, except what names itself by the setting `log_comment`."""
        with suppress(chdb.ChdbError):
            ours = f"SELECT query_id FROM system.processes WHERE Settings['log_comment'] = '{self._mark}'"
            self._root.query(f"KILL QUERY WHERE query_id IN ({ours}) ASYNC", "Null")

    @contextmanager
    def run(self, request: Request) -> Iterator[Result]:
        """Run the request's statement; a result not read to its end is cancelled.

        Raises QueryError, or the engine's RuntimeError, whose text holds ClickHouse's code.
        """
        connection: Any = chdb.connect(self._path)
        try:
            # chDB would take `1` for `SELECT 1`; no server does.
            defaults = {"log_comment": self._mark, "implicit_select": "0"}
            _prepare(connection, defaults | request.settings, request.database)
            head = request.sql + b"\n" if request.sql else b""
            head += read_up_to(request.body, HEAD)
            insert = insert_in(head)
            if insert is not None:
                yield _insert(connection, insert, head, request, self._spool)
            else:
                yield _query(connection, query_in(head + b"".join(pieces_of(request.body))), request)
        finally:
            connection.close()

    def _text(self, sql: str) -> str:
        text: str = self._root.query(sql, "TabSeparatedRaw").bytes().decode()
        return text.rstrip("\n")


def _prepare(connection: Any, settings: dict[str, str], database: str) -> None:
    if database:
        connection.query(f"USE {_quoted(database, '`')}", "Null")
    free = ", ".join(f"{name} = {_quoted(value)}" for name, value in settings.items() if name != "readonly")
    connection.query(f"SET {free}", "Null")
    if "readonly" in settings:  # last: nothing can be set after it
        connection.query(f"SET readonly = {_quoted(settings['readonly'])}", "Null")


def _insert(connection: Any, insert: Insert, head: bytes, request: Request, spool: str) -> Result:
    """Insert the rows once all of them have come; a body that breaks off leaves nothing behind.

    They go by a file: chDB 4.4 answers rows that it is fed as they come (`send_insert`) as written although the table
    refused them. 50,000 rows took 5.6 ms this way and 4.7 ms the other.

    As on a server an insert is whole within one block, about a million rows (`min_insert_block_size_rows`): of 3
    million with a bad one at the end, over three partitions, 1.4 million stayed.
    """
    with NamedTemporaryFile(prefix=spool) as rows:
        try:
            rows.write(head[insert.rows_at :])
            for piece in pieces_of(request.body):
                rows.write(piece)
            rows.flush()
        except OSError as error:
            if error.errno != ENOSPC:
                raise
            raise QueryError(
                243, "NOT_ENOUGH_SPACE", f"No room on the disk for the rows of an insert: {error}"
            ) from None
        into, settings = (part.decode("utf-8", "replace") for part in (insert.into, insert.settings))
        statement = f"{into} FROM INFILE {_quoted(rows.name)} COMPRESSION 'none' {settings} FORMAT {insert.format}"
        done = connection.query(statement, "Null", params=request.parameters)
    return Result(None, summary={"written_rows": str(done.rows_written()), "written_bytes": str(done.bytes_written())})


def _query(connection: Any, query: Query, request: Request) -> Result:
    if query.verb in _KEPT_BY_SESSIONS or _TEMPORARY.match(query.sql):
        raise QueryError(
            48, "NOT_IMPLEMENTED", f"{query.verb} would be forgotten: embedded ClickHouse keeps no sessions over HTTP"
        )
    written = query.format or request.format
    if written.lower() in _OBJECTS:
        raise QueryError(73, "UNKNOWN_FORMAT", f"Unknown format {written}")
    if _streams(query, written, request):
        blocks = connection.send_query(query.sql, written, params=request.parameters)
        return Result(written, (block.bytes() for block in blocks))
    answer = connection.query(query.sql, written, params=request.parameters)
    summary = {
        "read_rows": str(answer.storage_rows_read()),
        "read_bytes": str(answer.storage_bytes_read()),
        "written_rows": str(answer.rows_written()),
        "written_bytes": str(answer.bytes_written()),
        "result_rows": str(answer.rows_read()),
        "result_bytes": str(answer.bytes_read()),
        "elapsed_ns": str(int(answer.elapsed() * 1e9)),
    }
    table: bytes = answer.bytes()  # a copy: a view of it does not keep its memory, which other requests then overwrite
    return Result(written if query.gives_rows else None, iter((table,) if table else ()), summary)


def _streams(query: Query, written: str, request: Request) -> bool:
    return (
        query.verb in {"SELECT", "WITH"}
        and written.upper() in STREAMED
        and not request.whole
        and not query.totals
        and request.settings.keys().isdisjoint({"extremes", "output_format_json_array_of_rows"})
    )


def _quoted(text: str, quote: str = "'") -> str:
    return quote + text.replace("\\", "\\\\").replace(quote, "\\" + quote) + quote
