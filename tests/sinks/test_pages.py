"""Scans of ClickHouse that need many pages."""

import pytest

from sinks.clickhouse_reader import ClickHouseReader
from sinks.clickhouse_writer import ClickHouseWriter
from sinks.connection import Database
from tests.sinks.building import TODAY, facts, keys_of, row, rows, stored


@pytest.mark.parametrize("page", [1, 3, 7])
def test_a_scan_of_facts_gives_whole_conversations_whatever_the_page(database: Database, page: int) -> None:
    written = facts(
        *(
            {"assistant": assistant, "conversation_id": f"c-{name}", "id": f"e-{number}"}
            for assistant in ("shop", "bank")
            for name in range(5)
            for number in range(name + 1)
        )
    )
    ClickHouseWriter(database).insert_facts(written)
    scanned = list(ClickHouseReader(database, facts_page=page).scan_facts())
    assert [conversation[0].key for conversation in scanned] == sorted(keys_of(written))
    assert {fact for conversation in scanned for fact in conversation} == stored(written)


@pytest.mark.parametrize("page", [1, 2, 5])
def test_a_scan_of_rows_gives_each_once_whatever_the_page(database: Database, page: int) -> None:
    written = [
        row(assistant=assistant, conversation_id=f"c-{name}", opened_on=TODAY - day)
        for assistant in ("shop", "bank")
        for name in range(3)
        for day in (0, 40)
    ]
    ClickHouseWriter(database).insert_rows(rows(*written))
    scanned = [(one.key, one.opened_on) for one in ClickHouseReader(database, rows_page=page).scan_rows()]
    assert scanned == sorted(((one["assistant"], one["conversation_id"]), one["opened_on"]) for one in written)


def test_other_reads_may_happen_during_a_scan(database: Database) -> None:
    written = facts(*({"conversation_id": f"c-{name}"} for name in range(4)))
    ClickHouseWriter(database).insert_facts(written)
    reader = ClickHouseReader(database, facts_page=1)
    scanned = [len(reader.read_facts([conversation[0].key])) for conversation in reader.scan_facts()]
    assert scanned == [1, 1, 1, 1]
