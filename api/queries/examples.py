"""What a model can be trained on: labelled conversations, as files that fine-tuning takes.

Which conversations, say their rows; what was said and judged in them, say their facts, read as docs/fold.md reads them
(cut, copies, order). So a training set of an earlier moment can be made again: `as_of` takes the labels and messages as
they stood then, the filters look at the rows of now.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Final

import msgspec

from api.problems import Problem
from api.queries.asking import Queries
from api.queries.conditions import TABLE, Condition, compile_selection
from api.queries.export import OUTPUTS, Format, rows_as
from api.queries.keys import OF_KEYS, PORTION_KEYS, bound, portions
from api.queries.selection import Section, Selection, State
from schemas.events import Label, Role
from schemas.facts import Key
from schemas.failures import Invalid
from schemas.wire import decode

BEGINNING: Final = "beginning"
"""Stands for the cursor of somebody who has nothing yet."""

SINCE_MARGIN: Final = timedelta(minutes=10)
"""A cursor reaches so far back: an insert may take five minutes to be seen, and workers' clocks differ."""

MAX_SINCE: Final = 64

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_LAST_MS: Final = 10_413_791_999_999  # DateTime64(3)

_IN_ORDER: Final = "c.assistant, c.conversation_id"

_FACTS: Final = f"""
    SELECT c.assistant, c.conversation_id, c.id, hex(c.digest), c.type, toUnixTimestamp64Milli(c.at), c.seq, c.role,
        c.text, if(startsWith(c.type, 'label.'), c.payload, '')
    FROM events AS c WHERE {OF_KEYS}
"""

# The last version of a row tells whether there ever was a label: label_id outlives the clearing, erasures everything.
_JUDGED_ONCE: Final = "max(c.label_id != '') OR max(bitShiftRight(c.version, 56) > 0)"

_NOW: Final = "SELECT toUnixTimestamp64Milli(now64(3, 'UTC'))"

_CHAT_ROLES: Final = {Role.SYSTEM: "system", Role.USER: "user", Role.ASSISTANT: "assistant", Role.AGENT: "assistant"}
"""Human agents answer in the assistant's place: what they said is what it might have said."""

_ANSWERS: Final = frozenset({Role.ASSISTANT, Role.AGENT})
_SENT, _ERASED, _SET, _CLEARED = "message.sent", "conversation.erased", "label.set", "label.cleared"

_Moment = tuple[int, int, bytes]


class ExampleFormat(StrEnum):
    """What a line is: see `openai`, `preference` and `raw`."""

    OPENAI = "openai"
    PREFERENCE = "preference"
    RAW = "raw"


@dataclass(frozen=True, slots=True)
class Message:
    """Something that was said; `at` in epoch milliseconds."""

    id: str
    at: int
    role: str
    text: str
    moment: _Moment

    @property
    def says_something(self) -> bool:
        """Whether there is a text to learn from."""
        return bool(self.text.strip())


@dataclass(frozen=True, slots=True)
class Judgement:
    """The label that counts; `at` in epoch ms, absent texts ''. `message_id`: what the correction is about."""

    id: str
    label: str
    by: str
    at: int
    reason: str
    correction: str
    message_id: str
    moment: _Moment


@dataclass(frozen=True, slots=True)
class Judged:
    """A conversation with a label: what was said, in order, and how it was judged."""

    key: Key
    messages: Sequence[Message]
    judgement: Judgement

    @property
    def corrected(self) -> int | None:
        """The place of the answer that the correction is about: the one it names, else the last one before it.

        None without a correction, or when what it names is no answer (any more).
        """
        judgement = self.judgement
        if judgement.label != Label.NEGATIVE or not judgement.correction.strip():
            return None
        if judgement.message_id:
            named = (place for place, one in enumerate(self.messages) if one.id == judgement.message_id)
            place = next(named, None)
            return place if place is not None and self.messages[place].role in _ANSWERS else None
        return next(
            (
                place
                for place, one in reversed(list(enumerate(self.messages)))
                if one.role == Role.ASSISTANT and one.says_something and one.moment < judgement.moment
            ),
            None,
        )


def openai(judged: Judged) -> dict[str, Any] | None:
    """Make a line of a chat fine-tuning file, `{"messages": [{"role", "content"}, …]}`, that ends with an answer.

    Of a positive conversation all that was said up to its last answer; of a negative one with a correction what was
    said before the corrected answer, and then the correction. None when there is nothing to learn: no correction, no
    answer, or nobody asked. Messages without text are left out.
    """
    if judged.judgement.label == Label.POSITIVE:
        answers = [place for place, one in enumerate(judged.messages) if one.role in _ANSWERS and one.says_something]
        chat = _chat(judged.messages[: answers[-1] + 1]) if answers else []
    else:
        place = judged.corrected
        chat = [] if place is None else [*_chat(judged.messages[:place]), _answer(judged.judgement.correction)]
    return {"messages": chat} if any(one["role"] == "user" for one in chat) else None


def preference(judged: Judged) -> dict[str, Any] | None:
    """Make a line of a preference file (DPO): what was said before the corrected answer, the correction, that answer.

    `{"input": {"messages": […]}, "preferred_output": […], "non_preferred_output": […]}`. None without a correction,
    without a text of the answer, and when nobody asked.
    """
    place = judged.corrected
    if place is None:
        return None
    prompt, rejected, chosen = _chat(judged.messages[:place]), judged.messages[place].text, judged.judgement.correction
    if not rejected.strip() or rejected == chosen or not any(one["role"] == "user" for one in prompt):
        return None
    return {
        "input": {"messages": prompt},
        "preferred_output": [_answer(chosen)],
        "non_preferred_output": [_answer(rejected)],
    }


def raw(judged: Judged) -> dict[str, Any]:
    """Make a line with all there is, but for the row: the label and every message."""
    judgement = judged.judgement
    return {
        "assistant": judged.key[0],
        "conversation_id": judged.key[1],
        "label": {
            "id": judgement.id,
            "label": judgement.label,
            "by": judgement.by,
            "at": _iso(judgement.at),
            "reason": judgement.reason,
            "correction": judgement.correction,
            "message_id": judgement.message_id,
        },
        "messages": [{"id": one.id, "at": _iso(one.at), "role": one.role, "text": one.text} for one in judged.messages],
    }


_LINES_OUT: Final = OUTPUTS[Format.JSONL]

_LINES: Final[dict[ExampleFormat, Callable[[Judged], dict[str, Any] | None]]] = {
    ExampleFormat.OPENAI: openai,
    ExampleFormat.PREFERENCE: preference,
    ExampleFormat.RAW: raw,
}


@dataclass(frozen=True, slots=True)
class Since:
    """Up to where somebody has followed, as text that only we read. `at`: epoch milliseconds of ClickHouse's clock."""

    at: int | None = None

    @classmethod
    def parse(cls, text: str) -> "Since":
        """Read what `str` wrote, or `beginning`; anything else raises Problem 400."""
        if text == BEGINNING:
            return cls()
        try:
            (at,) = json.loads(urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4)))
        except (ValueError, TypeError, RecursionError):
            at = None
        if type(at) is not int or not 0 <= at <= _LAST_MS:
            raise Problem(
                HTTPStatus.BAD_REQUEST,
                f"This cursor cannot be read. Take Afterword-Next-Since as it is, or begin with since={BEGINNING}.",
                title="The cursor is not of this export",
            )
        return cls(at)

    def __str__(self) -> str:
        return urlsafe_b64encode(json.dumps([self.at]).encode()).rstrip(b"=").decode()


async def next_since(queries: Queries) -> Since:
    """Give the cursor for next time. Taken before the first query, so that nothing falls between."""
    ((at,),) = await queries.rows(_NOW)
    return Since(int(at))


@dataclass(frozen=True, slots=True)
class Examples:
    """What is asked for. `assistant`: the only one that may be seen (`Principal.assistant`).

    `by`, `given_since`: of which author the label is, and how old it is at most.

    With `since` every line of `openai` and `preference` says in `metadata` whose it is; and of what changed since the
    cursor all that ever had a label, or was erased, gives a line: its example as it is now, or, when it gives none (any
    more), the tombstone `{"deleted": true, "assistant", "conversation_id"}`. Each at least once.
    """

    selection: Selection
    output: ExampleFormat
    assistant: str | None
    now: datetime
    as_of: datetime | None = None
    since: Since | None = None
    by: str | None = None
    given_since: datetime | None = None

    async def lines(self, queries: Queries) -> AsyncGenerator[bytes, None]:
        """Give the file, some lines at a time, ordered by assistant and id. Raises Unavailable and TooMuch.

        One query says which conversations, and stays open as long as this lasts; what was said in them is read some
        conversations at a time.
        """
        follows = self.since is not None and self.since.at is not None
        named = self._changed() if follows else self._standing()
        async with aclosing(_chunks(queries.stream(named.sql, named.parameters, _LINES_OUT))) as chunks:
            async for some in chunks:
                of_key = {(one.assistant, one.conversation_id): one for one in some}
                for portion in portions(of_key):
                    wanted = [key for key in portion if of_key[key].wanted]
                    rows: Mapping[Key, bytes] = {}
                    if self.output is ExampleFormat.RAW:
                        rows = await _rows(queries, wanted) if follows else {key: of_key[key].text for key in wanted}
                    found = await self._examples(queries, wanted, rows)
                    if follows:
                        found |= {key: _tombstone(key) for key in portion if key not in found}
                    if found:
                        yield b"".join(found[key] for key in portion if key in found)

    def _wanted(self) -> Condition:
        """Which rows can give an example: with `as_of` every row that ever had a label, whichever it has now."""
        selection = self.selection
        if self.as_of is not None and selection.section is not Section.FALLBACK:
            selection = selection.but(section=Section.ALL)
        condition = compile_selection(selection, self.assistant, self.now)
        labelled = "c.label_id != ''" if self.as_of is not None else "c.label != ''"
        return Condition(f"{condition.sql} AND {labelled}", condition.parameters, condition.words)

    def _standing(self) -> "_Named":
        wanted = self._wanted()
        if self.output is ExampleFormat.RAW:
            return _Named(rows_as(Format.JSONL, wanted.sql, _IN_ORDER), wanted.parameters)
        return _Named(
            f"SELECT c.assistant, c.conversation_id FROM {TABLE} WHERE {wanted.sql} ORDER BY {_IN_ORDER}",
            wanted.parameters,
        )

    def _changed(self) -> "_Named":
        """Which conversations changed since the cursor and ever had a label, and whether they are wanted now.

        Of all versions of rows, without FINAL: of an erased conversation only the key is left to ask for.
        """
        assert self.since is not None
        assert self.since.at is not None
        wanted = self._wanted()
        whose = compile_selection(
            Selection(assistant=self.selection.assistant, state=State.ALL), self.assistant, self.now
        )
        changed = f"{whose.sql} AND c.updated_at >= fromUnixTimestamp64Milli({{since_ms:Int64}}, 'UTC')"
        keys = f"SELECT c.assistant, c.conversation_id FROM conversations AS c WHERE {changed}"
        still = (
            f"SELECT c.assistant, c.conversation_id FROM {TABLE} "
            f"WHERE {wanted.sql} AND (c.assistant, c.conversation_id) IN ({keys})"
        )
        return _Named(
            f"SELECT c.assistant, c.conversation_id, "
            f"CAST((c.assistant, c.conversation_id) IN ({still}) AS Bool) AS wanted "
            f"FROM conversations AS c WHERE {changed} "
            f"GROUP BY c.assistant, c.conversation_id HAVING {_JUDGED_ONCE} ORDER BY {_IN_ORDER}",
            {
                **whose.parameters,
                **wanted.parameters,
                "since_ms": max(self.since.at - SINCE_MARGIN // _MILLISECOND, 0),
            },
        )

    def _is_wanted(self, judgement: Judgement) -> bool:
        return (
            judgement.label in _LABELS.get(self.selection.section, _ANY_LABEL)
            and self.by in {None, judgement.by}
            and (self.given_since is None or judgement.at >= _ms(self.given_since))
        )

    async def _examples(self, queries: Queries, keys: Sequence[Key], rows: Mapping[Key, bytes]) -> dict[Key, bytes]:
        """Write the examples of these conversations; who has none is left out. `rows`: as JSON, for `raw`."""
        if not keys:
            return {}
        facts = await queries.rows(_FACTS, bound(keys))
        lines = {}
        for judged in _judged(facts, self.as_of):
            if not self._is_wanted(judged.judgement):
                continue  # labelled otherwise, or the row of this label is on its way
            example = _LINES[self.output](judged)
            if example is None:
                continue
            if self.output is ExampleFormat.RAW:
                if judged.key not in rows:
                    continue  # it was there a moment ago
                example["row"] = msgspec.Raw(rows[judged.key])
            elif self.since is not None:
                names = {"assistant": judged.key[0], "conversation_id": judged.key[1], "label_id": judged.judgement.id}
                example["metadata"] = names
            lines[judged.key] = _line(example)
        return lines


class _Line(msgspec.Struct):
    """A conversation as the query for them names it, and the whole line, which may be its row."""

    assistant: str
    conversation_id: str
    wanted: bool = True
    text: bytes = b""


@dataclass(frozen=True, slots=True)
class _Named:
    """A query that names conversations."""

    sql: str
    parameters: Mapping[str, object]


_decode_line: Final = msgspec.json.Decoder(_Line).decode

_ANY_LABEL: Final = frozenset({Label.POSITIVE.value, Label.NEGATIVE.value})
_LABELS: Final = {
    Section.POSITIVE: frozenset({Label.POSITIVE.value}),
    Section.NEGATIVE: frozenset({Label.NEGATIVE.value}),
}


@dataclass(frozen=True, slots=True)
class _Fact:
    id: str
    digest: str
    type: str
    at: int
    seq: int
    role: str
    text: str
    payload: str

    @property
    def moment(self) -> _Moment:
        return self.at, self.seq, self.id.encode()


def _ms(at: datetime) -> int:
    """Give epoch milliseconds, cut."""
    return (at - _EPOCH) // _MILLISECOND


def _judged(rows: Iterable[tuple[Any, ...]], as_of: datetime | None) -> Iterator[Judged]:
    """Give the conversations of these facts that have a label, at the end or as of a time."""
    facts: dict[Key, list[_Fact]] = {}
    for assistant, conversation_id, *fact in rows:
        facts.setdefault((assistant, conversation_id), []).append(_Fact(*fact))
    until = None if as_of is None else _ms(as_of)
    for key, ones in facts.items():
        counting = [one for one in _counting(ones) if until is None or one.at <= until]
        said = _judgement(counting)
        if said is not None:
            messages = [
                Message(one.id, one.at, one.role, one.text, one.moment) for one in counting if one.type == _SENT
            ]
            yield Judged(key, messages, said)


def _counting(facts: Iterable[_Fact]) -> list[_Fact]:
    """Bring facts from the set to the sequence (docs/fold.md): behind the cut, one of each id, in order."""
    facts = list(facts)
    cut = max((one.at for one in facts if one.type == _ERASED), default=None)
    left = [one for one in facts if one.type != _ERASED and (cut is None or one.at > cut)]
    first: dict[str, _Fact] = {}
    for one in sorted(left, key=lambda one: (one.at, one.digest)):
        first.setdefault(one.id, one)
    return sorted(first.values(), key=lambda one: one.moment)


def _judgement(facts: Sequence[_Fact]) -> Judgement | None:
    """Give the label of facts in order; None when there is none, or it was taken back."""
    for fact in reversed(facts):
        if fact.type == _CLEARED:
            return None
        if fact.type != _SET:
            continue
        try:
            event, _ = decode(fact.payload.encode())
        except Invalid:  # what this version cannot read does not count
            continue
        return Judgement(
            id=fact.id,
            label=event.label,
            by=event.by or "",
            at=fact.at,
            reason=event.reason or "",
            correction=event.correction or "",
            message_id=event.message_id or "",
            moment=fact.moment,
        )
    return None


async def _chunks(pieces: AsyncIterator[bytes]) -> AsyncGenerator[list[_Line], None]:
    """Read lines that come in pieces, and give them so many at a time."""
    lines, rest = list[_Line](), b""
    async with aclosing(pieces):  # type: ignore[type-var]  # the query ends with who reads it
        async for piece in pieces:
            *whole, rest = (rest + piece).split(b"\n")
            for one in whole:
                line = _decode_line(one)
                line.text = one
                lines.append(line)
                if len(lines) == PORTION_KEYS:
                    yield lines
                    lines = []
    if lines:
        yield lines


async def _rows(queries: Queries, keys: Sequence[Key]) -> dict[Key, bytes]:
    """Read rows by their keys, each as a line of JSON."""
    if not keys:
        return {}
    sql = rows_as(Format.JSONL, OF_KEYS, _IN_ORDER)
    return {
        (one.assistant, one.conversation_id): one.text
        async for some in _chunks(queries.stream(sql, bound(keys), _LINES_OUT))
        for one in some
    }


def _chat(messages: Iterable[Message]) -> list[dict[str, str]]:
    return [{"role": _CHAT_ROLES[Role(one.role)], "content": one.text} for one in messages if one.says_something]


def _answer(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def _iso(at: int) -> str:
    return (_EPOCH + timedelta(milliseconds=at)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _tombstone(key: Key) -> bytes:
    return _line({"deleted": True, "assistant": key[0], "conversation_id": key[1]})


def _line(example: dict[str, Any]) -> bytes:
    """Write one line; the two line separators of Unicode are escaped, since some readers take them for an end."""
    written = msgspec.json.encode(example)
    return written.replace(b"\xe2\x80\xa8", rb"\u2028").replace(b"\xe2\x80\xa9", rb"\u2029") + b"\n"
