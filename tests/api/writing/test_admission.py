"""Which events may be written, and as which bytes."""

import json

import msgspec
import pytest
from hypothesis import given, settings

from api.access.principal import Principal, Scope
from api.writing.admission import Admitted, Refusal, admit
from schemas.events import FUTURE_TOLERANCE
from schemas.failures import Invalid
from schemas.topics import EVENTS, LABELS, MAX_RECORD_BYTES, topic_of
from schemas.wire import WIRE, decode
from tests.api.writing.world import EVERYTHING, SHOP_ONLY
from tests.builders import ABSENT, AT, Event, event, line
from tests.strategies import payloads

NEVER = 2**60
"""A clock under which nothing is in the future."""


def admitted(given: Event | bytes, principal: Principal = EVERYTHING, default: str | None = None) -> Admitted:
    found = admit(given if isinstance(given, bytes) else line(given), principal, default, AT)
    assert isinstance(found, Admitted), found
    return found


def refused(given: Event | bytes, principal: Principal = EVERYTHING, default: str | None = None) -> Refusal:
    found = admit(given if isinstance(given, bytes) else line(given), principal, default, AT)
    assert isinstance(found, Refusal), found
    return found


@pytest.mark.parametrize("kind", WIRE)
def test_each_type_goes_to_its_topic_under_its_conversation(kind: str) -> None:
    found = admitted(event(kind, id="e-1", conversation_id="c é"))
    assert (found.id, found.outgoing.topic, found.outgoing.conversation_id) == ("e-1", topic_of(kind), "c é")


def test_the_bytes_of_an_event_that_says_everything_are_those_that_were_sent() -> None:
    sent = (
        b'{ "at":1794215520000.9 , "x":[1, 2.50,1E400],"type":"message.sent","role":"user","id":"a","id":"b",\n\t'
        rb'"text":"\u00e9\ud83d\ude42", "conversation_id":"c", "assistant":"shop"}'
    )
    found = admitted(sent)
    assert found.outgoing.value == sent
    assert found.id == "b"


@pytest.mark.parametrize("absent", [ABSENT, None, ""], ids=["left out", "null", "empty"])
@pytest.mark.parametrize(
    ("principal", "default", "wanted"),
    [
        pytest.param(SHOP_ONLY, None, "shop", id="the key's own"),
        pytest.param(SHOP_ONLY, "default", "shop", id="the key's own before the default one"),
        pytest.param(EVERYTHING, "default", "default", id="the default one"),
    ],
)
def test_an_absent_assistant_is_filled_in_and_all_else_stays(
    absent: object, principal: Principal, default: str | None, wanted: str
) -> None:
    sent = event("message.sent", assistant=absent, big=2**70, nested={"a": [1.50, None]})
    value = admitted(sent, principal, default).outgoing.value
    assert json.loads(value) == sent | {"assistant": wanted}
    assert value.count(b'"assistant"') == 1
    assert b"[1.5,null]" in value.replace(b"1.50", b"1.5")
    assert admitted(sent, principal, default).outgoing.value == value


def test_without_any_assistant_an_event_is_refused_in_the_words_of_a_dead_letter() -> None:
    found = refused(event("message.sent", id="e-1", assistant=ABSENT))
    assert found == Refusal("e-1", "invalid", "assistant: absent, and no default is configured")


@pytest.mark.parametrize("kind", sorted(LABELS.types))
def test_who_labels_or_erases_is_whose_key_it_is(kind: str) -> None:
    value = admitted(event(kind)).outgoing.value
    assert json.loads(value)["by"] == "the office"


@pytest.mark.parametrize("kind", sorted(LABELS.types))
def test_who_labels_or_erases_cannot_be_sent(kind: str) -> None:
    found = refused(event(kind, id="e-1", by="somebody else"))
    assert (found.id, found.reason) == ("e-1", "invalid")
    assert found.detail.startswith("by: ")


def test_who_labels_cannot_be_hidden_behind_a_second_member_of_the_name() -> None:
    """A reader that takes the first of two would believe it."""
    sent = line(event("label.set"))[:-1] + rb',"by":"mallory","\u0062y":null}'
    value = admitted(sent).outgoing.value
    assert b"mallory" not in value
    pairs = json.loads(value, object_pairs_hook=list)
    assert [said for name, said in pairs if name == "by"] == ["the office"]


def test_by_is_an_unknown_field_like_any_other_of_an_event_that_has_no_author() -> None:
    sent = line(event("message.sent", by="the runtime"))
    assert admitted(sent).outgoing.value == sent


@pytest.mark.parametrize(
    ("kind", "scopes"),
    [
        ("message.sent", [Scope.LABELS_WRITE, Scope.ERASE, Scope.READ]),
        ("label.set", [Scope.EVENTS_WRITE, Scope.ERASE]),
        ("label.cleared", [Scope.EVENTS_WRITE, Scope.ERASE]),
        ("conversation.erased", [Scope.EVENTS_WRITE, Scope.LABELS_WRITE]),
    ],
)
def test_each_kind_of_event_needs_its_own_right(kind: str, scopes: list[Scope]) -> None:
    found = refused(event(kind, id="e-1"), Principal("key:k", "k", frozenset(scopes)))
    assert (found.id, found.reason) == ("e-1", "forbidden")
    assert "needs the scope" in found.detail


def test_an_event_of_another_assistant_is_forbidden_to_a_key_for_one() -> None:
    found = refused(event("message.sent", id="e-1", assistant="bank"), SHOP_ONLY)
    assert found == Refusal("e-1", "forbidden", "assistant: shop's own may write for shop only")
    assert admitted(event("message.sent", assistant="shop"), SHOP_ONLY)


def test_five_minutes_from_now_is_now_and_later_is_the_future() -> None:
    assert admitted(event("message.sent", at=AT + FUTURE_TOLERANCE))
    found = refused(event("message.sent", at=AT + FUTURE_TOLERANCE + 1))
    assert (found.reason, found.detail) == ("future_time", "at is 300 s from now")


@pytest.mark.parametrize(
    ("sent", "reason", "name"),
    [
        (b"{", "malformed", None),
        (b"3", "malformed", None),
        (b"null", "malformed", None),
        (b'"text"', "malformed", None),
        (b"\xff", "malformed", None),
        (b'{"id":"e-1","at":NaN}', "malformed", None),
        (b"[" * 100_000, "malformed", None),
        (b'{"a":' * 5_000 + b"1" + b"}" * 5_000, "malformed", None),
        (b'{"id":"e-1"}', "unknown_type", "e-1"),
        (b'{"id":"e-1","type":"message.gone"}', "unknown_type", "e-1"),
        (b'{"id":17,"type":"message.sent"}', "invalid", None),
        (line(event("message.sent", id="e-1", role="bot")), "invalid", "e-1"),
        (line(event("message.sent", id="e-1", at=0)), "out_of_range", "e-1"),
        (line(event("message.sent", id="e-1", seq=2**70)), "invalid", "e-1"),
        (line(event("message.sent", id="e-1", assistant="Shop")), "invalid", "e-1"),
        (line(event("message.sent", id="x" * 10_000)), "invalid", "x" * 128),
    ],
)
def test_what_would_be_a_dead_letter_is_refused_with_its_reason(sent: bytes, reason: str, name: str | None) -> None:
    found = refused(sent)
    assert (found.reason, found.id) == (reason, name)
    assert found.detail
    assert found.detail.isprintable()


def test_an_event_that_grows_beyond_a_record_is_refused() -> None:
    frame = line(event("label.set", extra=""))
    sent = line(event("label.set", extra="x" * (MAX_RECORD_BYTES - len(frame))))
    assert len(sent) <= MAX_RECORD_BYTES
    assert "longer than 1,048,576 bytes" in refused(sent).detail
    assert admitted(line(event("message.sent", extra="x" * (MAX_RECORD_BYTES - len(frame)))))


def test_a_name_longer_than_an_event_may_have_is_cut() -> None:
    value = admitted(event("label.set"), Principal("key:k", "é" * 5_000, frozenset(Scope))).outgoing.value
    event_read, _ = decode(value)
    assert event_read.by == "é" * 1_024


@given(payloads())
@settings(deadline=None)
def test_whatever_is_sent_is_judged_as_the_worker_judges_it(sent: bytes) -> None:
    found = admit(sent, EVERYTHING, "default", NEVER)
    try:
        read, at = decode(sent)
    except Invalid as invalid:
        why = invalid
        read, at = None, 0
    if read is None:
        assert isinstance(found, Refusal)
        assert (found.reason, found.detail) == (why.reason, why.detail)
        return
    if read.kind in LABELS.types and read.by:
        assert isinstance(found, Refusal)
        return
    assert isinstance(found, Admitted)
    again, at_again = decode(found.outgoing.value)
    assert at_again == at
    assert again.assistant == (read.assistant or "default")
    for name in read.__struct_fields__:
        if name not in ("assistant", "by", "at"):
            assert getattr(again, name) == getattr(read, name)
    assert found.outgoing.topic is (LABELS if read.kind in LABELS.types else EVENTS)
    if read.kind not in LABELS.types and read.assistant:
        assert found.outgoing.value == sent
    assert admit(sent, EVERYTHING, "default", NEVER) == found
    msgspec.json.encode(found.id)  # what is answered can be written
