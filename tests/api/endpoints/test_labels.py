"""POST /v1/labels: what is answered."""

import json
from typing import Any

import pytest

from api.access.principal import Scope
from tests.api.writing.world import DOWN, served

JSON = {"Content-Type": "application/json"}
PATH = "/v1/labels"


def command(*ids: str, **fields: Any) -> dict[str, Any]:
    conversations = [{"assistant": "shop", "conversation_id": one} for one in ids or ("c-1",)]
    return {"label": "negative", "conversations": conversations, **fields}


async def test_labels_are_accepted_with_the_ids_of_their_events() -> None:
    async with served(name="mara") as api:
        api.known.labelled = {("shop", "c-1"): None}
        answer = await api.post(PATH, command("c-1", "c-2", reason="wrong"))
        assert answer.status_code == 202
        events = [json.loads(value) for value in api.log.values]
        assert answer.json() == {
            "labels": [
                {
                    "assistant": "shop",
                    "conversation_id": event["conversation_id"],
                    "event_id": event["id"],
                    "status": "accepted",
                    "at": event["at"].replace("Z", "000Z"),
                    "known": event["conversation_id"] == "c-1",
                }
                for event in events
            ]
        }
        assert [(event["by"], event["label"], event["reason"]) for event in events] == [
            ("mara", "negative", "wrong")
        ] * 2


@pytest.mark.parametrize("verdict", [None, "clear"])
async def test_a_label_is_taken_back(verdict: str | None) -> None:
    async with served() as api:
        assert (await api.post(PATH, command(label=verdict))).status_code == 202
        assert json.loads(api.log.values[0])["type"] == "label.cleared"


async def test_sent_again_under_its_key_a_label_is_the_same_event_and_without_one_another() -> None:
    async with served() as api:
        names = [
            (await api.post(PATH, command(), **headers)).json()["labels"][0]["event_id"]
            for headers in ({"Idempotency_Key": "k"}, {"Idempotency_Key": "k"}, {}, {})
        ]
        assert names[0] == names[1]
        assert len(set(names)) == 3


@pytest.mark.parametrize("key", ["", "x" * 129])
async def test_a_key_that_is_empty_or_long_is_refused(key: str) -> None:
    async with served() as api:
        assert (await api.post(PATH, command(), Idempotency_Key=key)).status_code == 422
        assert api.log.records == []


async def test_what_was_not_acknowledged_is_told_label_by_label() -> None:
    async with served() as api:
        api.log.takes = lambda one: one.conversation_id == "c-1"
        answer = await api.post(PATH, command("c-1", "c-2"), Idempotency_Key="k")
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert [one["status"] for one in answer.json()["labels"]] == ["accepted", "unavailable"]
        assert "same Idempotency-Key" in answer.json()["detail"]


async def test_without_clickhouse_labels_are_taken() -> None:
    async with served() as api:
        api.known.error = DOWN
        answer = await api.post(PATH, command())
        assert answer.status_code == 202
        assert answer.json()["labels"][0]["known"] is None


@pytest.mark.parametrize(
    ("body", "where", "words"),
    [
        (command(by="somebody"), "by", "leave it out"),
        (command(seen=1), "seen", "no such member"),
        (command(label="good"), "label", "positive"),
        ({"conversations": []}, "label", "Field required"),
        ({"label": "positive", "conversations": []}, "conversations", "at least 1"),
        (command(label=None, correction="x"), "", "goes with a label"),
        (command("c-1", "c-1"), "", "once only"),
        (command(message_id="m"), "", "goes with a correction"),
        (
            {"label": "positive", "conversations": [{"assistant": "shop"}]},
            "conversations.0.conversation_id",
            "required",
        ),
        (
            {"label": "positive", "conversations": [{"assistant": "shop", "conversation_id": "c", "by": "x"}]},
            "conversations.0.by",
            "no such member",
        ),
        ([], "", "object"),
        ("text", "", "object"),
    ],
)
async def test_a_command_that_makes_no_sense_is_told_what_and_where(body: Any, where: str, words: str) -> None:
    async with served() as api:
        answer = await api.post(PATH, body)
        assert answer.status_code == 422
        assert answer.headers["Content-Type"] == "application/problem+json"
        told = {(one["where"], one["what"]) for one in answer.json()["faults"]}
        assert [what for place, what in told if place.startswith(where) and words in what], told
        assert api.log.records == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff",
        b'{"label":NaN}',
        b'{"label":"positive","label":"negative"}',
        rb'{"\ud83d":1}',
        rb'{"label":"\ud83d"}',
        b'{"a":' * 50_000,
        b"[" * 1_000_000,
        b'{"label":1' + b"0" * 10_000 + b"}",
        b'{"conversations":[{"seen_messages":1e400}]}',
    ],
)
async def test_nonsense_is_told_to_be_nonsense(content: bytes) -> None:
    async with served() as api:
        answer = await api.client.post(PATH, content=content, headers=JSON)
        assert answer.status_code == 422
        assert answer.json()["detail"]
        assert api.log.records == []


async def test_another_kind_of_body_is_415() -> None:
    async with served() as api:
        assert (await api.client.post(PATH, data={"label": "positive"})).status_code == 415


async def test_a_key_for_one_assistant_labels_none_when_one_is_of_another() -> None:
    async with served(assistant="shop") as api:
        body = command()
        body["conversations"].append({"assistant": "bank", "conversation_id": "c-1"})
        answer = await api.post(PATH, body)
        assert answer.status_code == 403
        assert [one["where"] for one in answer.json()["faults"]] == ["conversations.1.assistant"]
        assert api.log.records == []
        assert (await api.post(PATH, command())).status_code == 202


@pytest.mark.parametrize("scope", [Scope.EVENTS_WRITE, Scope.ERASE, Scope.READ])
async def test_without_the_right_to_label_nothing_is_labelled(scope: Scope) -> None:
    async with served(scope) as api:
        assert (await api.post(PATH, command())).status_code == 403
        assert api.log.records == []
