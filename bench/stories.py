"""What must come out: the totals of the input, known from its stories and not from any contender.

`Bulk` tells a few thousand stories again and again, so the oracle of the tests, which shares no code with the fold,
reads each story once, and its answer counts as often as the story is told.
"""

import tomllib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from typing import cast

import msgspec

from bench.totals import Totals
from runtime.simulator import Bulk, is_label
from schemas.rules import Rules
from tests import oracle


class Stories:
    """The totals of each story of a `Bulk`, and from them those of any of its conversations."""

    def __init__(self, bulk: Bulk) -> None:
        once = replace(bulk, conversations=len(bulk._stories))
        told: dict[int, set[bytes]] = defaultdict(set)
        for name, payload in once:
            told[number_of(name)].add(payload)
        rules = oracle.Rules.of(tomllib.loads(Rules.load(None).describe()), bulk.assistant)
        self._whole = [_totals(bulk.assistant, told[number], rules) for number in range(len(told))]
        self._labels = [sum(map(is_label, told[number])) for number in range(len(told))]

    def totals(self, conversations: int, *, labels: bool = True) -> Totals:
        """Give the totals of the first so many conversations, by their numbers, with or without their labels."""
        told = [self._story(number, labels=labels) for number in range(min(conversations, len(self._whole)))]
        often, rest = divmod(conversations, len(self._whole))
        once, more = _sum(told), _sum(told[:rest])
        return more if not often else more + Totals(**{k: often * v for k, v in msgspec.structs.asdict(once).items()})

    def _story(self, number: int, *, labels: bool) -> Totals:
        whole = self._whole[number]
        return whole if labels else msgspec.structs.replace(whole, events=whole.events - self._labels[number])


def number_of(name: bytes) -> int:
    """Give the number of a conversation of a `Bulk`, which stands at the end of its id."""
    return int(name.rpartition(b"-")[2])


def _totals(assistant: str, payloads: set[bytes], rules: oracle.Rules) -> Totals:
    row = oracle.conversation_row(assistant, "", payloads, rules, None, 1)
    assert row is not None, "a story without a conversation"
    counts = {name: cast("int", row[name]) for name in ("messages", "fallbacks", "queries")}
    return Totals(events=len(payloads), conversations=1, **counts)


def _sum(totals: Iterable[Totals]) -> Totals:
    return sum(totals, start=Totals())
