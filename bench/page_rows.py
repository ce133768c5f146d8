"""Ten million conversations of one year in chDB, made by ClickHouse itself, for `bench.page_queries`.

What stands in the folder is what production would have: past months are merged to one part, as the table's settings
(`min_age_to_force_merge_seconds`) do a day after the last insert into them; the month that goes on stands in the parts
that its inserts and ClickHouse's own merges left, a twentieth of its rows written again later, with a label.
"""

import json
import shutil
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from clickhouse_connect.driver.client import Client

from bench.learning_page import ROWS
from schemas.conversation import COLUMNS
from sinks.connection import Database
from sinks.migrate import migrate

EVERY: Final = 33
"""Of so many conversations one has its facts stored: five messages."""
MESSAGES: Final = 5
YEAR: Final = 365 * 86_400

_PORTION: Final = 500_000
_VOCABULARY: Final = 3_000
_AGAIN: Final = 20
_MADE: Final = "made.json"
_SHAPE: Final = 2
"""Of the folder's contents; another number makes them anew."""

# In the order of time, the last one now; one assistant has most of them.
_CONVERSATION: Final = ROWS | {
    "assistant": "multiIf(b % 20 < 16, 'shop', b % 20 < 19, 'bank', 'travel')",
    "started_at": f"toDateTime64({{now:UInt32}} - intDiv(({{count:UInt64}} - n) * {YEAR}, {{count:UInt64}}), 3, 'UTC')",
    "closed": "n < {count:UInt64} - {count:UInt64} / 2000",
    "ended_at": "if(closed, last_activity_at, NULL)",
    "duration_ms": "if(closed, 20000 + b % 900000, NULL)",
    "close_reason": "if(NOT closed, '', if(a % 2 = 0, 'ended', 'idle'))",
    "user_id": "concat('u-', toString(b % 1000000))",
}
_HASHES: Final = "halfMD5(n, 'a') AS a, halfMD5(n, 'b') AS b"

# A word of number k is about as frequent as k^(-2/3): some are in every other message, some in one of ten thousand.
_TEXT: Final = (
    f"arrayStringConcat(arrayMap(x -> concat('word', toString(toUInt32({_VOCABULARY} * "
    "pow((halfMD5(n, m, x) % 1000000) / 1000000, 3)))), range(8)), ' ')"
)


@dataclass(frozen=True, slots=True)
class Made:
    """What stands in a folder. `now`: when it was made, epoch seconds: the last conversation began then."""

    conversations: int
    now: int
    shape: int = _SHAPE

    @property
    def at(self) -> datetime:
        """The moment that ranges end at."""
        return datetime.fromtimestamp(self.now, UTC)


def stored(folder: Path, conversations: int) -> tuple[Database, Made]:
    """Give the database, made unless it stands there already; migrations that came since are applied."""
    database = Database.parse(f"chdb://{folder / 'clickhouse'}")
    note = folder / _MADE
    if note.exists():
        made = Made(**json.loads(note.read_text()))
        if (made.conversations, made.shape) == (conversations, _SHAPE):
            migrate(database)
            return database, made
    shutil.rmtree(folder, ignore_errors=True)
    made = Made(conversations, int(time.time()))
    migrate(database)
    client = database.client()
    _fill(client, made)
    client.close()
    note.write_text(json.dumps({"conversations": conversations, "now": made.now, "shape": _SHAPE}))
    return database, made


def _fill(client: Client, made: Made) -> None:
    for first in range(0, made.conversations, _PORTION):
        until = min(first + _PORTION, made.conversations)
        write_rows(client, made, f"numbers({first}, {until - first})")
        write_messages(client, made, f"numbers({first}, {until - first})", f"n % {EVERY} = 0")
    months = [month for (month,) in client.query(_MONTHS).result_rows]
    for month in months[:-1]:
        client.command(f"OPTIMIZE TABLE conversations PARTITION {month} FINAL")
        client.command(f"OPTIMIZE TABLE events PARTITION {month} FINAL")
    current = made.conversations // 12
    write_rows(
        client,
        made,
        f"numbers({made.conversations - current}, {current})",
        f"n % {_AGAIN} = 0 AND closed",
        label="'negative'",
        version="toUInt64(8) * 16777216 + 131072 + 3",
    )


_MONTHS: Final = "SELECT DISTINCT toYYYYMM(opened_on) FROM conversations ORDER BY 1"


def write_rows(client: Client, made: Made, numbers: str, which: str = "1", **other: str) -> None:
    """Insert rows of conversations by their numbers; `other`: columns that say something else."""
    said = _CONVERSATION | other
    names = [name for name in COLUMNS if name in said]
    values = ", ".join(f"{said[name]} AS {name}" for name in names)
    client.command(
        f"INSERT INTO conversations ({', '.join(names)}) SELECT {', '.join(names)} FROM "
        f"(SELECT number AS n, {_HASHES}, {values} FROM {numbers}) WHERE {which}",
        parameters={"now": made.now, "count": made.conversations},
    )


def write_messages(client: Client, made: Made, numbers: str, which: str = "1") -> None:
    """Insert the messages of conversations by their numbers, as facts."""
    said = _CONVERSATION
    client.command(
        f"""
        INSERT INTO events (assistant, conversation_id, id, digest, type, at, seq, role, text, payload, recorded_at)
        SELECT assistant, conversation_id, concat('e-', toString(m)) AS id, sipHash128(n, m) AS digest,
            'message.sent' AS type, started_at + m * 4 AS at, m AS seq, if(m % 2 = 0, 'user', 'assistant') AS role,
            {_TEXT} AS text,
            toJSONString(map('id', id, 'type', 'message.sent', 'assistant', toString(assistant), 'conversation_id',
                conversation_id, 'at', concat(replaceOne(toString(at), ' ', 'T'), 'Z'), 'role', role, 'text', text)),
            at AS recorded_at
        FROM (
            SELECT number AS n, {_HASHES}, {said["assistant"]} AS assistant,
                {said["conversation_id"]} AS conversation_id, {said["started_at"]} AS started_at,
                arrayJoin(range({MESSAGES})) AS m
            FROM {numbers} WHERE {which}
        )
        """,
        parameters={"now": made.now, "count": made.conversations},
    )
