"""From a selection to SQL: a condition, its bound parameters, and the same in words.

Everything is about `conversations AS c FINAL`: columns are qualified, because in a WHERE an alias of the SELECT would
win over the column. What was sent stands in bound parameters only; names of columns come from here.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Final

from api.queries.languages import language_name
from api.queries.selection import NONE, Range, Section, Selection, State

TABLE: Final = "conversations AS c FINAL"
"""What conditions are about: stands behind FROM."""

VALUES: Final = ("assistant", "language", "topic", "subtopic", "assigned_to", "channel", "device", "location")
"""The filters by value, each by the column of its name."""

FLAGS: Final[Mapping[str, str]] = {
    "rated": "isNotNull(c.rating)",
    "claimed": "c.claimed",
    "escalated": "c.escalated",
}
"""The filters by yes or no, and what is asked."""

SECTIONS: Final[Mapping[Section, str]] = {
    Section.POSITIVE: "c.label = 'positive'",
    Section.NEGATIVE: "c.label = 'negative'",
    Section.FALLBACK: "c.fallbacks > 0",
}

STATES: Final[Mapping[State, str]] = {State.CLOSED: "c.closed", State.OPEN: "NOT c.closed"}

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Condition:
    """What a WHERE over `conversations AS c FINAL` says, without the keyword; what is bound; and a sentence."""

    sql: str
    parameters: Mapping[str, object]
    words: str


@dataclass(frozen=True, slots=True)
class Said:
    """Messages of these days, `end` not included, and conversations known to have one of another day.

    `elsewhere`: their keys, (assistant, conversation id).
    """

    first: date
    end: date | None
    elsewhere: tuple[tuple[str, str], ...] = ()

    @property
    def sql(self) -> str:
        """The same, over `events AS e`."""
        before = " AND e.at < toDateTime64({said_to:Date}, 3, 'UTC')" if self.end else ""
        return f"e.at >= toDateTime64({{said_from:Date}}, 3, 'UTC'){before}"

    @property
    def bound(self) -> dict[str, object]:
        """What is bound, by name."""
        bound: dict[str, object] = {"said_from": self.first, "said_to": self.end, "elsewhere": list(self.elsewhere)}
        return {name: value for name, value in bound.items() if value}


@dataclass(frozen=True, slots=True)
class Parts:
    """The same, taken apart: what always holds, and what each of the filters says that the counts leave out in turn."""

    fixed: list[str] = field(default_factory=list)
    apart: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, object] = field(default_factory=dict)
    span: tuple[datetime | None, datetime | None] = (None, None)
    """The beginning (included) and the end (not included) of started_at."""
    search: str | None = None
    """Which messages are searched for, where it depends on what was said: over `events AS e`."""
    days: tuple[date, date] | None = None
    """The days that it is narrowed to."""
    said: Said | None = None
    """The days that messages are sought in, where not in all."""

    @property
    def base(self) -> str:
        """What always holds, as SQL."""
        return " AND ".join(self._always()) or "1"

    @property
    def whole(self) -> str:
        """Everything, as SQL."""
        return " AND ".join([*self._always(), *self.apart.values()]) or "1"

    @property
    def bound(self) -> dict[str, object]:
        """What is bound, by name."""
        bound = dict(self.parameters)
        for name, at in zip(("span_from", "span_to"), self.span, strict=True):
            if at is not None:
                bound[f"{name}_day"] = at.astimezone(UTC).date()
                bound[name] = -((_EPOCH - at) // _MILLISECOND)  # rounded up: nothing lies between milliseconds
        if self.days is not None:
            bound["first_day"], bound["last_day"] = self.days
        return bound if self.said is None else {**bound, **self.said.bound}

    def without(self, name: str) -> "Parts":
        """Leave one filter out."""
        return replace(self, apart={one: sql for one, sql in self.apart.items() if one != name})

    def within(self, first: date, last: date, *, cut: bool = False) -> "Parts":
        """Narrow it to whole days, both included; `cut`: the span's own moments count as well."""
        return replace(self, days=(first, last), span=self.span if cut else (None, None))

    @property
    def dated(self) -> str:
        """What is said about started_at, and its day, as SQL."""
        return " AND ".join(self._dated()) or "1"

    def _always(self) -> Iterator[str]:
        yield from self._dated()
        yield from self.fixed
        if self.search is not None:
            yield from self._searched(self.search)

    def _dated(self) -> Iterator[str]:
        """Bound started_at, and its day: that is part of the sort key and spares reading the rest of the table."""
        if self.days is not None:
            yield "c.opened_on BETWEEN {first_day:Date} AND {last_day:Date}"
        for name, sign, at in zip(("span_from", "span_to"), (">=", "<"), self.span, strict=True):
            if at is not None:
                yield f"c.opened_on {sign if sign == '>=' else '<='} {{{name}_day:Date}}"
                yield f"c.started_at {sign} fromUnixTimestamp64Milli({{{name}:Int64}}, 'UTC')"

    def _searched(self, search: str) -> Iterator[str]:
        # The ids first: looking single texts up among 10 M rows takes 450 ms of CPU, pairs 1,160.
        said = "1"
        if self.said is not None:
            said = self.said.sql
        elif self.span[0] is not None:  # no message is older than its conversation
            said = "e.at >= fromUnixTimestamp64Milli({span_from:Int64}, 'UTC')"
        found = f"FROM events AS e WHERE {search} AND {said}"
        ids, pairs = f"SELECT e.conversation_id {found}", f"SELECT e.assistant, e.conversation_id {found}"
        if self.said is not None and self.said.elsewhere:
            elsewhere = "SELECT arrayJoin({elsewhere:Array(Tuple(String, String))}) AS key"
            ids = f"{ids} UNION ALL SELECT key.2 FROM ({elsewhere})"
            pairs = f"{pairs} UNION ALL SELECT key.1, key.2 FROM ({elsewhere})"
        yield f"c.conversation_id IN ({ids})"
        yield f"(c.assistant, c.conversation_id) IN ({pairs})"


def compile_selection(selection: Selection, assistant: str | None, now: datetime) -> Condition:
    """Compile; `assistant`: the only one that may be seen (`Principal.assistant`), None for all."""
    parts = taken_apart(selection, assistant, now)
    return Condition(parts.whole, parts.bound, in_words(selection))


def taken_apart(selection: Selection, assistant: str | None, now: datetime) -> Parts:
    """Compile, filter by filter."""
    parts = Parts(span=selection.span(now), search=None if selection.q is None else _search(selection.q, assistant))
    if assistant is not None:
        parts.fixed.append("c.assistant = {only:String}")
        parts.parameters["only"] = assistant
    if selection.client is not None:
        parts.fixed.append("c.user_id = {client:String}")
        parts.parameters["client"] = _value(selection.client)
    if selection.q is not None:
        parts.parameters.update((f"q_{number}", word) for number, word in enumerate(search_words(selection.q)))
    if selection.section in SECTIONS:
        parts.apart["section"] = SECTIONS[selection.section]
    if selection.state in STATES:
        parts.apart["state"] = STATES[selection.state]
    for name, asked in FLAGS.items():
        wanted = getattr(selection, name)
        if wanted is not None:
            parts.apart[name] = asked if wanted else f"NOT {asked}"
    for name in VALUES:
        values = getattr(selection, name)
        if values:
            parts.apart[name] = f"c.{name} IN {{{name}:Array(String)}}"
            parts.parameters[name] = [_value(one) for one in values]
    return parts


def _value(given: str) -> str:
    return "" if given == NONE else given


_WORD: Final = re.compile(r"[0-9A-Za-z\x80-\U0010ffff]+")
"""What the text index takes for a word: beyond ASCII everything belongs to one."""

_UNSPACED: Final = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]"
)
"""Thai, Lao, Burmese, Khmer, Japanese, Chinese, Korean: words follow without a space, or carry particles."""


def _search(text: str, assistant: str | None) -> str:
    """Ask for messages that contain all words of the text, in any order and case; the words are bound by number.

    A word is what the index on `events` takes for one: `hasToken` over the same expression is answered by it, be it the
    text index or, on servers before 26.2, the token filter (4 M messages: 4 ms, 130 without). In writing without
    spaces the index is of no use: there the text has to contain the word anywhere (140 ms).
    """
    wanted = ["e.type = 'message.sent'"]
    if assistant is not None:
        wanted.append("e.assistant = {only:String}")
    for number, word in enumerate(search_words(text)):
        needle = f"lowerUTF8({{q_{number}:String}})"
        if _WORD.fullmatch(word) and not _UNSPACED.search(word):
            wanted.append(f"hasToken(lowerUTF8(e.text), {needle})")
        else:
            wanted.append(f"position(lowerUTF8(e.text), {needle}) > 0")
    return " AND ".join(wanted)


def search_words(text: str) -> list[str]:
    """Cut what is searched for into words, each once; a text without any is one word as it is."""
    plain = "".join(one if one.isascii() or unicodedata.category(one)[0] in "LMN" else " " for one in text)
    return list(dict.fromkeys(_WORD.findall(plain))) or [text]


def in_words(selection: Selection) -> str:
    """Say a selection in one English sentence: "English conversations about returns, escalated, in the last week."."""
    kinds = [*_kinds(selection), "conversations"]
    start = " ".join(kinds) if len(kinds) > 1 else "all conversations"
    if selection.topic:
        start += f" about {_any_of(selection.topic, 'no topic')}"
    clauses = [start, *_clauses(selection)]
    span = _span_words(selection)
    if span:
        clauses.append(span)
    sentence = ", ".join(clauses) if len(clauses) > 2 or not span else " ".join(clauses)
    return f"{sentence[0].upper()}{sentence[1:]}."


def _kinds(selection: Selection) -> Iterator[str]:
    if selection.section in (Section.POSITIVE, Section.NEGATIVE):
        yield selection.section.value
    if selection.state is State.OPEN:
        yield "open"
    elif selection.state is State.ALL:
        yield "open and closed"
    named = [language_name(one) for one in selection.language if one != NONE]
    if NONE in selection.language:
        named.append("unidentified-language")
    if named:
        yield " or ".join(named)


def _clauses(selection: Selection) -> Iterator[str]:
    if selection.subtopic:
        yield f"subtopic {_any_of(selection.subtopic, 'none')}"
    if selection.section is Section.FALLBACK:
        yield "with a fallback"
    if selection.escalated is not None:
        yield "escalated" if selection.escalated else "not escalated"
    if selection.rated is not None:
        yield "rated" if selection.rated else "not rated"
    if selection.claimed is not None:
        yield "claimed by an agent" if selection.claimed else "not claimed by an agent"
    if selection.assigned_to:
        yield f"assigned to {_any_of(selection.assigned_to, 'nobody')}"
    if selection.client is not None:
        yield "without a known client" if selection.client == NONE else f"of client {selection.client}"
    for name, values in (
        ("assistant", selection.assistant),
        ("channel", selection.channel),
        ("device", selection.device),
        ("location", selection.location),
    ):
        if values:
            yield f"{name} {_any_of(values, 'unknown')}"
    if selection.q is not None:
        yield f"with “{selection.q}” in a message"


def _any_of(values: Sequence[str], none: str) -> str:
    named = [none if one == NONE else one for one in values]
    return named[0] if len(named) == 1 else f"{', '.join(named[:-1])} or {named[-1]}"


_RANGES: Final = {
    Range.DAY: "in the last 24 hours",
    Range.WEEK: "in the last week",
    Range.MONTH: "in the last month",
    Range.YEAR: "in the last year",
}


def _span_words(selection: Selection) -> str:
    if selection.range is None:
        return ""
    if selection.range is not Range.CUSTOM:
        return _RANGES[selection.range]
    said = [f"from {selection.from_}"] if selection.from_ else []
    if selection.to:
        said.append(f"to {selection.to}" if said or not _is_day(selection.to) else f"to the end of {selection.to}")
    return " ".join(said) + (f" ({selection.zone})" if selection.zone != "UTC" else "")


def _is_day(point: str) -> bool:
    try:
        date.fromisoformat(point)
    except ValueError:
        return False
    return True
