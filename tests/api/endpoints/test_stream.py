"""GET /v1/stream: server-sent events."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest

from api.endpoints import stream as endpoint
from api.queries import changes
from api.queries.changes import changes_of
from sinks.clickhouse_queries import ClickHouseQueries
from sinks.clickhouse_writer import ClickHouseWriter
from sinks.connection import Database
from tests.api.access.world import bearer
from tests.api.endpoints.world import NO_READER, SHOP_ONLY, reading
from tests.sinks.building import row, rows
from tests.waiting import until

PATH = "/v1/stream"
SOON = 20.0

Block = dict[str, str]


@pytest.fixture
async def asked(database: Database) -> AsyncIterator[ClickHouseQueries]:
    """Questions whose changes nobody listens to yet."""
    asked = ClickHouseQueries(database)
    yield asked
    asked.close()


@pytest.fixture
async def client(asked: ClickHouseQueries) -> AsyncIterator[httpx2.AsyncClient]:
    """The endpoint."""
    async with reading(asked, endpoint.router) as client:
        yield client


@pytest.fixture
def writer(database: Database) -> Any:
    """What writes rows."""
    writer = ClickHouseWriter(database)
    yield writer
    writer.close()


@asynccontextmanager
async def listening(client: httpx2.AsyncClient, query: str = "", **headers: str) -> AsyncIterator[list[Block]]:
    """Listen, and collect what comes: the fields of each block."""
    blocks: list[Block] = []

    async def listen(answer: httpx2.Response) -> None:
        block: Block = {}
        async for line in answer.aiter_lines():
            if not line:
                blocks.append(block)
                block = {}
                continue
            name, _, value = line.partition(": ")
            block[name] = value

    async with client.stream("GET", PATH + query, headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        assert answer.headers["Cache-Control"] == "no-cache"
        task = asyncio.create_task(listen(answer))
        await until(lambda: blocks, SOON, "the first sign")
        try:
            yield blocks
        finally:
            task.cancel()
            await asyncio.wait([task])


def told(blocks: list[Block]) -> list[dict[str, Any]]:
    data = [json.loads(block["data"]) for block in blocks if block.get("event") == "changed"]
    return [one for each in data for one in each["conversations"]]


async def test_a_change_comes_as_an_event(client: httpx2.AsyncClient, writer: ClickHouseWriter) -> None:
    async with listening(client) as blocks, listening(client, "?assistant=shop&conversation_id=c%2F1") as one:
        assert blocks[0]["id"].isdecimal()
        assert blocks[0]["retry"] == "1000"
        writer.insert_rows(rows(row(conversation_id="c/1", label="negative", label_id="l-1"), row()))
        await until(lambda: {each["conversation_id"] for each in told(blocks)} == {"c/1", "c-1"}, SOON, "the changes")
        await until(lambda: told(one), SOON, "the change")
        assert {(each["conversation_id"], each["label_id"]) for each in told(one)} == {("c/1", "l-1")}
        assert int(blocks[-1]["id"]) >= int(blocks[0]["id"])


async def test_who_comes_back_hears_what_they_missed(client: httpx2.AsyncClient, writer: ClickHouseWriter) -> None:
    async with listening(client) as blocks:
        last = blocks[-1]["id"]
    writer.insert_rows(rows(row()))
    async with listening(client, **{"Last-Event-ID": last}) as blocks:
        await until(lambda: told(blocks), SOON, "what was missed")
    async with listening(client, **{"Last-Event-ID": "1"}) as blocks:
        await until(lambda: [one for one in blocks if one.get("event") == "reload"], SOON, "to load anew")


async def test_a_key_for_one_assistant_hears_of_no_other(client: httpx2.AsyncClient, writer: ClickHouseWriter) -> None:
    key = bearer(SHOP_ONLY[0])
    async with (
        listening(client, **key) as all_of_it,
        listening(client, "?assistant=bank", **key) as another,
        listening(client, "?assistant=bank&conversation_id=b-1", **key) as one_of_another,
        listening(client, "?assistant=bank&conversation_id=b-1") as everything,
    ):
        writer.insert_rows(rows(row(conversation_id="b-1", assistant="bank"), row()))
        await until(lambda: told(all_of_it) and told(everything), SOON, "the changes")
        assert {one["assistant"] for one in told(all_of_it)} == {"shop"}
        assert told(another) == told(one_of_another) == []


async def test_the_listener_who_left_costs_nothing_any_more(
    client: httpx2.AsyncClient, asked: ClickHouseQueries
) -> None:
    async with listening(client):
        assert changes_of(asked).listeners == 1
    await until(lambda: changes_of(asked).listeners == 0, SOON, "the listener to be forgotten")


async def test_there_is_room_for_so_many(client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "MOST_LISTENERS", 1)
    async with listening(client):
        answer = await client.get(PATH)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]


@pytest.mark.parametrize("query", ["?conversation_id=c-1", "?nonsense=1", f"?assistant={'x' * 65}"])
async def test_what_it_does_not_know_is_refused(client: httpx2.AsyncClient, query: str) -> None:
    assert (await client.get(PATH + query)).status_code == 422


async def test_empty_parameters_are_absent(client: httpx2.AsyncClient, writer: ClickHouseWriter) -> None:
    async with listening(client, "?assistant=&conversation_id=") as blocks:
        writer.insert_rows(rows(row()))
        await until(lambda: told(blocks), SOON, "the change")


async def test_only_those_who_may_read_hear_it(client: httpx2.AsyncClient) -> None:
    assert (await client.get(PATH, headers=bearer(NO_READER[0]))).status_code == 403
    assert (await client.get(PATH, headers={"Authorization": ""})).status_code == 401


async def test_a_change_is_heard_within_a_second(client: httpx2.AsyncClient, writer: ClickHouseWriter) -> None:
    delays = []
    async with listening(client, "?assistant=shop&conversation_id=c-1") as blocks:
        for number in range(10):
            await asyncio.to_thread(writer.insert_rows, rows(row(version=number << 24, label_id=f"l-{number}")))
            stored = time.monotonic()
            name = f"l-{number}"
            await until(lambda name=name: told(blocks)[-1:] and told(blocks)[-1]["label_id"] == name, SOON, name)
            delays.append(time.monotonic() - stored)
    assert sorted(delays)[5] < changes.INTERVAL + 0.75
