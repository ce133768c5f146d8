"""Folds lines into rows with the real fold, projection and loading, without Kafka and without a store."""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from xxhash import xxh3_128_digest

from processors.conversation import Conversation, Erased, Fact, Reload, pair_of
from processors.effects import Effects
from processors.projection import project
from schemas.conversation import PROCESSING_COLUMNS, RowColumns
from schemas.facts import Key
from schemas.rules import Rules
from schemas.wire import decode

RULES = Rules.load(None)
PLAIN_RULES = tomllib.loads(RULES.describe())
"""The same rules as the oracle reads them."""

_effects: dict[str, Effects] = {}


def effects_of(assistant: str) -> Effects:
    if assistant not in _effects:
        _effects[assistant] = Effects(RULES.of(assistant))
    return _effects[assistant]


def fact(line: bytes) -> Fact:
    event, at = decode(line)
    digest = xxh3_128_digest(line)
    return Fact(effects_of(event.assistant).of(event, at), digest, pair_of(event.id, digest))


def whole(facts: Sequence[Fact], key: Key = ("shop", "c-1")) -> Conversation:
    """Fold a set of facts of one conversation at once."""
    return Conversation.of(key, 0, effects_of(key[0]), facts)


def one_by_one(
    facts: Iterable[Fact], *, settle_every: int = 0, evicted_after: int = -1, packed_after: int = -1
) -> Conversation:
    """Fold facts as a worker does that has the conversation in memory, reading it as a whole when it has to.

    `settle_every`: so often a flush looks at it; `evicted_after`: so many facts are read back as a set at that point;
    `packed_after`: there a flush has ended, and it was packed and unpacked.
    """
    seen: list[Fact] = []
    conversation: Conversation | None = None
    for number, one in enumerate(facts):
        seen.append(one)
        if conversation is None or number == evicted_after:
            conversation = whole(seen)
            continue
        if number == packed_after:
            conversation.settle()
            conversation = Conversation.unpack(conversation.key, conversation.pack(), conversation.effects)
        try:
            conversation.add(one.effect, one.pair)
        except Reload:
            conversation = whole(seen)
        except Erased:
            continue
        if settle_every and number % settle_every == 0:
            conversation.settle()
    assert conversation is not None
    return conversation


def rows_of(conversations: Iterable[Conversation], clock: int | None = None) -> list[dict[str, Any]]:
    """Project conversations to rows, in the form of the oracle; hidden rows left out."""
    clocks = {} if clock is None else {0: clock}
    return live(project(conversations, clocks, RULES.revision, 0).rows)


def live(rows: RowColumns) -> list[dict[str, Any]]:
    """Give rows that are not deleted as the oracle gives them."""
    names = list(rows.columns)
    found = []
    for cells in zip(*rows.columns.values(), strict=True):
        row: dict[str, Any] = dict(zip(names, cells, strict=True))
        if not row["is_deleted"]:
            found.append(plain(row))
    return found


def plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """Bring a row to the form that is compared: attributes a dict, causes a list of tuples, day a number."""
    return {
        **{name: value for name, value in row.items() if name not in PROCESSING_COLUMNS},
        "attributes": dict(row["attributes"] or ()),
        "fallback_causes": [tuple(one) for one in row["fallback_causes"] or ()],
    }


def expected(row: Mapping[str, Any]) -> dict[str, Any] | None:
    """Bring a row of the oracle to the same form; None for a blank one."""
    if row["is_deleted"]:
        return None
    opened_on = (row["opened_on"] - date(1970, 1, 1)).days
    return {**row, "opened_on": opened_on, "fallback_causes": [tuple(one) for one in row["fallback_causes"]]}
