"""GET /v1/conversations, and one conversation."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from api.endpoints import conversations, facets, statistics
from schemas.conversation import COLUMNS
from sinks.clickhouse_queries import ClickHouseQueries
from sinks.clickhouse_writer import ClickHouseWriter
from sinks.connection import Database
from tests.api.access.world import bearer
from tests.api.endpoints.world import NO_READER, SHOP_ONLY, reading
from tests.builders import AT, MINUTE, SECOND
from tests.sinks.building import HOSTILE, facts, row, rows

ODD = ("..", "a/../b", "a/b?c#d", "%2F", "end\n", ".csv", " ", *HOSTILE)
"""Ids that an address has to be written with care for."""


@pytest.fixture
async def client(database: Database, queries: ClickHouseQueries) -> AsyncIterator[httpx2.AsyncClient]:
    """The endpoints, over five conversations of the shop, one of which goes on, and one of the bank."""
    writer = ClickHouseWriter(database, lambda: AT)
    closed = {
        "closed": True,
        "close_reason": "idle",
        "ended_at": AT + MINUTE,
        "duration_ms": MINUTE,
        "user_messages": 1,
    }
    writer.insert_rows(
        rows(
            row(conversation_id="c-1", started_at=AT, label="negative", language="en", rating=2, fallbacks=1, **closed),
            row(conversation_id="c-2", started_at=AT + SECOND, language="en", rating=5, **closed),
            row(conversation_id="c-3", started_at=AT + 2 * SECOND, language="de", escalated=True, **closed),
            row(conversation_id="c-4", started_at=AT + 3 * SECOND, language="", attributes={"tier": "gold"}, **closed),
            row(conversation_id="c-5", started_at=AT + 4 * SECOND, language="en"),
            row(conversation_id="b-1", started_at=AT + 5 * SECOND, assistant="bank", language="en", **closed),
        )
    )
    writer.insert_facts(
        facts(
            *(
                {
                    "id": f"e-{number}",
                    "text": text,
                    "payload": json.dumps(
                        {
                            "id": f"e-{number}",
                            "type": "message.sent",
                            "assistant": "shop",
                            "conversation_id": "c-1",
                            "at": AT + number,
                            "role": "user",
                            "text": text,
                        }
                    ).encode(),
                }
                for number, text in enumerate(HOSTILE)
            )
        )
    )
    writer.close()
    async with reading(queries, conversations.router, statistics.router, facets.router) as client:
        yield client


def ids(answer: httpx2.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [one["conversation_id"] for one in answer.json()["items"]]


async def test_closed_conversations_are_listed_the_latest_first(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/v1/conversations")
    assert ids(answer) == ["b-1", "c-4", "c-3", "c-2", "c-1"]
    body = answer.json()
    assert (body["total"], body["first"], body["next"], body["previous"]) == (5, 1, None, None)
    assert list(body["items"][0]) == list(COLUMNS)
    assert body["items"][1]["attributes"] == {"tier": "gold"}
    assert body["items"][1]["started_at"] == "2026-11-09T09:12:03Z"
    assert body["items"][1]["rating"] is None
    assert body["items"][1]["closed"] is True


async def test_filters_combine_and_several_values_mean_any(client: httpx2.AsyncClient) -> None:
    assert ids(await client.get("/v1/conversations?language=en&rated=true")) == ["c-2", "c-1"]
    assert ids(await client.get("/v1/conversations?language=de&language=(none)&client=")) == ["c-4", "c-3"]
    assert ids(await client.get("/v1/conversations?section=negative")) == ["c-1"]
    assert ids(await client.get("/v1/conversations?state=open")) == ["c-5"]
    assert ids(await client.get("/v1/conversations?q=größe")) == ["c-1"]
    assert ids(await client.get("/v1/conversations?language=en&assistant=none+such")) == []


async def test_pages_are_walked_by_their_cursors(client: httpx2.AsyncClient) -> None:
    first = (await client.get("/v1/conversations?sort=rating&limit=2")).json()
    assert [one["conversation_id"] for one in first["items"]] == ["c-1", "c-2"]
    second = (await client.get(f"/v1/conversations?sort=rating&limit=2&cursor={first['next']}")).json()
    assert [one["conversation_id"] for one in second["items"]] == ["b-1", "c-3"]
    assert (second["first"], second["total"]) == (3, 5)
    back = await client.get("/v1/conversations", params={"sort": "rating", "limit": 2, "cursor": second["previous"]})
    assert back.json() == first


async def test_rows_that_come_and_go_do_not_shift_a_page(client: httpx2.AsyncClient, database: Database) -> None:
    first = (await client.get("/v1/conversations?limit=2")).json()
    writer = ClickHouseWriter(database, lambda: AT)
    writer.insert_rows(
        rows(
            row(conversation_id="new", started_at=AT + MINUTE, closed=True),
            row(conversation_id="c-4", started_at=AT + 3 * SECOND, is_deleted=True, version=1 << 56),
        )
    )
    writer.close()
    second = (await client.get(f"/v1/conversations?limit=2&cursor={first['next']}")).json()
    assert [one["conversation_id"] for one in second["items"]] == ["c-3", "c-2"]
    third = (await client.get(f"/v1/conversations?limit=2&cursor={second['next']}")).json()
    assert [one["conversation_id"] for one in third["items"]] == ["c-1"]
    assert (third["first"], third["total"], third["next"]) == (5, 5, None)


async def test_a_page_behind_what_there_is_now_is_empty_and_leads_back(
    client: httpx2.AsyncClient, database: Database
) -> None:
    first = (await client.get("/v1/conversations?limit=4&language=en&language=de&language=(none)")).json()
    writer = ClickHouseWriter(database, lambda: AT)
    writer.insert_rows(rows(row(conversation_id="c-1", started_at=AT, is_deleted=True, version=1 << 56)))
    writer.close()
    second = (await client.get(f"/v1/conversations?limit=4&cursor={first['next']}")).json()
    assert (second["items"], second["next"], second["first"], second["total"]) == ([], None, 0, 4)
    back = await client.get(f"/v1/conversations?limit=4&cursor={second['previous']}")
    assert ids(back) == ["b-1", "c-4", "c-3", "c-2"]


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ("cursor=x", 400, "begin without"),
        ("sort=messages&cursor=WyJyYXRpbmciLCJhZnRlciIsMSwic2hvcCIsImMtMSIsMF0", 400, "sort=rating"),
    ],
)
async def test_a_cursor_of_another_list_is_refused(
    client: httpx2.AsyncClient, query: str, status: int, said: str
) -> None:
    answer = await client.get(f"/v1/conversations?{query}")
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert said in answer.json()["detail"]


@pytest.mark.parametrize("query", ["colour=red", "sort=colour", "limit=201", "rated=perhaps", "range=custom"])
async def test_what_is_not_understood_is_refused(client: httpx2.AsyncClient, query: str) -> None:
    assert (await client.get(f"/v1/conversations?{query}")).status_code == 422
    assert (await client.get(f"/v1/facets?{query}")).status_code == 422
    assert (await client.get(f"/v1/statistics?{query}")).status_code == 422


async def test_a_conversation_is_read_whole(client: httpx2.AsyncClient) -> None:
    answer = (await client.get("/v1/conversations/shop/c-1")).json()
    assert answer["row"]["conversation_id"] == "c-1"
    assert [one["text"] for one in answer["messages"]] == list(HOSTILE)
    assert [one["kind"] for one in answer["flow"]] == ["message"] * len(HOSTILE) + ["closed"]
    assert answer["labels"] == []


async def test_any_id_has_an_address(client: httpx2.AsyncClient, database: Database) -> None:
    writer = ClickHouseWriter(database, lambda: AT)
    writer.insert_rows(rows(*(row(conversation_id=one, closed=True) for one in ODD)))
    writer.close()
    for one in ODD:
        path = "".join(f"%{byte:02X}" for byte in one.encode())
        answer = await client.get(f"/v1/conversations/shop/{path}")
        if one == "..":  # what clients make of it: a way up
            continue
        assert answer.status_code == 200, one
        assert answer.json()["row"]["conversation_id"] == one


async def test_what_is_not_there_and_what_is_not_theirs_answer_the_same(client: httpx2.AsyncClient) -> None:
    theirs = bearer(SHOP_ONLY[0])
    absent = await client.get("/v1/conversations/shop/c-9", headers=theirs)
    hidden = await client.get("/v1/conversations/bank/b-1", headers=theirs)
    assert absent.status_code == hidden.status_code == 404
    assert absent.json() == hidden.json()
    assert (await client.get("/v1/conversations/bank/b-1")).status_code == 200


async def test_a_key_of_one_assistant_sees_no_other(client: httpx2.AsyncClient) -> None:
    theirs = bearer(SHOP_ONLY[0])
    assert ids(await client.get("/v1/conversations", headers=theirs)) == ["c-4", "c-3", "c-2", "c-1"]
    assert ids(await client.get("/v1/conversations?assistant=bank&state=all", headers=theirs)) == []
    assert ids(await client.get("/v1/conversations?q=anything", headers=theirs)) == []
    counted = (await client.get("/v1/facets", headers=theirs)).json()
    assert counted["total"] == 4
    assert counted["facets"]["assistant"] == [{"value": "shop", "count": 4}]
    measured = (await client.get("/v1/statistics", headers=theirs)).json()
    assert measured["conversations"] == 4


async def test_a_key_without_the_right_reads_nothing(client: httpx2.AsyncClient) -> None:
    for path in ("/v1/conversations", "/v1/conversations/shop/c-1", "/v1/facets", "/v1/statistics"):
        assert (await client.get(path, headers=bearer(NO_READER[0]))).status_code == 403
        assert (await client.get(path, headers={"Authorization": ""})).status_code == 401


async def test_facets_count_what_a_click_would_show(client: httpx2.AsyncClient) -> None:
    counted = (await client.get("/v1/facets?language=en&section=negative")).json()
    assert counted["sections"] == {"all": 3, "positive": 0, "negative": 1, "fallback": 1}
    assert (counted["total"], counted["open"]) == (1, 0)
    assert counted["facets"]["language"] == [{"value": "en", "count": 1}]
    assert counted["facets"]["rated"] == [{"value": "true", "count": 1}, {"value": "false", "count": 0}]
    chosen = (await client.get("/v1/facets?language=tlh&language=en")).json()["facets"]["language"]
    assert chosen == [
        {"value": "en", "count": 3},
        {"value": "", "count": 1},
        {"value": "de", "count": 1},
        {"value": "tlh", "count": 0},
    ]


async def test_statistics_give_rates_with_both_their_numbers(client: httpx2.AsyncClient) -> None:
    answer = (await client.get("/v1/statistics?bucket=hour&zone=Asia/Kolkata&state=open")).json()
    assert answer["fallback_rate"] == {"numerator": 1, "denominator": 5, "value": 0.2}
    assert answer["containment_rate"] == {"numerator": 4, "denominator": 5, "value": 0.8}
    assert answer["satisfaction_rate"] == {"numerator": 1, "denominator": 2, "value": 0.5}
    assert answer["response_rate"] == {"numerator": 2, "denominator": 5, "value": 0.4}
    assert answer["median_duration_ms"] == MINUTE
    assert [(one["start"], one["conversations"]) for one in answer["over_time"]] == [("2026-11-09T14:00:00+05:30", 5)]
    assert [(one["value"], one["conversations"]) for one in answer["by"]["language"]] == [("en", 3), ("", 1), ("de", 1)]
    nothing = (await client.get("/v1/statistics?topic=nothing")).json()
    assert nothing["satisfaction_rate"] == {"numerator": 0, "denominator": 0, "value": None}
    assert (nothing["over_time"], nothing["median_queries"]) == ([], None)


async def test_what_is_answered_is_what_openapi_tells() -> None:
    app = FastAPI()
    for one in (conversations, statistics, facets):
        app.include_router(one.router)
    paths: dict[str, Any] = app.openapi()["paths"]
    for path, answers in {
        "/v1/conversations": {"200", "400", "401", "403", "422", "429", "503"},
        "/v1/conversations/{assistant}/{conversation_id}": {"200", "401", "403", "404", "422", "429", "503"},
        "/v1/facets": {"200", "401", "403", "422", "429", "503"},
        "/v1/statistics": {"200", "401", "403", "422", "429", "503"},
    }.items():
        assert set(paths[path]["get"]["responses"]) == answers
        for status in answers - {"200"}:
            assert list(paths[path]["get"]["responses"][status]["content"]) == ["application/problem+json"]
