"""A search over months says what looking at every message says, whatever is said, moved or erased in between."""

import random
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from api.queries import months, searches
from api.queries import statistics as rates
from api.queries.listing import counts, list_page, neighbours
from api.queries.selection import Section, Selection, State
from api.queries.sorting import Sort
from api.queries.statistics import BucketSize, statistics
from schemas.facts import Key
from schemas.store import Erasure
from sinks.clickhouse_queries import ClickHouseQueries
from sinks.clickhouse_writer import ClickHouseWriter
from sinks.connection import Database
from tests.api.queries.overheard import Overheard
from tests.builders import DAY, HOUR
from tests.sinks.building import facts, row, rows

NOW = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
NOW_MS = int(NOW.timestamp()) * 1_000
WORDS = ("parcel", "late", "refund", "größe", "退款了")
OLDEST = 80


class World:
    """Conversations and what was said in them. `rows`: those that are to be seen; `said`: (at, text) by key."""

    def __init__(self, database: Database, seed: object) -> None:
        self.made = random.Random(str(seed))
        self.rows: dict[Key, dict[str, Any]] = {}
        self.said: dict[Key, list[tuple[int, str]]] = {}
        self.writer = ClickHouseWriter(database)
        self._number = 0

    def say(self, key: Key, at: int, text: str) -> None:
        """Store a message, and the row that knows of it."""
        self.tell(key, at, text)
        former = self.rows.get(key)
        started = min(at, former["started_at"] if former else at)
        ones = [self._row(key, started, former)]
        if former and former["opened_on"] != started // DAY:
            ones.append({**former, "is_deleted": 1, "version": former["version"] + (1 << 24)})
        self.writer.insert_rows(rows(*ones))
        self.rows[key] = ones[0]

    def tell(self, key: Key, at: int, text: str) -> None:
        """Store a message of which no row knows yet."""
        self._number += 1
        fact = {"assistant": key[0], "conversation_id": key[1], "at": at, "text": text, "id": f"e-{self._number}"}
        self.writer.insert_facts(facts(fact))
        self.said.setdefault(key, []).append((at, text))

    def _row(self, key: Key, started: int, former: dict[str, Any] | None) -> dict[str, Any]:
        return row(
            assistant=key[0],
            conversation_id=key[1],
            started_at=started,
            opened_on=started // DAY,
            closed=True,
            user_messages=1,
            duration_ms=self.made.randrange(HOUR),
            label=self.made.choice(("", "negative")),
            version=((former["version"] >> 24) + 2 if former else 1) << 24,
        )

    def erase(self, key: Key) -> None:
        """Erase a conversation: what was said, and the row."""
        gone = self.rows.pop(key)
        self.said.pop(key)
        self.writer.erase([Erasure(key, NOW_MS + DAY, 1 << 48)])
        self.writer.insert_rows(rows({**gone, "is_deleted": 1, "version": 1 << 48}))

    def moment(self) -> int:
        """Make a time up; many are near the end of a month."""
        if self.made.random() < 0.3:
            end = int(datetime(2026, self.made.choice((10, 11)), 1, tzinfo=UTC).timestamp()) * 1_000
            return end + self.made.choice((-1, 0, -HOUR, HOUR))
        return NOW_MS - self.made.randrange(OLDEST * DAY)

    def text(self) -> str:
        return " ".join(self.made.choice((*WORDS, "where", "is")) for _ in range(3))

    def found(self, query: dict[str, str], section: Section = Section.ALL) -> list[Key]:
        """Look at every message; the newest conversation first."""
        start = NOW_MS - {"week": 7, "month": 30, "year": 365}[query["range"]] * DAY if "range" in query else 0
        words = query["q"].split()
        met = [
            key
            for key, one in self.rows.items()
            if one["started_at"] >= start
            and (section is Section.ALL or one["label"] == section.value)
            and any(all(word in text for word in words) for _, text in self.said[key])
        ]
        met.sort(key=lambda key: (key[0].encode(), key[1].encode()))
        return sorted(met, key=lambda key: self.rows[key]["started_at"], reverse=True)


@pytest.fixture(autouse=True)
def _by_months(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(months, "MONTH_ROWS", 1)
    monkeypatch.setattr(rates, "FEW_ROWS", 0)


@pytest.fixture
def world(database: Database, request: pytest.FixtureRequest) -> Iterator[World]:
    """Nothing said yet."""
    world = World(database, request.node.name)
    yield world
    world.writer.close()


@pytest.fixture
async def queries(database: Database) -> AsyncIterator[Overheard]:
    """Queries that nobody asked before."""
    queries = Overheard(database)
    yield queries
    queries.close()


async def _listed(queries: ClickHouseQueries, selection: Selection, sort: str = "-started_at") -> list[Key]:
    keys: list[Key] = []
    cursor: str | None = None
    while True:
        page = await list_page(queries, selection, Sort.parse(sort), cursor, 15, None, NOW)
        keys += [(one.assistant, one.conversation_id) for one in page.items]
        cursor = page.next
        if cursor is None:
            assert page.total == len(keys)
            return keys


async def _check(queries: ClickHouseQueries, world: World) -> None:
    for query in (
        {"q": "parcel"},
        {"q": "late refund", "range": "year"},
        {"q": "退款", "range": "month"},
        {"q": "größe", "range": "week"},
    ):
        for section in (Section.ALL, Section.NEGATIVE):
            selection = Selection.model_validate({**query, "section": section, "state": State.ALL})
            expected = world.found(query, section)
            assert await _listed(queries, selection) == expected
            assert sorted(await _listed(queries, selection, "duration_ms")) == sorted(expected)
            assert (await counts(queries, selection, None, NOW)).total == len(expected)
        found = await statistics(queries, Selection.model_validate(query), None, NOW, BucketSize.WEEK)
        assert found.conversations == len(world.found(query))
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(rates, "FEW_ROWS", 1 << 40)
            assert found == await statistics(queries, Selection.model_validate(query), None, NOW, BucketSize.WEEK)


@pytest.mark.parametrize("seed", range(2))
async def test_a_search_finds_what_was_said_after_each_change(queries: Overheard, world: World, seed: int) -> None:
    keys = [(("shop", "bank")[number % 2], f"c-{number // 2}") for number in range(40)]
    for key in keys:
        first = world.moment()
        world.say(key, first, world.text())
        for _ in range(world.made.randrange(2)):
            world.say(key, min(NOW_MS, first + world.made.choice((0, HOUR, 3 * DAY, 40 * DAY))), world.text())
    for _ in range(2):
        await _check(queries, world)
        known = world.made.sample(sorted(world.rows), 4)
        world.say(known[0], NOW_MS - HOUR, "my parcel again")  # a conversation of any month
        world.say(known[1], world.rows[known[1]]["started_at"] - 20 * DAY, "late refund 退款")  # moves its day
        world.erase(known[2])
        world.tell(("shop", f"c-{seed} nowhere yet"), world.moment(), "parcel")
        world.say(("shop", f"c-new-{len(world.rows)}"), NOW_MS - world.made.randrange(DAY), "größe parcel")
    await _check(queries, world)


async def test_what_is_said_now_leaves_former_months_known(queries: Overheard, world: World) -> None:
    for days in (1, 2, 20, 40, 41, 70):
        world.say(("shop", f"c-{days}"), NOW_MS - days * DAY, "parcel")
    world.say(("shop", "c-40"), NOW_MS - 3 * DAY, "parcel still")
    selection = Selection.model_validate({"q": "parcel"})
    page = await list_page(queries, selection, Sort.parse("-rating"), None, 50, None, NOW)
    assert page.total == 6
    queries.asked.clear()
    world.say(("shop", "c-0"), NOW_MS - HOUR, "parcel")
    page = await list_page(queries, selection, Sort.parse("-rating"), None, 50, None, NOW)
    assert page.total == 7
    asked = [one for one in queries.asked if "hostName()" in one]
    assert len(asked) == 3, "which keys have no row in this month; its rows; its count"
    queries.asked.clear()
    world.say(("shop", "c-70"), NOW_MS - HOUR, "parcel")
    world.erase(("shop", "c-41"))
    page = await list_page(queries, selection, Sort.parse("-rating"), None, 50, None, NOW)
    assert page.total == 6


@pytest.mark.parametrize(
    "days", [pytest.param(60, id="in the month of its conversation"), pytest.param(1, id="in another month")]
)
async def test_what_was_said_is_found_before_the_row_knows(queries: Overheard, world: World, days: int) -> None:
    world.say(("shop", "c-1"), NOW_MS - 60 * DAY, "where")
    world.say(("shop", "c-2"), NOW_MS - 2 * DAY, "where")
    selection = Selection.model_validate({"q": "parcel"})
    assert await _listed(queries, selection) == []
    world.tell(("shop", "c-1"), NOW_MS - days * DAY, "parcel")
    assert await _listed(queries, selection) == [("shop", "c-1")]


async def test_neighbours_are_found_across_months(queries: Overheard, world: World) -> None:
    for days in (1, 30, 60):
        world.say(("shop", f"c-{days}"), NOW_MS - days * DAY, "parcel")
        world.say(("shop", f"d-{days}"), NOW_MS - days * DAY, "nothing")
    world.say(("shop", "d-30"), NOW_MS - HOUR, "parcel at last")
    selection = Selection.model_validate({"q": "parcel"})
    page = await list_page(queries, selection, Sort.parse("-started_at"), None, 50, None, NOW)
    assert [one.conversation_id for one in page.items] == ["c-1", "c-30", "d-30", "c-60"]
    around = await neighbours(queries, selection, Sort.parse("-started_at"), page.items[2], None, NOW)
    assert (around.previous, around.next) == (("shop", "c-30"), ("shop", "c-60"))
    assert (around.position, around.total) == (3, 4)


async def test_very_many_that_were_said_elsewhere_are_sought_at_once(
    queries: Overheard, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searches, "MAX_ELSEWHERE", 2)
    for number in range(4):
        world.say(("shop", f"c-{number}"), NOW_MS - 60 * DAY - number, "where")
        world.say(("shop", f"c-{number}"), NOW_MS - HOUR, "parcel")
    assert await _listed(queries, Selection.model_validate({"q": "parcel"})) == [("shop", f"c-{n}") for n in range(4)]
    assert not any("elsewhere" in one for one in queries.asked)


async def test_nobody_finds_what_another_assistant_was_told(queries: Overheard, world: World) -> None:
    world.say(("shop", "c-1"), NOW_MS - 60 * DAY, "where")
    world.say(("bank", "c-1"), NOW_MS - 60 * DAY, "where")
    world.say(("bank", "c-1"), NOW_MS - HOUR, "parcel")
    selection = Selection.model_validate({"q": "parcel"})
    sort = Sort.parse("-started_at")
    for only, total in ((None, 1), ("shop", 0), ("bank", 1)):
        assert (await list_page(queries, selection, sort, None, 50, only, NOW)).total == total
