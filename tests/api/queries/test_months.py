"""Answers about months are remembered, and never older than the table."""

from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Any

import pytest

from api.queries import months as module
from api.queries.conditions import taken_apart
from api.queries.listing import counts, list_page
from api.queries.months import Month, Stretch, stretches
from api.queries.selection import Section, Selection
from api.queries.sorting import Sort
from sinks.clickhouse_queries import ClickHouseQueries
from sinks.clickhouse_writer import ClickHouseWriter
from sinks.connection import Database
from tests.builders import DAY
from tests.sinks.building import row, rows

NOW = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
NOW_MS = int(NOW.timestamp()) * 1_000
BIG = 1_000_000
_LENGTHS = {"08": 31, "09": 30, "10": 31, "11": 30}
MONTHS = [Month(date(2026, month, 1), "here", date(2026, month, 20), month, BIG) for month in (8, 9, 10, 11)]


class Overheard(ClickHouseQueries):
    """Queries that can be counted."""

    asked = 0

    async def rows(self, sql: str, parameters: Mapping[str, object] | None = None) -> list[tuple[Any, ...]]:
        self.asked += "system.parts" not in sql
        return await super().rows(sql, parameters)


class Table:
    """The table, into which rows are written."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._writer = ClickHouseWriter(database)

    def write(self, name: str, days_ago: int, version: int = 1 << 24, **said: object) -> None:
        """One closed conversation of so many days ago."""
        self._writer.insert_rows(
            rows(row(conversation_id=name, started_at=NOW_MS - days_ago * DAY, closed=True, version=version, **said))
        )

    def close(self) -> None:
        self._writer.close()


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MONTH_ROWS", 1)


@pytest.fixture
def table(database: Database) -> Iterator[Table]:
    """An empty table."""
    table = Table(database)
    yield table
    table.close()


@pytest.fixture
async def queries(database: Database) -> AsyncIterator[Overheard]:
    """Queries that nobody asked before."""
    queries = Overheard(database)
    yield queries
    queries.close()


async def _total(queries: Overheard, selection: Selection | None = None) -> int:
    return (await counts(queries, selection or Selection(), None, NOW)).total


async def test_what_is_known_is_not_asked_again(table: Table, queries: Overheard) -> None:
    for days_ago in (1, 40, 80):
        table.write(f"c-{days_ago}", days_ago)
    assert await _total(queries) == 3
    asked = queries.asked
    assert asked == 3
    assert await _total(queries) == 3
    assert queries.asked == asked


async def test_only_the_month_that_changed_is_asked_again(table: Table, queries: Overheard) -> None:
    for days_ago in (1, 40, 80):
        table.write(f"c-{days_ago}", days_ago)
    negative = Selection(section=Section.NEGATIVE)
    assert await _total(queries, negative) == 0
    asked = queries.asked
    table.write("c-40", 40, 2 << 24, label="negative")
    assert await _total(queries, negative) == 1
    assert queries.asked == asked + 1


async def test_a_table_made_anew_is_asked_anew(table: Table, queries: Overheard) -> None:
    table.write("c-1", 1)
    table.write("c-2", 40, topic="returns")
    selection = Selection(topic=("returns",))
    assert await _total(queries, selection) == 1
    client = table.database.client()
    client.command("TRUNCATE TABLE conversations")
    client.close()
    table.write("c-1", 1)
    table.write("c-2", 40, topic="orders")
    assert await _total(queries, selection) == 0


async def test_a_deleted_row_leaves_a_list_whose_months_are_known(table: Table, queries: Overheard) -> None:
    for days_ago in (1, 40, 80):
        table.write(f"c-{days_ago}", days_ago, messages=days_ago)
    sort = Sort.parse("-messages")
    page = await list_page(queries, Selection(), sort, None, 2, None, NOW)
    assert [one.conversation_id for one in page.items] == ["c-80", "c-40"]
    table.write("c-80", 80, 2 << 24, is_deleted=1)
    page = await list_page(queries, Selection(), sort, None, 2, None, NOW)
    assert [one.conversation_id for one in page.items] == ["c-40", "c-1"]
    assert (page.total, page.next) == (2, None)


async def test_a_month_that_has_just_begun_is_listed_with_those_before(table: Table, queries: Overheard) -> None:
    for days_ago in (0, 24, 60):
        table.write(f"c-{days_ago}", days_ago)
    page = await list_page(queries, Selection(), Sort.parse("-started_at"), None, 2, None, NOW)
    assert [one.conversation_id for one in page.items] == ["c-0", "c-24"]


async def test_a_facet_of_very_many_values_is_counted_at_once(
    table: Table, queries: Overheard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.queries.listing.STRETCH_VALUES", 2)
    for days_ago in (1, 2, 3, 40, 41):
        table.write(f"c-{days_ago}", days_ago, location=f"place {days_ago}")
    counted = await counts(queries, Selection(), None, NOW)
    assert [one.value for one in counted.facets["location"]] == [f"place {n}" for n in (1, 2, 3, 40, 41)]


def test_the_least_used_answers_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {name: module._Plain.of([(name, [1, 2, 3])] * 1_000) for name in "abcd"}
    each = answers["a"].nbytes + module._ALWAYS
    assert 100_000 < each < 400_000
    monkeypatch.setattr(module, "KEPT_BYTES", 3 * each)
    kept = module._Kept()
    for name in "abc":
        kept.put(name, answers[name])
    kept.put("a", answers["a"])
    assert kept.size == 3 * each
    kept.put("d", answers["d"])
    assert kept.get("b") is None
    assert [kept.get(one) for one in "acd"] == [answers[one] for one in "acd"]
    assert kept.size == 3 * each


def _divided(query: dict[str, str]) -> list[tuple[str, str, int]]:
    parts = taken_apart(Selection.model_validate(query), None, NOW)
    return [_plain(one) for one in stretches(parts, MONTHS)]


def _plain(one: Stretch) -> tuple[str, str, int]:
    return str(one.first), str(one.last), len(one.months)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param(
            {},
            [(f"2026-{month}-01", f"2026-{month}-{last}", 1) for month, last in _LENGTHS.items()],
            id="everything",
        ),
        pytest.param(
            {"range": "week"},
            [("2026-11-17", "2026-11-17", 0), ("2026-11-18", "2026-11-30", 1)],
            id="the day of the cut is apart",
        ),
        pytest.param(
            {"range": "custom", "from": "2026-09-01", "to": "2026-09-30"},
            [("2026-09-01", "2026-09-30", 1)],
            id="a whole month",
        ),
        pytest.param(
            {"range": "custom", "from": "2026-09-10", "to": "2026-10-02T12:00"},
            [
                ("2026-09-10", "2026-09-10", 0),
                ("2026-09-11", "2026-09-30", 1),
                ("2026-10-01", "2026-10-01", 1),
                ("2026-10-02", "2026-10-02", 0),
            ],
            id="cut on both sides",
        ),
        pytest.param(
            {"range": "custom", "from": "2026-09-10T10:00", "to": "2026-09-10T12:00"},
            [("2026-09-10", "2026-09-10", 0)],
            id="within a day",
        ),
        pytest.param({"range": "custom", "to": "2026-07-01"}, [("0001-01-01", "9999-12-31", 0)], id="nothing there"),
    ],
)
def test_a_range_is_divided(query: dict[str, str], expected: list[tuple[str, str, int]]) -> None:
    assert _divided(query) == expected
