"""The bytes of an event: joined from pieces that are made once, because `json.dumps` per event is too slow.

`type` comes first in every payload, so the topic of an event shows in its first bytes (`is_label`).
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_MINUTES = tuple(b"T%02d:%02d:" % divmod(minute, 60) for minute in range(1440))
_SECONDS = tuple(b"%02d." % second for second in range(60))
_MILLISECONDS = tuple(b"%03dZ" % ms for ms in range(1000))

NUMBERS = tuple(b'-%02d","seq":%d,"at":"' % (number, number) for number in range(200))
"""What stands between the conversation id in an event's id and its time, by the running number of the event."""
LABEL_NUMBERS = tuple(b'-label-%d","at":"' % number for number in range(10))
"""The same for labels: managers' tools are another producer and keep no running number of the conversation."""


class Kind:
    """How a payload begins, by its type."""

    STARTED = b'{"type":"conversation.started"'
    UPDATED = b'{"type":"conversation.updated"'
    ESCALATED = b'{"type":"conversation.escalated"'
    ASSIGNED = b'{"type":"conversation.assigned"'
    RATED = b'{"type":"conversation.rated"'
    ENDED = b'{"type":"conversation.ended"'
    SENT = b'{"type":"message.sent"'
    FALLBACK = b'{"type":"message.fallback"'
    LABEL_SET = b'{"type":"label.set"'
    LABEL_CLEARED = b'{"type":"label.cleared"'


class Step(NamedTuple):
    """One event of a story, still without the conversation's name: `at` in epoch milliseconds, the rest as JSON."""

    at: int
    kind: bytes
    number: bytes
    body: bytes


def is_label(payload: bytes) -> bool:
    """Whether the event belongs to the topic of the managers' labels, not to that of the assistants' events."""
    return payload.startswith(b'{"type":"label.')


def milliseconds(at: datetime) -> int:
    """Give an aware time as epoch milliseconds, cut."""
    return (at - _EPOCH) // timedelta(milliseconds=1)


def moment(ms: int) -> datetime:
    """Give epoch milliseconds as an aware UTC time."""
    return _EPOCH + timedelta(milliseconds=ms)


@lru_cache(maxsize=4096)
def _day(days: int) -> bytes:
    return date.fromordinal(_EPOCH_DAY + days).isoformat().encode()


def stamp(ms: int) -> bytes:
    """Write epoch milliseconds as ISO 8601 in UTC."""
    days, rest = divmod(ms, 86_400_000)
    seconds, ms = divmod(rest, 1000)
    minutes, seconds = divmod(seconds, 60)
    return _day(days) + _MINUTES[minutes] + _SECONDS[seconds] + _MILLISECONDS[ms]


def names(assistant: bytes, conversation_id: bytes) -> bytes:
    """Write the fields between `type` and the event's number, which all events of a conversation share."""
    return b"".join(
        (b',"assistant":"', assistant, b'","conversation_id":"', conversation_id, b'","id":"', conversation_id)
    )


def render(steps: Sequence[Step], assistant: bytes, conversation_id: bytes) -> list[tuple[int, bytes, bytes]]:
    """Give (time in epoch milliseconds, conversation id, payload) of each step."""
    shared = names(assistant, conversation_id)
    join = b"".join
    return [(at, conversation_id, join((kind, shared, number, stamp(at), body))) for at, kind, number, body in steps]
