"""`afterword dead-letters list`: the records that could not be taken, newest first, as a table or as JSON Lines."""

import base64
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from clickhouse_connect.driver.client import Client
from rich.table import Table
from rich.text import Text

from runtime.words import counted, iso, visible
from schemas.failures import REASONS, Reason

DETAIL_CHARACTERS: Final = 120
VALUE_CHARACTERS: Final = 60
_START_BYTES: Final = 4 * VALUE_CHARACTERS

_COUNTS: Final = """
    SELECT reason, countIf(requeued_at IS NULL), count() FROM dead_letters FINAL GROUP BY reason ORDER BY reason
"""

# Which ones comes first, from narrow columns alone; then only these are read whole.
_LISTED: Final = """
    SELECT topic, `partition`, `offset`, key, substring(value, 1, {bytes:UInt64}), length(value), reason, detail,
        assistant, conversation_id,
        toUnixTimestamp64Milli(recorded_at), toUnixTimestamp64Milli(failed_at), toUnixTimestamp64Milli(requeued_at)
    FROM dead_letters FINAL
    WHERE (topic, digest) IN (
        SELECT topic, digest FROM dead_letters FINAL
        WHERE ({all:Bool} OR requeued_at IS NULL) AND ({reason:String} = '' OR reason = {reason:String})
        ORDER BY dead_letters.failed_at DESC, topic, digest LIMIT {limit:UInt64}
    )
    ORDER BY dead_letters.failed_at DESC, topic, digest
"""


@dataclass(frozen=True, slots=True)
class Listed:
    """A dead letter to show; `value` may be only its beginning, `size` is the whole's. Times are epoch ms, UTC."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes
    size: int
    reason: str
    detail: str
    assistant: str
    conversation_id: str
    recorded_at: int
    failed_at: int
    requeued_at: int | None


@dataclass(frozen=True, slots=True)
class Counts:
    """How many letters there are of each reason: `open` ones, and `all` with those that were sent again."""

    open: dict[Reason, int]
    all: dict[Reason, int]

    def line(self, shown: int, reason: Reason | None, *, requeued: bool) -> str:
        """Say how many there are, and how many of them are `shown`."""
        chosen = self.all if requeued else self.open
        total = chosen.get(reason, 0) if reason else sum(chosen.values())
        kind = "dead letter" if requeued else "open dead letter"
        if not total:
            return f"no {kind}s" + (f" with reason {reason}" if reason else "")
        said = counted(total, kind)
        if shown < total:
            said += f", the newest {shown:,} of them shown (--limit)"
        if reason is None and len(chosen) > 1:
            said += ": " + self.by_reason(requeued=requeued)
        return said

    def by_reason(self, *, requeued: bool = False) -> str:
        """Say how many there are of each reason, the most frequent first."""
        chosen = self.all if requeued else self.open
        ordered = sorted(chosen.items(), key=lambda one: (-one[1], one[0]))
        return ", ".join(f"{count:,} {reason}" for reason, count in ordered)


def reason_of(name: str) -> Reason:
    """Read a reason; raises ValueError that lists the known ones with their meaning."""
    try:
        return Reason(name)
    except ValueError:
        known = "\n".join(f"  {reason:<13} {meaning}" for reason, meaning in REASONS.items())
        raise ValueError(f"{name!r} is not a reason; known are\n{known}") from None


def counts(client: Client) -> Counts:
    """Count the letters of each reason."""
    found = client.query(_COUNTS).result_rows
    return Counts(
        {Reason(reason): still for reason, still, _ in found if still},
        {Reason(reason): total for reason, _, total in found},
    )


def listed(client: Client, reason: Reason | None, *, limit: int, requeued: bool, whole: bool) -> list[Listed]:
    """Give the newest letters, newest first: the open ones, or with `requeued` all; `whole`: with their whole value."""
    bound: dict[str, Any] = {
        "reason": reason.value if reason else "",
        "all": requeued,
        "limit": limit,
        "bytes": 1 << 31 if whole else _START_BYTES,
    }
    found = client.query_arrow(_LISTED, parameters=bound, use_strings=False)
    return [
        Listed(*(value.decode() if name in _TEXTS else value for name, value in zip(_FIELDS, values, strict=True)))
        for values in zip(*(column.to_pylist() for column in found.columns), strict=True)
    ]


_FIELDS: Final = tuple(Listed.__dataclass_fields__)
_TEXTS: Final = {"topic", "reason", "detail", "assistant", "conversation_id"}


def table(letters: Sequence[Listed], *, requeued: bool) -> Table:
    """Lay letters out as a table; nothing of what they hold reaches the terminal as a command."""
    drawn = Table(title="Dead letters", title_justify="left")
    drawn.add_column("failed at", no_wrap=True)
    drawn.add_column("record", overflow="fold")
    drawn.add_column("reason", no_wrap=True)
    drawn.add_column("what is wrong", overflow="fold")
    drawn.add_column("value", overflow="fold")
    if requeued:
        drawn.add_column("requeued at", no_wrap=True)
    for one in letters:
        cells = [
            iso(one.failed_at),
            f"{one.topic}/{one.partition}/{one.offset}",
            one.reason,
            visible(one.detail, DETAIL_CHARACTERS),
            _start(one),
        ]
        if requeued:
            cells.append("not yet" if one.requeued_at is None else iso(one.requeued_at))
        drawn.add_row(*map(Text, cells))
    return drawn


def _start(one: Listed) -> str:
    """Show the beginning of a value, and how long it is when that is not all."""
    start = one.value
    if one.size > len(start):  # a character may be cut in two
        start = start.decode("utf-8", "ignore").encode() or start
    text = visible(start, VALUE_CHARACTERS)
    return text if one.size <= VALUE_CHARACTERS else f"{text} ({one.size:,} bytes)"


def json_lines(letters: Sequence[Listed]) -> Iterator[str]:
    """Write letters as JSON, one a line, in ASCII. What is not UTF-8 stands under `…_base64` instead."""
    for one in letters:
        yield json.dumps(
            {
                "failed_at": iso(one.failed_at),
                "topic": one.topic,
                "partition": one.partition,
                "offset": one.offset,
                "reason": one.reason,
                "detail": one.detail,
                "assistant": one.assistant,
                "conversation_id": one.conversation_id,
                **_bytes_as_json("key", one.key),
                **_bytes_as_json("value", one.value),
                "recorded_at": iso(one.recorded_at),
                "requeued_at": None if one.requeued_at is None else iso(one.requeued_at),
            }
        )


def _bytes_as_json(name: str, value: bytes | None) -> dict[str, str | None]:
    try:
        return {name: None if value is None else value.decode()}
    except UnicodeDecodeError:
        return {f"{name}_base64": base64.b64encode(value or b"").decode()}
