"""One conversation whole: its row, what was said, what the stream did, and its labels."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from operator import itemgetter
from typing import Final

from pydantic import BaseModel, Field

from api.queries.asking import Queries
from api.queries.conditions import TABLE
from api.queries.listing import ROW, row_of
from schemas.conversation import ConversationRow, FallbackCause
from schemas.events import FallbackReason, Role
from schemas.failures import Invalid
from schemas.wire import WireEvent, decode

SILENCE: Final = timedelta(minutes=30)
"""From so long a pause on, the flow says that nobody spoke."""

_ERASED: Final = "conversation.erased"
_MESSAGE: Final = "message.sent"
_FALLBACK: Final = "message.fallback"
_ENDED: Final = "conversation.ended"
_SET: Final = "label.set"
_CLEARED: Final = "label.cleared"
_ACTIVE: Final = frozenset({Role.USER, Role.ASSISTANT, Role.AGENT})
_MILLISECOND: Final = timedelta(milliseconds=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_FACTS: Final = """
    SELECT payload, hex(digest) FROM events WHERE assistant = {assistant:String} AND conversation_id = {id:String}
"""

# Were there two live rows of one key, the one that says more is given, as the worker does.
_ROW_OF: Final = f"""
    SELECT {ROW} FROM {TABLE} WHERE c.assistant = {{assistant:String}} AND c.conversation_id = {{id:String}}
    ORDER BY c.version DESC LIMIT 1
"""


class Message(BaseModel):
    """One message; absent texts are '', absent numbers and flags null."""

    id: str = Field(description="the id of its event")
    at: datetime
    role: Role
    text: str
    language: str
    topic: str
    subtopic: str
    intent: str = Field(description="what the runtime took it to mean")
    intent_confidence: float | None
    confidence: float | None = Field(description="the assistant's confidence in its answer")
    sources: int | None = Field(description="number of knowledge passages the answer rests on")
    is_question: bool | None = Field(description="the runtime's own verdict")
    fallbacks: list[FallbackCause] = Field(description="why it counts as a fallback")


class FlowKind(StrEnum):
    """What can stand in the flow of a conversation."""

    MESSAGE = "message"
    SILENCE = "silence"
    CLOSED = "closed"
    REOPENED = "reopened"
    ENDED = "ended"
    FALLBACK = "fallback"
    ESCALATED = "escalated"
    ASSIGNED = "assigned"
    RATED = "rated"
    LABELLED = "labelled"
    CLEARED = "cleared"


class FlowItem(BaseModel):
    """A message, or something that the stream did, at its time; only the fields of its kind are filled.

    message: `message`. silence: `until` and `milliseconds`; closed: `reason` ended or idle; reopened. ended: `reason`.
    fallback (one that no message shows): `cause`. escalated: `to`, `reason`. assigned: `assigned_to`, `team`.
    rated: `rating`, `comment`. labelled: `label`, `by`, `reason`, `correction`, `message_id`, `current`.
    cleared: `by`, `reason`, `current`.
    """

    at: datetime
    kind: FlowKind
    id: str = ""
    message: Message | None = None
    until: datetime | None = None
    milliseconds: int | None = None
    cause: FallbackCause | None = None
    to: str = ""
    reason: str = ""
    assigned_to: str = ""
    team: str = ""
    rating: int | None = None
    comment: str = ""
    label: str = ""
    by: str = ""
    correction: str = ""
    message_id: str = ""
    current: bool = False


class LabelEvent(BaseModel):
    """One label event; `type` is label.set or label.cleared, `current` the one that counts."""

    id: str
    type: str
    label: str
    by: str
    at: datetime
    reason: str
    correction: str
    message_id: str
    seen_messages: int | None
    current: bool


class History(BaseModel):
    """A conversation whole. `flow` is in order, `labels` newest first; attributes are in the row."""

    row: ConversationRow
    messages: list[Message]
    flow: list[FlowItem]
    labels: list[LabelEvent]

    @property
    def attributes(self) -> dict[str, str]:
        """What else was said of the conversation, key by key."""
        return self.row.attributes


async def conversation(queries: Queries, assistant: str, conversation_id: str, only: str | None) -> History | None:
    """Give a conversation; None when there is none, or it is not of `only`, the one assistant that may be seen."""
    if only is not None and assistant != only:
        return None
    bound = {"assistant": assistant, "id": conversation_id}
    rows, facts = await asyncio.gather(queries.records(_ROW_OF, bound), queries.rows(_FACTS, bound))
    return history_of(row_of(rows[0]), facts) if rows else None


def history_of(row: ConversationRow, facts: Iterable[tuple[str, str]]) -> History:
    """Read a conversation's history out of its facts, (payload, digest in hex) each, in any order."""
    sequence = _sequence(facts)
    causes = _causes(row, sequence)
    messages = {
        one.event.id: _message(one, causes.get(one.event.id, [])) for one in sequence if one.event.kind == _MESSAGE
    }
    labels = [_label(one, row.label_id) for one in reversed(sequence) if one.event.kind in (_SET, _CLEARED)]
    return History(row=row, messages=list(messages.values()), flow=_flow(row, sequence, messages), labels=labels)


@dataclass(frozen=True, slots=True)
class _Fact:
    """One event that counts, and when it happened."""

    event: WireEvent
    ms: int
    digest: str

    @property
    def at(self) -> datetime:
        return _time(self.ms)


def _sequence(facts: Iterable[tuple[str, str]]) -> list[_Fact]:
    """Bring a set of facts into the order in which it is read: docs/fold.md, From the set to the sequence.

    A fact that this version of the contract refuses is left out, as the worker leaves it out.
    """
    read = []
    for payload, digest in facts:
        try:
            event, ms = decode(payload.encode())
        except Invalid:
            continue
        read.append(_Fact(event, ms, digest))
    cut = max((one.ms for one in read if one.event.kind == _ERASED), default=-1)
    chosen: dict[str, _Fact] = {}
    for one in sorted(read, key=lambda one: (one.ms, one.digest)):
        if one.event.kind != _ERASED and one.ms > cut:
            chosen.setdefault(one.event.id, one)
    return sorted(chosen.values(), key=lambda one: (one.ms, one.event.seq or 0, one.event.id.encode()))


def _causes(row: ConversationRow, sequence: Sequence[_Fact]) -> dict[str, list[FallbackCause]]:
    """Give the causes of each tagged message, by its id.

    The rules' verdicts are in the row, the first fifty; what runtimes reported is in the facts.
    """
    reported = {one.event.id: one for one in sequence if one.event.kind == _FALLBACK}
    causes: dict[str, list[FallbackCause]] = {}
    for cause in row.fallback_causes:
        if cause.event_id not in reported:
            causes.setdefault(cause.event_id, []).append(cause)
    for event_id, one in reported.items():
        causes.setdefault(one.event.message_id or event_id, []).append(_reported(one))
    return causes


def _reported(one: _Fact) -> FallbackCause:
    event = one.event
    return FallbackCause(
        event_id=event.id,
        rule="reported",
        reason=event.reason or FallbackReason.OTHER.value,
        confidence=event.confidence,
    )


def _message(one: _Fact, causes: list[FallbackCause]) -> Message:
    event = one.event
    intent = event.intent
    return Message(
        id=event.id,
        at=one.at,
        role=Role(event.role),
        text=event.text or "",
        language=event.language or "",
        topic=event.topic or "",
        subtopic=event.subtopic or "",
        intent=(intent.name or "") if intent else "",
        intent_confidence=intent.confidence if intent else None,
        confidence=event.confidence,
        sources=event.sources,
        is_question=event.is_question,
        fallbacks=causes,
    )


def _label(one: _Fact, current: str) -> LabelEvent:
    event = one.event
    given = event.kind == _SET
    return LabelEvent(
        id=event.id,
        type=event.kind,
        label=event.label if given else "",
        by=event.by or "",
        at=one.at,
        reason=event.reason or "",
        correction=(event.correction or "") if given else "",
        message_id=(event.message_id or "") if given else "",
        seen_messages=event.seen_messages if given else None,
        current=event.id == current,
    )


_Moment = tuple[int, int]
"""When a fact happened, in epoch ms, and its number in the sequence."""

_Place = tuple[int, int, int]
"""Where something stands in the flow: at which fact's moment, and where around it."""

_NEVER: Final = (-1, -1)

_BEFORE, _TOLD, _PAUSED, _AFTER = range(4)
_FIRST: Final = -1
_LAST: Final = 1 << 62


def _flow(row: ConversationRow, sequence: Sequence[_Fact], messages: dict[str, Message]) -> list[FlowItem]:
    told = [
        ((one.ms, number, _TOLD), item)
        for number, one in enumerate(sequence)
        if (item := _item(one, row, messages)) is not None
    ]
    found = sorted([*told, *_sessions(row, sequence)], key=itemgetter(0))
    return [item for _, item in found]


_SHOWN: Final[dict[str, tuple[FlowKind, tuple[str, ...]]]] = {
    "conversation.escalated": (FlowKind.ESCALATED, ("to", "reason")),
    "conversation.assigned": (FlowKind.ASSIGNED, ("assigned_to", "team")),
    "conversation.rated": (FlowKind.RATED, ("rating", "comment")),
    _ENDED: (FlowKind.ENDED, ("reason",)),
    _SET: (FlowKind.LABELLED, ("label", "by", "reason", "correction", "message_id")),
    _CLEARED: (FlowKind.CLEARED, ("by", "reason")),
}
"""How events are shown, and which of their fields."""


def _item(one: _Fact, row: ConversationRow, messages: dict[str, Message]) -> FlowItem | None:
    """Show one event, unless it says nothing that has a time, or another shows it."""
    event = one.event
    if event.kind == _MESSAGE:
        return FlowItem(at=one.at, kind=FlowKind.MESSAGE, id=event.id, message=messages[event.id])
    if event.kind == _FALLBACK and (event.message_id or event.id) not in messages:
        return FlowItem(at=one.at, kind=FlowKind.FALLBACK, id=event.id, cause=_reported(one))
    if event.kind not in _SHOWN:
        return None
    kind, names = _SHOWN[event.kind]
    said = {name: value for name in names if (value := getattr(event, name)) is not None}
    return FlowItem(at=one.at, kind=kind, id=event.id, current=event.id == row.label_id and "by" in names, **said)


def _sessions(row: ConversationRow, sequence: Sequence[_Fact]) -> Iterator[tuple[_Place, FlowItem]]:
    """Show pauses, closes and reopenings: docs/fold.md, Sessions, with the idle gap that the row was made with."""
    gap = (row.closes_at - row.last_activity_at) // _MILLISECOND
    ends = [(one.ms, number) for number, one in enumerate(sequence) if one.event.kind == _ENDED]
    before: _Moment | None = None
    opened = user = _NEVER
    for number, one in enumerate(sequence):
        if one.event.kind != _MESSAGE or one.event.role not in _ACTIVE:
            continue
        at = one.ms, number
        if before is None:
            opened = at
        else:
            pause, closes = one.ms - before[0], before[0] + gap
            if pause * _MILLISECOND >= SILENCE:
                pausing = FlowItem(at=_time(before[0]), kind=FlowKind.SILENCE, until=one.at, milliseconds=pause)
                yield (*before, _PAUSED), pausing
            # An end before this session lets the user's next message begin another all the same.
            renewed = one.event.role == Role.USER and any(user[0] <= end < one.ms for end, _ in ends)
            if pause >= gap or renewed:
                since = max(opened, user)
                closing = [end for end in ends if since[0] <= end[0] < min(one.ms, closes)]
                if closing or pause < gap:
                    yield _announced(max(closing[0], since) if closing else before)
                else:
                    yield _idle(closes)
                yield (*at, _BEFORE), FlowItem(at=one.at, kind=FlowKind.REOPENED)
                opened = at
        before = at
        if one.event.role == Role.USER:
            user = at
    if row.closed and row.close_reason == "ended" and row.ended_at is not None:
        ended = (row.ended_at - _EPOCH) // _MILLISECOND
        yield _announced(max((end for end in (*ends, opened, user) if end[0] == ended), default=(ended, _LAST)))
    elif row.closed:
        yield _idle((row.closes_at - _EPOCH) // _MILLISECOND)


def _announced(end: _Moment) -> tuple[_Place, FlowItem]:
    return (*end, _AFTER), FlowItem(at=_time(end[0]), kind=FlowKind.CLOSED, reason="ended")


def _idle(ms: int) -> tuple[_Place, FlowItem]:
    return (ms, _FIRST, _BEFORE), FlowItem(at=_time(ms), kind=FlowKind.CLOSED, reason="idle")


def _time(ms: int) -> datetime:
    return _EPOCH + ms * _MILLISECOND
