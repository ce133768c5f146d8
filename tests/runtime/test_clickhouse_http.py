"""The HTTP interface on embedded ClickHouse, through clickhouse-connect's ordinary client and through plain HTTP."""

import base64
import http.client
import json
import socket
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import clickhouse_connect
import pyarrow as pa
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError, StreamFailureError

from runtime.clickhouse_http import ClickHouseHttp
from runtime.clickhouse_statements import insert_in, query_in
from tests.waiting import until_sync

DEADLINE_S = 20
FAILS_LATE = """
    SELECT number, throwIf(number = 900000, 'too far') FROM numbers(1000000)
    SETTINGS max_block_size = 1000, max_threads = 1
"""
Connect = Callable[..., Client]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all: chDB runs one engine in a process at a time."""
    return tmp_path_factory.mktemp("chdb")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[ClickHouseHttp]:
    server = ClickHouseHttp(folder)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def guarded(folder: Path, server: ClickHouseHttp) -> Iterator[ClickHouseHttp]:
    guarded = ClickHouseHttp(folder, password="gehéim")
    guarded.start()
    yield guarded
    guarded.stop()


@pytest.fixture
def connect(server: ClickHouseHttp) -> Iterator[Connect]:
    clients = []

    def one(**more: Any) -> Client:
        options = {"interface": "http", "host": "127.0.0.1", "port": server.port, "autogenerate_session_id": False}
        clients.append(clickhouse_connect.get_client(**(options | more)))
        return clients[-1]

    yield one
    for client in clients:
        client.close()


@pytest.fixture
def client(connect: Connect) -> Client:
    return connect()


@pytest.fixture
def embedded(folder: Path, server: ClickHouseHttp) -> Iterator[Client]:
    client = clickhouse_connect.get_client(interface="chdb", path=str(folder))
    yield client
    client.close()


@pytest.fixture
def table(client: Client) -> Iterator[str]:
    client.command("CREATE TABLE rows (id UInt64, text String, tags Array(String)) ENGINE = MergeTree ORDER BY id")
    yield "rows"
    client.command("DROP TABLE rows")


def ask(
    server: ClickHouseHttp, body: bytes = b"", method: str = "POST", headers: Any = None, **arguments: str
) -> bytes:
    """What a client as simple as curl gets; a refusal raises HTTPError."""
    url = f"{server.url}/?{urlencode(arguments)}"
    request = urllib.request.Request(url, data=body or None, method=method, headers=headers or {})
    with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:
        return answer.read()


def refusal(server: ClickHouseHttp, body: bytes = b"", **more: Any) -> tuple[int, str, str]:
    """(status, code, text) of a request that is refused."""
    with pytest.raises(urllib.error.HTTPError) as refused:
        ask(server, body, **more)
    with refused.value as answer:
        return answer.code, answer.headers["X-ClickHouse-Exception-Code"], answer.read().decode()


def on_the_wire(server: ClickHouseHttp, request: bytes) -> bytes:
    """Send bytes as they are, then no more, and read the answer to its end."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE_S) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(1 << 16), b""))


# through clickhouse-connect


def test_rows_that_a_client_inserts_are_read_as_they_were(client: Client, table: str) -> None:
    rows = [[1, "a\nb;\t'\\\0", ["x", "y;\n\n"]], [2, "", []], [3, "ünï", ["'"]]]
    written = client.insert(table, rows, column_names=["id", "text", "tags"])
    assert written.written_rows == 3
    assert [list(row) for row in client.query(f"SELECT * FROM {table} ORDER BY id").result_rows] == rows


@pytest.mark.parametrize("compress", [False, "lz4", "zstd", "gzip", True])
def test_an_insert_may_be_compressed(connect: Connect, table: str, compress: bool | str) -> None:
    client = connect(compress=compress)
    rows = [[n, f"text {n}" * 20, ["t"] * 5] for n in range(30_000)]  # more than one block of clickhouse-connect's
    client.insert(table, rows, column_names=["id", "text", "tags"])
    assert client.query(f"SELECT count(), uniqExact(text) FROM {table}").result_rows == [(30_000, 30_000)]


def test_arrow_tables_go_in_and_come_out(client: Client, table: str) -> None:
    given = pa.table({"id": pa.array([1, 2], pa.uint64()), "text": ["a", "b"], "tags": [["x"], []]})
    assert client.insert_arrow(table, given).written_rows == 2
    taken = client.query_arrow(f"SELECT * FROM {table} ORDER BY id", use_strings=True)
    assert taken.to_pylist() == given.to_pylist()


def test_an_empty_arrow_result_keeps_its_columns(client: Client, table: str) -> None:
    assert client.query_arrow(f"SELECT id, text FROM {table}").column_names == ["id", "text"]


def test_parameters_are_bound_by_the_engine(client: Client) -> None:
    at = datetime(2026, 2, 3, 4, 5, 6, 789_000, tzinfo=UTC)
    given = {"s": "it's\t\\a\n{x:String}", "n": None, "at": at, "l": ["a'b", "c\\d"]}
    sql = "SELECT {s:String}, {n:Nullable(String)}, {at:DateTime64(3, 'UTC')}, {l:Array(String)}"
    assert client.query(sql, parameters=given, tz_mode="aware").result_rows == [(given["s"], None, at, given["l"])]


@pytest.mark.parametrize("by", ["http", "http, every argument in a form", "chdb"])
def test_five_thousand_ids_are_bound_as_one_parameter(connect: Connect, embedded: Client, by: str) -> None:
    client = embedded if by == "chdb" else connect(form_encode_query_params="form" in by)
    ids = [f"conversation-{n:06d}-'\\\n{'x' * 20}" for n in range(5_000)]
    sql = "SELECT length({ids:Array(String)}), arrayUniq({ids:Array(String)}), {ids:Array(String)}[-1]"
    assert client.query(sql, parameters={"ids": ids}).result_rows == [(5_000, 5_000, ids[-1])]
    raw = client.raw_query("SELECT has({ids:Array(String)}, {one:String})", parameters={"ids": ids, "one": ids[7]})
    assert raw == b"1\n"
    assert client.command("SELECT length({ids:Array(String)})", parameters={"ids": ids}) == 5_000
    arrow = client.query_arrow("SELECT arrayJoin({ids:Array(String)}) AS id", parameters={"ids": ids})
    assert arrow.num_rows == 5_000


def test_a_raw_stream_brings_csv(client: Client) -> None:
    with client.raw_stream("SELECT number FROM numbers(300000)", fmt="CSV") as stream:
        assert stream.read() == b"".join(b"%d\n" % n for n in range(300_000))


def test_blocks_are_streamed_to_a_client_that_reads_them_so(client: Client) -> None:
    with client.query_row_block_stream("SELECT number FROM numbers(300000)") as blocks:
        sizes = [len(block) for block in blocks]
    assert sum(sizes) == 300_000
    assert len(sizes) > 1


def test_a_stream_that_fails_on_its_way_raises_with_the_code(client: Client) -> None:
    with (
        pytest.raises(StreamFailureError, match="too far") as failed,
        client.query_row_block_stream(FAILS_LATE) as blocks,
    ):
        list(blocks)
    assert failed.value.code == 395


def test_a_query_that_fails_on_its_way_is_refused_as_a_whole(client: Client) -> None:
    with pytest.raises(DatabaseError, match="too far") as failed:
        client.query(FAILS_LATE)
    assert failed.value.code == 395


def test_a_client_may_leave_a_stream(client: Client, server: ClickHouseHttp) -> None:
    with client.query_row_block_stream("SELECT number FROM numbers(3000000)") as blocks:
        next(iter(blocks))
    assert client.command("SELECT 1") == 1


def test_commands_answer_values_rows_or_nothing(client: Client, table: str) -> None:
    assert client.command("SELECT 1") == 1
    assert client.command("SELECT 1 WHERE 0") == ""
    assert client.command("EXISTS TABLE rows") == 1
    assert client.command(f"INSERT INTO {table} VALUES (1, 'a;\n\nb', []), (2, 'c', ['d'])").written_rows == 2
    assert client.command(f"ALTER TABLE {table} DELETE WHERE id = 1", settings={"mutations_sync": 2}).summary
    assert client.query(f"SELECT id FROM {table}").result_rows == [(2,)]


def test_values_may_be_bound_parameters(client: Client, table: str) -> None:
    client.command(
        f"INSERT INTO {table} VALUES ({{id:UInt64}}, {{text:String}}, ['x'])", parameters={"id": 7, "text": "it's\n"}
    )
    assert client.query(f"SELECT id, text FROM {table}").result_rows == [(7, "it's\n")]


@pytest.mark.parametrize("through", ["http", "chdb"])
def test_rows_are_deleted_by_a_long_list_of_ids(client: Client, embedded: Client, table: str, through: str) -> None:
    client.insert(table, [[n, f"conversation-{n:06d}", []] for n in range(5_001)], column_names=["id", "text", "tags"])
    ids = [f"conversation-{n:06d}" for n in range(5_000)]
    sql = f"DELETE FROM {table} WHERE has({{ids:Array(String)}}, text)"
    (embedded if through == "chdb" else client).command(sql, parameters={"ids": ids})
    assert client.query(f"SELECT id FROM {table}").result_rows == [(5_000,)]


def test_a_column_probe_names_the_columns(client: Client, table: str) -> None:
    probe = client.query(f"SELECT id, tags FROM {table} LIMIT 0")
    assert probe.column_names == ("id", "tags")


def test_a_client_names_its_database(client: Client, connect: Connect) -> None:
    client.command("CREATE DATABASE IF NOT EXISTS `an other`")
    try:
        assert connect(database="an other").command("SELECT currentDatabase()") == "an other"
        assert client.command("SELECT currentDatabase()") == "default"
    finally:
        client.command("DROP DATABASE `an other`")


@pytest.mark.parametrize(
    ("sql", "code"),
    [("SELECT nope", 47), ("SELECT * FROM nope", 60), ("SELEC 1", 62), ("INSERT INTO nope FORMAT CSV\n1", 60)],
)
def test_errors_surface_with_their_code(client: Client, sql: str, code: int) -> None:
    with pytest.raises(DatabaseError) as failed:
        client.command(sql)
    assert failed.value.code == code
    assert failed.value.name


def test_a_setting_applies_to_its_own_query_only(client: Client) -> None:
    sql = "SELECT getSetting('max_block_size')"
    usual = client.query(sql).result_rows
    assert client.query(sql, settings={"max_block_size": 123}).result_rows == [(123,)]
    assert client.query(sql).result_rows == usual


def test_a_setting_given_to_the_client_applies_to_all_its_queries(connect: Connect) -> None:
    client = connect(settings={"session_timezone": "Asia/Tokyo", "join_use_nulls": 1})
    assert client.query("SELECT getSetting('join_use_nulls'), timezone()").result_rows == [(True, "Asia/Tokyo")]


@pytest.mark.parametrize(("setting", "code"), [({"nope_at_all": 1}, 115), ({"max_threads": "many"}, 27)])
def test_a_bad_setting_is_refused(client: Client, table: str, setting: dict[str, Any], code: int) -> None:
    for attempt in (
        lambda: client.query("SELECT 1", settings=setting),
        lambda: client.command("SELECT 1", settings=setting),
        lambda: client.insert(table, [[1, "", []]], column_names=["id", "text", "tags"], settings=setting),
    ):
        with pytest.raises(DatabaseError) as failed:
            attempt()
        assert failed.value.code == code
    assert client.command(f"SELECT count() FROM {table}") == 0


@pytest.mark.parametrize("level", [1, 2])
def test_a_readonly_client_only_reads(connect: Connect, client: Client, table: str, level: int) -> None:
    reader = connect(settings={"readonly": level})
    assert reader.command(f"SELECT count() FROM {table}") == 0
    for attempt in (
        lambda: reader.insert(table, [[1, "", []]], column_names=["id", "text", "tags"]),
        lambda: reader.command(f"DROP TABLE {table}"),
    ):
        with pytest.raises(DatabaseError) as failed:
            attempt()
        assert failed.value.code == 164
    assert client.command(f"SELECT count() FROM {table}") == 0


def test_an_insert_with_a_bad_row_leaves_nothing_behind(client: Client, table: str) -> None:
    lines = b"".join(b'{"id": %d, "text": "t"}\n' % n for n in range(100_000))
    with pytest.raises(DatabaseError) as failed:
        client.raw_insert(table, insert_block=lines + b'{"id": "bad"}\n', fmt="JSONEachRow")
    assert failed.value.code == 27
    assert client.command(f"SELECT count() FROM {table}") == 0
    client.raw_insert(table, insert_block=lines, fmt="JSONEachRow")
    assert client.command(f"SELECT count() FROM {table}") == 100_000


def test_rows_may_come_from_a_generator(client: Client, table: str) -> None:
    blocks = (b"%d,text,[]\n" % n for n in range(100))
    client.raw_insert(table, insert_block=blocks, fmt="CSV")
    assert client.command(f"SELECT sum(id) FROM {table}") == sum(range(100))


def test_sessions_are_named_in_vain_and_what_needs_them_is_refused(connect: Connect) -> None:
    client = connect(autogenerate_session_id=True)
    assert client.command("SELECT 1") == 1
    for sql in ("SET max_threads = 1", "USE default", "CREATE TEMPORARY TABLE t (a UInt8)"):
        with pytest.raises(DatabaseError, match="no sessions") as failed:
            client.command(sql)
        assert failed.value.code == 48


def test_clients_in_and_outside_the_process_see_each_others_writes(
    client: Client, embedded: Client, table: str
) -> None:
    embedded.insert(table, [[1, "embedded", []]], column_names=["id", "text", "tags"])
    client.insert(table, [[2, "http", []]], column_names=["id", "text", "tags"])
    for one in (client, embedded):
        assert one.query(f"SELECT text FROM {table} ORDER BY id").result_rows == [("embedded",), ("http",)]


def test_queries_of_several_threads_run_at_once_on_one_client(client: Client) -> None:
    """Each waits for the other: alone neither would see both running."""
    count = "SELECT count() FROM system.processes WHERE query LIKE '%sleepEachRow(0.1) AS together%'"

    def slow() -> int:
        return len(
            client.query(
                "SELECT sleepEachRow(0.1) AS together FROM numbers(30) SETTINGS max_block_size = 1"
            ).result_rows
        )

    with ThreadPoolExecutor(2) as pool:
        running = [pool.submit(slow) for _ in range(2)]
        until_sync(lambda: client.command(count + " AND query NOT LIKE '%system.processes%'") == 2, DEADLINE_S, "both")
        assert [one.result() for one in running] == [30, 30]


def test_many_threads_write_and_read(client: Client, table: str) -> None:
    def write(n: int) -> int:
        client.insert(table, [[n, f"text {n}", []]] * 10, column_names=["id", "text", "tags"])
        return int(
            client.query(f"SELECT count() FROM {table} WHERE id = {{n:UInt64}}", parameters={"n": n}).first_row[0]
        )

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(write, range(60))) == [10] * 60
    assert client.command(f"SELECT count() FROM {table}") == 600


async def test_the_asynchronous_client_works_too(server: ClickHouseHttp, table: str) -> None:
    async with await clickhouse_connect.get_async_client(host="127.0.0.1", port=server.port) as client:
        await client.insert(table, [[1, "a", []]], column_names=["id", "text", "tags"])
        ids = [f"conversation-{n:06d}" for n in range(5_000)]
        got = await client.query("SELECT length({ids:Array(String)})", parameters={"ids": ids})
        assert got.result_rows == [(5_000,)]


# through plain HTTP


def test_ping_is_answered_by_get_and_post(server: ClickHouseHttp) -> None:
    for method in ("GET", "POST"):
        request = urllib.request.Request(f"{server.url}/ping", method=method)
        with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:
            assert answer.read() == b"Ok.\n"


def test_a_statement_stands_in_the_url_in_the_body_or_in_both(server: ClickHouseHttp) -> None:
    assert ask(server, method="GET", query="SELECT 1") == b"1\n"
    assert ask(server, b"SELECT 'x' FORMAT JSONEachRow") == b'{"\'x\'":"x"}\n'
    assert ask(server, b"number FROM numbers(2)", query="SELECT") == b"0\n1\n"


@pytest.mark.parametrize(("name", "code"), [("param_a = 1, max_threads", "36"), ("max_threads = 1, max_rows", "115")])
def test_names_cannot_carry_sql(server: ClickHouseHttp, table: str, name: str, code: str) -> None:
    assert refusal(server, b"INSERT INTO rows (id) VALUES (1)", **{name: "1"})[1] == code


def test_a_get_changes_nothing(server: ClickHouseHttp, client: Client, table: str) -> None:
    assert refusal(server, method="GET", query=f"DROP TABLE {table}")[1] == "164"
    assert refusal(server, method="GET", query=f"INSERT INTO {table} VALUES (1, '', [])", readonly="0")[1] == "164"
    assert client.command(f"SELECT count() FROM {table}") == 0


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("TabSeparatedWithNames", b"a\tb\n1\tx\n"),
        ("CSVWithNames", b'"a","b"\n1,"x"\n'),
        ("JSONCompactEachRow", b'[1, "x"]\n'),
        ("Values", b"(1,'x')"),
        ("RowBinary", b"\x01\x01x"),
    ],
)
def test_every_format_comes_by_clause_argument_or_header(server: ClickHouseHttp, output: str, expected: bytes) -> None:
    sql = b"SELECT 1 AS a, 'x' AS b"
    assert ask(server, sql + b" FORMAT " + output.encode()) == expected
    assert ask(server, sql, default_format=output) == expected
    assert ask(server, sql, headers={"X-ClickHouse-Format": output}) == expected


@pytest.mark.parametrize(
    "output", ["Native", "TSV", "CSV", "RowBinary", "JSONEachRow", "JSONCompactEachRow", "CSVWithNames", "ArrowStream"]
)
def test_a_large_result_is_the_same_streamed_or_whole(server: ClickHouseHttp, output: str) -> None:
    sql = f"SELECT number AS n FROM numbers(200000) ORDER BY n FORMAT {output}".encode()
    assert ask(server, sql) == ask(server, sql, wait_end_of_query="1")


def test_totals_are_not_lost(server: ClickHouseHttp) -> None:
    sql = b"SELECT number % 2 AS k, count() FROM numbers(10) GROUP BY k WITH TOTALS ORDER BY k"
    assert ask(server, sql) == b"0\t5\n1\t5\n\n0\t10\n"


@pytest.mark.parametrize(
    ("statement", "rows"),
    [
        ("INSERT INTO rows FORMAT JSONEachRow", b'{"id": 1, "text": "a;\\n"}\n\n{"id": 2}\n'),
        ("insert into rows (id, text) format CSV", b'1,"a;\n"\n2,\n'),
        (
            "/* FORMAT */ INSERT INTO rows (text, id) -- VALUES\nSETTINGS input_format_null_as_default = 1 FORMAT TSV",
            b"a;\\n\t1\n\t2\n",
        ),
        ("INSERT INTO rows (id, text) VALUES", b"(1, 'a;\n'), (2, '');"),
        (
            "INSERT INTO `rows` (id, text) SELECT * FROM VALUES ('a UInt64, b String', (1, 'a;\n'), (2, ''))",
            b"",
        ),
    ],
)
@pytest.mark.parametrize("where", ["in the url", "in the body"])
def test_an_insert_takes_rows_in_any_format(
    server: ClickHouseHttp, client: Client, table: str, statement: str, rows: bytes, where: str
) -> None:
    if where == "in the url":
        ask(server, rows, query=statement)
    else:
        ask(server, statement.encode() + b"\n" + rows)
    assert client.query(f"SELECT id, text FROM {table} ORDER BY id").result_rows == [(1, "a;\n"), (2, "")]


@pytest.mark.parametrize("fmt", ["Native", "ArrowStream", "Arrow", "Parquet", "RowBinary", "JSONEachRow"])
def test_what_was_selected_can_be_inserted(server: ClickHouseHttp, client: Client, table: str, fmt: str) -> None:
    columns = "number AS id, concat('x;\\n\\n\\0', toString(number)) AS text, ['a', '\\n;'] AS tags"
    rows = ask(server, f"SELECT {columns} FROM numbers(70000) FORMAT {fmt}".encode())
    ask(server, f"INSERT INTO {table} FORMAT {fmt}\n".encode() + rows)
    ask(server, rows, query=f"INSERT INTO {table} FORMAT {fmt}")
    assert client.query(f"SELECT count(), uniqExact(text), any(tags) FROM {table}").result_rows == [
        (140_000, 70_000, ["a", "\n;"])
    ]


def test_a_body_may_come_in_chunks(server: ClickHouseHttp, client: Client, table: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=DEADLINE_S)
    pieces = [b"INSERT INTO rows (id) FOR", b"MAT CSV\n1", b"0\n", b"11\n"]
    connection.request("POST", "/", body=iter(pieces), encode_chunked=True, headers={"Transfer-Encoding": "chunked"})
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (200, b"")
    assert json.loads(answer.headers["X-ClickHouse-Summary"])["written_rows"] == "2"
    connection.close()
    assert client.query(f"SELECT id FROM {table} ORDER BY id").result_rows == [(10,), (11,)]


@pytest.mark.parametrize("encoding", ["", "gzip"])
@pytest.mark.parametrize("delimited", ["by length", "in chunks"])
def test_an_insert_whose_client_dies_leaves_nothing_behind(
    server: ClickHouseHttp, client: Client, table: str, delimited: str, encoding: str
) -> None:
    rows = b"INSERT INTO rows (id) FORMAT CSV\n" + b"".join(b"%d\n" % n for n in range(100_000))
    if encoding:
        rows = zlib.compress(rows, wbits=31)
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\n" + f"Content-Encoding: {encoding}\r\n".encode()
    if delimited == "by length":
        request = head + b"Content-Length: %d\r\n\r\n" % (len(rows) + 1) + rows
    else:
        request = head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(rows) + rows + b"\r\n"
    assert on_the_wire(server, request) == b""
    assert client.command(f"SELECT count() FROM {table}") == 0


@pytest.mark.parametrize(("encoding", "wbits"), [("gzip", 31), ("deflate", 15)])
def test_a_statement_may_be_compressed(server: ClickHouseHttp, encoding: str, wbits: int) -> None:
    body = zlib.compress(b"SELECT 1", wbits=wbits)
    assert ask(server, body, headers={"Content-Encoding": encoding}) == b"1\n"


def test_a_body_that_is_not_what_its_encoding_says_is_refused(server: ClickHouseHttp) -> None:
    assert refusal(server, b"SELECT 1", headers={"Content-Encoding": "lz4"})[:2] == (400, "271")
    assert refusal(server, b"SELECT 1", headers={"Content-Encoding": "br"})[:2] == (501, "48")


def test_a_client_that_waits_before_it_sends_its_body_is_told_to_go_on(server: ClickHouseHttp) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE_S) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8\r\nExpect: 100-continue\r\n\r\n")
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 100 ")
        connection.sendall(b"SELECT 1")
        assert connection.recv(1 << 16).endswith(b"\r\n\r\n1\n")


def test_head_and_body_of_an_answer_leave_in_one_packet(server: ClickHouseHttp) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=DEADLINE_S) as connection:
        for _ in range(20):
            connection.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8\r\n\r\nSELECT 1")
            assert connection.recv(1 << 16).endswith(b"\r\n\r\n1\n")


def test_an_old_client_gets_a_large_answer_without_chunks(server: ClickHouseHttp) -> None:
    answer = on_the_wire(server, b"GET /?query=SELECT+number+FROM+numbers(200000) HTTP/1.0\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"chunked" not in head.lower()
    assert body == b"".join(b"%d\n" % n for n in range(200_000))


def test_a_broken_stream_has_no_end(server: ClickHouseHttp) -> None:
    with pytest.raises(http.client.IncompleteRead) as failed:
        ask(server, FAILS_LATE.encode())
    assert b"__exception__" in failed.value.partial
    assert b"too far" in failed.value.partial


def test_what_clients_send_cannot_add_headers(server: ClickHouseHttp) -> None:
    answer = on_the_wire(server, b"GET /?query=SELECT+1&query_id=a%0d%0aX-Evil:+1%c3%bc HTTP/1.0\r\n\r\n")
    assert b"\r\nX-Evil" not in answer
    assert b"X-ClickHouse-Query-Id: a??X-Evil: 1?" in answer


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("", "62"),
        ("-- nothing", "62"),
        ("SELECT 1; DROP TABLE rows", "62"),
        ("SELECT 1 INTO OUTFILE 'here.csv'", "358"),
        ("INSERT INTO rows FROM INFILE 'here.csv' FORMAT CSV", "78"),
        ("SELECT * FROM Python(rows)", "46"),
        ("SELECT * FROM `Python` (rows)", "46"),
        ("SELECT 1 FORMAT DataFrame", "73"),
    ],
)
def test_what_only_an_embedded_engine_would_do_is_refused(
    server: ClickHouseHttp, client: Client, table: str, sql: str, code: str
) -> None:
    assert refusal(server, sql.encode())[1] == code
    assert client.command(f"EXISTS TABLE {table}") == 1


def test_a_semicolon_at_the_end_or_in_a_text_is_none_of_a_second_statement(server: ClickHouseHttp) -> None:
    assert ask(server, b"SELECT ';', $$a;b$$ /* ; */; -- ;") == b";\ta;b\n"


@pytest.mark.parametrize("argument", ["compress", "decompress", "role"])
def test_what_is_not_offered_is_refused(server: ClickHouseHttp, argument: str) -> None:
    assert refusal(server, b"SELECT 1", **{argument: "1"})[:2] == (501, "48")


@pytest.mark.parametrize(
    ("sql", "status", "code"), [(b"SELECT nope", 404, "47"), (b"SELEC", 400, "62"), (b"SELECT throwIf(1)", 500, "395")]
)
def test_an_error_has_a_status_a_code_and_words(server: ClickHouseHttp, sql: bytes, status: int, code: str) -> None:
    got = refusal(server, sql)
    assert got[:2] == (status, code)
    assert got[2].startswith(f"Code: {code}. DB::Exception: ")


def test_other_pages_do_not_exist(server: ClickHouseHttp) -> None:
    with pytest.raises(urllib.error.HTTPError) as missing:
        urllib.request.urlopen(f"{server.url}/play", timeout=DEADLINE_S)
    with missing.value as answer:
        assert answer.code == 404


# who may ask


def test_a_client_with_the_password_is_served(guarded: ClickHouseHttp, connect: Connect) -> None:
    assert connect(port=guarded.port, password="gehéim").command("SELECT 1") == 1
    basic = base64.b64encode("anyone:gehéim".encode()).decode()
    assert ask(guarded, b"SELECT 1", headers={"Authorization": f"Basic {basic}"}) == b"1\n"
    assert ask(guarded, b"SELECT 1", headers={"X-ClickHouse-Key": "gehéim".encode().decode("latin-1")}) == b"1\n"
    assert ask(guarded, b"SELECT 1", password="gehéim") == b"1\n"


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Basic ???"}, {"X-ClickHouse-Key": "no"}, {"Authorization": "Bearer x"}]
)
def test_a_request_without_the_password_is_refused(guarded: ClickHouseHttp, headers: dict[str, str]) -> None:
    assert refusal(guarded, b"SELECT 1", headers=headers)[:2] == (403, "516")


def test_a_client_with_a_wrong_password_is_refused(guarded: ClickHouseHttp, connect: Connect) -> None:
    with pytest.raises(DatabaseError) as failed:
        connect(port=guarded.port, password="geheim")
    assert failed.value.code == 516


@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Host": "evil.example"}])
def test_a_web_page_reaches_nothing_without_a_password(
    server: ClickHouseHttp, guarded: ClickHouseHttp, headers: dict[str, str]
) -> None:
    assert refusal(server, b"SELECT 1", headers=headers)[:2] == (403, "516")
    assert ask(guarded, b"SELECT 1", headers=headers, password="gehéim") == b"1\n"


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "example.org"])
def test_only_loopback_is_served(folder: Path, host: str) -> None:
    with pytest.raises(ValueError):
        ClickHouseHttp(folder, host=host)


# start and stop


def test_a_server_can_stop_and_start_again(folder: Path, server: ClickHouseHttp) -> None:
    second = ClickHouseHttp(folder)
    for _ in range(2):
        second.start()
        assert ask(second, b"SELECT 1") == b"1\n"
        second.stop()
    second.stop()
    assert ask(server, b"SELECT 1") == b"1\n"


def test_a_port_that_is_taken_is_an_error(folder: Path, server: ClickHouseHttp) -> None:
    with pytest.raises(OSError):
        ClickHouseHttp(folder, port=server.port).start()


def test_a_stop_waits_for_a_running_answer_and_ends_idle_connections(folder: Path, server: ClickHouseHttp) -> None:
    second = ClickHouseHttp(folder)
    second.start()
    idle = http.client.HTTPConnection("127.0.0.1", second.port, timeout=DEADLINE_S)
    idle.request("GET", "/ping")
    assert idle.getresponse().read() == b"Ok.\n"
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(ask, second, b"SELECT sleepEachRow(0.1) AS last_one FROM numbers(10)")
        count = (
            b"SELECT count() FROM system.processes WHERE query LIKE '%AS last_one%' AND query NOT LIKE '%processes%'"
        )
        until_sync(lambda: ask(server, count) == b"1\n", DEADLINE_S, "the query to run")
        second.stop(grace_s=DEADLINE_S)
        assert running.result() == b"0\n" * 10
    idle.close()


def test_a_stop_kills_what_does_not_end(folder: Path, server: ClickHouseHttp) -> None:
    second = ClickHouseHttp(folder)
    second.start()
    count = b"SELECT count() FROM system.processes WHERE query LIKE '%AS endless%' AND query NOT LIKE '%processes%'"
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(
            ask, second, b"SELECT sleepEachRow(1) AS endless FROM numbers(600) SETTINGS max_block_size = 1"
        )
        until_sync(lambda: ask(server, count) == b"1\n", DEADLINE_S, "the query to run")
        started = time.monotonic()
        second.stop(grace_s=0.1)
        assert time.monotonic() - started < DEADLINE_S
        assert running.exception() is not None
    until_sync(lambda: ask(server, count) == b"0\n", DEADLINE_S, "the query to end")


def test_a_stop_does_not_wait_for_a_client_that_does_not_read(folder: Path, server: ClickHouseHttp) -> None:
    second = ClickHouseHttp(folder)
    second.start()
    with socket.create_connection(("127.0.0.1", second.port), timeout=DEADLINE_S) as connection:
        connection.sendall(b"GET /?query=SELECT+*+FROM+system.numbers HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert connection.recv(15) == b"HTTP/1.1 200 OK"
        started = time.monotonic()
        second.stop(grace_s=0.1)
        assert time.monotonic() - started < DEADLINE_S
    running = (
        b"SELECT count() FROM system.processes WHERE query LIKE '%system.numbers%' AND query NOT LIKE '%processes%'"
    )
    until_sync(lambda: ask(server, running) == b"0\n", DEADLINE_S, "the query to end")


# which statement it is


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("INSERT INTO t FORMAT CSV\n1\n", ("INSERT INTO t ", "CSV", "1\n")),
        ("INSERT INTO t FORMAT CSV 1\n", ("INSERT INTO t ", "CSV", "1\n")),
        ("INSERT INTO t FORMAT CSV\r\n\n1", ("INSERT INTO t ", "CSV", "\n1")),
        ("INSERT INTO t (format, values) VALUES (1, 2)", ("INSERT INTO t (format, values) ", "Values", " (1, 2)")),
        ("INSERT INTO format FORMAT CSV\n", ("INSERT INTO format ", "CSV", "")),
        ("INSERT INTO d.values VALUES", ("INSERT INTO d.values ", "Values", "")),
        ("INSERT INTO `a FORMAT b` -- FORMAT x\nFORMAT TSV\n", ("INSERT INTO `a FORMAT b` -- FORMAT x\n", "TSV", "")),
        ("INSERT INTO FUNCTION null('a Int8') FORMAT CSV\n1", ("INSERT INTO FUNCTION null('a Int8') ", "CSV", "1")),
        ("INSERT INTO t SELECT 1 FORMAT CSV", None),
        ("INSERT INTO t WITH 1 AS x SELECT x", None),
        ("SELECT 1 FORMAT CSV", None),
        ("", None),
    ],
)
def test_an_insert_ends_where_its_rows_begin(head: str, expected: tuple[str, str, str] | None) -> None:
    insert = insert_in(head.encode())
    found = insert and ((insert.into + insert.settings).decode(), insert.format, head[insert.rows_at :])
    assert found == expected


def test_the_settings_of_an_insert_are_told_from_its_table() -> None:
    insert = insert_in(b"INSERT INTO settings (settings) SETTINGS async_insert = 0, settings = 1 FORMAT CSV\n1")
    assert insert is not None
    assert (insert.into, insert.settings) == (
        b"INSERT INTO settings (settings) ",
        b"SETTINGS async_insert = 0, settings = 1 ",
    )


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT 1 FORMAT CSV", ("SELECT", "CSV")),
        ("select 1 format JSON settings max_threads = 1;", ("SELECT", "JSON")),
        ("SELECT format FROM t", ("SELECT", None)),
        ("SELECT 1 AS format", ("SELECT", None)),
        ("SELECT 'FORMAT CSV'", ("SELECT", None)),
        ("(SELECT 1 FORMAT CSV)", ("(", None)),
        ("/* x */ WITH 1 AS x SELECT x -- FORMAT CSV", ("WITH", None)),
    ],
)
def test_a_query_names_its_format_at_its_end(sql: str, expected: tuple[str, str | None]) -> None:
    query = query_in(sql.encode())
    assert (query.verb, query.format) == expected
