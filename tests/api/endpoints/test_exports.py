"""GET /v1/conversations.csv, .jsonl, .parquet."""

import csv
import io
import json
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any

import httpx2
import pyarrow.parquet as pq
import pytest

from api.endpoints import exports
from api.queries.sorting import SORTS
from schemas.conversation import COLUMNS
from schemas.failures import TooMuch, Unavailable
from sinks.clickhouse_queries import ClickHouseQueries
from sinks.clickhouse_writer import ClickHouseWriter
from sinks.connection import Database
from tests.api.access.world import bearer
from tests.api.endpoints.world import NO_READER, SHOP_ONLY, reading
from tests.builders import AT
from tests.sinks.building import row, rows

KINDS = ("csv", "jsonl", "parquet")


@pytest.fixture
async def client(database: Database, queries: ClickHouseQueries) -> AsyncIterator[httpx2.AsyncClient]:
    """The endpoints, over three conversations."""
    writer = ClickHouseWriter(database, lambda: AT)
    closed = {"closed": True, "close_reason": "ended"}
    writer.insert_rows(
        rows(
            row(conversation_id="a", messages=1, label="negative", topic="=1", **closed),
            row(conversation_id="b", messages=2, **closed),
            row(conversation_id="c", messages=3, assistant="bank", **closed),
            row(conversation_id="goes on"),
        )
    )
    writer.close()
    async with reading(queries, exports.router) as client:
        yield client


def ids(kind: str, answer: httpx2.Response) -> list[str]:
    if kind == "csv":
        return [one["conversation_id"] for one in csv.DictReader(io.StringIO(answer.text, newline=""))]
    if kind == "jsonl":
        return [json.loads(one)["conversation_id"] for one in answer.text.splitlines()]
    found: list[str] = pq.read_table(io.BytesIO(answer.content))["conversation_id"].to_pylist()
    return found


@pytest.mark.parametrize("kind", KINDS)
async def test_a_list_is_a_file(client: httpx2.AsyncClient, kind: str) -> None:
    answer = await client.get(f"/v1/conversations.{kind}?sort=-messages")
    assert answer.status_code == 200
    assert ids(kind, answer) == ["c", "b", "a"]
    today = datetime.now(UTC)
    assert answer.headers["Content-Disposition"] == f'attachment; filename="conversations-{today:%Y-%m-%d}.{kind}"'
    assert answer.headers["Cache-Control"] == "no-store"
    narrow = await client.get(f"/v1/conversations.{kind}?section=negative&state=&topic==1&topic=2")
    assert ids(kind, narrow) == ["a"]


@pytest.mark.parametrize(
    ("kind", "media_type"),
    [
        ("csv", "text/csv; charset=utf-8"),
        ("jsonl", "application/jsonl"),
        ("parquet", "application/vnd.apache.parquet"),
    ],
)
async def test_each_says_what_it_is(client: httpx2.AsyncClient, kind: str, media_type: str) -> None:
    assert (await client.get(f"/v1/conversations.{kind}")).headers["Content-Type"] == media_type


async def test_csv_is_safe_in_spreadsheets(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/v1/conversations.csv?section=negative")
    (found,) = csv.DictReader(io.StringIO(answer.text, newline=""))
    assert found["topic"] == "'=1"
    assert list(found) == list(COLUMNS)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "wrong", ["cursor=x", "limit=10", "sort=nothing", "sort=attributes", "section=best", "nonsense=1", "range=custom"]
)
async def test_what_it_does_not_know_is_refused(client: httpx2.AsyncClient, kind: str, wrong: str) -> None:
    assert (await client.get(f"/v1/conversations.{kind}?{wrong}")).status_code == 422


@pytest.mark.parametrize("kind", KINDS)
async def test_a_key_for_one_assistant_gets_no_other(client: httpx2.AsyncClient, kind: str) -> None:
    key = bearer(SHOP_ONLY[0])
    assert ids(kind, await client.get(f"/v1/conversations.{kind}?sort=messages", headers=key)) == ["a", "b"]
    assert ids(kind, await client.get(f"/v1/conversations.{kind}?assistant=bank", headers=key)) == []


@pytest.mark.parametrize("kind", KINDS)
async def test_only_those_who_may_read_get_it(client: httpx2.AsyncClient, kind: str) -> None:
    address = f"/v1/conversations.{kind}"
    assert (await client.get(address, headers=bearer(NO_READER[0]))).status_code == 403
    assert (await client.get(address, headers={"Authorization": ""})).status_code == 401


async def test_every_sort_is_taken(client: httpx2.AsyncClient) -> None:
    for sort in SORTS[::7]:
        assert len(ids("jsonl", await client.get(f"/v1/conversations.jsonl?sort={sort}"))) == 3


@pytest.mark.parametrize("kind", KINDS)
async def test_asking_for_the_head_alone_is_not_offered(client: httpx2.AsyncClient, kind: str) -> None:
    answer = await client.head(f"/v1/conversations.{kind}")
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "GET"


class Breaking:
    """ClickHouse that gives so many pieces, and then fails."""

    def __init__(self, pieces: int, error: Exception) -> None:
        self._pieces = pieces
        self._error = error

    async def stream(self, sql: str, parameters: Mapping[str, object] | None, output: str) -> AsyncIterator[bytes]:
        """See Queries."""
        for number in range(self._pieces):
            yield b'"c-%d"\r\n' % number
        raise self._error


@pytest.mark.parametrize(
    ("error", "status"), [(Unavailable("nobody answers"), 503), (TooMuch("too long"), 422)], ids=["down", "too much"]
)
async def test_what_fails_at_once_is_an_answer_of_its_own(error: Exception, status: int) -> None:
    queries: Any = Breaking(0, error)
    async with reading(queries, exports.router) as client:
        answer = await client.get("/v1/conversations.csv")
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json")
    assert str(error) in answer.json()["detail"]
    assert "Content-Disposition" not in answer.headers


@pytest.mark.parametrize("error", [Unavailable("gone"), TooMuch("too long"), RuntimeError("a bug")], ids=repr)
async def test_what_breaks_off_never_looks_whole(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    queries: Any = Breaking(3, error)
    async with reading(queries, exports.router) as client:
        with pytest.raises(httpx2.RemoteProtocolError, match="incomplete"):
            await client.get("/v1/conversations.csv")
        assert ("broke off" in caplog.text) == (not isinstance(error, RuntimeError))
