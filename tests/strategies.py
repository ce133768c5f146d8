"""Hypothesis strategies: conversations that collide in every way the fold has a rule for, and events as such.

`conversations` draws from alphabets so small that times, ids, topics and texts meet often; what it gives is accepted.
`events` draws any value that the contract allows, `payloads` what producers get wrong.
"""

import json
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from schemas.events import EARLIEST_AT, MAX_ID, MAX_NAME
from tests.builders import DAY, HOUR, MINUTE, SECOND, Event, iso

IDLE_GAP = 4 * HOUR
"""The idle gap of the rules as shipped."""

_BEGINNINGS = (
    1_793_491_199_000,  # 2026-10-31T23:59:59Z, a second before a month's end
    1_793_491_200_000 - IDLE_GAP,  # so that the idle gap ends with the month
    1_794_215_520_000,  # 2026-11-09T09:12:00Z
)
_STEPS = (
    *(0, 0, 0, 1, 999, SECOND, SECOND, 7 * SECOND, MINUTE, 5 * MINUTE),
    *(HOUR, IDLE_GAP - 1, IDLE_GAP, IDLE_GAP, IDLE_GAP + 1, IDLE_GAP + MINUTE, DAY),
)
# As UTF-8 they sort as they stand here; as UTF-16, as some languages compare, the last two are the other way round.
_IDS = ("A", "a", "a-1", "b", "z", "é", "ﬀ", "🙂")

_TEXTS = (
    "Where is my parcel?",
    "where is my parcel",
    "My parcel, where is it?",
    "Hello",
    "Thanks, bye!",
    "hello, where is my order 17?",
    "/restart",
    '/inform{"size":"L"}',
    "👍",
    "???",
    "the",
    "Wo ist mein Paket? Ich warte schon seit einer Woche darauf.",
    "Ich möchte die Schuhe zurückgeben, sie passen mir leider nicht.",
    "¿Dónde está mi pedido? Lo compré hace dos semanas.",
    "Sorry, I didn’t get that. Could you rephrase?",  # noqa: RUF001
    "I DID NOT UNDERSTAND",
    "Das habe ich leider nicht verstanden.",
    "Your parcel arrives on Tuesday.",
    " \n\t",
)
_USERS: tuple[dict[str, str | None], ...] = (
    {"id": "u1", "name": "Ann"},
    {"id": "u1", "name": "Anna"},
    {"id": "u2", "name": "Bob"},
    {"id": "u1"},
    {"id": "u2", "name": ""},
    {"name": "Cleo"},
    {"id": None, "name": "Ann"},
    {},
)
_AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 Version/18.6 Mobile/15E148",
    "nobody knows",
)
_CONFIDENCES = (0, 0.0, 0.12, 0.29, 0.3, 0.31, 0.9, 1)
_INTENTS = (
    {"name": "nlu_fallback", "confidence": 0.4},
    {"name": "FallbackIntent"},
    {"name": "fallbackintent", "confidence": 0.2},
    {"name": "ask_parcel", "confidence": 0.1},
    {"confidence": 0.1},
)
_TOPICS = ("returns", "billing")
_VALUES = ("gold", "Gold", 1, 2.0, 0.5, True, False, "", None)

_PROFILE: dict[str, tuple[Any, ...]] = {
    "user": _USERS,
    "channel": ("web", "whatsapp"),
    "device": ("mobile", "kiosk"),
    "user_agent": _AGENTS,
    "location": ("Berlin", "Porto"),
    "country": ("DE", "PT"),
    "language": ("en", "de"),
    "topic": _TOPICS,
    "subtopic": ("late", "lost"),
    "attributes": ({}, {"plan": "x", "vip": 3}, *({key: value} for key in ("plan", "vip") for value in _VALUES)),
}
_WHO: dict[str, tuple[Any, ...]] = {"by": ("mara", "otto"), "reason": ("wrong", "checked")}
_FIELDS: dict[str, dict[str, tuple[Any, ...]]] = {
    "conversation.started": _PROFILE,
    "conversation.updated": _PROFILE,
    "conversation.escalated": {"to": ("desk",), "reason": ("asked",)},
    "conversation.assigned": {"assigned_to": ("mara", "otto"), "team": ("desk", "night")},
    "conversation.rated": {"rating": (1, 2, 3, 4, 5), "comment": ("good", "bad")},
    "conversation.ended": {"reason": ("closed",)},
    "conversation.erased": _WHO,
    "message.sent": {
        "text": _TEXTS,
        "language": ("en", "fr"),
        "intent": _INTENTS,
        "confidence": _CONFIDENCES,
        "sources": (0, 0, 1, 3),
        "topic": _TOPICS,
        "subtopic": ("late", "lost"),
        "fallback": (True, True, False),
        "is_question": (True, False),
    },
    "message.fallback": {
        "message_id": _IDS,
        "reason": ("no_knowledge", "low_confidence", "not_understood", "error", "other"),
        "confidence": _CONFIDENCES,
    },
    "label.set": {
        "correction": ("Say when it arrives.",),
        "message_id": _IDS,
        "seen_messages": (0, 1, 2, 3),
        **_WHO,
    },
    "label.cleared": _WHO,
}
"""Values of the fields that may be absent, by type."""

_OFTEN = {
    "conversation.started": ("user",),
    "conversation.updated": ("user", "topic", "subtopic"),
    "message.sent": ("text",),
}
"""Fields that say little unless they are said often."""

_KINDS = (
    *("message.sent",) * 10,
    *("conversation.started", "conversation.updated", "conversation.updated") * 2,
    *("conversation.ended",) * 3,
    *("conversation.escalated", "conversation.assigned", "conversation.rated", "message.fallback"),
    *("label.set", "label.set", "label.cleared"),
)
_ROLES = ("user", "user", "user", "assistant", "assistant", "assistant", "agent", "system")


def conversations(*, min_size: int = 1, max_size: int = 14, erasures: bool = True) -> st.SearchStrategy[list[Event]]:
    """Give lists of accepted events of the one conversation c-1 of assistant shop, in any order of arrival.

    Events of equal `at`, gaps of the idle gap to the millisecond, ends around the messages, a month's end among them,
    fields null and '', times in every notation; rarely one id with different contents or the same contents in other
    bytes; with `erasures`, rarely one or two of them. `line` writes an event as its payload.
    """
    return _conversations(min_size, max_size, erasures)


@st.composite
def _conversations(draw: st.DrawFn, min_size: int, max_size: int, erasures: bool) -> list[Event]:
    at = draw(st.sampled_from(_BEGINNINGS))
    facts: list[Event] = []
    # Ids do not sort as the events come.
    for number in draw(st.integers(min_size, max_size).flatmap(lambda size: st.permutations(range(size)))):
        at += draw(st.sampled_from(_STEPS))
        kind = draw(st.sampled_from(_KINDS))
        if erasures and _rarely(draw, 25):
            kind = "conversation.erased"
        facts.append(_head(draw, number, at) | draw(_contents(kind)))
    if facts and _rarely(draw, 6):
        facts += [_copy(draw, draw(st.sampled_from(facts))) for _ in range(draw(st.integers(1, 2)))]
    return draw(st.permutations(facts)) if draw(st.booleans()) else facts


def _rarely(draw: st.DrawFn, one_in: int) -> bool:
    """Whether that comes true which is true once in so many; it shrinks to False."""
    return draw(st.integers(0, one_in - 1)) == one_in - 1


def _head(draw: st.DrawFn, number: int, at: int) -> Event:
    """What every event says; the first ids are those that `message_id` can name."""
    name = _IDS[number % len(_IDS)] + (str(number) if number >= len(_IDS) else "")
    head: Event = {"id": name, "assistant": "shop", "conversation_id": "c-1", "at": _written(draw, at)}
    if _rarely(draw, 3):
        head["seq"] = draw(st.sampled_from((0, 1, 2, 10, None)))
    return head


def _written(draw: st.DrawFn, at: int) -> int | float | str:
    """The time in one of the notations, with a fraction of a millisecond that is cut off in some of them."""
    forms: tuple[Callable[[], int | float | str], ...] = (
        lambda: at,
        lambda: iso(at),
        lambda: at + 0.75,
        lambda: iso(at).replace("Z", "999Z"),
        lambda: iso(at + 2 * HOUR).replace("Z", "+02:00"),
    )
    return draw(st.sampled_from(forms))()


@st.composite
def _contents(draw: st.DrawFn, kind: str) -> Event:
    """What an event of this type says, its fields absent, null, '' or from the alphabet."""
    contents: Event = {"type": kind}
    if kind == "message.sent":
        contents["role"] = draw(st.sampled_from(_ROLES))
    elif kind == "label.set":
        contents["label"] = draw(st.sampled_from(("positive", "negative")))
    fields = _FIELDS[kind]
    said = draw(st.lists(st.sampled_from(tuple(fields)), max_size=4, unique=True))
    said += [name for name in _OFTEN.get(kind, ()) if name not in said and draw(st.booleans())]
    for name in said:
        contents[name] = draw(st.sampled_from((*fields[name], None, "") if _rarely(draw, 4) else fields[name]))
    if kind == "conversation.rated" and not contents.get("rating") and not contents.get("comment"):
        contents["rating"] = draw(st.sampled_from(fields["rating"]))
    if _rarely(draw, 20):
        contents["trace"] = {"text": "nobody reads this", "role": "user", "rating": [1, None]}
    return contents


def _copy(draw: st.DrawFn, fact: Event) -> Event:
    """The event once more with something changed: its bytes alone, its time, what it says, its type."""
    change = draw(st.sampled_from(("bytes", "time", "contents", "type")))
    if change == "bytes":
        return dict(reversed(fact.items()))
    if change == "time":
        return fact | {"at": draw(st.sampled_from(_BEGINNINGS)) + draw(st.sampled_from(_STEPS))}
    head = {name: fact[name] for name in ("id", "assistant", "conversation_id", "seq", "at") if name in fact}
    return head | draw(_contents(fact["type"] if change == "contents" else draw(st.sampled_from(_KINDS))))


# Any event, and what producers get wrong.

# A few of each kind, because hypothesis needs seconds to make its table of all characters.
_CHARACTERS = "aB9 ._-'\"\\/{}[]:,\n\t\x00\x1f\x7féß\u0301\u2028☃ﬀ\ufffd🙂"
_names = st.text(_CHARACTERS, max_size=12) | st.sampled_from(("x" * MAX_NAME, "🙂" * MAX_NAME))
_texts = st.text(_CHARACTERS, max_size=60)
_counts = st.integers(0, 3) | st.sampled_from((2**31, 2**53))
_numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-2, 2) | st.just(2**70)
_flags = st.booleans()
_ids = st.text(_CHARACTERS, min_size=1, max_size=8) | st.just("🙂" * MAX_ID)
_times = (
    st.integers(EARLIEST_AT, EARLIEST_AT + 1_000_000 * DAY)
    | st.floats(EARLIEST_AT, EARLIEST_AT + 20_000 * DAY)
    | st.integers(EARLIEST_AT, EARLIEST_AT + 10_000 * DAY).map(iso)
    | st.sampled_from(("2026-11-09T09:12:00.250999+01:00", "2026-11-09 09:12:00-1130", "9999-12-31T23:59:59.999999Z"))
)
_FALLBACK_REASONS = ("no_knowledge", "low_confidence", "not_understood", "error", "other")
_ANY: dict[str, st.SearchStrategy[Any]] = {
    "seq": _counts,
    "assistant": st.text("az09._-", min_size=1, max_size=64),
    "user": st.fixed_dictionaries({}, optional={"id": _names, "name": _names | st.none()}),
    "user_agent": _texts,
    "attributes": st.dictionaries(_names, _texts | _numbers | _flags | st.none(), max_size=3),
    "reason": _texts,
    "rating": st.integers(1, 5),
    "comment": _texts,
    "text": _texts,
    "intent": st.fixed_dictionaries({}, optional={"name": _names, "confidence": _numbers | st.just("")}),
    "confidence": _numbers,
    "sources": _counts,
    "fallback": _flags,
    "is_question": _flags,
    "message_id": _ids,
    "correction": _texts,
    "seen_messages": _counts,
}
"""Any value of the fields that may be absent; those that are not here are names."""


@st.composite
def events(draw: st.DrawFn) -> Event:
    """Give any event that is accepted: each field absent, null, '' or any value within its bounds."""
    kind = draw(st.sampled_from(tuple(_FIELDS)))
    event: Event = {"id": draw(_ids), "type": kind, "conversation_id": draw(_ids), "at": draw(_times)}
    if kind == "message.sent":
        event["role"] = draw(st.sampled_from(sorted(set(_ROLES))))
    elif kind == "label.set":
        event["label"] = draw(st.sampled_from(("positive", "negative")))
    for name in draw(st.sets(st.sampled_from(("assistant", "seq", *_FIELDS[kind])))):
        values = _ANY.get(name, _names)
        if (kind, name) == ("message.fallback", "reason"):
            values = st.sampled_from(_FALLBACK_REASONS)
        event[name] = draw(st.sampled_from((None, "")) if _rarely(draw, 5) else values)
    if kind == "conversation.rated" and not event.get("rating") and not event.get("comment"):
        event["comment"] = "good"
    return dict(draw(st.permutations(tuple(event.items()))))


_json_values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(_CHARACTERS + "\ud83d\ude42", max_size=4)
    | st.sampled_from(("", "2026-11-09T09:12:00", "0001-01-01T00:00:00Z", "x" * (MAX_NAME + 1), "user", "other\n")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab\x00", max_size=3), inner, max_size=3),
    max_leaves=4,
)
_TOKENS = (
    *(b"1.0", b"-0", b"-0.0", b"1e2", b"1E400", b"1e-400", b"01", b"1.", b".5", b"+1", b"NaN", b"-Infinity", b"tru"),
    *(b"1" * 4_300, b"1" * 4_301, b"-" + b"1" * 4_300, b"0." + b"1" * 4_301, b"9" * 400),
    *(b"[" * 199 + b"]" * 199, b"[" * 200 + b"]" * 200, b"[" * 600 + b"]" * 600, b'{"a":' * 201 + b"1" + b"}" * 201),
    *(
        rb'"\ud83d\ude42"',
        rb'"\ud83d"',
        rb'"\ude42\ud83d"',
        rb'"\q"',
        rb'"\u00"',
        b'"\xff"',
        b'"\xed\xa0\xbd"',
        b'"\n"',
    ),
    *(b'""', b"null", b"{}", b"[]", b'"label.cleared"', b'"message.sent"', b'"1794215520000"', b"1794215520000.999"),
)
"""JSON, and what is nearly JSON, that `json.dumps` does not write."""


@st.composite
def payloads(draw: st.DrawFn) -> bytes:
    """Give payloads as producers send them: accepted, with wrong fields, with fields twice, broken."""
    event = draw(events())
    for _ in range(draw(st.integers(0, 2))):
        event = _spoiled(draw, event)
    text = json.dumps(event, ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from((None, None, 1))))
    payload = text.encode("utf-8", "surrogatepass")
    if _rarely(draw, 3):
        name = json.dumps(draw(st.just("extra") | st.sampled_from((*event, "type", "id")))).encode()
        member = name + b":" + draw(st.sampled_from(_TOKENS))
        payload = payload[:-1] + b"," + member + b"}" if draw(st.booleans()) else b"{" + member + b"," + payload[1:]
    return _broken(draw, payload) if _rarely(draw, 4) else payload


def _spoiled(draw: st.DrawFn, event: Event) -> Event:
    """The event with one field dropped, emptied, replaced by any JSON value, or added."""
    name = draw(st.sampled_from((*event, "extra", "role")))
    change = draw(st.sampled_from(("drop", "null", "empty", "any", "any", "inside")))
    value = event.get(name)
    if change == "drop":
        return {key: event[key] for key in event if key != name}
    if change == "inside" and isinstance(value, dict):
        return event | {name: value | {draw(st.sampled_from((*value, "name", "new"))): draw(_json_values)}}
    return event | {name: {"null": None, "empty": ""}[change] if change in ("null", "empty") else draw(_json_values)}


def _broken(draw: st.DrawFn, payload: bytes) -> bytes:
    """The payload cut, with a byte changed, put in or taken out, or with something behind it."""
    place = draw(st.integers(0, len(payload)))
    byte = draw(st.binary(min_size=1, max_size=1) | st.sampled_from((b'"', b"{", b"}", b",", b"\\", b"\xff")))
    return draw(
        st.sampled_from(
            (
                payload[:place],
                payload[:place] + byte + payload[place + 1 :],
                payload[:place] + byte + payload[place:],
                payload[:place] + payload[place + 1 :],
                payload + byte,
                b"[" + payload + b"]",
                payload + payload,
            )
        )
    )
