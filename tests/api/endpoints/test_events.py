"""POST /v1/events: batches of every kind, each event answered by itself."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.access.principal import Principal, Scope
from api.endpoints.events import MOST
from api.writing import events as writing
from api.writing.admission import Admitted, admit
from api.writing.moments import iso, now_ms
from schemas.failures import Reason
from tests.api.writing.world import served
from tests.builders import ABSENT, MINUTE, event, line
from tests.strategies import payloads

JSON = {"Content-Type": "application/json"}
NDJSON = {"Content-Type": "application/x-ndjson"}
PATH = "/v1/events"


async def test_one_event_alone_is_accepted() -> None:
    async with served() as api:
        answer = await api.post(PATH, event("message.sent", id="e-1"))
        assert answer.status_code == 202
        assert answer.json() == {
            "accepted": 1,
            "rejected": 0,
            "events": [{"index": 0, "id": "e-1", "status": "accepted", "reason": None, "detail": None}],
        }
        assert len(api.log.records) == 1


@pytest.mark.parametrize("kind", ["array", "lines"])
async def test_good_ones_are_kept_and_each_bad_one_is_told_with_its_reason(kind: str) -> None:
    later = iso(now_ms() + 10 * MINUTE)
    sent = [
        line(event("message.sent", id="good")),
        b'{"id":"no type"}',
        b"17",
        line(event("message.sent", id="early", at=7)),
        line(event("message.sent", id="late", at=later)),
        line(event("message.sent", id="wrong", role="bot")),
        line(event("label.set", id="by", by="me")),
        line(event("conversation.ended", id="good too")),
    ]
    async with served() as api:
        if kind == "array":
            answer = await api.client.post(PATH, content=b" [ " + b" , ".join(sent) + b" ] \n", headers=JSON)
        else:
            answer = await api.client.post(PATH, content=b"\r\n\n  ".join(sent) + b"\n", headers=NDJSON)
        assert answer.status_code == 202
        told = answer.json()
        assert (told["accepted"], told["rejected"]) == (2, 6)
        assert [(one["index"], one["id"], one["status"], one["reason"]) for one in told["events"]] == [
            (0, "good", "accepted", None),
            (1, "no type", "invalid", "unknown_type"),
            (2, None, "invalid", "malformed"),
            (3, "early", "invalid", "out_of_range"),
            (4, "late", "invalid", "future_time"),
            (5, "wrong", "invalid", "invalid"),
            (6, "by", "invalid", "invalid"),
            (7, "good too", "accepted", None),
        ]
        assert all(one["detail"] for one in told["events"] if one["status"] == "invalid")
        assert api.log.values == [sent[0], sent[-1]]


async def test_when_none_is_valid_the_answer_is_a_problem_with_all_reasons() -> None:
    async with served(assistant="shop") as api:
        answer = await api.post(PATH, [event("message.sent", id="a", assistant="bank"), 3])
        assert answer.status_code == 422
        assert answer.headers["Content-Type"] == "application/problem+json"
        told = answer.json()
        assert told["title"] == "No event is valid"
        assert [(one["id"], one["reason"]) for one in told["events"]] == [("a", "forbidden"), (None, "malformed")]
        assert (told["accepted"], told["rejected"]) == (0, 2)
        assert api.log.records == []


async def test_what_was_not_acknowledged_is_told_event_by_event_and_all_may_be_sent_again() -> None:
    events = [event("message.sent", id=name, conversation_id=name, assistant=ABSENT) for name in ("a", "b", "c")]
    async with served(default_assistant="shop") as api:
        api.log.takes, api.log.arrives = (lambda one: one.conversation_id == "b"), True
        answer = await api.post(PATH, [*events, 3])
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
        assert answer.headers["Content-Type"] == "application/problem+json"
        told = answer.json()
        assert [one["status"] for one in told["events"]] == ["unavailable", "accepted", "unavailable", "invalid"]
        assert (told["accepted"], told["rejected"]) == (1, 1)
        assert "Send all of them again" in told["detail"]
        api.log.takes = lambda _: True
        again = await api.post(PATH, [*events, 3])
        assert again.status_code == 202
        assert api.log.values[:3] == api.log.values[3:]
        assert len(set(api.log.values)) == 3


@pytest.mark.parametrize(
    ("content", "headers", "words"),
    [
        (b"", JSON, "no event"),
        (b" \r\n\t ", JSON, "no event"),
        (b"[]", JSON, "no event"),
        (b"\n\n \n", NDJSON, "no event"),
        (b"[1,]", JSON, "no JSON array"),
        (b"[1 2]", JSON, "no JSON array"),
        (b"[1] [2]", JSON, "no JSON array"),
        (b"[", JSON, "no JSON array"),
        (b"[" * 500_000, JSON, "no JSON array"),
        (b"[NaN]", JSON, "no JSON array"),
        (rb'["\ud83d"]', JSON, "no JSON array"),
        (b"[" + b"1," * MOST + b"1]", JSON, "at most 1,000"),
        (b"1\n" * (MOST + 1), NDJSON, "at most 1,000"),
    ],
)
async def test_a_body_that_is_no_batch_is_refused_whole(content: bytes, headers: dict[str, str], words: str) -> None:
    async with served() as api:
        answer = await api.client.post(PATH, content=content, headers=headers)
        assert answer.status_code == 422
        assert words in answer.json()["detail"]
        assert "events" not in answer.json()


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe",
        b'{"id":"\xff"}',
        b'["\xff"]',
        b"\xef\xbb\xbf{}",
        b"{" * 100_000,
        b'{"id":"a","at":NaN}',
        b'{"id":"a","id":"b","type":"x","type":"y"}',
        b'{"id":"\\u0000","type":"message.sent","at":1' + b"0" * 5_000 + b"}",
        rb'{"id":"\ud83d"}',
        b'{"id":"' + b"x" * 500_000 + b'"}',
        b"[" + b"[" * 300 + b"]" * 300 + b"]",
        b"null",
        b"[null,true,1e999,-0,[],{}]",
    ],
)
@pytest.mark.parametrize("headers", [JSON, NDJSON], ids=["json", "ndjson"])
async def test_nonsense_is_told_to_be_nonsense(content: bytes, headers: dict[str, str]) -> None:
    async with served() as api:
        answer = await api.client.post(PATH, content=content, headers=headers)
        assert answer.status_code == 422
        assert answer.json()["detail"]
        assert api.log.records == []


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "é"])
async def test_another_kind_of_body_is_415(kind: str) -> None:
    async with served() as api:
        answer = await api.client.post(
            PATH, content=line(event("message.sent")), headers={"Content-Type": kind.encode("latin-1")}
        )
        assert answer.status_code == 415
        assert "application/x-ndjson" in answer.json()["detail"]


async def test_the_kind_of_a_body_may_say_more_and_be_in_capitals() -> None:
    async with served() as api:
        headers = {"Content-Type": "Application/JSON; charset=utf-8"}
        answer = await api.client.post(PATH, content=line(event("message.sent")), headers=headers)
        assert answer.status_code == 202


async def test_a_thousand_events_are_taken_at_once() -> None:
    events = [event("message.sent", id=f"e-{number}") for number in range(MOST)]
    async with served() as api:
        answer = await api.post(PATH, events)
        assert answer.status_code == 202
        assert [one["id"] for one in answer.json()["events"]] == [one["id"] for one in events]


async def test_more_than_a_mebibyte_is_413() -> None:
    async with served() as api:
        for content in (b" " * (1 << 20) + line(event("message.sent")), _pieces(b" " * 100_000, 12)):
            answer = await api.client.post(PATH, content=content, headers=JSON)
            assert answer.status_code == 413
        assert api.log.records == []


async def _pieces(piece: bytes, count: int) -> Any:
    for _ in range(count):
        yield piece


@pytest.mark.parametrize("scopes", [[Scope.LABELS_WRITE], [Scope.READ], [Scope.ERASE]])
async def test_without_the_right_to_write_events_nothing_is_read(scopes: list[Scope]) -> None:
    async with served(*scopes) as api:
        answer = await api.post(PATH, event("label.set"))
        assert answer.status_code == 403
        assert api.log.records == []


async def test_nobody_may_not() -> None:
    async with served() as api:
        answer = await api.client.post(PATH, json=event("message.sent"), headers={"Authorization": "Bearer aw_no"})
        assert answer.status_code == 401


async def test_labels_and_erasures_need_rights_of_their_own_here_too() -> None:
    events = [event(kind, id=kind) for kind in ("message.sent", "label.set", "conversation.erased")]
    async with served(Scope.EVENTS_WRITE) as api:
        told = (await api.post(PATH, events)).json()["events"]
        assert [one["reason"] for one in told] == [None, "forbidden", "forbidden"]
    async with served(name="mara") as api:
        assert (await api.post(PATH, events)).json()["accepted"] == 3
        assert [json.loads(value).get("by") for value in api.log.values] == [None, "mara", "mara"]


def _is_json(text: bytes) -> bool:
    """Whether this is one value, so that it leaves its neighbours in an array alone."""
    try:
        return list(map(bytes, msgspec.json.decode(b"[" + text + b"]", type=list[msgspec.Raw]))) == [text]
    except (msgspec.MsgspecError, RecursionError):
        return False


@given(st.lists(payloads(), min_size=1, max_size=12), st.booleans(), st.sets(st.integers(0, 11)))
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
async def test_any_mix_of_events_is_answered_one_by_one(sent: list[bytes], lines: bool, untaken: set[int]) -> None:
    """As each alone would be: nothing that one says reaches another, and nothing becomes a fault of ours."""
    sent = [one.replace(b"\n", b" ").strip() or b"0" for one in sent]
    if not lines:
        sent = [one if _is_json(one) else b"0" for one in sent]
    content = b"\n".join(sent) if lines else b"[" + b",".join(sent) + b"]"
    principal = Principal("key:x", "the office", frozenset(Scope))
    now = now_ms()
    wanted = [admit(one, principal, "default", now) for one in sent]
    refused_by_kafka = {
        one.outgoing.value for place, one in enumerate(wanted) if isinstance(one, Admitted) and place in untaken
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writing, "now_ms", lambda: now)  # what is said of a time to come counts the seconds until then
        async with served(default_assistant="default") as api:
            api.log.takes = lambda one: one.value not in refused_by_kafka
            answer = await api.client.post(PATH, content=content, headers=NDJSON if lines else JSON)
    told = answer.json()
    statuses = []
    for place, (one, found) in enumerate(zip(wanted, told["events"], strict=True)):
        assert found["index"] == place
        assert found["id"] == one.id
        if isinstance(one, Admitted):
            statuses.append("unavailable" if one.outgoing.value in refused_by_kafka else "accepted")
        else:
            statuses.append("invalid")
            assert (found["reason"], found["detail"]) == (one.reason, one.detail)
            assert found["reason"] in {*Reason, "forbidden"}
    assert [one["status"] for one in told["events"]] == statuses
    assert (told["accepted"], told["rejected"]) == (statuses.count("accepted"), statuses.count("invalid"))
    wanted_status = 503 if "unavailable" in statuses else 202 if "accepted" in statuses else 422
    assert answer.status_code == wanted_status
