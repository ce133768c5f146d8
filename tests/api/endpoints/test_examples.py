"""GET /v1/examples.jsonl."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from api.endpoints import examples
from api.queries.examples import Examples
from schemas.failures import Unavailable
from sinks.clickhouse_queries import ClickHouseQueries
from sinks.connection import Database
from tests.api.access.world import bearer
from tests.api.endpoints.world import NO_READER, SHOP_ONLY, reading
from tests.api.told import Told
from tests.builders import AT, HOUR, SECOND, Event, event

PATH = "/v1/examples.jsonl"
NEXT = "Afterword-Next-Since"


def conversation(name: str, assistant: str = "shop") -> list[Event]:
    """A conversation that ended, and was corrected."""
    said: dict[str, Any] = {"conversation_id": name, "assistant": assistant}
    return [
        event("message.sent", role="user", text="Where is it?", **said),
        event("message.sent", role="assistant", text="No idea.", at=AT + SECOND, **said),
        event("conversation.ended", at=AT + 2 * SECOND, **said),
        event("label.set", label="negative", correction="On its way.", at=AT + HOUR, **said),
    ]


@pytest.fixture
async def told(database: Database) -> AsyncIterator[Told]:
    """Two conversations."""
    with Told(database) as told:
        told.tell(*conversation("a"), *conversation("z", "bank"))
        yield told


@pytest.fixture
async def client(told: Told, queries: ClickHouseQueries) -> AsyncIterator[httpx2.AsyncClient]:
    """The endpoint."""
    async with reading(queries, examples.router) as client:
        yield client


def lines(answer: httpx2.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    return [json.loads(one) for one in answer.text.splitlines()]


async def test_by_default_it_is_a_chat_file_and_nothing_else(client: httpx2.AsyncClient) -> None:
    answer = await client.get(PATH)
    assert answer.headers["Content-Type"] == "application/jsonl"
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="examples-openai-2')
    wanted = {
        "messages": [{"role": "user", "content": "Where is it?"}, {"role": "assistant", "content": "On its way."}]
    }
    assert lines(answer) == [wanted] * 2


@pytest.mark.parametrize("format_", ["openai", "preference", "raw"])
async def test_each_format_is_followed_with_the_cursor_of_the_answer_before(
    client: httpx2.AsyncClient, told: Told, format_: str
) -> None:
    first = await client.get(PATH, params={"format": format_, "since": "beginning"})
    assert len(lines(first)) == 2
    named = [one.get("metadata") or one for one in lines(first)]
    assert [(one["assistant"], one["conversation_id"]) for one in named] == [("bank", "z"), ("shop", "a")]
    told.tell(event("label.cleared", conversation_id="a", at=AT + 2 * HOUR))
    then = await client.get(PATH, params={"format": format_, "since": first.headers[NEXT]})
    assert {"deleted": True, "assistant": "shop", "conversation_id": "a"} in lines(then)
    assert then.headers[NEXT] != first.headers[NEXT]


async def test_labels_are_given_as_of_a_time(client: httpx2.AsyncClient, told: Told) -> None:
    told.tell(event("label.cleared", conversation_id="a", at=AT + 3 * HOUR))
    assert len(lines(await client.get(PATH))) == 1
    answer = await client.get(f"{PATH}?as_of=2026-11-09T11:12:00+00:00")  # its plus arrives as a space
    assert len(lines(answer)) == 2
    assert NEXT not in answer.headers
    assert 'filename="examples-openai-2026-11-09.jsonl"' in answer.headers["Content-Disposition"]
    assert lines(await client.get(PATH, params={"as_of": "2026-11-09T10:00:00Z"})) == []


@pytest.mark.parametrize(
    ("asked", "what"),
    [
        ("since=beginning&as_of=2026-11-09T10:00:00Z", "one of them at a time"),
        ("since=beginning&range=week", "range=custom"),
        ("as_of=2026-11-09T10:00:00", "timezone"),
        ("as_of=yesterday", "date"),
        ("format=csv", "openai"),
        ("sort=started_at", "Extra"),
    ],
)
async def test_what_does_not_go_together_is_refused_in_words(client: httpx2.AsyncClient, asked: str, what: str) -> None:
    answer = await client.get(f"{PATH}?{asked}")
    assert answer.status_code == 422
    assert what in answer.text


async def test_a_strange_cursor_is_refused(client: httpx2.AsyncClient) -> None:
    answer = await client.get(f"{PATH}?since=nonsense")
    assert answer.status_code == 400
    assert "since=beginning" in answer.json()["detail"]


async def test_a_range_that_stands_still_can_be_followed(client: httpx2.AsyncClient) -> None:
    answer = await client.get(PATH, params={"since": "beginning", "range": "custom", "from": "2026-11-09"})
    assert len(lines(answer)) == 2


@pytest.mark.parametrize("since", [None, "beginning", "WzBd"])
async def test_a_key_for_one_assistant_gets_no_other(client: httpx2.AsyncClient, since: str | None) -> None:
    params = {"format": "raw"} | ({} if since is None else {"since": since})
    found = lines(await client.get(PATH, params=params, headers=bearer(SHOP_ONLY[0])))
    assert [one["assistant"] for one in found] == ["shop"]


async def test_only_those_who_may_read_get_it(client: httpx2.AsyncClient) -> None:
    assert (await client.get(PATH, headers=bearer(NO_READER[0]))).status_code == 403


async def test_what_breaks_off_never_looks_whole(client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    async def breaking(self: Examples, queries: object) -> AsyncIterator[bytes]:
        yield b"{}\n"
        raise Unavailable("gone")

    monkeypatch.setattr(Examples, "lines", breaking)
    with pytest.raises(httpx2.RemoteProtocolError, match="incomplete"):
        await client.get(PATH)
