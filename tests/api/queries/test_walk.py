"""A walk meets every conversation of its list once, forth and back, in any order, whatever is labelled on the way."""

from datetime import UTC, datetime, timedelta

import pytest

from api.queries.history import conversation
from api.queries.selection import Section, Selection
from api.queries.sorting import Cursor, Direction, Sort
from api.queries.walk import Through, Walk, beside, standing
from schemas.facts import Key
from sinks.clickhouse_queries import ClickHouseQueries
from sinks.clickhouse_writer import ClickHouseWriter
from sinks.connection import Database
from tests.api.pages.shop import FoldingLog
from tests.builders import AT, HOUR, MINUTE, event

BEGAN = datetime.fromtimestamp((AT + 10 * HOUR) / 1_000, UTC)


@pytest.fixture
def log(database: Database) -> FoldingLog:
    """Twelve conversations: of two times, some rated, some labelled, some labelled before they went on."""
    log = FoldingLog(ClickHouseWriter(database))
    for number in range(12):
        key, at = f"c-{number:02}", AT + number // 2 * MINUTE
        log.add([event("message.sent", conversation_id=key, at=at, text=f"question {number}")])
        if number % 3 == 0:
            log.add([event("conversation.rated", conversation_id=key, at=at + 1, rating=1 + number % 5)])
        if number % 4 == 0:
            label = "positive" if number % 8 else "negative"
            seen = number % 3
            log.add([event("label.set", conversation_id=key, at=at + 2, label=label, by="ben", seen_messages=seen)])
    return log


def walk(sort: str = "-started_at", through: Through = Through.ALL, section: Section = Section.ALL) -> Walk:
    return Walk(Selection(section=section), Sort.parse(sort), through, "ana", BEGAN)


async def at(queries: ClickHouseQueries, key: Key, sort: Sort, way: Direction) -> Cursor:
    history = await conversation(queries, *key, None)
    assert history is not None
    return Cursor.at(history.row, sort, way)


async def walked(queries: ClickHouseQueries, one: Walk, way: Direction, start: Cursor | None) -> list[str]:
    """Go on until there is nothing more, and say what was met."""
    met: list[str] = []
    place = start
    while found := await beside(queries, one, place, 1, None):
        met.append(found[0][1])
        place = await at(queries, found[0], one.sort, way)
        assert len(met) <= 20
    return met


@pytest.mark.parametrize("sort", ["started_at", "-started_at", "rating", "-rating", "label", "conversation_id"])
async def test_a_walk_meets_each_once_and_comes_back_the_same_way(
    log: FoldingLog, queries: ClickHouseQueries, sort: str
):
    one = walk(sort)

    forth = await walked(queries, one, Direction.AFTER, None)
    last = await at(queries, ("shop", forth[-1]), one.sort, Direction.BEFORE)
    back = await walked(queries, one, Direction.BEFORE, last)

    assert sorted(forth) == [f"c-{number:02}" for number in range(12)]
    assert back == forth[-2::-1]


async def test_positions_count_from_one_to_the_length_of_the_list(log: FoldingLog, queries: ClickHouseQueries):
    one = walk("-rating")
    forth = await walked(queries, one, Direction.AFTER, None)

    stands = [
        await standing(queries, one, await at(queries, ("shop", met), one.sort, Direction.BEFORE), None)
        for met in forth
    ]

    assert [(one.position, one.total) for one in stands] == [(place, 12) for place in range(1, 13)]
    assert (await standing(queries, one, None, None)).position == 12


async def test_what_is_pending_has_no_label_or_a_stale_one(log: FoldingLog, queries: ClickHouseQueries):
    # c-00 had been seen with none of its one message, c-04 with that one, c-08 with more.
    forth = await walked(queries, walk("started_at", Through.PENDING), Direction.AFTER, None)

    assert forth == [f"c-{number:02}" for number in range(12) if number not in {4, 8}]
    assert (await standing(queries, walk(through=Through.PENDING), None, None)).pending == 10


async def test_what_the_walker_labels_stays_in_the_walk_and_what_others_label_leaves_it(
    log: FoldingLog, queries: ClickHouseQueries
):
    one = walk("started_at", Through.PENDING)
    now = int((BEGAN + timedelta(minutes=1)).timestamp() * 1_000)
    log.add(
        [
            event("label.set", conversation_id="c-01", at=now, label="positive", by="ana", seen_messages=1),
            event("label.set", conversation_id="c-02", at=now, label="negative", by="ana", seen_messages=1),
            event("label.set", conversation_id="c-03", at=now, label="negative", by="ben", seen_messages=1),
            event("label.cleared", conversation_id="c-00", at=now, by="ana"),
        ]
    )

    stands = await standing(queries, one, None, None)

    assert (stands.total, stands.positive, stands.negative, stands.cleared, stands.pending) == (9, 1, 1, 1, 7)
    place = await at(queries, ("shop", "c-05"), one.sort, Direction.BEFORE)
    assert await beside(queries, one, place, 1, None) == [("shop", "c-02")]
    assert (await beside(queries, one, None, 1, None)) == [("shop", "c-05")], "a walk begun anew begins behind them"


async def test_what_leaves_its_section_on_the_way_stays_in_the_walk(log: FoldingLog, queries: ClickHouseQueries):
    one = walk("started_at", Through.ALL, Section.NEGATIVE)
    assert await walked(queries, one, Direction.AFTER, None) == ["c-00", "c-08"]
    now = int((BEGAN + timedelta(minutes=1)).timestamp() * 1_000)
    log.add([event("label.set", conversation_id="c-00", at=now, label="positive", by="ana")])

    assert (await standing(queries, one, None, None)).total == 2


async def test_an_assistant_that_is_not_theirs_is_not_walked(log: FoldingLog, queries: ClickHouseQueries):
    assert await beside(queries, walk(), None, 5, "hotel") == []
    assert (await standing(queries, walk(), None, "hotel")).total == 0
