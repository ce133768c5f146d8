"""A whole selection as a file: one query, streamed as ClickHouse writes it, so its rows are of one moment.

The JSON lines are the rows of the list; Parquet has the table's types. CSV is for spreadsheets, which take a cell that
begins like a formula for one, wherever the text came from: so every text that begins so, behind quotes and blanks too,
gets an apostrophe before it. Whoever wants the texts as they are takes another format. Which texts have one is certain
(any text that would begin so has exactly one more), so `'` can be taken off again.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import datetime
from enum import StrEnum
from typing import Final

from api.queries.asking import Queries
from api.queries.conditions import TABLE, compile_selection
from api.queries.selection import Section, Selection
from api.queries.sorting import Sort
from schemas.conversation import COLUMNS

FORMULA: Final = r"""^[\s\p{Z}\p{C}"'`]*[=+\-@\t\r\n＝＋－＠]"""  # noqa: RUF001  (the full-width signs are meant)
"""What a spreadsheet may take for a formula (OWASP, CSV injection), in the dialect of RE2."""

_TEXTS: Final = frozenset({"String", "LowCardinality(String)"})
_LINE_END: Final = "\r\n"

# A sort of very many rows goes on on disk: of 1 M rows sorted in memory it would take over a gigabyte.
_SETTINGS: Final = {
    "date_time_output_format": "'iso'",
    "format_csv_null_representation": "''",
    "output_format_csv_crlf_end_of_line": "1",
    "output_format_json_quote_64bit_integers": "0",
    "output_format_json_escape_forward_slashes": "0",
    "output_format_parquet_row_group_size": "100000",
    "max_bytes_before_external_sort": "100000000",
}


class Format(StrEnum):
    """What a file can be; the value is the end of its name."""

    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"


def _value(name: str, kind: str) -> str:
    return f"CAST(c.{name} AS Bool) AS {name}" if kind == "UInt8" else f"c.{name}"


def _csv_cell(name: str, kind: str) -> str:
    if kind in _TEXTS:
        return f"if(match(c.{name}, {{formula:String}}), concat('\\'', c.{name}), c.{name})"
    return f"toJSONString(c.{name})" if kind.startswith(("Map", "Array")) else _value(name, kind)


_CELLS: Final[dict[Format, Callable[[str, str], str]]] = {
    Format.CSV: _csv_cell,
    Format.JSONL: _value,
    Format.PARQUET: _value,
}
OUTPUTS: Final = {Format.CSV: "CSV", Format.JSONL: "JSONEachRow", Format.PARQUET: "Parquet"}


def rows_as(output: Format, where: str, order_by: str) -> str:
    """Write the query for rows of `conversations AS c` as they stand in such a file. CSV needs `formula` bound."""
    cells = ", ".join(_CELLS[output](name, kind) for name, kind in COLUMNS.items())
    settings = ", ".join(f"{name} = {value}" for name, value in _SETTINGS.items())
    return f"SELECT {cells} FROM {TABLE} WHERE {where} ORDER BY {order_by} SETTINGS {settings}"


async def export(
    queries: Queries, selection: Selection, sort: Sort, output: Format, assistant: str | None, now: datetime
) -> AsyncGenerator[bytes, None]:
    """Give the file in pieces. Raises Unavailable and TooMuch, and never ends as if it were whole when it is not.

    `assistant`: the only one that may be seen (`Principal.assistant`). CSV: RFC 4180 with CRLF, UTF-8 without a byte
    order mark, times in ISO 8601, nested columns as JSON, absent numbers and times empty.
    """
    condition = compile_selection(selection, assistant, now)
    sql = rows_as(output, condition.sql, sort.order_by())
    pieces = queries.stream(sql, {**condition.parameters, "formula": FORMULA}, OUTPUTS[output])
    head = (",".join(COLUMNS) + _LINE_END).encode() if output is Format.CSV else b""
    async with aclosing(pieces):  # type: ignore[type-var]  # the query ends with who reads it
        async for piece in pieces:
            yield head + piece
            head = b""
    if head:
        yield head


def file_name(selection: Selection, output: Format, now: datetime) -> str:
    """Name the file: conversations-negative-2026-11-09.csv."""
    section = "" if selection.section is Section.ALL else f"-{selection.section}"
    return f"conversations{section}-{now:%Y-%m-%d}.{output}"
