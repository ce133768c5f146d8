"""A whole list as a file."""

import csv
import io
import json
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from api.queries.export import FORMULA, Format, export, file_name
from api.queries.listing import list_page
from api.queries.selection import Selection
from api.queries.sorting import Sort
from schemas.conversation import COLUMNS, ConversationRow
from schemas.failures import TooMuch
from sinks.clickhouse_queries import ClickHouseQueries
from sinks.clickhouse_writer import ClickHouseWriter
from sinks.connection import Database
from tests.builders import AT, HOUR, MINUTE
from tests.sinks.building import HOSTILE, row, rows

NOW = datetime(2026, 11, 24, tzinfo=UTC)
ALL = Selection(state="all")  # type: ignore[arg-type]
BY_ID = Sort.parse("conversation_id")

FULL = row(
    conversation_id="full",
    closed=True,
    ended_at=AT + 2 * MINUTE,
    close_reason="ended",
    duration_ms=2 * MINUTE,
    rating=4,
    feedback='it\'s, "fine"\r\n',
    has_feedback=True,
    user_name="Zoë 会話",
    attributes={"plan": "gold", "Größe": "a/b"},
    fallbacks=1,
    fallback_causes=[("e-1", "flagged", "other", None), ("e-2", "low_confidence", "low_confidence", 0.25)],
    label="negative",
    labelled_at=AT + HOUR,
    version=(1 << 62) + 7,
)


async def exported(
    queries: ClickHouseQueries,
    output: Format,
    selection: Selection = ALL,
    sort: Sort = BY_ID,
    assistant: str | None = None,
) -> bytes:
    """The whole file."""
    pieces = export(queries, selection, sort, output, assistant, NOW)
    return b"".join([piece async for piece in pieces])


def stored(database: Database, *ones: dict[str, Any]) -> None:
    writer = ClickHouseWriter(database, lambda: AT + HOUR)
    writer.insert_rows(rows(*ones))
    writer.close()


def fill(database: Database) -> None:
    """Store very many rows."""
    client = database.client()
    client.command("INSERT INTO conversations (conversation_id) SELECT toString(number) FROM numbers(50000)")
    client.close()


def read(written: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(written.decode(), newline="")))


async def test_csv_has_every_column_by_its_name(database: Database, queries: ClickHouseQueries) -> None:
    stored(database, FULL)
    written = await exported(queries, Format.CSV)
    assert written.startswith(b"assistant,conversation_id,opened_on,")
    assert written.endswith(b"\r\n")
    (found,) = read(written)
    assert list(found) == list(COLUMNS)
    wanted = {
        "assistant": "shop",
        "conversation_id": "full",
        "opened_on": "2026-11-09",
        "started_at": "2026-11-09T09:12:00.000Z",
        "ended_at": "2026-11-09T09:14:00.000Z",
        "closed": "true",
        "duration_ms": "120000",
        "rating": "4",
        "feedback": 'it\'s, "fine"\r\n',
        "user_name": "Zoë 会話",
        "version": str((1 << 62) + 7),
        "is_deleted": "false",
        "updated_at": "2026-11-09T10:12:00.000Z",
    }
    assert {name: found[name] for name in wanted} == wanted
    assert json.loads(found["attributes"]) == {"plan": "gold", "Größe": "a/b"}
    assert json.loads(found["fallback_causes"])[1] == {
        "event_id": "e-2",
        "rule": "low_confidence",
        "reason": "low_confidence",
        "confidence": 0.25,
    }


async def test_csv_leaves_what_is_absent_empty(database: Database, queries: ClickHouseQueries) -> None:
    stored(database, row())
    (found,) = read(await exported(queries, Format.CSV))
    assert {found[name] for name in ("ended_at", "duration_ms", "rating", "labelled_at", "feedback")} == {""}


FORMULAS = (
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    " =1",
    '"=1"',
    "'=1",
    "''=1",
    "\u00a0=1",
    "\ufeff=1",
    "\u200b=1",
    "\0=1",
    "＝1",  # noqa: RUF001
    "=cmd|' /C calc'!A0",
    "- a list",
)
PLAIN = ("", " ", "1", "a=1", "'quoted'", '"said"', "c-1", "1-1", "日本語", "#1", "(=1)")


async def test_texts_that_a_spreadsheet_takes_for_formulas_have_an_apostrophe(
    database: Database, queries: ClickHouseQueries
) -> None:
    texts = [*FORMULAS, *PLAIN]
    stored(
        database,
        *(row(conversation_id=f"{one}{n:03}", topic=one, correction=one, messages=n) for n, one in enumerate(texts)),
    )
    found = read(await exported(queries, Format.CSV, sort=Sort.parse("messages")))
    wanted = [f"'{one}" for one in FORMULAS] + list(PLAIN)
    assert [one["topic"] for one in found] == wanted
    assert [one["correction"] for one in found] == wanted
    ids = [one["conversation_id"] for one in found]
    assert ids[: len(FORMULAS)] == [f"'{one}{number:03}" for number, one in enumerate(FORMULAS)]
    assert not [one for one in found for cell in one.values() if re.match(r"[=+\-@\t\r\n]", cell)]


async def test_the_apostrophe_can_be_taken_off_for_certain(database: Database, queries: ClickHouseQueries) -> None:
    texts = [*FORMULAS, *PLAIN, *(f"'{one}" for one in FORMULAS), *(f"'{one}" for one in PLAIN)]
    stored(database, *(row(conversation_id=str(n), topic=one, messages=n) for n, one in enumerate(texts)))
    written = [one["topic"] for one in read(await exported(queries, Format.CSV, sort=Sort.parse("messages")))]
    client = database.client()
    taken_off = client.query(
        "SELECT if(match(one, {formula:String}), substring(one, 2), one) FROM "
        "(SELECT arrayJoin({written:Array(String)}) AS one)",
        parameters={"formula": FORMULA, "written": written},
    ).result_rows
    client.close()
    assert [one for (one,) in taken_off] == texts


async def test_json_lines_are_the_rows_of_the_list(database: Database, queries: ClickHouseQueries) -> None:
    stored(database, FULL, row(conversation_id="plain"), *(row(conversation_id=one) for one in HOSTILE))
    listed = await list_page(queries, ALL, BY_ID, None, 200, None, NOW)
    lines = (await exported(queries, Format.JSONL)).decode().removesuffix("\n").split("\n")
    assert [ConversationRow.model_validate_json(one) for one in lines] == listed.items
    for written, one in zip(lines, listed.items, strict=True):
        given, wanted = json.loads(written), one.model_dump(mode="json")
        assert list(given) == list(wanted)
        assert {name: type(value) for name, value in given.items()} == {
            name: type(value) for name, value in wanted.items()
        }
        times = {name for name, kind in COLUMNS.items() if "DateTime" in kind}
        assert {name: value for name, value in given.items() if name not in times} == {
            name: value for name, value in wanted.items() if name not in times
        }


async def test_no_character_ends_a_json_line_early(database: Database, queries: ClickHouseQueries) -> None:
    stored(database, row(feedback="one\u2028two\u2029three\nfour\rfive\x85six\x0bseven"))
    written = (await exported(queries, Format.JSONL)).decode()
    assert written.count("\u2028") + written.count("\u2029") == 0
    assert json.loads(written)["feedback"] == "one\u2028two\u2029three\nfour\rfive\x85six\x0bseven"


async def test_parquet_has_types(database: Database, queries: ClickHouseQueries) -> None:
    stored(database, FULL, row(conversation_id="plain"))
    table = pq.read_table(io.BytesIO(await exported(queries, Format.PARQUET)))
    assert table.column_names == list(COLUMNS)
    kinds = {field.name: field.type for field in table.schema}
    assert kinds["started_at"] == pa.timestamp("ms", "UTC")
    assert kinds["opened_on"] == pa.date32()
    assert {kinds[name] for name in ("closed", "is_deleted", "label_stale")} == {pa.bool_()}
    assert {kinds[name] for name in ("topic", "feedback")} == {pa.string()}
    assert (kinds["messages"], kinds["version"], kinds["rating"]) == (pa.uint32(), pa.uint64(), pa.uint8())
    assert pa.types.is_map(kinds["attributes"])
    full, plain = table.to_pylist()
    assert dict(full["attributes"]) == FULL["attributes"]
    assert [tuple(one.values()) for one in full["fallback_causes"]] == FULL["fallback_causes"]
    assert full["started_at"] == datetime.fromtimestamp(AT / 1_000, UTC)
    assert full["opened_on"] == date(2026, 11, 9)
    assert (plain["rating"], plain["ended_at"], full["rating"]) == (None, None, 4)


@pytest.mark.parametrize("output", list(Format))
async def test_only_what_is_selected_is_there_in_the_order_that_was_asked_for(
    database: Database, queries: ClickHouseQueries, output: Format
) -> None:
    stored(
        database,
        row(conversation_id="a", messages=1, label="negative"),
        row(conversation_id="b", messages=3, label="negative"),
        row(conversation_id="c", messages=2, label="negative"),
        row(conversation_id="d", label="positive"),
        row(conversation_id="gone", label="negative", is_deleted=True),
        row(conversation_id="e", messages=9, label="negative", assistant="bank"),
    )
    selection = Selection(section="negative", state="all")  # type: ignore[arg-type]
    whole = await exported(queries, output, selection, Sort.parse("-messages"))
    assert ids_in(output, whole) == ["e", "b", "c", "a"]
    assert ids_in(output, await exported(queries, output, selection, Sort.parse("-messages"), "shop")) == [
        "b",
        "c",
        "a",
    ]


@pytest.mark.parametrize("output", list(Format))
async def test_an_empty_list_is_a_file_without_rows(
    database: Database, queries: ClickHouseQueries, output: Format
) -> None:
    assert ids_in(output, await exported(queries, output)) == []


def ids_in(output: Format, written: bytes) -> list[str]:
    if output is Format.CSV:
        assert written.startswith(b"assistant,")
        return [one["conversation_id"] for one in read(written)]
    if output is Format.JSONL:
        return [json.loads(one)["conversation_id"] for one in written.splitlines()]
    ids: list[str] = pq.read_table(io.BytesIO(written))["conversation_id"].to_pylist()
    return ids


async def test_a_long_list_comes_in_pieces(database: Database, queries: ClickHouseQueries) -> None:
    fill(database)
    pieces: AsyncGenerator[bytes, None] = export(queries, ALL, BY_ID, Format.CSV, None, NOW)
    sizes = [len(piece) async for piece in pieces]
    assert len(sizes) > 5
    assert max(sizes) < 1 << 20


async def test_who_leaves_early_ends_the_query(database: Database) -> None:
    fill(database)
    narrow = ClickHouseQueries(database, width=1)
    for _ in range(3):
        async with aclosing(export(narrow, ALL, BY_ID, Format.JSONL, None, NOW)) as pieces:
            assert await anext(pieces)
    narrow.close()


async def test_what_takes_too_much_says_so(database: Database) -> None:
    fill(database)
    small = ClickHouseQueries(database, memory=1 << 20)
    with pytest.raises(TooMuch, match="MiB of memory"):
        await exported(small, Format.CSV)
    small.close()


def test_a_file_is_named_for_what_is_in_it() -> None:
    negative = Selection(section="negative")  # type: ignore[arg-type]
    assert file_name(negative, Format.CSV, NOW) == "conversations-negative-2026-11-24.csv"
    assert file_name(ALL, Format.PARQUET, NOW) == "conversations-2026-11-24.parquet"
