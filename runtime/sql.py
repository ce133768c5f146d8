"""`afterword sql`: a statement that reads, and its answer as bytes in any of ClickHouse's formats.

It cannot write. The engine runs it with `readonly`, and only the verbs of reading get that far: ClickHouse lets
`INSERT INTO FUNCTION file(…)` and KILL pass at readonly = 2 (measured on 26.9), which SETTINGS in a query need.
"""

import io
import re
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import clickhouse_connect
from clickhouse_connect.driver.exceptions import Error
from urllib3.exceptions import HTTPError

from runtime.clickhouse_engine import Engine
from runtime.clickhouse_requests import Request
from runtime.clickhouse_statements import QueryError, query_in
from runtime.words import on_screen, one_line
from schemas.failures import Unavailable
from sinks.clickhouse_errors import meaning
from sinks.connection import Database

READING: Final = ("SELECT", "WITH", "FROM", "(", "SHOW", "DESCRIBE", "DESC", "EXISTS", "EXPLAIN")
"""How a statement that reads may begin."""

ON_SCREEN: Final = "PrettyCompact"
IN_FILES: Final = "TabSeparatedWithNames"
"""The formats when none is asked for."""

_MAY_WRITE: Final = {"WITH", "(", "EXPLAIN"}
_INSERT: Final = re.compile(r"\binsert\b", re.IGNORECASE)
_ANSWER_SECONDS: Final = 24 * 3_600
_PIECE_BYTES: Final = 1 << 16
_READONLY: Final = 164
_NOT_OURS: Final = {None, 516}
_CODE: Final = re.compile(r"Code: (\d+)\. ")
_CODE_TWICE: Final = re.compile(r"^(Code: \d+\. DB::Exception: )+(?=Code: )")
_BEHIND: Final = re.compile(r"(\s*\(([A-Z_]+|version [^()]*(\([^()]*\))?[^()]*|for url [^()]*)\)\.?)+\s*$")
"""What ClickHouse and clients put behind a message, some of it twice: the code's name, the version, the address."""

READS_ONLY: Final = f"`afterword sql` only reads: a statement begins with {', '.join(READING[:-1])} or {READING[-1]}"


class StatementError(ValueError):
    """What ClickHouse says of a statement, in one line."""


def write_answer(database: Database, statement: str, output: str | None) -> None:
    """Write the answer to a statement to standard output, for a person if that is a terminal, else byte for byte.

    Raises as `answer` does, and BrokenPipeError when nobody reads any more.
    """
    if sys.stdout.isatty():
        for text in on_screen(answer(database, statement, output or ON_SCREEN, plain=True)):
            sys.stdout.write(text)
    else:
        for piece in answer(database, statement, output or IN_FILES):
            sys.stdout.buffer.write(piece)
    sys.stdout.flush()


def answer(database: Database, statement: str, output: str, *, plain: bool = False) -> Iterator[bytes | memoryview]:
    """Run a statement and give its answer in pieces, in the format `output` unless the statement names one.

    `plain`: without colours. Blocks. Raises StatementError, Unavailable; a failure on the way comes after the pieces
    before it.
    """
    if not re.fullmatch(r"\w+", output, re.ASCII):
        raise StatementError(
            f"{output!r} is no format of ClickHouse; some are PrettyCompact, CSVWithNames, JSONEachRow"
        )
    settings = {"readonly": _readonly(statement)}
    if plain:
        settings["output_format_pretty_color"] = "0"
    if database.folder is not None:
        return _in_process(database, database.folder, statement, output, settings)
    return _over_http(database, statement, output, settings)


def _readonly(statement: str) -> str:
    """Choose how strictly the engine must read only. Raises StatementError for what does not read at all."""
    try:
        verb = query_in(statement.encode()).verb
    except UnicodeEncodeError as error:
        raise StatementError("the statement is not UTF-8") from error
    except QueryError as error:
        raise StatementError(_said(error)) from error
    if verb not in READING:
        raise StatementError(READS_ONLY)
    # At 1 nothing at all is written, but SETTINGS are refused too.
    return "1" if verb in _MAY_WRITE and _INSERT.search(statement) else "2"


def _in_process(
    database: Database, folder: Path, statement: str, output: str, settings: dict[str, str]
) -> Iterator[bytes | memoryview]:
    request = Request(
        statement.encode(), io.BytesIO(), {}, settings, database="", format=output, query_id="", whole=False
    )
    engine = Engine(folder)
    # The client says in plain words why a folder cannot be opened, and the engine joins it.
    with closing(database.client()):
        try:
            engine.open()
            with closing(engine), engine.run(request) as result:
                yield from result.pieces
        except (QueryError, RuntimeError) as error:
            raise StatementError(_said(error)) from error


def _over_http(database: Database, statement: str, output: str, settings: dict[str, str]) -> Iterator[bytes]:
    client = None
    try:
        # Without the settings of the sink: a user who may only read could not set them.
        client = clickhouse_connect.get_client(**database.arguments() | {"send_receive_timeout": _ANSWER_SECONDS})
        guarded = client.server_settings.get("readonly")
        if guarded is not None and guarded.value != "0":
            settings = {}
        response: Any = client.raw_stream(
            statement, settings=settings, transport_settings={"X-ClickHouse-Format": output}
        )
        yield from _pieces(response)
    except HTTPError as error:
        raise Unavailable(f"the answer of ClickHouse at {database.where} broke off: what came is not all") from error
    except (Error, OSError) as error:
        code = getattr(error, "code", None)
        if code in _NOT_OURS:
            raise meaning(error, database.where, inserting=False) from error
        raise StatementError(_said(error)) from error
    finally:
        if client is not None:
            client.close()


def _pieces(response: Any) -> Iterator[bytes]:
    """Give the body as it comes. A failure on the way stands in it behind a mark that the headers announced."""
    tag = response.headers.get("X-ClickHouse-Exception-Tag", "").encode()
    if not tag:  # a server before 25.11 says nothing: its connection breaks
        yield from response.stream(_PIECE_BYTES, decode_content=True)
        return
    mark, tail, told = b"\r\n__exception__\r\n" + tag, b"", None
    try:
        for piece in response.stream(_PIECE_BYTES, decode_content=True):
            if told is not None:
                told += piece
                continue
            before, found, after = (tail + piece).partition(mark)
            if found:
                yield before
                told = after
            else:
                yield before[: 1 - len(mark)]
                tail = before[1 - len(mark) :]
    except HTTPError:
        if told is None:  # else the connection breaks as announced
            raise
    if told is None:
        yield tail
    else:
        # Behind the message stands a line with its length, and the mark once more.
        text = told.decode("utf-8", "replace").partition("\r\n__exception__")[0]
        raise StatementError(_said(Exception(text.rpartition("\n")[0] or text)))


def _said(error: Exception) -> str:
    """Bring an error of ClickHouse to one line, from its code on."""
    text = str(error)
    found = _CODE.search(text)
    if found is None:
        return f"ClickHouse: {one_line(text)}"
    if int(found[1]) == _READONLY and "Cannot modify" not in text:
        return READS_ONLY
    text = _CODE_TWICE.sub("", _BEHIND.sub("", text[found.start() :]))
    return f"ClickHouse: {one_line(text)}"
