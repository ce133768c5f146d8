"""The reader on ClickHouse: facts by conversation, rows by conversation and day, everything in pages."""

from collections.abc import Collection, Iterator
from datetime import date, timedelta
from itertools import groupby, repeat
from operator import attrgetter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from clickhouse_connect.driver.client import Client

from schemas.dead_letters import DeadLetter
from schemas.facts import Key, StoredFact
from schemas.failures import Reason
from schemas.store import Frontier, StoredRow
from sinks.clickhouse_errors import answers
from sinks.connection import Connection, Database
from sinks.keys import portions

FACTS_PAGE = 30_000
ROWS_PAGE = 250_000
_BATCH = 10_000
LETTERS_PAGE = 500

_FIRST_DAY = date(1970, 1, 1)

_FACTS_OF = """
    SELECT conversation_id, digest, payload FROM events
    WHERE assistant = {assistant:String} AND conversation_id IN {ids:Array(String)}
"""

# One question, so that one server answers both from what it has. A frontier is told from facts by its partition.
_LOOK_UP = f"""
    SELECT conversation_id, digest, payload, toInt32(-1) AS in_partition, toInt64(0) AS behind FROM (
        {_FACTS_OF}
    )
    UNION ALL
    SELECT topic, toFixedString('', 16), '', `partition`, max(`offset`) FROM frontiers GROUP BY topic, `partition`
"""

_ROW = (
    "assistant, conversation_id, toUInt16(opened_on), version, closed, close_reason, toUnixTimestamp64Milli(closes_at)"
)

_ROWS_OF = f"""
    SELECT {_ROW} FROM conversations FINAL
    WHERE assistant = {{assistant:String}} AND opened_on IN {{days:Array(Date)}}
      AND conversation_id IN {{ids:Array(String)}}
"""

# Behind the last key of the page before, spelled so that the primary key can be used. A page may end amid a
# conversation: LIMIT … WITH TIES would end it well and takes twice as long.
_FACTS_AFTER = """
    SELECT assistant, conversation_id, digest, payload FROM events
    WHERE assistant >= {assistant:String}
      AND (assistant > {assistant:String} OR conversation_id > {id:String})
    ORDER BY assistant, conversation_id LIMIT {page:UInt64}
"""

_ROWS_AFTER = f"""
    SELECT {_ROW} FROM conversations FINAL
    WHERE (toString(assistant), conversation_id, toInt32(opened_on))
        > ({{assistant:String}}, {{id:String}}, {{day:Int32}})
    ORDER BY assistant, conversation_id, opened_on LIMIT {{page:UInt64}}
"""

_LETTERS = """
    SELECT topic, hex(digest) FROM dead_letters FINAL
    WHERE ({all:Bool} OR requeued_at IS NULL) AND ({reason:String} = '' OR reason = {reason:String})
    ORDER BY failed_at, topic, digest
"""

_LETTERS_OF = """
    SELECT topic, `partition`, `offset`, key, value, digest, reason, detail, assistant, conversation_id,
        toUnixTimestamp64Milli(recorded_at), toUnixTimestamp64Milli(failed_at), toUnixTimestamp64Milli(requeued_at)
    FROM dead_letters FINAL
    WHERE topic IN {topics:Array(String)}
      AND digest IN (SELECT toFixedString(unhex(arrayJoin({digests:Array(String)})), 16))
"""


class ClickHouseReader:
    """A `schemas.store.Reader` on one client of its own, which it opens at the first call."""

    def __init__(self, database: Database, facts_page: int = FACTS_PAGE, rows_page: int = ROWS_PAGE) -> None:
        """`facts_page`, `rows_page`: so many a scan holds in memory, and the rest of the last conversation."""
        self._facts_page = facts_page
        self._rows_page = rows_page
        self._connection = Connection(database)
        self._where = database.where

    def close(self) -> None:
        """Close the client."""
        self._connection.close()

    def read_facts(self, keys: Collection[Key]) -> list[StoredFact]:
        """See Reader."""
        facts: list[StoredFact] = []
        for assistant, ids in portions(keys):
            with answers(self._where):
                found = _bytes(self._connection.client, _FACTS_OF, {"assistant": assistant, "ids": ids})
            facts += _facts(found, repeat(assistant))
        return facts

    def look_up(self, keys: Collection[Key]) -> tuple[list[StoredFact], Frontier]:
        """See Reader. Of several questions the least that any answer knew counts."""
        facts: list[StoredFact] = []
        frontier: dict[tuple[str, int], int] = {}
        for assistant, ids in portions(keys):
            with answers(self._where):
                found = _bytes(self._connection.client, _LOOK_UP, {"assistant": assistant, "ids": ids})
            of_facts = pc.less(found["in_partition"], 0)
            facts += _facts(found.filter(of_facts), repeat(assistant))
            known = found.filter(pc.invert(of_facts))
            places = zip(_texts(known["conversation_id"]), known["in_partition"].to_pylist(), strict=True)
            for place, offset in zip(places, known["behind"].to_pylist(), strict=True):
                frontier[place] = min(offset, frontier.get(place, offset))
        return facts, frontier

    def read_rows(self, keys: Collection[Key], days: Collection[int]) -> dict[Key, StoredRow]:
        """See Reader. Were there two live rows of one key, the one with the greatest version is given."""
        rows: dict[Key, StoredRow] = {}
        dates = [_FIRST_DAY + timedelta(days=one) for one in sorted(set(days))]
        for assistant, ids in portions(keys) if dates else ():
            with answers(self._where):
                found = self._connection.client.query_arrow(
                    _ROWS_OF, parameters={"assistant": assistant, "ids": ids, "days": dates}
                )
            for row in _rows(found):
                known = rows.get(row.key)
                if known is None or known.version < row.version:
                    rows[row.key] = row
        return rows

    def scan_facts(self) -> Iterator[list[StoredFact]]:
        """See Reader."""
        behind: dict[str, Any] = {"assistant": "", "id": "", "page": self._facts_page}
        while True:
            with answers(self._where):
                page = _bytes(self._connection.client, _FACTS_AFTER, behind)
            facts = _facts(page, _texts(page["assistant"]))
            conversations = [list(one) for _, one in groupby(facts, key=attrgetter("key"))]
            if len(facts) < self._facts_page:
                yield from conversations
                return
            if len(conversations) > 1:
                conversations.pop()
            last = conversations[-1][0].key
            if last == facts[-1].key:  # it fills the page and may go on
                conversations = [whole] if (whole := self.read_facts([last])) else []
            yield from conversations
            behind["assistant"], behind["id"] = last

    def scan_rows(self) -> Iterator[StoredRow]:
        """See Reader."""
        behind: dict[str, Any] = {"assistant": "", "id": "", "day": -1, "page": self._rows_page}
        while True:
            with answers(self._where):
                page = self._connection.client.query_arrow(_ROWS_AFTER, parameters=behind)
            last = None
            for last in _rows(page):
                yield last
            if last is None or page.num_rows < self._rows_page:
                return
            behind |= {"assistant": last.key[0], "id": last.key[1], "day": last.opened_on}

    def dead_letters(self, reason: Reason | None = None, *, requeued: bool = False) -> Iterator[DeadLetter]:
        """See Reader. The order is read first, without the contents; then the contents in pages."""
        with answers(self._where):
            order = self._connection.client.query(
                _LETTERS, parameters={"all": requeued, "reason": reason.value if reason else ""}
            ).result_rows
        for start in range(0, len(order), LETTERS_PAGE):
            page = order[start : start + LETTERS_PAGE]
            bound = {"topics": sorted({topic for topic, _ in page}), "digests": [digest for _, digest in page]}
            with answers(self._where):
                found = _letters(_bytes(self._connection.client, _LETTERS_OF, bound))
            for topic, digest in page:
                letter = found.get((topic, bytes.fromhex(digest)))
                if letter is not None:  # else it was erased meanwhile
                    yield letter


def _bytes(client: Client, query: str, bound: dict[str, Any]) -> pa.Table:
    # A payload or a dead letter's value is bytes, whatever they are: only what is known to be text is decoded.
    return client.query_arrow(query, parameters=bound, use_strings=False)


def _texts(column: pa.ChunkedArray) -> list[str]:
    texts: list[str] = column.cast(pa.string()).to_pylist()
    return texts


def _facts(found: pa.Table, assistants: Any) -> list[StoredFact]:
    keys = zip(assistants, _texts(found["conversation_id"]), strict=False)
    digests = b"".join(_fixed(found["digest"]))
    pieces = [digests[start : start + 16] for start in range(0, len(digests), 16)]
    return list(map(StoredFact, keys, pieces, found["payload"].to_pylist()))


def _fixed(column: pa.ChunkedArray) -> Iterator[bytes]:
    for chunk in column.chunks:
        values = np.frombuffer(chunk.buffers()[1], np.uint8)
        yield values[chunk.offset * 16 : (chunk.offset + len(chunk)) * 16].tobytes()


def _rows(found: pa.Table) -> Iterator[StoredRow]:
    for batch in found.to_batches(max_chunksize=_BATCH):
        assistants, ids, *columns = (column.to_pylist() for column in batch.columns)
        yield from map(StoredRow, zip(assistants, ids, strict=True), *columns)


def _letters(found: pa.Table) -> dict[tuple[str, bytes], DeadLetter]:
    letters = {}
    for topic, partition, offset, key, value, digest, reason, detail, assistant, conversation_id, *times in zip(
        *(column.to_pylist() for column in found.columns), strict=True
    ):
        letter = DeadLetter(
            topic.decode(),
            partition,
            offset,
            key,
            value,
            digest,
            Reason(reason.decode()),
            detail.decode(),
            assistant.decode(),
            conversation_id.decode(),
            *times,
        )
        letters[letter.topic, digest] = letter
    return letters
