"""Very many conversations, made up from a seed and stored as a worker's inserts leave them.

Under the rows that count lie older versions of them, rows that are deleted, and rows under a former day; none of these
may show anywhere.
"""

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import xxhash

from schemas.conversation import COLUMNS, RowColumns
from schemas.facts import FactColumns, Key
from sinks.arrow import facts_table, rows_table
from sinks.connection import Database
from tests.builders import DAY, HOUR, MINUTE, SECOND, line
from tests.sinks.building import HOSTILE

NOW: Final = datetime(2026, 11, 24, 10, 17, 33, 123_000, tzinfo=UTC)
NOW_MS: Final = int(NOW.timestamp()) * 1_000 + 123
MONTHS: Final = 150 * DAY

LANGUAGES: Final = ("en", "en", "en", "de", "de", "es", "fr", "zh", "pt-BR", "")
CHANNELS: Final = ("web", "web", "whatsapp", "app", "")
DEVICES: Final = ("mobile", "mobile", "desktop", "tablet", "")
TOPICS: Final = ("", "returns", "delivery", "invoice", *HOSTILE, *(f"topic {number}" for number in range(60)))
AGENTS: Final = tuple(f"agent {number}" for number in range(90))
PLACES: Final = tuple(f"place {number}" for number in range(220))
COMMENTS: Final = ("", "", "took two tries", "<b>bad</b>", "=1+1", *HOSTILE, "long " * 60)
WORDS: Final = (
    "parcel refund late order where is my the a again Größe größe naïve ВОЗВРАТ возврат 4711 o'clock e-mail it's"  # noqa: RUF001
).split()
CHINESE: Final = ("我的退款在哪里", "包裹晚到了", "谢谢", "返品したい")
SIGNS: Final = (" ", "  ", ", ", "! ", " - ", "/", "_", ". ")


@dataclass
class Generated:
    """What is to be seen: the rows that count, and what was said in some of them."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    texts: dict[Key, list[str]] = field(default_factory=dict)


def store(database: Database, count: int, seed: int = 11) -> Generated:
    """Make conversations up and store them, in several parts a month."""
    made = random.Random(seed)
    generated = Generated([_row(made, number) for number in range(count)])
    hidden = [
        {**_other(made, row), "version": row["version"] - (1 << 24)} for row in made.sample(generated.rows, count // 8)
    ]
    for number in range(count, count + count // 30):  # erased: the version that says so is the greatest
        row = _row(made, number)
        hidden += [row, {**_blank(row), "version": row["version"] + (1 << 24)}]
    for row in made.sample(generated.rows, count // 30):  # moved to another day: the former one is covered
        former = {**_other(made, row), "opened_on": row["opened_on"] + 1, "version": row["version"] - (1 << 24)}
        hidden += [former, {**_blank(former), "version": row["version"]}]
    client = database.client()
    everything = [*generated.rows, *hidden]
    made.shuffle(everything)
    portion = len(everything) // 3
    for start in range(0, len(everything), portion):
        client.insert_arrow("conversations", rows_table(_columns(everything[start : start + portion])))
    _store_texts(client, made, generated)
    client.close()
    return generated


def _row(made: random.Random, number: int) -> dict[str, Any]:
    started = NOW_MS - int(MONTHS * made.random() ** 3)
    started -= started % made.choice((1, SECOND, HOUR))  # many begin at the same time
    closed = made.random() < 0.93
    activity = started + made.choice((0, made.randrange(2 * HOUR)))
    user, label, topic = made.randrange(400), made.choice(("", "", "", "positive", "negative")), made.choice(TOPICS)
    feedback = made.choice(COMMENTS) if made.random() < 0.3 else ""
    return {
        "assistant": ("shop", "bank")[number % 2],  # half the ids are in both
        "conversation_id": f"{made.choice(HOSTILE)}{number}" if made.random() < 0.02 else f"c-{number // 2}",
        "opened_on": started // DAY,
        "started_at": started,
        "last_activity_at": activity,
        "closes_at": activity + 4 * HOUR,
        "closed": closed,
        "ended_at": activity if closed else None,
        "close_reason": made.choice(("idle", "ended")) if closed else "",
        "duration_ms": activity - started if closed else None,
        "reopened": int(made.random() < 0.1),
        "messages": made.randrange(30),
        "user_messages": made.randrange(4),
        "agent_messages": made.choice((0, 0, 3)),
        "queries": made.randrange(6),
        "rating": made.choice((None, None, None, 1, 2, 3, 4, 5)),
        "feedback": feedback,
        "has_feedback": feedback != "",
        "user_id": f"u-{user}" if user else "",
        "user_name": made.choice(("", "Ana", "ana", "Özil", "李", *HOSTILE)),
        "channel": made.choice(CHANNELS),
        "device": made.choice(DEVICES),
        "location": PLACES[min(made.randrange(len(PLACES)), made.randrange(len(PLACES)))],
        "language": made.choice(LANGUAGES),
        "topic": topic,
        "subtopic": f"{topic} {made.randrange(3)}" if topic and made.random() < 0.5 else "",
        "attributes": {"tier": made.choice(HOSTILE)} if made.random() < 0.1 else None,
        "escalated": made.random() < 0.2,
        "claimed": made.random() < 0.15,
        "assigned_to": made.choice(AGENTS) if made.random() < 0.3 else "",
        "team": made.choice(("", "returns")),
        "fallbacks": made.choice((0, 0, 0, 1, 2)),
        "fallback_causes": [("e-1", "flagged", "other", made.choice((None, 0.25)))] if made.random() < 0.1 else None,
        "label": label,
        "correction": made.choice(COMMENTS) if label == "negative" else "",
        "label_id": f"l-{number}" if label else "",
        "labelled_by": made.choice(("ana", "bo")) if label else "",
        "labelled_at": activity + made.randrange(DAY) if label else None,
        "label_reason": "",
        "label_stale": bool(label) and made.random() < 0.2,
        "version": (made.randrange(2, 60) << 24) + closed,
        "is_deleted": False,
        "updated_at": NOW_MS,
    }


def _other(made: random.Random, row: dict[str, Any]) -> dict[str, Any]:
    """Make another row of the same key."""
    key = ("assistant", "conversation_id", "opened_on", "started_at")
    return {**_row(made, 0), **{name: row[name] for name in key}}


def _blank(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "is_deleted": True}


def _columns(rows: list[dict[str, Any]]) -> RowColumns:
    return RowColumns({name: [row[name] for row in rows] for name in COLUMNS})


def _store_texts(client: Any, made: random.Random, generated: Generated) -> None:
    facts = FactColumns()
    for row in made.sample(generated.rows, len(generated.rows) // 10):
        key = (row["assistant"], row["conversation_id"])
        for number in range(made.randrange(1, 4)):
            text = _text(made)
            generated.texts.setdefault(key, []).append(text)
            event = {
                "id": f"e-{number}",
                "type": "message.sent",
                "assistant": key[0],
                "conversation_id": key[1],
                "at": row["started_at"] + number * MINUTE,
                "role": made.choice(("user", "assistant")),
                "text": text,
            }
            payload = line(event)
            for name, value in event.items():
                getattr(facts, name).append(value)
            facts.payload.append(payload)
            facts.digest.append(xxhash.xxh3_128_digest(payload))
            facts.seq.append(0)
            facts.recorded_at.append(row["started_at"])
    client.insert_arrow("events", facts_table(facts))


def _text(made: random.Random) -> str:
    if made.random() < 0.1:
        return made.choice(CHINESE) + made.choice(CHINESE)
    return "".join(made.choice(WORDS) + made.choice(SIGNS) for _ in range(made.randrange(1, 9)))
