"""How long it takes from an event to the row that shows it, and how many conversations are open.

A sample is a row that was written in the last five minutes: from the newest event that Kafka had by then, as its
record's timestamp says, to that writing. Only events that were recorded within a minute of happening count, for an
import of old ones says nothing; and a row that was closed idle counts only when such an event came after it was due,
for else it was the close that wrote it and not an event.
"""

import asyncio
from dataclasses import dataclass
from typing import Final
from weakref import WeakKeyDictionary

from api.queries.asking import Queries

FRESH_SECONDS: Final = 5.0
"""So long an answer serves everybody who asks."""
STALE_SECONDS: Final = 60.0
"""So long it serves them while the next is found out."""

_SAMPLES: Final = 300

# Some rows, chosen by hash, and then their events by the primary key: an index on recorded_at would not do, because an
# old part has events of every time in every granule. Among 12 M events and 1 M rows 45 to 70 ms.
_DELAYS: Final = f"""
    WITH written AS
    (
        SELECT c.assistant AS assistant, c.conversation_id AS conversation_id, c.updated_at AS written_at,
            c.close_reason = 'idle' AS idle, c.closes_at AS due_at
        FROM conversations AS c
        WHERE c.updated_at >= now64(3, 'UTC') - toIntervalSecond(300) AND c.is_deleted = 0
          AND ({{all:Bool}} OR c.assistant = {{assistant:String}})
        ORDER BY sipHash64(c.conversation_id, c.version)
        LIMIT {_SAMPLES}
    )
    SELECT count(), quantileExact(0.5)(took), quantileExact(0.95)(took)
    FROM
    (
        SELECT (toUnixTimestamp64Milli(w.written_at) - toUnixTimestamp64Milli(max(e.recorded_at))) / 1000 AS took
        FROM events AS e
        INNER JOIN written AS w ON e.assistant = w.assistant AND e.conversation_id = w.conversation_id
        WHERE (e.assistant, e.conversation_id) IN (SELECT assistant, conversation_id FROM written)
          AND e.at >= now64(3, 'UTC') - toIntervalSecond(360)
          AND e.recorded_at >= now64(3, 'UTC') - toIntervalSecond(300)
          AND toUnixTimestamp64Milli(e.recorded_at) - toUnixTimestamp64Milli(e.at) <= 60000
          AND e.recorded_at <= w.written_at
        GROUP BY w.assistant, w.conversation_id, w.written_at, w.idle, w.due_at
        HAVING NOT w.idle OR max(e.recorded_at) >= w.due_at
    )
"""

_OPEN: Final = """
    SELECT count() FROM conversations AS c FINAL
    WHERE c.closed = 0 AND ({all:Bool} OR c.assistant = {assistant:String})
"""


@dataclass(frozen=True, slots=True)
class Freshness:
    """Seconds from event to row, half of them and 95 of 100 within; None when nothing came in five minutes.

    `open`: conversations that go on.
    """

    p50_s: float | None
    p95_s: float | None
    open: int


@dataclass(slots=True)
class _Kept:
    answer: Freshness | None = None
    at: float = 0.0
    asking: "asyncio.Task[Freshness] | None" = None

    async def ask(self, queries: Queries, assistant: str | None) -> Freshness:
        try:
            answer = await _ask(queries, assistant)
        finally:
            self.asking = None
        self.answer, self.at = answer, asyncio.get_running_loop().time()
        return answer


_kept: WeakKeyDictionary[Queries, dict[str | None, _Kept]] = WeakKeyDictionary()


async def freshness(queries: Queries, assistant: str | None = None) -> Freshness:
    """Give the freshness as it was up to five seconds ago.

    It stands on every page, so pages seldom wait for it: an answer of the last minute is given while the next is
    found out, and who asks without one waits for the same answer as everybody. `assistant`: the only one that may be
    seen (`Principal.assistant`), None for all.
    """
    loop = asyncio.get_running_loop()
    kept = _kept.setdefault(queries, {}).setdefault(assistant, _Kept())
    age = loop.time() - kept.at
    if kept.answer is not None and age < FRESH_SECONDS:
        return kept.answer
    if kept.asking is None or kept.asking.get_loop() is not loop:
        kept.asking = loop.create_task(kept.ask(queries, assistant))
        kept.asking.add_done_callback(_note)
    if kept.answer is not None and age < STALE_SECONDS:
        return kept.answer
    return await asyncio.shield(kept.asking)


def _note(asked: "asyncio.Task[Freshness]") -> None:
    """Nobody may have waited: the next who asks asks anew, and hears of it then."""
    if not asked.cancelled():
        asked.exception()


async def _ask(queries: Queries, assistant: str | None) -> Freshness:
    bound = {"all": assistant is None, "assistant": assistant or ""}
    delays, still_open = await asyncio.gather(queries.rows(_DELAYS, bound), queries.rows(_OPEN, bound))
    ((samples, half, most),) = delays
    ((count,),) = still_open
    return Freshness(float(half) if samples else None, float(most) if samples else None, int(count))
