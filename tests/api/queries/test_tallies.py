"""Statistics added up over months are what one query over all rows says, whatever comes in between."""

import random
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from api.problems import Problem
from api.queries import months, tallies
from api.queries import statistics as module
from api.queries.selection import Selection
from api.queries.statistics import BucketSize, Statistics, statistics
from sinks.clickhouse_queries import ClickHouseQueries
from sinks.clickhouse_writer import ClickHouseWriter
from sinks.connection import Database
from tests.api.queries.brute import by_bucket, by_value, measures
from tests.api.queries.overheard import Overheard
from tests.builders import DAY, HOUR
from tests.sinks.building import row, rows

NOW = datetime(2026, 11, 24, 10, 17, 33, 123_000, tzinfo=UTC)
NOW_MS = int(NOW.timestamp()) * 1_000 + 123
ZONES = ("UTC", "Europe/Madrid", "Asia/Kolkata", "America/St_Johns")
SPANS = ({}, {"range": "month"}, {"range": "year"}, {"range": "custom", "from": "2026-09-07T11:30", "to": "2026-11-02"})


class Table:
    """The table, and what is to be seen in it, by key."""

    def __init__(self, database: Database, seed: object = 0) -> None:
        self.made = random.Random(str(seed))
        self.seen: dict[str, dict[str, Any]] = {}
        self._writer = ClickHouseWriter(database)

    def write(self, *ones: dict[str, Any]) -> None:
        """Store rows; the newest version of each is seen."""
        self._writer.insert_rows(rows(*ones))
        for one in ones:
            self.seen[one["conversation_id"]] = one

    def close(self) -> None:
        self._writer.close()

    def invent(self, count: int) -> list[dict[str, Any]]:
        """Make conversations up: many are alike, some are nothing like the others."""
        return [self.invented(f"c-{len(self.seen) + number}") for number in range(count)]

    def invented(self, name: str, days: int = 100, **said: Any) -> dict[str, Any]:
        made = self.made
        started = NOW_MS - int(days * DAY * made.random() ** 2)
        duration = made.choice(
            (0, 61_000, 61_001, made.randrange(90_000), made.randrange(10 * HOUR), made.randrange(400 * DAY))
        )
        return row(
            **{
                "conversation_id": name,
                "started_at": started,
                "opened_on": started // DAY,
                "closed": made.random() < 0.95,
                "duration_ms": duration,
                "user_messages": made.randrange(5),
                "queries": made.choice((0, 1, 1, 2, 30, 31, 32, made.randrange(1 << 32))),
                "rating": made.choice((None, None, 1, 3, 4, 5)),
                "label": made.choice(("", "", "positive", "negative")),
                "escalated": made.random() < 0.2,
                "fallbacks": made.choice((0, 0, 1, 3)),
                "language": made.choice(("en", "en", "de", "")),
                "channel": made.choice(("web", "it's\\")),
                "topic": made.choice(("", "returns", *(f"topic {number}" for number in range(30)))),
                "device": "",
                "location": f"place {int(90 * made.random() ** 2)}",
                "version": 1 << 24,
                **said,
            }
        )

    def again(self, one: dict[str, Any], **said: Any) -> dict[str, Any]:
        """Make a newer version of a row."""
        return {**one, "version": one["version"] + (1 << 24), **said}

    def measured(self) -> list[dict[str, Any]]:
        """Give what is to be measured of everything."""
        shown = (one for one in self.seen.values() if not one["is_deleted"])
        return [one for one in shown if one["closed"] and one["user_messages"] > 0]


@pytest.fixture(autouse=True)
def _by_months(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(months, "MONTH_ROWS", 1)
    monkeypatch.setattr(module, "FEW_ROWS", 0)


@pytest.fixture
def table(database: Database, request: pytest.FixtureRequest) -> Iterator[Table]:
    """An empty table."""
    table = Table(database, request.node.name)
    yield table
    table.close()


@pytest.fixture
async def queries(database: Database) -> AsyncIterator[Overheard]:
    """Queries that nobody asked before."""
    queries = Overheard(database)
    yield queries
    queries.close()


async def _added_up(
    queries: ClickHouseQueries, selection: Selection | None = None, bucket: BucketSize = BucketSize.WEEK
) -> Statistics:
    return await statistics(queries, selection or Selection(), None, NOW, bucket)


async def _at_once(
    queries: ClickHouseQueries, selection: Selection | None = None, bucket: BucketSize = BucketSize.WEEK
) -> Statistics:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "FEW_ROWS", 1 << 40)
        return await statistics(queries, selection or Selection(), None, NOW, bucket)


def _selection(span: Mapping[str, str], zone: str) -> Selection:
    return Selection.model_validate({**span, "zone": zone})


def _seen(found: Any) -> dict[str, Any]:
    return {
        name: (value["numerator"], value["denominator"], value["value"]) if isinstance(value, dict) else value
        for name, value in found.model_dump(include=set(module.Measures.model_fields)).items()
    }


@pytest.mark.parametrize("bucket", BucketSize)
@pytest.mark.parametrize("seed", range(4))
async def test_both_ways_say_the_same_after_each_change(
    table: Table, queries: Overheard, monkeypatch: pytest.MonkeyPatch, seed: int, bucket: BucketSize
) -> None:
    monkeypatch.setattr(tallies, "TOLD_VALUES", (3, 200)[seed % 2])
    zone = ZONES[seed % len(ZONES)]
    table.write(*table.invent(300 + seed))
    for _ in range(3):
        for span in SPANS:
            selection = _selection(span, zone)
            queries.asked.clear()
            found = await _added_up(queries, selection, bucket)
            assert not any("quantileExact" in one for one in queries.asked)
            assert found == await _at_once(queries, selection, bucket)
        found = await _added_up(queries, _selection({}, zone), bucket)
        rows = table.measured()
        assert _seen(found) == measures(rows)
        over_time = {one.start.astimezone(UTC): _seen(one) for one in found.over_time if one.conversations}
        assert over_time == by_bucket(rows, bucket.value, ZoneInfo(zone))
        for name in module.DIMENSIONS:
            assert [(one.value, _seen(one)) for one in found.by[name]] == by_value(rows, name)[:20]
        some = table.made.sample(sorted(table.seen), 4)
        table.write(
            table.again(table.seen[some[0]], label="negative", fallbacks=1),
            table.again(table.seen[some[1]], is_deleted=1),
            table.again(table.seen[some[2]], closed=not table.seen[some[2]]["closed"]),
            table.again(table.seen[some[3]], duration_ms=table.made.randrange(HOUR)),
            *table.invent(3),
        )


async def test_medians_are_those_of_clickhouse_to_the_last_bit(table: Table, queries: Overheard) -> None:
    huge = (0, 1, 2, (1 << 53) - 1, (1 << 53) + 1, (1 << 63) + 12_345, (1 << 64) - 1, (1 << 64) - 1_025, None, 65_535)
    for number, one in enumerate(huge * 4):
        table.write(
            table.invented(
                f"c-{number}",
                closed=True,
                user_messages=1,
                duration_ms=one,
                location=f"place {number * number % 11}",
                queries=number * 3,
            )
        )
    for bucket in BucketSize:
        assert await _added_up(queries, bucket=bucket) == await _at_once(queries, bucket=bucket)


async def test_nothing_has_no_median(table: Table, queries: Overheard) -> None:
    table.write(table.invented("c-1", closed=True, user_messages=0))
    found = await _added_up(queries)
    assert (found.conversations, found.median_duration_ms, found.over_time) == (0, None, [])
    table.write(*(table.invented(f"c-{number}", closed=True, user_messages=1, duration_ms=None) for number in (2, 3)))
    found = await _added_up(queries)
    assert (found.conversations, found.median_duration_ms) == (2, None)
    assert found == await _at_once(queries)


async def test_only_the_month_that_changed_is_read_again(table: Table, queries: Overheard) -> None:
    usual = {"closed": True, "user_messages": 1, "queries": 2, "location": "here", "topic": "", "language": "en"}
    table.write(*(table.invented(f"c-{number}", duration_ms=number * 1_000, **usual) for number in range(400)))
    await _added_up(queries)
    queries.asked.clear()
    assert (await _added_up(queries)).conversations == 400
    assert queries.asked == []
    table.write(table.invented("late", days=0, duration_ms=5, **usual))
    assert (await _added_up(queries)).conversations == 401
    assert len(queries.asked) == 2, "the counts of this month, and its values in the middle"
    assert await _added_up(queries) == await _at_once(queries)


@pytest.mark.parametrize("times", [pytest.param(1, id="once"), pytest.param(1_000, id="all the time")])
async def test_rows_that_come_between_two_answers_are_seen(table: Table, queries: Overheard, times: int) -> None:
    table.write(*table.invent(200))
    left = [times]

    def write() -> None:
        if left[0]:
            left[0] -= 1
            table.write(table.invented(f"between-{left[0]}", days=1, closed=True, user_messages=1, duration_ms=1))

    queries.before["groupArray(value)"] = write
    found = await _added_up(queries)
    queries.before.clear()
    assert left[0] < times
    assert any("quantileExact" in one for one in queries.asked) == (times > 1), "what never stands still, at once"
    assert found == await _at_once(queries)


async def test_very_many_values_are_measured_at_once(
    table: Table, queries: Overheard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tallies, "STRETCH_VALUES", 20)
    monkeypatch.setattr(module, "MAX_BUCKETS", 30)
    table.write(*table.invent(600))
    found = await _added_up(queries)
    assert any("quantileExact" in one for one in queries.asked)
    assert found == await _at_once(queries)


async def test_too_many_stretches_of_time_are_refused(
    table: Table, queries: Overheard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_BUCKETS", 20)
    table.write(*table.invent(300))
    with pytest.raises(Problem, match="more than 20 hours"):
        await _added_up(queries, bucket=BucketSize.HOUR)
    assert (await _added_up(queries)).conversations > 100


async def test_what_is_kept_stays_within_its_bounds(
    table: Table, queries: Overheard, monkeypatch: pytest.MonkeyPatch
) -> None:
    table.write(*table.invent(300))
    expected = await _at_once(queries)
    monkeypatch.setattr(months, "KEPT_BYTES", 20_000)
    for _ in range(2):
        assert await _added_up(queries) == expected
        assert 0 < months._kept[queries].size <= 20_000
