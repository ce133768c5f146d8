"""Rebuilding and checking: all facts folded again, compared with the rows that stand, or written over them.

Rows are a function of facts, so a rebuild needs nothing but the facts and the rules; a stored idle close stands, as in
the worker. Facts and rows are both read in the order of their keys, side by side, so memory does not grow with them.
Works beside running workers: a row made from fewer facts never wins.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from processors.conversation import FOLD_REVISION, Conversation
from processors.effects import Effects
from processors.loading import Found, fold, gather
from processors.projection import project
from schemas.conversation import Version
from schemas.facts import Key
from schemas.rules import Rules
from schemas.store import Reader, StoredRow, Writer

_CHUNK: Final = 2_000


@dataclass(slots=True)
class Drift:
    """How rows and facts disagree.

    `missing`: a conversation without a row. `behind`: a row made from fewer facts. `ahead`: from more than there are.
    `older`: under older rules or an older fold, which is not wrong. `doubled`: two rows stand under different days.
    `orphaned`: a row without any fact.
    """

    conversations: int = 0
    unreadable: int = 0
    missing: list[Key] = field(default_factory=list)
    behind: list[Key] = field(default_factory=list)
    ahead: list[Key] = field(default_factory=list)
    older: list[Key] = field(default_factory=list)
    doubled: list[Key] = field(default_factory=list)
    orphaned: list[Key] = field(default_factory=list)
    written: int = 0

    def __bool__(self) -> bool:
        return bool(self.missing or self.behind or self.ahead or self.older or self.doubled or self.orphaned)

    @property
    def wrong(self) -> bool:
        """Whether any row says what its facts do not say; older rules alone are not wrong."""
        return bool(self.missing or self.behind or self.ahead or self.doubled or self.orphaned)


class _Standing:
    """The rows that stand, walked in the order of their keys."""

    def __init__(self, rows: Iterator[StoredRow], found: Drift) -> None:
        self._rows = rows
        self._found = found
        self._next = next(rows, None)

    def of(self, key: Key) -> list[StoredRow]:
        """Give the rows of a key that is greater than the one before; rows passed over have no facts."""
        self.pass_over(key)
        rows = []
        while self._next is not None and self._next.key == key:
            rows.append(self._next)
            self._next = next(self._rows, None)
        return rows

    def pass_over(self, key: Key | None) -> None:
        """Note the rows below a key, or all that are left, as orphaned."""
        while self._next is not None and (key is None or self._next.key < key):
            self._found.orphaned.append(self._next.key)
            self._next = next(self._rows, None)


def drift(reader: Reader, rules: Rules, progress: Callable[[int], None] = lambda _count: None) -> Drift:
    """Compare every row with the facts of its conversation; blocks. `progress` is told how many more were compared."""
    found = Drift()
    for chunk in _compared(reader, rules, found):
        progress(len(chunk))
    return found


def rebuild(
    reader: Reader,
    writer: Writer,
    rules: Rules,
    *,
    drifted: bool,
    now: int,
    progress: Callable[[int], None] = lambda _count: None,
) -> Drift:
    """Fold all facts again and write every row, or with `drifted` only those that disagree; blocks.

    A row that no greater version can replace (ahead, doubled, orphaned) is deleted first. Gives what was found.
    """
    found = Drift()
    for chunk in _compared(reader, rules, found):
        undone = {one.key for one, fault in chunk if fault in ("ahead", "doubled")}
        if undone:
            writer.delete_rows(undone)
        projection = project([one for one, fault in chunk if fault or not drifted], {}, rules.revision, now)
        if len(projection.rows):
            writer.insert_rows(projection.rows)
        found.written += projection.count
        progress(len(chunk))
    if found.orphaned:
        writer.delete_rows(found.orphaned)
    return found


def _compared(reader: Reader, rules: Rules, found: Drift) -> Iterator[list[tuple[Conversation, str]]]:
    """Fold all conversations, some at a time, each with what is wrong with its row, '' when nothing is."""
    standing = _Standing(reader.scan_rows(), found)
    made: dict[str, Effects] = {}

    def effects_of(assistant: str) -> Effects:
        if assistant not in made:
            made[assistant] = Effects(rules.of(assistant))
        return made[assistant]

    def compared(facts: Found) -> list[tuple[Conversation, str]]:
        found.unreadable += facts.unreadable
        conversations = {one.key: one for one in fold(facts, {}, list(facts.facts), 1, effects_of)}
        found.conversations += len(conversations)
        rows = {key: standing.of(key) for key in conversations}
        # A worker may have stored more since the facts were read; whatever a row says is in the facts read after it.
        if newer := [key for key, one in conversations.items() if _says_more(rows[key], one)]:
            again = Found()
            gather(again, reader.read_facts(newer), effects_of)
            conversations |= {one.key: one for one in fold(again, {}, list(again.facts), 1, effects_of)}
        return [(one, _fault(found, one, rows[key], rules.revision)) for key, one in conversations.items()]

    facts = Found()
    for stored in reader.scan_facts():
        gather(facts, stored, effects_of)
        if len(facts.facts) >= _CHUNK:
            yield compared(facts)
            facts = Found()
    if facts.facts:
        yield compared(facts)
    standing.pass_over(None)
    if found.orphaned:
        begun = {fact.key for fact in reader.read_facts(found.orphaned)}
        found.orphaned = [key for key in found.orphaned if key not in begun]


def _says_more(rows: list[StoredRow], one: Conversation) -> bool:
    return any(Version.facts(row.version) > (min(one.erasures, 255), one.facts) for row in rows)


def _fault(found: Drift, one: Conversation, rows: list[StoredRow], revision: int) -> str:
    """Name what is wrong with the row of a conversation, and tell the conversation what stands."""
    one.settle()
    if not rows:
        if one.exists:
            found.missing.append(one.key)
            return "missing"
        return ""
    row = max(rows, key=lambda row: row.version)
    one.stored_day = row.opened_on
    if row.closed and row.close_reason == "idle":
        one.idle_until = row.closes_at
    says, is_true = Version.facts(row.version), (min(one.erasures, 255), one.facts)
    faults = (
        ("doubled", len(rows) > 1),
        ("ahead", not one.exists or says > is_true),
        ("behind", says < is_true),
        ("older", Version.revisions(row.version) < (FOLD_REVISION, revision)),
    )
    fault = next((name for name, holds in faults if holds), "")
    if fault:
        getattr(found, fault).append(one.key)
    return fault
