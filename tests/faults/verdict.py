"""The verdict: what stands in ClickHouse, compared whole with what the oracle gives."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

import xxhash
from clickhouse_connect.driver.client import Client

from sinks.connection import Database
from sinks.live_rows import live_rows
from tests.e2e.rows import Rows, as_compared, wrong_cells

FIRST = 10
"""So many of each kind are shown."""


@dataclass
class Verdict:
    """What is wrong, in words, by kind; good when all of it is empty.

    `lost`: conversations, facts and dead letters that are not there. `doubled`: what counts twice, or should not be
    there at all. `mismatched`: rows with another content.
    """

    rows: int = 0
    facts: int = 0
    letters: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    mismatched: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.lost or self.doubled or self.mismatched)

    def __str__(self) -> str:
        counted = f"{self.rows:,} rows, {self.facts:,} facts, {self.letters:,} dead letters: "
        counted += f"{len(self.lost)} lost, {len(self.doubled)} twice, {len(self.mismatched)} mismatched"
        shown = [
            f"  {kind}: {one}"
            for kind, ones in (("lost", self.lost), ("twice", self.doubled), ("mismatched", self.mismatched))
            for one in ones[:FIRST]
        ]
        return "\n".join([counted, *shown])

    def compare_rows(self, found: Iterable[dict[str, Any]], wanted: Rows) -> None:
        """Hold the live rows of the table against the oracle's."""
        met: Rows = {}
        for row in found:
            key = row["assistant"], row["conversation_id"]
            if key in met:
                self.doubled.append(f"{key} has two live rows")
            elif key not in wanted:
                self.doubled.append(f"{key} has a row and should have none")
            elif wrong := wrong_cells(as_compared(row), wanted[key]):
                self.mismatched.append(f"{key}, (is, should be): {wrong}")
            met[key] = row
        self.rows = len(met)
        self.lost += [f"the row of {key}" for key in sorted(wanted.keys() - met.keys())]

    def compare_facts(self, found: Collection[bytes], payloads: Iterable[bytes]) -> None:
        """Hold the digests of the stored facts, each as often as it is there, against the payloads that count."""
        wanted = {xxhash.xxh3_128_digest(one): one for one in payloads}
        stored = set(found)
        self.facts = len(stored)
        self.lost += [f"the fact {wanted[one][:200]!r}" for one in wanted.keys() - stored]
        self.doubled += [f"a fact with digest {one.hex()} that nobody produced" for one in stored - wanted.keys()]
        if len(found) != len(stored):
            self.doubled.append(f"{len(found) - len(stored)} facts stand twice under FINAL")

    def compare_letters(self, found: Collection[bytes], values: Iterable[bytes]) -> None:
        """Hold the values of the dead letters against those that should be there, each once."""
        wanted, stored = set(values), set(found)
        self.letters = len(found)
        self.lost += [f"the dead letter {one[:200]!r}" for one in wanted - stored]
        self.doubled += [f"a dead letter {one[:200]!r} that should not be" for one in stored - wanted]
        if len(found) != len(stored):
            self.doubled.append(f"{len(found) - len(stored)} dead letters stand twice under FINAL")


def judge(database: Database, wanted: Rows, facts: Iterable[bytes], letters: Iterable[bytes] = ()) -> Verdict:
    """Compare all tables; blocks. `letters`: the values of the dead letters that are open."""
    verdict = Verdict()
    client = database.client()
    try:
        verdict.compare_rows(live_rows(client), wanted)
        verdict.compare_facts(_column(client, "SELECT hex(digest) FROM events FINAL"), facts)
        open_letters = "SELECT hex(value) FROM dead_letters FINAL WHERE requeued_at IS NULL"
        verdict.compare_letters(_column(client, open_letters), letters)
    finally:
        client.close()
    return verdict


def _column(client: Client, query: str) -> list[bytes]:
    (column,) = client.query_arrow(query).columns
    return [bytes.fromhex(one) for one in column.to_pylist()]
