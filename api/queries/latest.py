"""What a decision on a conversation has to come after: its latest label, its latest fact."""

import asyncio
import logging
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from api.queries.asking import Queries
from api.queries.keys import OF_KEYS, bound, portions
from schemas.facts import Key
from schemas.failures import TooMuch, Unavailable

log = logging.getLogger(__name__)
T = TypeVar("T")

_PATIENCE: Final = 2.0
"""Seconds: a write goes on without the answer, because it must work while ClickHouse is down."""

_LABELLED: Final = f"""
    SELECT c.assistant, c.conversation_id, toUnixTimestamp64Milli(c.labelled_at)
    FROM conversations AS c FINAL WHERE {OF_KEYS}
"""

_LATEST: Final = """
    SELECT countIf(id = {event:String} AND type = 'conversation.erased'),
        toUnixTimestamp64Milli(minIf(at, id = {event:String} AND type = 'conversation.erased')),
        toUnixTimestamp64Milli(max(at))
    FROM events WHERE assistant = {assistant:String} AND conversation_id = {id:String}
"""


async def labelled_at(queries: Queries, keys: Sequence[Key]) -> dict[Key, int | None] | None:
    """Give when each conversation that has a row was labelled last, in epoch ms; None when ClickHouse does not say."""
    return await _soon(_labelled_at(queries, keys))


async def _labelled_at(queries: Queries, keys: Sequence[Key]) -> dict[Key, int | None]:
    found = dict[Key, int | None]()
    for portion in portions(keys):
        found.update({(of, name): at for of, name, at in await queries.rows(_LABELLED, bound(portion))})
    return found


@dataclass(frozen=True, slots=True)
class Latest:
    """Epoch ms. `fact`: the latest `at` of all facts, 0 without any; `erased`: the erasure with the id asked for."""

    fact: int
    erased: int | None


async def latest(queries: Queries, key: Key, event_id: str) -> Latest | None:
    """Give what is stored of a conversation, and whether an erasure with this id is; None: ClickHouse does not say."""
    rows = await _soon(queries.rows(_LATEST, {"assistant": key[0], "id": key[1], "event": event_id}))
    if rows is None:
        return None
    ((count, erased, fact),) = rows
    return Latest(fact, erased if count else None)


async def _soon(answer: Awaitable[T]) -> T | None:
    try:
        async with asyncio.timeout(_PATIENCE):
            return await answer
    except (Unavailable, TooMuch, TimeoutError) as error:
        log.warning("a write goes on without what ClickHouse knows: %s", error or "no answer in time")
        return None
