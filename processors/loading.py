"""Conversations that are not in memory: looked up in bulk, once per flush, facts first, then rows under their days."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from processors.conversation import DAY, NEVER, Conversation, Fact, pair_of
from processors.effects import ERASED, Effects
from schemas.conversation import Version
from schemas.facts import Key, StoredFact
from schemas.failures import Invalid
from schemas.partitioning import home_partitions
from schemas.store import Erasure, Reader, StoredRow
from schemas.wire import decode


@dataclass(slots=True)
class Found:
    """What the store knows of some conversations."""

    facts: dict[Key, list[Fact]] = field(default_factory=dict)
    rows: dict[Key, StoredRow] = field(default_factory=dict)
    stale: list[Key] = field(default_factory=list)
    unreadable: int = 0


def read(reader: Reader, keys: Collection[Key], pending: Mapping[Key, Sequence[Fact]]) -> Found:
    """Look conversations up; blocks. `stale`: those whose row says more than the facts found.

    Rows are looked for under the days of the facts found, where alone they can stand, and of those pending: an answer
    from before the first fact of a conversation looks as if it were a new one, and its row mostly stands there.
    """
    found = Found()
    gather(found, reader.read_facts(keys))
    days = {fact.at // DAY for facts in found.facts.values() for fact in facts}
    days |= {fact.at // DAY for key in keys for fact in pending[key]}
    found.rows = reader.read_rows(keys, days)
    found.stale = [key for key, row in found.rows.items() if is_stale(row, found.facts.get(key, ()))]
    return found


def is_stale(row: StoredRow, facts: Sequence[Fact]) -> bool:
    """Whether a row says more than these facts, so that they are not all there are."""
    erasures, counting = counts(facts)
    return Version.facts(row.version) > (min(erasures, 255), counting)


def gather(found: Found, stored: Sequence[StoredFact]) -> None:
    """Add stored facts to what is found, read."""
    for one in stored:
        try:
            event, at = decode(one.payload)
        except Invalid:
            found.unreadable += 1
            continue
        found.facts.setdefault(one.key, []).append(Fact(event, at, one.digest, pair_of(event.id, one.digest)))


def counts(facts: Sequence[Fact]) -> tuple[int, int]:
    """Give (erasures, facts since the last erasure) of a set of facts, as the version counts them."""
    erasures = {(fact.event.id, fact.digest) for fact in facts if fact.event.kind == ERASED}
    cut = max((fact.at for fact in facts if fact.event.kind == ERASED), default=NEVER)
    return len(erasures), len(
        {(fact.event.id, fact.digest) for fact in facts if fact.event.kind != ERASED and fact.at > cut}
    )


def fold(
    found: Found,
    pending: Mapping[Key, Sequence[Fact]],
    keys: Sequence[Key],
    partitions: int,
    effects_of: Callable[[str], Effects],
) -> list[Conversation]:
    """Make the conversations from what is stored and what is pending."""
    homes = home_partitions([conversation for _, conversation in keys], partitions)
    made = []
    for key, home in zip(keys, homes, strict=True):
        facts = [*found.facts.get(key, ()), *pending.get(key, ())]
        conversation = Conversation.of(key, home, effects_of(key[0]), facts)
        row = found.rows.get(key)
        if row is not None:
            conversation.stored_day = row.opened_on
            if row.closed and row.close_reason == "idle":
                conversation.idle_until = row.closes_at
        made.append(conversation)
    return made


def erasures_due(conversations: Sequence[Conversation], pending: Mapping[Key, Sequence[Fact]]) -> list[Erasure]:
    """Give what has to be deleted: where a pending fact is an erasure, or lies at or before the cut."""
    return [
        Erasure(one.key, one.cut, min(one.erasures, 255) << Version.ERASURE_SHIFT)
        for one in conversations
        if one.erasures and any(fact.at <= one.cut for fact in pending.get(one.key, ()))
    ]
