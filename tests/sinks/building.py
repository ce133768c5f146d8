"""Builders of what stores take: each test names what it is about, the rest is filled in."""

import json
from typing import Any

import xxhash

from schemas.conversation import COLUMNS, RowColumns
from schemas.dead_letters import DeadLetter
from schemas.facts import FactColumns, Key, StoredFact
from schemas.failures import Reason
from tests.builders import AT, DAY, HOUR, MINUTE

TODAY = AT // DAY

HOSTILE = (
    "it's",
    'say "hi"',
    "back\\slash",
    "trailing\\",
    "\\'",
    "\\N",
    "\\x41",
    "new\nline",
    "tab\tand\rreturn",
    "nul\0inside",
    "größe 会話 🙂",
    "'; DROP TABLE events --",
    "{id:String}",
    "%(id)s",
    "a,b",
    "[1]",
    " ",
    "\x7f\x01",
)
"""Ids that are text like any other and look like something else to somebody."""


def facts(*ones: dict[str, Any]) -> FactColumns:
    """Build fact columns: of assistant shop, conversation c-1, messages at `AT`."""
    columns = FactColumns()
    for number, one in enumerate(ones):
        fact = {
            "assistant": "shop",
            "conversation_id": "c-1",
            "id": f"e-{number}",
            "type": "message.sent",
            "at": AT,
            "seq": 0,
            "role": "user",
            "text": "Where is my parcel?",
            "recorded_at": AT + 5,
            **one,
        }
        if "payload" not in fact:
            fact["payload"] = json.dumps(fact, ensure_ascii=False).encode()
        fact.setdefault("digest", xxhash.xxh3_128_digest(fact["payload"]))
        for name, value in fact.items():
            getattr(columns, name).append(value)
    return columns


def stored(columns: FactColumns) -> set[StoredFact]:
    """Say how these facts read back."""
    keys = zip(columns.assistant, columns.conversation_id, strict=True)
    return set(map(StoredFact, keys, columns.digest, columns.payload))


def keys_of(columns: FactColumns) -> set[Key]:
    """Give the conversations of these facts."""
    return set(zip(columns.assistant, columns.conversation_id, strict=True))


def row(**said: Any) -> dict[str, Any]:
    """Build a row, open, of assistant shop, conversation c-1, as `live_rows` gives it."""
    started_at = said.get("started_at", AT)
    filled = {
        **dict.fromkeys(COLUMNS, ""),
        **{name: 0 for name, kind in COLUMNS.items() if kind.startswith("UInt")},
        **{name: False for name, kind in COLUMNS.items() if kind == "Bool"},
        **{name: None for name, kind in COLUMNS.items() if kind.startswith("Nullable")},
        "assistant": "shop",
        "conversation_id": "c-1",
        "opened_on": started_at // DAY,
        "started_at": started_at,
        "last_activity_at": started_at + MINUTE,
        "closes_at": started_at + MINUTE + 4 * HOUR,
        "attributes": {},
        "fallback_causes": [],
        "version": 1 << 24,
        "is_deleted": False,
        "updated_at": AT + HOUR,
    }
    assert said.keys() <= filled.keys()
    return {**filled, **said}


def rows(*ones: dict[str, Any]) -> RowColumns:
    """Bring rows into columns, as the worker builds them."""
    columns = RowColumns.empty()
    for one in ones:
        for name, column in columns.columns.items():
            value = one[name]
            if name in ("attributes", "fallback_causes"):
                value = value or None
            column.append(value)
    return columns


def letter(**said: Any) -> DeadLetter:
    """Build a dead letter: an event that is not JSON, from assistant.events."""
    value = said.get("value", b"{")
    filled: dict[str, Any] = {
        "topic": "assistant.events",
        "partition": 1,
        "offset": 17,
        "key": b"c-1",
        "value": value,
        "digest": xxhash.xxh3_128_digest(value),
        "reason": Reason.MALFORMED,
        "detail": "not one JSON object",
        "assistant": "shop",
        "conversation_id": "c-1",
        "recorded_at": AT,
        "failed_at": AT + 10,
    }
    return DeadLetter(**{**filled, **said})
