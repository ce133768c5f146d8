"""What a selection asks of ClickHouse, and how it says so."""

from datetime import UTC, date, datetime

import pytest

from api.queries.conditions import compile_selection, in_words, search_words
from api.queries.languages import language_name
from api.queries.selection import Selection
from sinks.clickhouse_queries import ClickHouseQueries
from sinks.clickhouse_writer import ClickHouseWriter
from sinks.connection import Database
from tests.api.conftest import emptied
from tests.builders import AT, DAY
from tests.sinks.building import HOSTILE, facts, row, rows

NOW = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ([], "All conversations."),
        ([("range", "week")], "All conversations in the last week."),
        (
            [("language", "en"), ("topic", "returns"), ("escalated", "true"), ("rated", "true"), ("range", "week")],
            "English conversations about returns, escalated, rated, in the last week.",
        ),
        ([("section", "positive"), ("language", "de")], "Positive German conversations."),
        (
            [("section", "fallback"), ("state", "open"), ("topic", "(none)"), ("topic", "a"), ("topic", "b")],
            "Open conversations about no topic, a or b, with a fallback.",
        ),
        (
            [("claimed", "false"), ("assigned_to", "(none)"), ("client", "u-1"), ("channel", "web")],
            "All conversations, not claimed by an agent, assigned to nobody, of client u-1, channel web.",
        ),
        (
            [("q", "late parcel"), ("range", "24h")],
            "All conversations, with “late parcel” in a message, in the last 24 hours.",
        ),
        (
            [("range", "custom"), ("from", "2026-11-01"), ("to", "2026-11-03"), ("zone", "Europe/Madrid")],
            "All conversations from 2026-11-01 to 2026-11-03 (Europe/Madrid).",
        ),
        ([("range", "custom"), ("to", "2026-11-03")], "All conversations to the end of 2026-11-03."),
        ([("language", "(none)"), ("language", "tlh")], "Tlh or unidentified-language conversations."),
        ([("language", "it's; <b>")], "It's; <b> conversations."),
    ],
    ids=str,
)
def test_a_selection_is_said_in_a_sentence(query: list[tuple[str, str]], words: str) -> None:
    assert in_words(Selection.from_items(query)) == words


def test_a_language_is_named_or_given_as_it_is() -> None:
    assert language_name("pt-BR") == "Portuguese (BR)"
    assert language_name("EN") == "English"
    assert language_name("tlh") == "tlh"
    assert language_name("") == ""


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_that_was_sent_stands_in_the_sql(text: str) -> None:
    names = ("client", "topic", "assistant", "location", "channel")
    condition = compile_selection(Selection.from_items([(name, text) for name in names]), text, NOW)
    plain = compile_selection(Selection.from_items([(name, "a") for name in names]), "a", NOW)
    assert condition.sql == plain.sql


def test_the_days_of_a_range_are_bounded_beside_its_times() -> None:
    given = [("range", "custom"), ("from", "2026-11-01"), ("to", "2026-11-03"), ("zone", "Asia/Tokyo")]
    condition = compile_selection(Selection.from_items(given), None, NOW)
    assert "c.opened_on >= {span_from_day:Date} AND c.started_at >=" in condition.sql
    assert condition.parameters["span_from_day"] == date(2026, 10, 31)
    assert condition.parameters["span_to_day"] == date(2026, 11, 3)


def test_a_search_is_cut_into_words_as_the_index_cuts() -> None:
    assert search_words("Where's my “Größe”, e-mail?") == ["Where", "s", "my", "Größe", "e", "mail"]
    assert search_words("我的退款 在") == ["我的退款", "在"]
    assert search_words("a a A") == ["a", "A"]
    assert search_words("?!") == ["?!"]


SAID = {
    "c-1": ["Where is my PARCEL?", "It is late."],
    "c-2": ["my parcel is late"],
    "c-3": ["Die Größe stimmt nicht: größer!"],
    "c-4": ["我的退款在哪里。"],
    "c-5": ["100% (sure), it's fine ?!"],
    "c-6": [*HOSTILE],
    "c-7": ["ВОЗВРАТ товара", "ΠΑΡΑΔΟΣΗ"],  # noqa: RUF001
}


@pytest.fixture(scope="module")
def said(chdb: Database) -> None:
    """What was said, in closed conversations of the shop."""
    emptied(chdb)
    writer = ClickHouseWriter(chdb)
    writer.insert_rows(rows(*(row(conversation_id=one, closed=True) for one in (*SAID, "c-9"))))
    writer.insert_facts(
        facts(*({"conversation_id": one, "text": text} for one, texts in SAID.items() for text in texts))
    )
    writer.insert_facts(facts({"conversation_id": "c-9", "text": "parcel", "type": "label.set"}))
    writer.close()


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("parcel", {"c-1", "c-2"}),
        ("Parcel MY", {"c-1", "c-2"}),
        ("parcel late", {"c-2"}),
        ("parce", set()),
        ("GRÖSSE", set()),
        ("GRÖßE", {"c-3", "c-6"}),
        ("größe nicht", {"c-3"}),
        ("退款", {"c-4"}),
        ("退款 哪里", {"c-4"}),
        ("it's", {"c-5", "c-6"}),
        ("100", {"c-5"}),
        ("100%", {"c-5"}),
        ("?!", {"c-5"}),
        ("%", {"c-5", "c-6"}),
        ("_", set()),
        ("возврат", {"c-7"}),
        ("παραδοση", {"c-7"}),
        ("会話", {"c-6"}),
        ("back slash", {"c-6"}),
    ],
)
@pytest.mark.usefixtures("said")
async def test_a_search_finds_messages_with_all_words(queries: ClickHouseQueries, q: str, found: set[str]) -> None:
    condition = compile_selection(Selection.from_items([("q", q)]), "shop", NOW)
    sql = f"SELECT c.conversation_id FROM conversations AS c FINAL WHERE {condition.sql}"
    assert {one for (one,) in await queries.rows(sql, condition.parameters)} == found
    other = compile_selection(Selection.from_items([("q", q)]), "bank", NOW)
    assert await queries.rows(sql, other.parameters) == []


async def test_words_are_looked_up_in_the_index(database: Database, queries: ClickHouseQueries) -> None:
    writer = ClickHouseWriter(database)
    writer.insert_facts(facts(*({"conversation_id": f"c-{n}", "text": f"parcel {n}"} for n in range(3_000))))
    writer.close()
    condition = compile_selection(Selection.from_items([("q", "Parcel 7")]), None, NOW)
    subquery = condition.sql[condition.sql.rindex("(SELECT e.") + 1 : condition.sql.rindex(")")]
    plan = "\n".join(line for (line,) in await queries.rows(f"EXPLAIN indexes = 1 {subquery}", condition.parameters))
    assert "text_words" in plan


@pytest.mark.parametrize("text", [*HOSTILE, "(none)"])
async def test_any_value_can_be_selected(database: Database, queries: ClickHouseQueries, text: str) -> None:
    kept = "" if text == "(none)" else text
    writer = ClickHouseWriter(database)
    writer.insert_rows(
        rows(
            row(conversation_id="it", user_id=kept, topic=kept, closed=True),
            row(conversation_id="other", user_id="x", topic="y", closed=True),
        )
    )
    writer.close()
    for name in ("client", "topic"):
        condition = compile_selection(Selection.from_items([(name, text)]), None, NOW)
        found = await queries.rows(
            f"SELECT conversation_id FROM conversations AS c FINAL WHERE {condition.sql}", condition.parameters
        )
        assert found == [("it",)]


async def test_a_range_selects_by_the_beginning(database: Database, queries: ClickHouseQueries) -> None:
    writer = ClickHouseWriter(database)
    writer.insert_rows(rows(row(closed=True, started_at=AT - 30 * DAY)))
    writer.close()
    for items, count in (([("range", "year")], 1), ([("range", "week")], 0)):
        condition = compile_selection(Selection.from_items(items), None, NOW)
        sql = f"SELECT count() FROM conversations AS c FINAL WHERE {condition.sql}"
        assert await queries.rows(sql, condition.parameters) == [(count,)]
