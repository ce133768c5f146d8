"""Questions from an event loop: answers, limits, streams, and a ClickHouse that is away."""

import asyncio
import csv
import io
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any

import pyarrow.parquet as pq
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from runtime.clickhouse_http import ClickHouseHttp
from schemas.failures import TooMuch, Unavailable
from sinks.clickhouse_queries import PIECE, ClickHouseQueries, _Stream
from sinks.connection import Database
from tests.sinks.building import HOSTILE
from tests.waiting import until

ENDLESS = "SELECT number, repeat('x', 1000) FROM system.numbers"


@pytest.fixture
def queries(database: Database) -> Any:
    """Questions to either kind of ClickHouse."""
    queries = ClickHouseQueries(database)
    yield queries
    queries.close()


async def test_an_answer_comes_as_tuples_or_by_name_with_aware_times(queries: ClickHouseQueries) -> None:
    sql = """
        SELECT toUInt8(1) AS one, 'é' AS text, NULL AS nothing, [1, 2] AS list, true AS flag,
            toDateTime64('2026-11-09 09:12:00.250', 3, 'UTC') AS at
    """
    at = datetime(2026, 11, 9, 9, 12, 0, 250_000, UTC)
    assert await queries.rows(sql) == [(1, "é", None, [1, 2], True, at)]
    (record,) = await queries.records(sql)
    assert list(record) == ["one", "text", "nothing", "list", "flag", "at"]
    assert record["at"].tzinfo is not None
    assert await queries.records("SELECT 1 AS one WHERE 0") == []


@pytest.mark.parametrize("text", HOSTILE)
async def test_what_is_bound_arrives_as_it_is(queries: ClickHouseQueries, text: str) -> None:
    bound = {"text": text, "texts": [text, ""]}
    found = await queries.rows("SELECT {text:String}, length({text:String}), {texts:Array(String)}", bound)
    assert found == [(text, len(text.encode()), [text, ""])]
    streamed = [piece async for piece in queries.stream("SELECT {text:String} AS text", bound, "CSV")]
    assert next(csv.reader(io.StringIO(b"".join(streamed).decode(), newline=""))) == [text]


async def test_more_questions_than_clients_are_all_answered(database: Database) -> None:
    queries = ClickHouseQueries(database, width=2)
    answers = await asyncio.gather(
        *(queries.rows("SELECT {n:UInt8} + sleepEachRow(0.01)", {"n": n}) for n in range(20))
    )
    assert [one for ((one,),) in answers] == list(range(20))
    queries.close()


async def test_who_reads_cannot_write(queries: ClickHouseQueries) -> None:
    for sql in ("TRUNCATE TABLE conversations", "INSERT INTO alembic_version VALUES ('x')"):
        with pytest.raises((Unavailable, DatabaseError), match="readonly"):
            await queries.rows(sql)
    assert await queries.rows("SELECT 1") == [(1,)]


async def test_what_is_written_can_be_read(database: Database, queries: ClickHouseQueries) -> None:
    await queries.write("CREATE TABLE notes (text String) ENGINE = MergeTree ORDER BY text")
    try:
        for text in HOSTILE:
            await queries.write("INSERT INTO notes SELECT {text:String}", {"text": text})
        assert sorted(text for (text,) in await queries.rows("SELECT text FROM notes")) == sorted(HOSTILE)
    finally:
        await queries.write("DROP TABLE notes")


async def test_a_question_that_takes_too_long_is_too_much(database: Database) -> None:
    queries = ClickHouseQueries(database, seconds=1)
    with pytest.raises(TooMuch, match=r"within 1 s\. Choose a shorter range"):
        await queries.rows("SELECT max(sipHash64(number)) FROM system.numbers")
    assert await queries.rows("SELECT 1") == [(1,)]
    queries.close()


async def test_a_question_that_needs_too_much_memory_is_too_much(database: Database) -> None:
    queries = ClickHouseQueries(database, memory=20 << 20)
    with pytest.raises(TooMuch, match="over 20 MiB of memory"):
        await queries.rows("SELECT groupArray(toString(number)) FROM numbers(10000000)")
    assert await queries.rows("SELECT 1") == [(1,)]
    queries.close()


async def test_a_missing_table_is_unavailable_and_a_wrong_question_a_bug(queries: ClickHouseQueries) -> None:
    with pytest.raises(Unavailable, match="afterword migrate"):
        await queries.rows("SELECT * FROM not_there")
    with pytest.raises(DatabaseError, match="SYNTAX_ERROR"):
        await queries.rows("SELECT FROM WHERE")
    assert await queries.rows("SELECT 1") == [(1,)]


async def test_questions_outlive_their_server(chdb: Database) -> None:
    server = ClickHouseHttp(chdb.folder)
    server.start()
    port = server.port
    queries = ClickHouseQueries(Database.parse(f"clickhouse://127.0.0.1:{port}"))
    assert await queries.rows("SELECT 1") == [(1,)]
    server.stop()
    with pytest.raises(Unavailable, match=f"127.0.0.1:{port}"):
        await queries.rows("SELECT 1")
    with pytest.raises(Unavailable):
        await anext(queries.stream("SELECT 1", None, "CSV"))
    server = ClickHouseHttp(chdb.folder, port=port)
    server.start()
    assert await queries.rows("SELECT 1") == [(1,)]
    assert [one async for one in queries.stream("SELECT 1", None, "CSV")] == [b"1\n"]
    queries.close()
    server.stop()


async def test_a_stream_comes_in_pieces_that_make_the_whole(queries: ClickHouseQueries) -> None:
    sql = "SELECT number, {text:String} FROM numbers(300000)"
    pieces = [piece async for piece in queries.stream(sql, {"text": "it's"}, "CSV")]
    assert len(pieces) > 3
    assert max(map(len, pieces)) <= PIECE
    assert b"".join(pieces) == b"".join(b'%d,"it\'s"\n' % number for number in range(300_000))


async def test_a_stream_of_nothing_has_no_pieces(queries: ClickHouseQueries) -> None:
    assert [piece async for piece in queries.stream("SELECT 1 WHERE 0", None, "JSONEachRow")] == []


async def test_parquet_comes_whole(queries: ClickHouseQueries) -> None:
    pieces = [piece async for piece in queries.stream("SELECT number AS n FROM numbers(1000)", None, "Parquet")]
    assert pq.read_table(io.BytesIO(b"".join(pieces)))["n"].to_pylist() == list(range(1_000))


async def _ended(queries: ClickHouseQueries) -> bool:
    running = await queries.rows(
        "SELECT query FROM system.processes WHERE query LIKE {sql:String}", {"sql": "SELECT number, repeat(%"}
    )
    return not running


async def test_a_stream_ends_with_its_reader(queries: ClickHouseQueries) -> None:
    async with aclosing(queries.stream(ENDLESS, None, "CSV")) as stream:
        assert (await anext(stream)).startswith(b'0,"xxx')
    await until(lambda: _ended(queries), 30, "the end of the query")

    async def read() -> None:
        async for _ in queries.stream(ENDLESS, None, "CSV"):
            reading.set()

    reading = asyncio.Event()
    reader = asyncio.create_task(read())
    await reading.wait()
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    await until(lambda: _ended(queries), 30, "the end of the query")


async def test_an_error_before_the_first_piece_is_raised_and_not_written(queries: ClickHouseQueries) -> None:
    with pytest.raises(Unavailable, match="afterword migrate"):
        await anext(queries.stream("SELECT * FROM not_there", None, "CSV"))
    with pytest.raises(DatabaseError, match="SYNTAX_ERROR"):
        await anext(queries.stream("SELECT 1 WHERE", None, "JSONEachRow"))


async def test_a_stream_that_breaks_does_not_end_as_if_it_were_whole(queries: ClickHouseQueries) -> None:
    sql = "SELECT number, throwIf(number = 3000000) FROM numbers(10000000) SETTINGS max_threads = 1"
    given: list[bytes] = []

    async def read() -> None:
        async for piece in queries.stream(sql, None, "CSV"):
            given[:] = [piece]

    with pytest.raises((Unavailable, DatabaseError)):
        await read()
    assert given
    assert [piece async for piece in queries.stream("SELECT 1", None, "CSV")] == [b"1\n"]


async def test_more_streams_than_there_may_be_wait_and_then_say_so(database: Database) -> None:
    queries = ClickHouseQueries(database, width=1, seconds=0.2)
    first = queries.stream(ENDLESS, None, "CSV")
    await anext(first)
    with pytest.raises(Unavailable, match="in use"):
        await anext(queries.stream("SELECT 1", None, "CSV"))
    assert await queries.rows("SELECT 1") == [(1,)]
    await first.aclose()
    assert [piece async for piece in queries.stream("SELECT 1", None, "CSV")] == [b"1\n"]
    queries.close()


class _Told(io.BytesIO):
    """What a server answers that meets an error amid its rows: ClickHouse 25.11 and later."""

    headers = {"X-ClickHouse-Exception-Tag": "tag-1"}  # noqa: RUF012


class _Telling:
    """Clients of such a server."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    def take(self) -> "_Telling":
        return self

    def give_back(self, client: "_Telling") -> None:
        assert client is self

    def raw_stream(self, *_: Any, **__: Any) -> _Told:
        return _Told(self.body)


ERROR = (
    b"\r\n__exception__\r\ntag-1\r\nCode: 241. DB::Exception: Query memory limit exceeded\n"
    b"46 tag-1\r\n__exception__\r\n"
)


@pytest.mark.parametrize("rows", [0, 10, PIECE - 20, PIECE, 2 * PIECE - 5, 3 * PIECE])
def test_an_error_behind_the_rows_is_raised_and_not_given(rows: int) -> None:
    given: list[bytes] = []

    def read(body: bytes) -> None:
        given.clear()
        stream = _Stream(_Telling(body), "here", 1 << 20)  # type: ignore[arg-type]
        piece = stream.open("", None, "CSV")
        while piece:
            given.append(piece)
            piece = stream.read()

    whole = b"r" * rows
    read(whole)
    assert b"".join(given) == whole
    with pytest.raises(TooMuch):
        read(whole + ERROR)
    assert b"__exception__" not in b"".join(given)
    assert whole.startswith(b"".join(given))
