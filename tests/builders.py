"""Builders of events: each test names what it is about, the rest is filled in."""

import itertools
import json
from datetime import UTC, datetime
from typing import Any, Final

Event = dict[str, Any]

AT: Final = 1_794_215_520_000
"""2026-11-09T09:12:00Z in epoch milliseconds: when an event happened that does not say."""
SECOND: Final = 1_000
MINUTE: Final = 60_000
HOUR: Final = 3_600_000
DAY: Final = 86_400_000

ABSENT: Final = object()
"""Given as a field's value: leave the field out, where the builder would fill it in."""

_NEEDED: Final[dict[str, Event]] = {
    "conversation.rated": {"rating": 4},
    "message.sent": {"role": "user"},
    "label.set": {"label": "positive"},
}
_numbers = itertools.count()


def event(type: str, **fields: Any) -> Event:  # noqa: A002  (the field's own name)
    """Build an event of this type that is accepted: of assistant shop, conversation c-1, at `AT`.

    Ids are unique and sort in the order of building, so that of two events of one time the one built later is the
    later. Name the id where a test prints or compares it.
    """
    filled: Event = {
        "id": f"e-{next(_numbers):09}",
        "type": type,
        "assistant": "shop",
        "conversation_id": "c-1",
        "at": AT,
        **_NEEDED.get(type, {}),
        **fields,
    }
    return {name: value for name, value in filled.items() if value is not ABSENT}


def line(event: Event) -> bytes:
    """Write an event as the payload of a record."""
    return json.dumps(event, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def iso(at: int) -> str:
    """Write epoch milliseconds as ISO 8601 in UTC."""
    seconds, milliseconds = divmod(at, 1_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{milliseconds:03}Z"
