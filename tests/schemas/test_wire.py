"""The fast path reads what the contract accepts, nothing else, and the same of it."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_core import from_json

from schemas.events import EVENT, EVENT_MODELS, MAX_TEXT, Event, event_type
from schemas.failures import Invalid, Reason
from schemas.topics import MAX_RECORD_BYTES
from schemas.wire import WIRE, WireEvent, decode, decode_all
from tests.builders import ABSENT, AT, event, line
from tests.strategies import conversations, events, payloads

TYPES = [event_type(model) for model in EVENT_MODELS]


def by_contract(payload: bytes) -> Event | None:
    """What the models read, None when they refuse."""
    try:
        found = from_json(payload, allow_inf_nan=False)
        return EVENT.validate_python(found) if isinstance(found, dict) else None
    except ValueError:
        return None


def by_wire(payload: bytes) -> tuple[WireEvent, int] | None:
    """What the worker reads, None when it refuses."""
    try:
        return decode(payload)
    except Invalid as refusal:
        detail = refusal.detail
    assert 0 < len(detail) <= 500
    assert detail.isprintable()
    return None


def present(value: Any) -> Any:
    """The value without what counts as absent, so written that 1, 1.0 and true differ."""
    if isinstance(value, msgspec.Struct):
        value = {name: getattr(value, name) for name in value.__struct_fields__}
    if isinstance(value, dict):
        return {name: present(one) for name, one in sorted(value.items()) if one is not None and one != ""}
    return repr(value)


def fields(found: WireEvent) -> dict[str, Any]:
    """All that a wire event says beside its time."""
    return {name: getattr(found, name) for name in found.__struct_fields__ if name != "at"}


def assert_same(found: tuple[WireEvent, int] | None, expected: Event | None) -> None:
    assert (found is None) == (expected is None)
    if found is not None and expected is not None:
        wire, at = found
        assert at == expected.at
        assert wire.kind == expected.type
        assert present(fields(wire)) == present(expected.model_dump(mode="json", exclude={"type", "at"}))


@given(payloads())
@settings(deadline=None, max_examples=1_000)
def test_a_payload_is_accepted_exactly_when_the_models_accept_it_and_both_read_the_same(payload: bytes) -> None:
    assert_same(by_wire(payload), by_contract(payload))


@given(events())
@settings(deadline=None)
def test_whatever_the_bounds_allow_is_accepted(given: dict[str, Any]) -> None:
    payload = line(given)
    assert_same(decode(payload), EVENT.validate_json(payload))


def test_there_is_a_struct_for_each_type_with_the_fields_of_its_model() -> None:
    assert list(WIRE) == TYPES
    for model in EVENT_MODELS:
        struct = WIRE[event_type(model)]
        assert set(struct.__struct_fields__) == set(model.model_fields) - {"type"}


@pytest.mark.parametrize("kind", TYPES)
def test_role_and_text_can_be_asked_of_every_event(kind: str) -> None:
    found, _ = decode(line(event(kind)))
    assert (found.kind, found.role, found.text or "") == (kind, "user" if kind == "message.sent" else "", "")


_START = b'{"id":"1","type":"message.sent","role":"user","conversation_id":"c","at":1794215520000,'


def message(extra: bytes) -> bytes:
    """A message with one more member, written by hand."""
    return _START + extra + b"}"


REFUSALS = [
    pytest.param(b"", Reason.EMPTY, "no value", id="no value"),
    pytest.param(b" ", Reason.MALFORMED, "EOF", id="a space"),
    pytest.param(b"{", Reason.MALFORMED, "EOF", id="broken JSON"),
    pytest.param(line(event("message.sent"))[:-1], Reason.MALFORMED, "EOF", id="the last brace is missing"),
    pytest.param(line(event("message.sent")) * 2, Reason.MALFORMED, "trailing", id="two objects"),
    pytest.param(line(event("message.sent")) + b"\0", Reason.MALFORMED, "trailing", id="a NUL behind"),
    pytest.param(b"\xef\xbb\xbf" + line(event("message.sent")), Reason.MALFORMED, "expected value", id="a BOM"),
    pytest.param(b"[" + line(event("message.sent")) + b"]", Reason.MALFORMED, "not a list", id="a list"),
    pytest.param(b'"text"', Reason.MALFORMED, "not a str", id="a text"),
    pytest.param(b"17", Reason.MALFORMED, "not a int", id="a number"),
    pytest.param(b"null", Reason.MALFORMED, "not a NoneType", id="null"),
    pytest.param(message(b'"x":"\xff"'), Reason.MALFORMED, "unicode", id="invalid UTF-8 in a field nobody reads"),
    pytest.param(message(b'"\xff":1'), Reason.MALFORMED, "unicode", id="invalid UTF-8 in a name"),
    pytest.param(message(b'"text":"\xed\xa0\xbd"'), Reason.MALFORMED, "unicode", id="half a surrogate pair in bytes"),
    pytest.param(message(rb'"x":"\ud83d"'), Reason.MALFORMED, "hex escape", id="half a surrogate pair, escaped"),
    pytest.param(message(b'"x":"a\nb"'), Reason.MALFORMED, "control character", id="a line break in a text"),
    pytest.param(message(b'"x":NaN'), Reason.MALFORMED, "expected value", id="NaN in a field nobody reads"),
    pytest.param(message(b'"confidence":NaN'), Reason.MALFORMED, "expected value", id="NaN"),
    pytest.param(message(b'"confidence":-Infinity'), Reason.MALFORMED, "number", id="-Infinity"),
    pytest.param(message(b'"confidence":1e999'), Reason.INVALID, "confidence: Input should be a finite", id="1e999"),
    pytest.param(message(b'"x":' + b"[" * 201 + b"]" * 201), Reason.MALFORMED, "recursion", id="202 levels"),
    pytest.param(message(b'"x":' + b'{"a":' * 100_000), Reason.MALFORMED, "recursion", id="100,000 levels"),
    pytest.param(message(b'"x":' + b"1" * 4_301), Reason.MALFORMED, "out of range", id="a number of 4,301 digits"),
    pytest.param(line(event("x")), Reason.UNKNOWN_TYPE, "'x' found using 'type'", id="an unknown type"),
    pytest.param(line(event("Message.Sent")), Reason.UNKNOWN_TYPE, "'Message.Sent'", id="a type in other case"),
    pytest.param(b"{}", Reason.UNKNOWN_TYPE, "type", id="an empty object"),
    pytest.param(line(event("x") | {"type": None}), Reason.UNKNOWN_TYPE, "type", id="a type that is null"),
    pytest.param(line(event("x") | {"type": ""}), Reason.UNKNOWN_TYPE, "type", id="a type that is empty"),
    pytest.param(line(event("x") | {"type": ["label.set"]}), Reason.UNKNOWN_TYPE, "type", id="a type that is a list"),
    pytest.param(line(event("label.set", id=ABSENT)), Reason.INVALID, "id: Field required", id="no id"),
    pytest.param(line(event("label.set", id="")), Reason.INVALID, "id: Field required", id="an empty id"),
    pytest.param(
        line(event("label.set", id=7)), Reason.INVALID, "id: Input should be a valid str", id="a number as id"
    ),
    pytest.param(line(event("label.set", id="x" * 129)), Reason.INVALID, "id: String should have at", id="a long id"),
    pytest.param(
        line(event("label.set", conversation_id="x" * 257)),
        Reason.INVALID,
        "conversation_id: String should have at most 256",
        id="a long conversation id",
    ),
    pytest.param(
        line(event("label.set", conversation_id=None, at=None)),
        Reason.INVALID,
        "conversation_id: Field required; at: Field required",
        id="two fields missing",
    ),
    pytest.param(line(event("label.set", assistant="a\n")), Reason.INVALID, "assistant: String sh", id="a line break"),
    pytest.param(
        line(event("label.set", seq=True)), Reason.INVALID, "seq: Input should be a valid int", id="true as seq"
    ),
    pytest.param(message(b'"seq":1.0'), Reason.INVALID, "seq: Input should be a valid int", id="1.0 as a whole number"),
    pytest.param(
        message(b'"intent":{"name":1}'), Reason.INVALID, "intent.name: Input should be a", id="inside an object"
    ),
    pytest.param(message(b'"intent":[]'), Reason.INVALID, "intent: Input should be a valid d", id="a list as object"),
    pytest.param(
        line(event("message.sent", text="x" * (MAX_RECORD_BYTES - 200))),
        Reason.INVALID,
        f"text: String should have at most {MAX_TEXT} characters",
        id="a text of 1 MiB",
    ),
    pytest.param(
        line(event("conversation.started", attributes={"\x1b[31m": {}})),
        Reason.INVALID,
        r"attributes: '\x1b[31m' is neither text",
        id="an attribute that is an object",
    ),
    pytest.param(
        line(event("conversation.rated", rating=None)),
        Reason.INVALID,
        "event: a rating, a comment or both are needed",
        id="a rating that says nothing",
    ),
    pytest.param(line(event("label.set", at="2026-11-09T09:12:00")), Reason.INVALID, "at: a time needs", id="no zone"),
    pytest.param(line(event("label.set", at=True)), Reason.INVALID, "at: a time is ISO 8601", id="true as a time"),
    pytest.param(message(b'"at":1e999'), Reason.INVALID, "at: a time in epoch milliseconds must", id="an endless time"),
    pytest.param(
        line(event("label.set", at="0001-01-01T00:00:00Z")), Reason.OUT_OF_RANGE, "at: a time", id="the year 1"
    ),
    pytest.param(line(event("label.set", at=AT // 1000)), Reason.OUT_OF_RANGE, "at: a time", id="epoch seconds"),
    pytest.param(
        line(event("label.set", at=0, label="good")),
        Reason.OUT_OF_RANGE,
        "at: a time lies between 2000-01-01 and now; label: Input",
        id="out of range among other faults",
    ),
]


@pytest.mark.parametrize(("payload", "reason", "words"), REFUSALS)
def test_what_cannot_succeed_is_refused_with_a_reason_and_what_to_mend(
    payload: bytes, reason: Reason, words: str
) -> None:
    with pytest.raises(Invalid) as caught:
        decode(payload)
    assert (caught.value.reason, words in caught.value.detail) == (reason, True), caught.value.detail
    assert caught.value.detail.isprintable()
    assert len(caught.value.detail) <= 500
    assert decode_all([payload]) is None


def test_a_refusal_shows_no_control_characters_of_what_was_sent() -> None:
    with pytest.raises(Invalid) as caught:
        decode(line(event("\x1b[2J\n\x07bad")))
    assert "'\ufffd[2J \ufffdbad'" in caught.value.detail


@pytest.mark.parametrize(
    ("extra", "field", "value"),
    [
        pytest.param(b'"text":"a","text":"b"', "text", "b", id="the last of two counts"),
        pytest.param(b'"seq":"wrong","seq":3', "seq", 3, id="a wrong one before it does no harm"),
        pytest.param(b'"text":"a","text":""', "text", None, id="the last is absent"),
        pytest.param(b'"\\u0074ext":"a"', "text", "a", id="a name with an escape"),
        pytest.param(rb'"text":"\ud83d\ude42"', "text", "🙂", id="an escaped surrogate pair"),
        pytest.param(b'"text":"\\u0000\x7f"', "text", "\x00\x7f", id="control characters, escaped"),
        pytest.param(b'"confidence":1', "confidence", 1.0, id="a whole number as a number"),
        pytest.param(b'"confidence":""', "confidence", None, id="an empty text as a number"),
        pytest.param(b'"intent":""', "intent", None, id="an empty text as an object"),
        pytest.param(b'"fallback":null,"x":1e999', "fallback", None, id="a number nobody reads"),
        pytest.param(b'"x":' + b"[" * 199 + b"]" * 199, "text", None, id="200 levels"),
        pytest.param(b'"text":"' + b"[{" * 500 + b'"', "text", "[{" * 500, id="a text full of brackets"),
        pytest.param(b'"text":"' + b"7" * 9_000 + b'"', "text", "7" * 9_000, id="a text full of digits"),
        pytest.param(b' \t"text"\r\n:\n"a"', "text", "a", id="spaces between"),
    ],
)
def test_unusual_json_is_read_as_the_models_read_it(extra: bytes, field: str, value: object) -> None:
    payload = message(extra)
    found = decode(payload)
    assert (getattr(found[0], field) or None) == (value or None)
    assert_same(found, by_contract(payload))


def test_of_two_types_the_last_counts() -> None:
    found, _ = decode(message(b'"type":"label.cleared","by":"mara"'))
    assert (found.kind, found.by) == ("label.cleared", "mara")


@pytest.mark.parametrize(
    ("written", "at"),
    [
        pytest.param(b"1794215520000", AT, id="whole milliseconds"),
        pytest.param(b"1794215520000.999", AT, id="a fraction is cut"),
        pytest.param(b"1.79421552e12", AT, id="an exponent"),
        pytest.param(b'"2026-11-09T10:12:00.0009+01:00"', AT, id="a zone, microseconds are cut"),
        pytest.param(b"9" * 40, int("9" * 40), id="far beyond any clock, for the record's timestamp to refuse"),
    ],
)
def test_a_time_comes_beside_the_event_in_whole_milliseconds(written: bytes, at: int) -> None:
    payload = message(b'"at":' + written)
    assert decode(payload)[1] == at
    assert decode_all([payload]) == ([decode(payload)[0]], [at])
    assert decode(payload[:-1] + b',"seq":""}')[1] == at


@pytest.mark.parametrize("levels", [201, 900])
def test_what_is_refused_does_not_depend_on_how_deep_the_caller_is(levels: int) -> None:
    payload = message(b'"x":' + b"[" * levels + b"]" * levels)

    def deeper(frames: int) -> bytes:
        if frames:
            return deeper(frames - 1)
        with pytest.raises(Invalid) as caught:
            decode(payload)
        return caught.value.reason.encode()

    assert deeper(0) == deeper(200) == b"malformed"


# Batches.


@given(st.lists(payloads(), max_size=6))
@settings(deadline=None)
def test_a_batch_is_read_as_its_records_one_by_one(batch: list[bytes]) -> None:
    found = decode_all(batch)
    one_by_one = [by_wire(payload) for payload in batch]
    if found is not None:
        assert list(zip(*found, strict=True)) == one_by_one


@given(conversations(max_size=4), payloads(), st.data())
@settings(deadline=None)
def test_a_batch_with_a_bad_record_in_it_is_not_read_at_once(
    facts: list[dict[str, Any]], payload: bytes, data: st.DataObject
) -> None:
    batch = [line(fact) for fact in facts]
    batch.insert(data.draw(st.integers(0, len(batch))), payload)
    if by_wire(payload) is None:
        assert decode_all(batch) is None


@given(st.lists(events(), min_size=2, max_size=5), st.data())
@settings(deadline=None)
def test_a_broken_record_never_completes_its_neighbour(given: list[dict[str, Any]], data: st.DataObject) -> None:
    whole = [line(one) for one in given]
    torn = data.draw(st.integers(0, len(whole) - 1))
    place = data.draw(st.integers(0, len(whole[torn]) - 1))
    batch = [*whole[:torn], whole[torn][:place], whole[torn][place:], *whole[torn + 1 :]]
    assert decode_all(batch) is None or place == 0
    assert by_wire(batch[torn]) is None


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(
            b'{"id":"1","type":"label.cleared"', b'"conversation_id":"c","at":1794215520000}', id="between fields"
        ),
        pytest.param(
            b'{"id":"1","type":"label.cleared","conversation_id":"c","at":1794215520000},{"id":"2',
            b'","type":"label.cleared","conversation_id":"c","at":1794215520000}',
            id="within a text, behind a whole event",
        ),
        pytest.param(b"[" + line(event("label.cleared")), line(event("label.cleared")) + b"]", id="as a list"),
    ],
)
def test_two_broken_records_are_two_broken_records(first: bytes, second: bytes) -> None:
    good = line(event("label.cleared"))
    assert decode_all([good, first, second, good]) is None
    for broken in (first, second):
        with pytest.raises(Invalid) as caught:
            decode(broken)
        assert caught.value.reason is Reason.MALFORMED


@pytest.mark.parametrize("kind", TYPES)
def test_a_batch_of_plain_events_is_read_at_once(kind: str) -> None:
    batch = [line(event(kind, at=AT + number, extra={"a": [1, "é"]})) for number in range(3)]
    found = decode_all(batch)
    assert found is not None
    assert (list(zip(*found, strict=True)), found[1]) == ([decode(one) for one in batch], [AT, AT + 1, AT + 2])


def test_an_empty_batch_gives_nothing() -> None:
    assert decode_all([]) == ([], [])


def test_an_event_with_empty_texts_for_numbers_needs_a_look_of_its_own_and_is_accepted() -> None:
    payload = line(event("message.sent", seq="", confidence="", intent={"name": "", "confidence": ""}))
    assert decode_all([payload]) is None
    assert_same(decode(payload), by_contract(payload))
