"""The contract: what the models accept, how they read it, and what they refuse."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from pydantic import ValidationError

from schemas.events import (
    EARLIEST_AT,
    EVENT,
    EVENT_MODELS,
    MAX_CONVERSATION_ID,
    MAX_ID,
    MAX_NAME,
    MAX_TEXT,
    Event,
    epoch_ms,
    event_type,
)
from tests.builders import ABSENT, AT, event, iso, line
from tests.strategies import conversations, events

PROFILE: dict[str, Any] = {
    "user": {"id": "u-1", "name": "Ann"},
    "channel": "web",
    "device": "mobile",
    "user_agent": "Firefox",
    "location": "Berlin",
    "country": "DE",
    "language": "en",
    "topic": "returns",
    "subtopic": "late",
    "attributes": {"plan": "gold", "visits": 3, "score": 0.5, "vip": True},
}
FULL: dict[str, dict[str, Any]] = {
    "conversation.started": PROFILE,
    "conversation.updated": PROFILE,
    "conversation.escalated": {"to": "desk", "reason": "asked for a human"},
    "conversation.assigned": {"assigned_to": "mara", "team": "desk"},
    "conversation.rated": {"rating": 5, "comment": "good"},
    "conversation.ended": {"reason": "closed"},
    "conversation.erased": {"by": "office", "reason": "request 7"},
    "message.sent": {
        "text": "Where is my parcel?",
        "language": "en",
        "intent": {"name": "ask", "confidence": 0.9},
        "confidence": 0.8,
        "sources": 0,
        "topic": "returns",
        "subtopic": "late",
        "fallback": False,
        "is_question": True,
    },
    "message.fallback": {"message_id": "m-1", "reason": "no_knowledge", "confidence": 0.1},
    "label.set": {
        "by": "mara",
        "reason": "wrong",
        "correction": "On Tuesday.",
        "message_id": "m-1",
        "seen_messages": 4,
    },
    "label.cleared": {"by": "mara", "reason": "mistaken"},
}
"""Every field of each type that may be absent, beside those of all events."""

EVERYWHERE: dict[str, Any] = {"assistant": "shop", "seq": 7}
TYPES = [event_type(model) for model in EVENT_MODELS]
OPTIONAL = [(kind, field) for kind in TYPES for field in (*EVERYWHERE, *FULL[kind])]
REQUIRED = [
    *[(kind, field) for kind in TYPES for field in ("id", "type", "conversation_id", "at")],
    ("message.sent", "role"),
    ("label.set", "label"),
]


def read(given: dict[str, Any]) -> Event:
    return EVENT.validate_json(line(given))


def refusal(given: dict[str, Any]) -> str:
    """The words of the refusal of an event that json.dumps can write."""
    with pytest.raises(ValidationError) as caught:
        EVENT.validate_json(json.dumps(given))
    return str(caught.value)


def said(found: Event) -> dict[str, Any]:
    return found.model_dump(mode="json", exclude_none=True)


def test_the_table_of_fields_above_is_whole() -> None:
    for model in EVENT_MODELS:
        kind = event_type(model)
        optional = {name for name, field in model.model_fields.items() if not field.is_required()}
        assert optional == set(EVERYWHERE) | set(FULL[kind])


@pytest.mark.parametrize("kind", TYPES)
def test_an_event_with_every_field_is_read_as_it_stands(kind: str) -> None:
    given = event(kind, **EVERYWHERE, **FULL[kind])
    assert said(read(given)) == given


@pytest.mark.parametrize("kind", TYPES)
def test_an_event_with_nothing_but_what_is_needed_is_accepted(kind: str) -> None:
    given = event(kind, assistant=ABSENT)
    assert said(read(given)) == given


@pytest.mark.parametrize("absent", [None, ""], ids=["null", "empty text"])
@pytest.mark.parametrize(("kind", "field"), OPTIONAL)
def test_null_and_empty_text_count_as_absent_whatever_the_type(kind: str, field: str, absent: str | None) -> None:
    full = event(kind, **EVERYWHERE, **FULL[kind])
    assert read(full | {field: absent}) == read({name: full[name] for name in full if name != field})


@pytest.mark.parametrize("absent", [None, ""], ids=["null", "empty text"])
@pytest.mark.parametrize(
    ("kind", "outer", "inner"),
    [
        ("conversation.started", "user", "id"),
        ("conversation.updated", "user", "name"),
        ("message.sent", "intent", "name"),
        ("message.sent", "intent", "confidence"),
    ],
)
def test_null_and_empty_text_count_as_absent_inside_an_object(
    kind: str, outer: str, inner: str, absent: str | None
) -> None:
    value: dict[str, Any] = FULL[kind][outer]
    without = {name: one for name, one in value.items() if name != inner}
    full = event(kind, **FULL[kind])
    assert read(full | {outer: value | {inner: absent}}) == read(full | {outer: without})


@pytest.mark.parametrize("absent", [ABSENT, None, ""], ids=["left out", "null", "empty text"])
@pytest.mark.parametrize(("kind", "field"), REQUIRED)
def test_what_is_needed_must_be_there(kind: str, field: str, absent: object) -> None:
    given = {name: value for name, value in (event(kind) | {field: absent}).items() if value is not ABSENT}
    words = refusal(given)
    assert "Field required" in words or (field == "type" and "tag" in words)


def test_unknown_fields_are_ignored_at_any_depth() -> None:
    given = event("message.sent", intent={"name": "ask"})
    more = given | {"trace": [{"id": 1}], "rating": "none", "intent": {"name": "ask", "ranking": [1, 2]}}
    assert read(more) == read(given)


@given(events())
@settings(deadline=None)
def test_any_event_within_the_bounds_is_accepted(given: dict[str, Any]) -> None:
    assert read(given).type == given["type"]


@given(conversations())
@settings(deadline=None)
def test_the_conversations_that_tests_draw_are_accepted(facts: list[dict[str, Any]]) -> None:
    for fact in facts:
        assert read(fact).conversation_id == "c-1"


@pytest.mark.parametrize(
    ("kind", "field", "limit"),
    [
        ("message.sent", "id", MAX_ID),
        ("message.sent", "conversation_id", MAX_CONVERSATION_ID),
        ("message.fallback", "message_id", MAX_ID),
        ("message.sent", "text", MAX_TEXT),
        ("message.sent", "language", MAX_NAME),
        ("conversation.rated", "comment", MAX_TEXT),
        ("label.set", "correction", MAX_TEXT),
    ],
)
def test_texts_are_bounded_in_characters_not_in_bytes(kind: str, field: str, limit: int) -> None:
    assert getattr(read(event(kind, **{field: "🙂" * limit})), field) == "🙂" * limit
    assert f"at most {limit} characters" in refusal(event(kind, **{field: "x" * (limit + 1)}))


@pytest.mark.parametrize(
    ("kind", "field", "lowest", "highest"),
    [
        ("message.sent", "seq", 0, 2**53),
        ("message.sent", "sources", 0, 2**53),
        ("label.set", "seen_messages", 0, 2**53),
        ("conversation.rated", "rating", 1, 5),
    ],
)
def test_whole_numbers_are_bounded(kind: str, field: str, lowest: int, highest: int) -> None:
    for value in (lowest, highest):
        assert getattr(read(event(kind, **{field: value})), field) == value
    assert f"greater than or equal to {lowest}" in refusal(event(kind, **{field: lowest - 1}))
    assert f"less than or equal to {highest}" in refusal(event(kind, **{field: highest + 1}))


@pytest.mark.parametrize(
    ("kind", "field", "values", "words"),
    [
        ("message.sent", "seq", (True, 1.0, 1.5, "1", [], {}), "valid integer"),
        ("message.sent", "confidence", (True, "0.5", [], {}), "valid number"),
        ("message.sent", "confidence", (float("nan"), float("inf"), float("-inf")), "finite number"),
        ("message.sent", "fallback", (0, 1, "true", [], {}), "valid boolean"),
        ("message.sent", "text", (0, True, ["a"], {"a": "b"}), "valid string"),
        ("message.sent", "role", ("User", "bot", 1, ["user"]), "'user', 'assistant', 'agent' or 'system'"),
        ("message.sent", "intent", ("ask", 1, True, ["ask"]), "an object"),
        ("message.sent", "intent", ({"name": 1},), "valid string"),
        ("message.sent", "assistant", ("Shop", "a b", "x" * 65, "shop\n", "é"), "match pattern"),
        ("message.fallback", "reason", ("unknown", 1), "'no_knowledge'"),
        ("label.set", "label", ("good", True), "'positive' or 'negative'"),
        ("conversation.started", "user", ("Ann", ["Ann"]), "an object"),
        ("conversation.started", "attributes", ("a", ["a"]), "an object"),
        ("conversation.started", "attributes", ({"a": ["b"]}, {"a": {}}), "'a' is neither text"),
        ("conversation.started", "attributes", ({"a": float("nan")}, {"a": 1e999}), "nor a finite number"),
        ("conversation.started", "attributes", ({"a": "1" * (MAX_TEXT + 1)},), f"at most {MAX_TEXT} characters"),
        ("conversation.started", "attributes", ({"a" * (MAX_NAME + 1): 1},), f"at most {MAX_NAME} characters"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_and_never_converted(
    kind: str, field: str, values: tuple[Any, ...], words: str
) -> None:
    for value in values:
        assert words in refusal(event(kind, **{field: value}))


def test_attributes_keep_the_type_of_their_values() -> None:
    given = {"text": "1", "whole": 1, "number": 1.0, "flag": True, "none": None, "empty": "", "large": 2**80}
    found: Any = read(event("conversation.updated", attributes=given))
    assert {name: (type(value), value) for name, value in found.attributes.items()} == {
        name: (type(value), value) for name, value in given.items()
    }


@pytest.mark.parametrize("given", [{}, {"comment": ""}, {"rating": None, "comment": None}], ids=str)
def test_a_rating_that_says_nothing_is_refused(given: dict[str, Any]) -> None:
    assert "a rating, a comment or both" in refusal(event("conversation.rated", **{"rating": ABSENT} | given))


@pytest.mark.parametrize("given", [{"rating": 1}, {"comment": "good"}, {"rating": "", "comment": "good"}], ids=str)
def test_a_rating_or_a_comment_suffices(given: dict[str, Any]) -> None:
    assert read(event("conversation.rated", **{"rating": ABSENT} | given)).type == "conversation.rated"


@pytest.mark.parametrize(
    ("given", "at"),
    [
        pytest.param("2026-11-09T09:12:00Z", AT, id="UTC"),
        pytest.param("2026-11-09T10:12:00+01:00", AT, id="a zone east"),
        pytest.param("2026-11-09T00:42:00-08:30", AT, id="a zone west with minutes"),
        pytest.param("2026-11-09T09:12:00-00:00", AT, id="minus nothing"),
        pytest.param("2026-11-09 09:12:00.25z", AT + 250, id="a space, a small z, a short fraction"),
        pytest.param("2026-11-09T09:12:00.250999Z", AT + 250, id="microseconds are cut"),
        pytest.param("2026-11-09T09:12:00.999999999Z", AT + 1000, id="nanoseconds count as the nearest microsecond"),
        pytest.param("2000-01-01T00:00:00Z", EARLIEST_AT, id="the earliest"),
        pytest.param("1999-12-31T23:00:00-01:00", EARLIEST_AT, id="the earliest, elsewhere"),
        pytest.param("2024-02-29T00:00:00Z", 1_709_164_800_000, id="a leap day"),
        pytest.param("9999-12-31T23:59:59.999Z", 253_402_300_799_999, id="the last year that ISO writes"),
        pytest.param(AT, AT, id="epoch milliseconds"),
        pytest.param(float(AT), AT, id="epoch milliseconds as a float"),
        pytest.param(AT + 0.999, AT, id="a float is cut"),
        pytest.param(EARLIEST_AT, EARLIEST_AT, id="the earliest in milliseconds"),
    ],
)
def test_a_time_is_read_as_epoch_milliseconds(given: str | float, at: int) -> None:
    assert read(event("message.sent", at=given)).at == at


@pytest.mark.parametrize(
    ("given", "words"),
    [
        pytest.param("2026-11-09T09:12:00", "needs a zone", id="without zone"),
        pytest.param("2026-11-09", "not a time in ISO 8601", id="a day"),
        pytest.param("yesterday", "not a time in ISO 8601", id="a word"),
        pytest.param("2026-02-29T00:00:00Z", "not a time in ISO 8601", id="a day that never was"),
        pytest.param("2026-11-09T24:00:00Z", "not a time in ISO 8601", id="hour 24"),
        pytest.param("2016-12-31T23:59:60Z", "not a time in ISO 8601", id="a leap second"),
        pytest.param(str(AT), "not a time in ISO 8601", id="a number as text"),
        pytest.param(" 2026-11-09T09:12:00Z", "not a time in ISO 8601", id="a space before it"),
        pytest.param("0001-01-01T00:00:00Z", "between 2000-01-01 and now", id="the year 1"),
        pytest.param("0001-01-01T00:00:00+23:59", "between 2000-01-01 and now", id="before the year 1"),
        pytest.param("1999-12-31T23:59:59.999Z", "between 2000-01-01 and now", id="a millisecond too early"),
        pytest.param(EARLIEST_AT - 0.001, "between 2000-01-01 and now", id="a moment too early"),
        pytest.param(AT // 1000, "between 2000-01-01 and now", id="epoch seconds"),
        pytest.param(-1, "between 2000-01-01 and now", id="before 1970"),
        pytest.param(float("nan"), "must be finite", id="NaN"),
        pytest.param(float("inf"), "must be finite", id="Infinity"),
        pytest.param(1e999, "must be finite", id="more than a float holds"),
        pytest.param(True, "ISO 8601 text with a zone, or epoch milliseconds", id="true"),
        pytest.param([AT], "ISO 8601 text with a zone, or epoch milliseconds", id="a list"),
        pytest.param({"ms": AT}, "ISO 8601 text with a zone, or epoch milliseconds", id="an object"),
    ],
)
def test_what_is_no_time_is_refused(given: object, words: str) -> None:
    assert words in refusal(event("message.sent", at=given))


def test_a_time_of_python_is_read_like_a_written_one() -> None:
    east = timezone(timedelta(hours=2))
    assert epoch_ms(datetime(2026, 11, 9, 11, 12, 0, 999, east)) == AT
    assert EVENT.validate_python(event("message.sent", at=datetime(2026, 11, 9, 9, 12, tzinfo=UTC))).at == AT
    with pytest.raises(ValueError, match="needs a zone"):
        epoch_ms(datetime(2026, 11, 9))  # noqa: DTZ001  (that is the point)


def test_the_builder_writes_times_that_are_read_back() -> None:
    assert iso(AT + 7) == "2026-11-09T09:12:00.007Z"
    assert read(event("message.sent", at=iso(AT + 7))).at == AT + 7


def test_an_event_cannot_be_changed() -> None:
    found: Any = read(event("message.sent"))
    with pytest.raises(ValidationError, match="frozen"):
        found.id = "other"


def test_a_mebibyte_of_wrong_attributes_is_refused_in_few_words() -> None:
    words = refusal(event("conversation.started", attributes={str(number): [] for number in range(80_000)}))
    assert len(words) < 1_000
