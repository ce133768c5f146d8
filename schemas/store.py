"""What a store of facts and rows can do: the Protocols that the worker is given and `sinks` implements.

All methods block and are called from threads; none is called by two threads at once on one object. They raise
Unavailable when the store cannot be reached or answered (retry, acknowledge nothing) and Refused when it will never
take what it was given (bisect to the record at fault).
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from schemas.conversation import RowColumns
from schemas.dead_letters import DeadLetter
from schemas.facts import Facts, Key, StoredFact
from schemas.failures import Reason

Frontier = Mapping[tuple[str, int], int]
"""By topic and partition the offset below which every record is stored, as fact or dead letter, or given up as lost."""


@dataclass(frozen=True, slots=True)
class StoredRow:
    """What the worker needs of a row that stands in the table. `opened_on`: days since 1970-01-01; times epoch ms."""

    key: Key
    opened_on: int
    version: int
    closed: bool
    close_reason: str
    closes_at: int


@dataclass(frozen=True, slots=True)
class Erasure:
    """What an erasure deletes: facts at or before `cut` (epoch ms) except erasures, the conversation's dead letters,
    rows below `version`, the version of the blank row."""  # noqa: D205, D209

    key: Key
    cut: int
    version: int


class Writer(Protocol):
    """Appends facts, rows and dead letters. Every call is idempotent: the same input twice is the same store."""

    def facts(self) -> Facts:
        """Give no facts yet, in the form in which this store takes them fastest."""

    def insert_facts(self, facts: Facts) -> None:
        """Append facts; returns when they are stored."""

    def insert_rows(self, rows: RowColumns) -> None:
        """Append rows in one insert; the greatest version of (assistant, opened_on, conversation_id) counts."""

    def insert_dead_letters(self, letters: Sequence[DeadLetter]) -> None:
        """Append dead letters; the newest of (topic, digest) counts, by the greater of failed_at and requeued_at."""

    def insert_frontier(self, frontier: Frontier) -> None:
        """Note how far topics are stored; the greatest offset of a partition counts."""

    def close_idle(self, clocks: Mapping[int, int], partitions: int) -> int:
        """Close rows that are open and whose closes_at is not later than the clock of their home partition.

        `clocks`: epoch ms by home partition (murmur2 of the conversation id mod `partitions`), those of this worker
        only. One statement over stored rows; closed idle, version + 1. Gives how many.
        """

    def erase(self, erasures: Sequence[Erasure]) -> None:
        """Delete what these erasures delete; returns when it is gone."""

    def sweep(self) -> int:
        """Erase again what a slow writer brought back at or before the cut of any conversation; gives how many."""

    def delete_rows(self, keys: Collection[Key]) -> None:
        """Delete every stored row of these conversations, whatever its version."""


class Reader(Protocol):
    """Reads facts, rows and dead letters back."""

    def read_facts(self, keys: Collection[Key]) -> list[StoredFact]:
        """Give all facts of these conversations, in any order, possibly with copies of the same fact."""

    def look_up(self, keys: Collection[Key]) -> tuple[list[StoredFact], Frontier]:
        """Give the same as `read_facts`, and how far the state that answers knows the topics to be stored.

        Both come in one answer. A partition of which nothing was ever noted is absent.
        """

    def read_rows(self, keys: Collection[Key], days: Collection[int]) -> dict[Key, StoredRow]:
        """Give the row of each of these conversations that stands under one of these days and is not deleted."""

    def scan_facts(self) -> Iterator[list[StoredFact]]:
        """Give all facts, whole conversations a list, ordered by key."""

    def scan_rows(self) -> Iterator[StoredRow]:
        """Give all rows that are not deleted, ordered by key; two live rows of one key are both given."""

    def dead_letters(self, reason: Reason | None = None, *, requeued: bool = False) -> Iterator[DeadLetter]:
        """Give dead letters, oldest first: the open ones, or with `requeued` all."""
