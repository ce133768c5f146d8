"""Conversations that are not in memory: looked up in bulk, once per flush, facts first, then rows under their days."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from processors.conversation import DAY, NEVER, Conversation, Fact, pair_of
from processors.effects import ERASED, Effects
from schemas.conversation import Version
from schemas.facts import Key, StoredFact
from schemas.failures import Invalid
from schemas.partitioning import home_partitions
from schemas.store import Erasure, Frontier, Reader, StoredRow
from schemas.wire import decode


@dataclass(slots=True)
class Found:
    """What the store knows of some conversations."""

    facts: dict[Key, list[Fact]] = field(default_factory=dict)
    rows: dict[Key, StoredRow] = field(default_factory=dict)
    behind: dict[tuple[str, int], int] = field(default_factory=dict)
    unreadable: int = 0


def read(reader: Reader, keys: Collection[Key], required: Frontier, effects_of: Callable[[str], Effects]) -> Found:
    """Look conversations up; blocks.

    `behind`: how far the answer knows topics to be stored, of those where that is less than required. Rows are looked
    for under the days of the facts found, where alone they can stand.
    """
    found = Found()
    facts, frontier = reader.look_up(keys)
    gather(found, facts, effects_of)
    found.behind = {place: known for place, offset in required.items() if (known := frontier.get(place, 0)) < offset}
    days = {fact.effect[0] // DAY for facts in found.facts.values() for fact in facts}
    found.rows = reader.read_rows(list(found.facts), days)
    return found


def unwhole(found: Found, keys: Sequence[Key], partitions: int) -> list[Key]:
    """Give those of the conversations whose facts come from an old state, as far as their partitions or rows tell."""
    old = {partition for _, partition in found.behind}
    if old:
        homes = home_partitions([conversation for _, conversation in keys], partitions)
        return [key for key, home in zip(keys, homes, strict=True) if home in old or is_stale(found, key)]
    return [key for key in keys if is_stale(found, key)]


def is_stale(found: Found, key: Key) -> bool:
    """Whether the row of a conversation says more than its facts, so that they are not all there are."""
    row = found.rows.get(key)
    if row is None:
        return False
    erasures, counting = counts(found.facts.get(key, ()))
    return Version.facts(row.version) > (min(erasures, 255), counting)


def gather(found: Found, stored: Sequence[StoredFact], effects_of: Callable[[str], Effects]) -> None:
    """Add stored facts to what is found, read."""
    for one in stored:
        try:
            event, at = decode(one.payload)
        except Invalid:
            found.unreadable += 1
            continue
        fact = Fact(effects_of(one.key[0]).of(event, at), one.digest, pair_of(event.id, one.digest))
        found.facts.setdefault(one.key, []).append(fact)


def counts(facts: Sequence[Fact]) -> tuple[int, int]:
    """Give (erasures, facts since the last erasure) of a set of facts, as the version counts them."""
    erasures = {(fact.effect[2], fact.digest) for fact in facts if fact.effect[3] == ERASED}
    cut = max((fact.effect[0] for fact in facts if fact.effect[3] == ERASED), default=NEVER)
    return len(erasures), len(
        {(fact.effect[2], fact.digest) for fact in facts if fact.effect[3] != ERASED and fact.effect[0] > cut}
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
        if one.erasures and any(fact.effect[0] <= one.cut for fact in pending.get(one.key, ()))
    ]
