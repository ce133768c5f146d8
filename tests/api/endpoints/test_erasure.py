"""DELETE /v1/conversations/{assistant}/{id}: what is answered."""

import json
from urllib.parse import quote

import pytest

from api.access.principal import Scope
from api.writing.erasures import MAX_REASON
from tests.api.writing.world import DOWN, served
from tests.builders import AT


async def test_a_conversation_is_erased_whether_or_not_it_is_known() -> None:
    async with served(name="privacy office") as api:
        answer = await api.client.delete("/v1/conversations/shop/c-1", params={"reason": "request 7"})
        assert answer.status_code == 202
        (event,) = [json.loads(value) for value in api.log.values]
        assert (event["type"], event["by"], event["reason"]) == ("conversation.erased", "privacy office", "request 7")
        assert answer.json() == {
            "assistant": "shop",
            "conversation_id": "c-1",
            "event_id": event["id"],
            "status": "accepted",
            "at": event["at"].replace("Z", "000Z"),
        }


@pytest.mark.parametrize(
    "name",
    ["a/b", "/a//b/", "é 🙂", "a?b#c", "a%2Fb", "\x00\n", "a\nb", "\n", "\r\n", " ", "x" * 256, "a\\b", "messages"],
)
async def test_an_id_may_be_any_text(name: str) -> None:
    async with served() as api:
        answer = await api.client.delete(f"/v1/conversations/shop/{quote(name, safe='')}")
        assert answer.status_code == 202
        assert answer.json()["conversation_id"] == name
        assert json.loads(api.log.values[0])["conversation_id"] == name


@pytest.mark.parametrize(
    "path", ["shop/", "Shop/c-1", f"shop/{'x' * 257}", f"{'a' * 65}/c-1", f"shop/c-1?reason={'x' * (MAX_REASON + 1)}"]
)
async def test_what_cannot_be_a_conversation_is_refused(path: str) -> None:
    async with served() as api:
        answer = await api.client.delete(f"/v1/conversations/{path}")
        assert answer.status_code == 422
        assert api.log.records == []


async def test_sent_again_under_its_key_it_is_the_same_event_to_the_byte_once_it_is_stored() -> None:
    async with served() as api:
        first = (await api.client.delete("/v1/conversations/shop/c-1", headers={"Idempotency-Key": "k"})).json()
        api.known.erased = {first["event_id"]: AT}
        for _ in range(2):
            await api.client.delete("/v1/conversations/shop/c-1", headers={"Idempotency-Key": "k"})
        assert json.loads(api.log.values[0])["id"] == first["event_id"]
        assert api.log.values[1] == api.log.values[2]


async def test_what_was_not_acknowledged_is_told() -> None:
    async with served() as api:
        api.log.takes = lambda _: False
        answer = await api.client.delete("/v1/conversations/shop/c-1")
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
        assert answer.json()["erasure"]["status"] == "unavailable"


async def test_without_clickhouse_it_is_taken() -> None:
    async with served() as api:
        api.known.error = DOWN
        assert (await api.client.delete("/v1/conversations/shop/c-1")).status_code == 202


@pytest.mark.parametrize("scope", [Scope.EVENTS_WRITE, Scope.LABELS_WRITE, Scope.READ])
async def test_it_needs_a_right_of_its_own(scope: Scope) -> None:
    async with served(scope) as api:
        assert (await api.client.delete("/v1/conversations/shop/c-1")).status_code == 403
        assert api.log.records == []


async def test_a_key_for_one_assistant_erases_no_other() -> None:
    async with served(assistant="shop") as api:
        assert (await api.client.delete("/v1/conversations/bank/c-1")).status_code == 403
        assert api.log.records == []
        assert (await api.client.delete("/v1/conversations/shop/c-1")).status_code == 202
