"""A conversation as it reads: messages by day and minute, and what the stream did between them as thin lines."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Final

from api.pages import words
from api.queries.history import FlowItem, FlowKind, Message
from schemas.conversation import FallbackCause

FOLDED_AFTER: Final = 12
"""Lines of a message that are shown at once."""

_WIDTH: Final = 80
"""So many characters make a line on a wide page; how a browser breaks them is not known here."""

_SPEAKERS: Final = {"user": "User", "assistant": "Assistant", "agent": "Agent", "system": "System"}
_CAME_OF: Final = {
    FlowKind.SILENCE: {FlowKind.CLOSED, FlowKind.REOPENED},
    FlowKind.ENDED: {FlowKind.CLOSED},
    FlowKind.CLOSED: {FlowKind.REOPENED},
}


@dataclass(frozen=True, slots=True)
class Day:
    """A new day, in UTC; `conversation.js` sets the days anew in the reader's zone."""

    at: datetime
    kind: str = "day"


@dataclass(frozen=True, slots=True)
class Said:
    """One message. `clock`: whether its minute is a new one; `rest`: what stays folded, of `folded` lines."""

    at: datetime
    message: Message
    speaker: str
    clock: bool
    head: str
    rest: str
    folded: int
    marks: tuple[str, ...]
    notes: tuple[str, ...]
    kind: str = "said"


@dataclass(frozen=True, slots=True)
class Did:
    """What the stream did, one line; several things that belong together share it."""

    at: datetime
    items: tuple[FlowItem, ...]
    clock: bool
    kind: str = "did"


Line = Day | Said | Did


def lines(flow: Sequence[FlowItem], threshold: float | None = None) -> list[Line]:
    """Give what the page shows, in order. `threshold`: what a confidence was compared with, where that is known."""
    return list(_lines(flow, threshold))


def _lines(flow: Sequence[FlowItem], threshold: float | None) -> Iterator[Line]:
    before: datetime | None = None
    for items in _together(flow):
        at = items[0].at
        if before is None or before.date() != at.date():
            yield Day(at)
        clock = before is None or before.replace(second=0, microsecond=0) != at.replace(second=0, microsecond=0)
        message = items[0].message
        if message is None:
            yield Did(at, items, clock)
        else:
            yield _said(at, message, threshold, clock=clock)
        before = at


def _together(flow: Sequence[FlowItem]) -> Iterator[tuple[FlowItem, ...]]:
    """Bring a silence or an end, the close that came of it, and the reopening behind it into one line."""
    waiting: list[FlowItem] = []
    for item, follower in pairwise([*flow, None]):
        assert item is not None
        waiting.append(item)
        if follower is not None and follower.kind in _CAME_OF.get(item.kind, ()):
            continue
        yield tuple(waiting)
        waiting.clear()


def _said(at: datetime, message: Message, threshold: float | None, *, clock: bool) -> Said:
    head, rest, folded = fold(message.text)
    return Said(
        at,
        message,
        _SPEAKERS.get(message.role, message.role),
        clock,
        head,
        rest,
        folded,
        tuple(dict.fromkeys(cause_words(cause, message.intent, threshold) for cause in message.fallbacks)),
        tuple(_notes(message)),
    )


def _notes(message: Message) -> Iterator[str]:
    """Say what the runtime said of a message beside its text; what made it a fallback is said there."""
    rules = {cause.rule for cause in message.fallbacks}
    if message.intent and "intent" not in rules:
        yield f"intent {message.intent}{_confidence(message.intent_confidence)}"
    if message.confidence is not None and "low_confidence" not in rules:
        yield f"confidence{_confidence(message.confidence)}"
    if message.sources:
        yield words.plural(message.sources, "source")


def cause_words(cause: FallbackCause, intent: str = "", threshold: float | None = None) -> str:
    """Say why something was tagged as a fallback: by which rule, on what ground."""
    number = _confidence(cause.confidence)
    match cause.rule:
        case "reported" | "flagged":
            why = "" if cause.reason == "other" else f": {words.reason(cause.reason)}{number}"
            return f"{words.rule(cause.rule)}{why}"
        case "low_confidence":
            bound = ", below the threshold" if threshold is None else f" < {threshold:.2f}"
            return f"low confidence{number}{bound}"
        case "intent":
            return f"fallback intent {intent}{number}" if intent else f"fallback intent{number}"
        case "no_sources":
            return "no knowledge passage was used"
        case rule:
            return words.rule(rule)


def _confidence(value: float | None) -> str:
    return "" if value is None else f" {value:.2f}"


def fold(text: str) -> tuple[str, str, int]:
    """Split a text behind its first lines: what is shown, what is folded away, and how many lines that is."""
    shown = 0
    place = 0
    for line in text.split("\n"):
        rows = max(1, math.ceil(len(line) / _WIDTH))
        if shown + rows > FOLDED_AFTER:
            cut = _cut(text, place, (FOLDED_AFTER - shown) * _WIDTH)
            return text[:cut].rstrip("\r\n "), text[cut:].lstrip("\r\n "), _rows(text[cut:])
        shown += rows
        place += len(line) + 1
    return text, "", 0


def _cut(text: str, start: int, width: int) -> int:
    """Give the place of the last space within `width` characters, else what is behind them."""
    if width <= 0:
        return start
    space = text.rfind(" ", start, start + width)
    return space if space > start + width // 2 else start + width


def _rows(text: str) -> int:
    return sum(max(1, math.ceil(len(line) / _WIDTH)) for line in text.strip("\r\n ").split("\n"))
