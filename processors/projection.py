"""The projection: conversations to rows, as columns, with the deleted rows that hide what stood under another day."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final

from processors.conversation import DAY, FOLD_REVISION, NEVER, Conversation
from processors.devices import device_class
from schemas.conversation import COLUMNS, RowColumns, Version
from schemas.facts import Key

_SLOW: Final = (
    "rating",
    "feedback",
    "has_feedback",
    "user_id",
    "user_name",
    "channel",
    "device",
    "location",
    "language",
    "topic",
    "subtopic",
    "attributes",
    "escalated",
    "claimed",
    "assigned_to",
    "team",
    "fallbacks",
    "fallback_causes",
    "label",
    "correction",
    "label_id",
    "labelled_by",
    "labelled_at",
    "label_reason",
)
"""Columns that few facts change: their cells are kept with the conversation until one does."""

_FAST: Final = (
    "opened_on",
    "started_at",
    "last_activity_at",
    "closes_at",
    "closed",
    "ended_at",
    "close_reason",
    "duration_ms",
    "reopened",
    "messages",
    "user_messages",
    "agent_messages",
    "queries",
    "label_stale",
    "version",
)

_BLANK: Final[dict[str, Any]] = {
    name: {"Bool": False, "UInt32": 0}.get(type_, "" if "String)" in type_ or type_ == "String" else None)
    for name, type_ in COLUMNS.items()
} | {"attributes": None, "fallback_causes": None}

_ERASURE_SHIFT: Final = Version.ERASURE_SHIFT
_FACT_SHIFT: Final = Version.FACT_SHIFT


@dataclass(frozen=True, slots=True)
class Projection:
    """Rows to insert at once, and what is true of the conversations when they are stored."""

    rows: RowColumns
    written: list[tuple[Conversation, int, int]]
    """(conversation, its version, the day its row stands under) for every conversation in `rows`."""

    def without(self, keys: Collection[Key]) -> "Projection":
        """Copy all but the rows of these conversations."""
        names = zip(self.rows.columns["assistant"], self.rows.columns["conversation_id"], strict=True)
        keep = [place for place, key in enumerate(names) if key not in keys]
        return Projection(self.rows.take(keep), [one for one in self.written if one[0].key not in keys])

    def confirm(self) -> None:
        """Note that the rows are stored."""
        for conversation, version, day in self.written:
            conversation.written = version
            conversation.stored_day = day


def project(
    conversations: Iterable[Conversation], clocks: Mapping[int, int], rules_revision: int, now: int
) -> Projection:
    """Project those conversations that this worker has not already written at their version.

    `clocks`: epoch ms by partition; a partition without one closes nothing. `now`: epoch ms, for updated_at.
    """
    revisions = (FOLD_REVISION << Version.FOLD_SHIFT) + (rules_revision << Version.RULES_SHIFT)
    fast: list[tuple[Any, ...]] = []
    chosen: list[Conversation] = []
    written: list[tuple[Conversation, int, int]] = []
    hidden: list[tuple[Conversation, int, int]] = []
    clock_of = clocks.get
    for one in conversations:  # one thought a line here: this runs for every row
        if one.disordered:
            one.settle()
        version = (min(one.erasures, 255) << _ERASURE_SHIFT) + (one.facts << _FACT_SHIFT) + revisions
        started = one.started
        if started == NEVER:
            _blank(one, version, written, hidden)
            continue
        active = one.activity
        last = active if active != NEVER else started
        closes_at = last + one.effects.gap
        closed, ended_at, reason = False, None, ""
        if one.ended and (announced := _announced(one, closes_at)) is not None:
            closed, ended_at, reason = True, announced, "ended"
        elif closes_at <= clock_of(one.partition, NEVER) or closes_at <= one.idle_until:
            closed, ended_at, reason = True, last, "idle"
        if closed:
            version += 1
        if version == one.written:
            continue
        day = started // DAY
        messages = one.users + one.assistants
        fast.append(
            (
                day,
                started,
                last,
                closes_at,
                closed,
                ended_at,
                reason,
                None if ended_at is None else ended_at - started,
                one.sessions - 1 if one.sessions else 0,
                messages,
                one.users,
                one.agents,
                len(one.questions) >> 3,
                _stale(one, messages) if one.label else False,
                version,
            )
        )
        chosen.append(one)
        if one.cells is None:
            one.cells = _cells(one)
        if (one.stored_day != day and len(one.days) > 1) or one.stored_day not in (NEVER, day) or one.erasures:
            hidden.extend((one, version, other) for other in _former_days(one, day))
        written.append((one, version, day))
    return Projection(_columns(chosen, fast, hidden, now), written)


def _announced(one: Conversation, closes_at: int) -> int | None:
    """Give when the conversation was ended by an announcement that nothing of the user came after, if it was."""
    since = max(one.session_start, one.user_at)
    return min((at for at in one.ended if since <= at < closes_at), default=None)


def _blank(
    one: Conversation,
    version: int,
    written: list[tuple[Conversation, int, int]],
    hidden: list[tuple[Conversation, int, int]],
) -> None:
    """A conversation without a row: after an erasure, deleted rows stand wherever one of it may come from."""
    if version == one.written:
        return
    if one.erasures or one.stored_day != NEVER:
        days = {*one.days, one.stored_day} - {NEVER}
        hidden.extend((one, version, day) for day in sorted(days))
    written.append((one, version, one.stored_day))


def _former_days(one: Conversation, day: int) -> list[int]:
    """Days other than `day` under which a row of this conversation may stand or still come to stand.

    A slow writer knows some of the facts, so its row stands under the day of one of them. Under the day that the table
    has, every other was hidden when that row was written.
    """
    return sorted({*one.days, one.stored_day} - {NEVER, day})


def _stale(one: Conversation, messages: int) -> bool:
    return messages > one.seen if one.seen is not None else one.labelled_at < one.message_at


def _cells(one: Conversation) -> tuple[Any, ...]:
    return (
        one.rating,
        one.feedback,
        bool(one.feedback),
        one.user_id,
        one.user_name,
        one.channel,
        one.device or (device_class(one.user_agent) if one.user_agent else ""),
        one.location,
        one.language or one.detected_language(),
        one.topic,
        one.subtopic,
        list(one.attributes.items()) if one.attributes else None,
        one.escalated,
        one.claimed,
        one.assigned_to,
        one.team,
        len(one.tagged) >> 3,
        one.causes or None,
        one.label,
        one.correction,
        one.label_id,
        one.labelled_by,
        one.labelled_at if one.labelled_at != NEVER else None,
        one.label_reason,
    )


def _columns(
    chosen: list[Conversation],
    fast: list[tuple[Any, ...]],
    hidden: list[tuple[Conversation, int, int]],
    now: int,
) -> RowColumns:
    count = len(chosen)
    if count:
        assistants, ids = zip(*map(attrgetter("key"), chosen), strict=True)
        columns: dict[str, list[Any]] = {"assistant": list(assistants), "conversation_id": list(ids)}
        columns.update(zip(_FAST, map(list, zip(*fast, strict=True)), strict=True))
        columns.update(zip(_SLOW, map(list, zip(*[one.cells for one in chosen], strict=True)), strict=True))
        columns["is_deleted"] = [False] * count
        columns["updated_at"] = [now] * count
    else:
        columns = RowColumns.empty().columns
    if hidden:
        for name in COLUMNS:
            columns[name].extend([_BLANK[name]] * len(hidden))
        at = slice(count, None)
        columns["assistant"][at] = [one.key[0] for one, _, _ in hidden]
        columns["conversation_id"][at] = [one.key[1] for one, _, _ in hidden]
        columns["version"][at] = [version for _, version, _ in hidden]
        columns["opened_on"][at] = [day for _, _, day in hidden]
        for name in ("started_at", "last_activity_at", "closes_at"):
            columns[name][at] = [day * DAY for _, _, day in hidden]
        columns["is_deleted"][at] = [True] * len(hidden)
        columns["updated_at"][at] = [now] * len(hidden)
    return RowColumns({name: columns[name] for name in COLUMNS})
