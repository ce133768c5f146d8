"""What failures of ClickHouse mean to the worker."""

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError, DataError, OperationalError, ProgrammingError

from runtime.clickhouse_http import ClickHouseHttp
from schemas.failures import Refused, Unavailable
from schemas.store import Erasure
from sinks.clickhouse_errors import BUGS, REFUSED, UNMIGRATED, answers, meaning
from sinks.clickhouse_reader import ClickHouseReader
from sinks.clickhouse_writer import ClickHouseWriter
from sinks.connection import SETTINGS, Database
from tests.builders import AT
from tests.sinks.building import facts, letter, row, rows, stored
from tests.sinks.conftest import emptied


def test_nothing_is_inserted_when_the_disk_is_nearly_full(chdb: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the process itself: the streamed inserts of chDB's HTTP interface do not know the setting."""
    emptied(chdb)
    monkeypatch.setitem(SETTINGS, "min_free_disk_bytes_to_perform_insert", 1 << 60)
    writer, reader = ClickHouseWriter(chdb), ClickHouseReader(chdb)
    with pytest.raises(Unavailable, match="enough free space"):
        writer.insert_facts(facts({}))
    assert list(reader.scan_facts()) == []


@pytest.mark.parametrize(
    "broken",
    [
        {"opened_on": 70_000},
        {"opened_on": -1},
        {"messages": 1 << 32},
        {"rating": 256},
        {"duration_ms": -1},
        {"version": 1 << 64},
        {"user_name": "\ud800"},
        {"attributes": {"a": "\ud800"}},
        {"fallback_causes": [("e-1", "flagged", "\ud800", None)]},
    ],
    ids=str,
)
def test_a_row_with_a_value_that_no_column_takes_is_refused(database: Database, broken: dict[str, object]) -> None:
    writer, reader = ClickHouseWriter(database), ClickHouseReader(database)
    with pytest.raises(Refused):
        writer.insert_rows(rows(row(conversation_id="fine"), row(**broken)))
    assert list(reader.scan_rows()) == []
    writer.insert_rows(rows(row(conversation_id="fine")))
    assert [one.key for one in reader.scan_rows()] == [("shop", "fine")]


def test_a_fact_with_a_broken_text_is_refused(database: Database) -> None:
    with pytest.raises(Refused):
        ClickHouseWriter(database).insert_facts(facts({"text": "\ud800", "payload": b"{}"}))


def test_missing_tables_are_unavailable_and_say_what_to_run(database: Database) -> None:
    writer, reader, client = ClickHouseWriter(database), ClickHouseReader(database), database.client()
    tables = ("events", "conversations", "dead_letters")
    for table in tables:
        client.command(f"RENAME TABLE {table} TO {table}_away")
    try:
        for call in (
            lambda: writer.insert_facts(facts({})),
            lambda: writer.insert_rows(rows(row())),
            lambda: writer.insert_dead_letters([letter()]),
            lambda: writer.close_idle({0: AT}, 1),
            lambda: writer.erase([Erasure(("shop", "c-1"), AT, 1 << 56)]),
            writer.sweep,
            lambda: writer.delete_rows([("shop", "c-1")]),
            lambda: reader.read_facts([("shop", "c-1")]),
            lambda: reader.read_rows([("shop", "c-1")], [20_000]),
            lambda: list(reader.scan_facts()),
            lambda: list(reader.scan_rows()),
            lambda: list(reader.dead_letters()),
        ):
            with pytest.raises(Unavailable, match="afterword migrate"):
                call()
    finally:
        for table in tables:
            client.command(f"RENAME TABLE {table}_away TO {table}")
        client.close()


def test_a_store_outlives_its_server(http: Database, chdb: Database) -> None:
    written = facts({"conversation_id": "outlives"})
    server = ClickHouseHttp(chdb.folder)
    server.start()
    port = server.port
    database = Database.parse(f"clickhouse://127.0.0.1:{port}")
    writer, reader = ClickHouseWriter(database), ClickHouseReader(database)
    writer.insert_facts(written)
    server.stop()
    with pytest.raises(Unavailable, match=f"127.0.0.1:{port}"):
        writer.insert_facts(written)
    with pytest.raises(Unavailable):
        reader.read_facts([("shop", "outlives")])
    server = ClickHouseHttp(chdb.folder, port=port)
    server.start()
    writer.insert_facts(written)
    assert set(reader.read_facts([("shop", "outlives")])) == stored(written)
    writer.close()
    reader.close()
    server.stop()


def test_a_store_may_be_made_before_its_server_is_up() -> None:
    database = Database.parse("clickhouse://127.0.0.1:1")
    writer, reader = ClickHouseWriter(database), ClickHouseReader(database)
    for _ in range(2):
        with pytest.raises(Unavailable):
            writer.insert_facts(facts({}))
        with pytest.raises(Unavailable):
            reader.read_facts([("shop", "c-1")])


def test_an_erasure_leaves_nothing_that_is_only_masked(database: Database) -> None:
    writer, client = ClickHouseWriter(database), database.client()
    writer.insert_facts(facts({}))
    writer.insert_rows(rows(row()))
    writer.insert_dead_letters([letter()])
    writer.erase([Erasure(("shop", "c-1"), AT, 1 << 56)])
    for table in ("events", "conversations", "dead_letters"):
        assert client.command(f"SELECT count() FROM {table} SETTINGS apply_deleted_mask = 0") == 0
    assert client.command("SELECT count() FROM system.mutations WHERE NOT is_done") == 0
    client.close()


@pytest.mark.parametrize("codes", [REFUSED, UNMIGRATED, BUGS], ids=["refused", "unmigrated", "bugs"])
def test_the_names_of_error_codes_are_ClickHouses_own(chdb: Database, codes: dict[int, str]) -> None:  # noqa: N802
    client = chdb.client()
    assert {code: client.command(f"SELECT errorCodeToName({code})") for code in codes} == codes
    client.close()


@pytest.mark.parametrize(
    ("error", "inserting", "meant"),
    [
        (DatabaseError("full", code=243, name="NOT_ENOUGH_SPACE"), True, Unavailable),
        (DatabaseError("parts", code=252, name="TOO_MANY_PARTS"), True, Unavailable),
        (DatabaseError("memory", code=241, name="MEMORY_LIMIT_EXCEEDED"), True, Unavailable),
        (DatabaseError("queries", code=202, name="TOO_MANY_SIMULTANEOUS_QUERIES"), False, Unavailable),
        (DatabaseError("read only", code=242, name="TABLE_IS_READ_ONLY"), True, Unavailable),
        (DatabaseError("keeper", code=999, name="KEEPER_EXCEPTION"), True, Unavailable),
        (DatabaseError("502 from a proxy"), True, Unavailable),
        (OperationalError("timed out"), True, Unavailable),
        (OSError(28, "No space left on device"), True, Unavailable),
        (DatabaseError("range", code=321), True, Refused),
        (DataError("a None"), True, Refused),
        (OverflowError("too big"), True, Refused),
        (DatabaseError("range", code=321), False, DatabaseError),
        (DatabaseError("syntax", code=62), True, DatabaseError),
        (ProgrammingError("closed"), False, ProgrammingError),
    ],
    ids=str,
)
def test_failures_are_told_apart(error: Exception, inserting: bool, meant: type[Exception]) -> None:
    assert type(meaning(error, "here", inserting=inserting)) is meant
    with pytest.raises(meant), answers("here", inserting=inserting):
        raise error


def test_a_message_is_one_line_without_the_stack_trace() -> None:
    error = DatabaseError("Code: 241. memory\nStack trace:\n0. main", code=241)
    assert str(meaning(error, "here", inserting=True)) == "ClickHouse at here cannot do this now: Code: 241. memory"
