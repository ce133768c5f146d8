"""The store in memory: what ClickHouse does with facts, rows and dead letters, in dictionaries.

For tests, for benches without a database, and as the plainest statement of what the tables mean. Batches are kept as
the columns they came in and looked into only when somebody asks: inserting must cost next to nothing.
"""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from functools import partial
from operator import itemgetter
from threading import RLock
from typing import Any

from schemas.conversation import COLUMNS, RowColumns, Version
from schemas.dead_letters import DeadLetter
from schemas.facts import FactColumns, Facts, Key, StoredFact
from schemas.failures import Reason
from schemas.partitioning import home_partitions
from schemas.store import Erasure, Frontier, StoredRow

_ERASED = "conversation.erased"
_MAX_ERASURES = 255

_Row = tuple[Any, ...]
_PLACES = {name: place for place, name in enumerate(COLUMNS)}
_VERSION = _PLACES["version"]
_SORT_KEY = itemgetter(_PLACES["assistant"], _PLACES["opened_on"], _PLACES["conversation_id"])
_STORED = itemgetter(*(_PLACES[name] for name in ("opened_on", "version", "closed", "close_reason", "closes_at")))


class _Batch:
    """Facts of one insert; where a conversation's facts are in it is found out at the first question."""

    __slots__ = ("_places", "facts")

    def __init__(self, facts: FactColumns) -> None:
        self.facts = facts
        self._places: dict[str, list[int]] | None = None

    def places(self, key: Key) -> list[int]:
        """Where the facts of this conversation are."""
        if self._places is None:
            self._places = {}
            for place, conversation_id in enumerate(self.facts.conversation_id):
                self._places.setdefault(conversation_id, []).append(place)
        assistants = self.facts.assistant
        return [place for place in self._places.get(key[1], ()) if assistants[place] == key[0]]

    def keys(self) -> set[Key]:
        """The conversations in it."""
        return set(zip(self.facts.assistant, self.facts.conversation_id, strict=True))

    def remove(self, places: Collection[int]) -> None:
        """Remove the facts at these places."""
        gone = set(places)
        kept = [place for place in range(len(self.facts)) if place not in gone]
        columns = (getattr(self.facts, one.name) for one in fields(self.facts))
        self.facts = FactColumns(*([column[place] for place in kept] for column in columns))
        self._places = None


class MemoryStore:
    """A `schemas.store.Writer` and `schemas.store.Reader` at once. May be used by several threads."""

    def __init__(self, clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        """`clock`: epoch milliseconds, for `updated_at`."""
        self._clock = clock
        self._lock = RLock()
        self._batches: list[_Batch] = []
        self._batches_of: dict[str, list[_Batch]] = {}
        self._unsorted_rows: list[RowColumns] = []
        self._rows: dict[tuple[str, int, str], _Row] = {}
        self._letters: dict[tuple[str, bytes], DeadLetter] = {}
        self._frontier: dict[tuple[str, int], int] = {}

    def facts(self) -> FactColumns:
        """See Writer."""
        return FactColumns()

    def insert_facts(self, facts: Facts) -> None:
        """See Writer."""
        columns = facts.columns()
        batch = _Batch(columns.slice(0, len(columns)))
        with self._lock:
            self._batches.append(batch)
            for conversation_id in set(columns.conversation_id):
                self._batches_of.setdefault(conversation_id, []).append(batch)

    def insert_rows(self, rows: RowColumns) -> None:
        """See Writer."""
        copy = RowColumns({name: rows.columns[name][:] for name in COLUMNS})
        copy.columns["updated_at"] = [self._clock()] * len(rows)
        with self._lock:
            self._unsorted_rows.append(copy)

    def insert_dead_letters(self, letters: Sequence[DeadLetter]) -> None:
        """See Writer."""
        with self._lock:
            for letter in letters:
                known = self._letters.get((letter.topic, letter.digest))
                if known is None or _changed_at(known) <= _changed_at(letter):
                    self._letters[letter.topic, letter.digest] = letter

    def insert_frontier(self, frontier: Frontier) -> None:
        """See Writer."""
        with self._lock:
            for place, offset in frontier.items():
                self._frontier[place] = max(offset, self._frontier.get(place, 0))

    def close_idle(self, clocks: Mapping[int, int], partitions: int) -> int:
        """See Writer."""
        with self._lock:
            rows = [row for row in self._live() if not row[_PLACES["closed"]]]
            homes = home_partitions([row[_PLACES["conversation_id"]] for row in rows], partitions)
            due = [
                row
                for row, home in zip(rows, homes, strict=True)
                if home in clocks and row[_PLACES["closes_at"]] <= clocks[home]
            ]
            for row in due:
                self._rows[_SORT_KEY(row)] = _closed(row, self._clock())
            return len(due)

    def erase(self, erasures: Sequence[Erasure]) -> None:
        """See Writer."""
        with self._lock:
            for erasure in erasures:
                self._remove_facts(erasure)
                self._remove_rows({erasure.key: erasure.version})
                self._remove_letters(partial(_belongs, erasure.key))

    def sweep(self) -> int:
        """See Writer."""
        with self._lock:
            return sum(self._sweep(erasure) for erasure in self._erasures())

    def delete_rows(self, keys: Collection[Key]) -> None:
        """See Writer."""
        with self._lock:
            self._remove_rows(dict.fromkeys(keys))

    def read_facts(self, keys: Collection[Key]) -> list[StoredFact]:
        """See Reader."""
        with self._lock:
            return [fact for key in set(keys) for fact in self._facts(key)]

    def look_up(self, keys: Collection[Key]) -> tuple[list[StoredFact], Frontier]:
        """See Reader."""
        with self._lock:
            return self.read_facts(keys), dict(self._frontier)

    def read_rows(self, keys: Collection[Key], days: Collection[int]) -> dict[Key, StoredRow]:
        """See Reader."""
        found: dict[Key, StoredRow] = {}
        if not keys:
            return found
        with self._lock:
            self._sort_rows()
            for key in set(keys):
                candidates = (self._rows.get((key[0], day, key[1])) for day in set(days))
                live = [row for row in candidates if row is not None and not row[_PLACES["is_deleted"]]]
                if live:
                    found[key] = _stored(max(live, key=itemgetter(_VERSION)))
        return found

    def scan_facts(self) -> Iterator[list[StoredFact]]:
        """See Reader."""
        with self._lock:
            keys = sorted(set[Key]().union(*(batch.keys() for batch in self._batches)))
        for key in keys:
            facts = self.read_facts([key])
            if facts:
                yield facts

    def scan_rows(self) -> Iterator[StoredRow]:
        """See Reader."""
        with self._lock:
            rows = [_stored(row) for row in self._live()]
        yield from sorted(rows, key=lambda row: (row.key, row.opened_on))

    def dead_letters(self, reason: Reason | None = None, *, requeued: bool = False) -> Iterator[DeadLetter]:
        """See Reader."""
        with self._lock:
            letters = list(self._letters.values())
        for letter in sorted(letters, key=lambda letter: (letter.failed_at, letter.topic, letter.digest)):
            if (requeued or letter.requeued_at is None) and reason in {None, letter.reason}:
                yield letter

    def rows(self) -> list[dict[str, Any]]:
        """Give the rows that are not deleted as `sinks.live_rows.live_rows` gives them, for whole comparisons."""
        with self._lock:
            rows = sorted(self._live(), key=_SORT_KEY)
        return [_as_dictionary(row) for row in rows]

    def _facts(self, key: Key) -> Iterator[StoredFact]:
        for batch in self._batches_of.get(key[1], ()):
            for place in batch.places(key):
                yield StoredFact(key, batch.facts.digest[place], batch.facts.payload[place])

    def _sort_rows(self) -> None:
        for rows in self._unsorted_rows:
            columns = rows.columns
            keys = zip(columns["assistant"], columns["opened_on"], columns["conversation_id"], strict=True)
            for key, row in zip(keys, zip(*columns.values(), strict=True), strict=True):
                known = self._rows.get(key)
                if known is None or known[_VERSION] <= row[_VERSION]:
                    self._rows[key] = row
        self._unsorted_rows.clear()

    def _live(self) -> list[_Row]:
        self._sort_rows()
        return [row for row in self._rows.values() if not row[_PLACES["is_deleted"]]]

    def _erasures(self) -> list[Erasure]:
        cuts: dict[Key, int] = {}
        known: dict[Key, set[tuple[str, bytes]]] = {}
        for batch in self._batches:
            facts = batch.facts
            for place in (place for place, kind in enumerate(facts.type) if kind == _ERASED):
                key = facts.assistant[place], facts.conversation_id[place]
                cuts[key] = max(facts.at[place], cuts.get(key, 0))
                known.setdefault(key, set()).add((facts.id[place], facts.digest[place]))
        return [
            Erasure(key, cut, min(len(known[key]), _MAX_ERASURES) << Version.ERASURE_SHIFT) for key, cut in cuts.items()
        ]

    def _sweep(self, erasure: Erasure) -> bool:
        facts = self._remove_facts(erasure)
        rows = self._remove_rows({erasure.key: erasure.version})
        letters = self._remove_letters(partial(_belongs, erasure.key, until=erasure.cut))
        return facts or rows or letters

    def _remove_facts(self, erasure: Erasure) -> bool:
        removed = False
        for batch in self._batches_of.get(erasure.key[1], ()):
            facts = batch.facts
            places = [
                place
                for place in batch.places(erasure.key)
                if facts.at[place] <= erasure.cut and facts.type[place] != _ERASED
            ]
            if places:
                batch.remove(places)
                removed = True
        return removed

    def _remove_rows(self, below: Mapping[Key, int | None]) -> bool:
        """Remove the rows of these conversations below these versions, all of them where that is None."""
        self._sort_rows()
        gone = []
        for (assistant, day, conversation_id), row in self._rows.items():
            version = below.get((assistant, conversation_id), 0)
            if version is None or row[_VERSION] < version:
                gone.append((assistant, day, conversation_id))
        for sort_key in gone:
            del self._rows[sort_key]
        return bool(gone)

    def _remove_letters(self, gone: Callable[[DeadLetter], bool]) -> bool:
        before = len(self._letters)
        self._letters = {identity: letter for identity, letter in self._letters.items() if not gone(letter)}
        return len(self._letters) < before


def _belongs(key: Key, letter: DeadLetter, until: int | None = None) -> bool:
    return (letter.assistant, letter.conversation_id) == key and (until is None or letter.recorded_at <= until)


def _changed_at(letter: DeadLetter) -> int:
    return max(letter.failed_at, letter.requeued_at or letter.failed_at)


def _stored(row: _Row) -> StoredRow:
    return StoredRow((row[_PLACES["assistant"]], row[_PLACES["conversation_id"]]), *_STORED(row))


def _closed(row: _Row, now: int) -> _Row:
    said = {
        "closed": True,
        "close_reason": "idle",
        "ended_at": row[_PLACES["last_activity_at"]],
        "duration_ms": row[_PLACES["last_activity_at"]] - row[_PLACES["started_at"]],
        "version": row[_VERSION] + 1,
        "updated_at": now,
    }
    return tuple(said.get(name, value) for name, value in zip(COLUMNS, row, strict=True))


def _as_dictionary(row: Iterable[Any]) -> dict[str, Any]:
    values = dict(zip(COLUMNS, row, strict=True))
    values["attributes"] = dict(values["attributes"] or ())
    values["fallback_causes"] = list(values["fallback_causes"] or ())
    return values
