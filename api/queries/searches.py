"""Searches divided into stretches of days, so that their answers can be kept.

What is said now may be said in a conversation of any month. So each stretch seeks among the messages of its own months,
and knows by their keys the conversations of its days in which it was said later. These are found from the other side:
the keys that were found in a month and have no row in it, which are few. They are kept like everything else.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import chain
from typing import Final

from api.queries.asking import Queries
from api.queries.conditions import TABLE, Parts, Said
from api.queries.months import Month, Stretch, asked, at_once, months, months_of, stretches

MAX_ELSEWHERE: Final = 500
"""With more conversations that are not in the month of what was said, the search is not divided: they are bound, and of
bound values a server takes 128 KiB each."""

_DAY: Final = timedelta(days=1)
_LAST: Final = date(2149, 6, 6)
"""The last that ClickHouse's Date can say."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The months that a selection can have rows of, the oldest first; `facts`: those of `events`, for a search."""

    months: list[Month]
    facts: list[Month]

    def is_as(self, other: "Standing") -> bool:
        """Whether nothing changed, wherever it stands."""
        return [one.said for one in (*self.months, *self.facts)] == [one.said for one in (*other.months, *other.facts)]


async def standing(queries: Queries, parts: Parts) -> Standing:
    """Say how the months stand. What was said is looked at first, for rows come after their facts."""
    facts = await months(queries, "events") if parts.search is not None else []
    return Standing(months_of(parts, await months(queries)), facts)


async def divided(queries: Queries, parts: Parts, those: Standing | None = None) -> list[Stretch]:
    """Divide the days of a selection as `stretches` does, that of a search too.

    One that ends in the past is not divided, for what is said later counts in it as well.
    """
    those = those or await standing(queries, parts)
    found = stretches(parts, those.months)
    if parts.search is None or not any(one.months for one in found):
        return found
    if parts.span[1] is not None:
        return [at_once(parts)]
    periods = _periods(those, found)
    later = await asked(queries, [one.stretch(parts) for one in periods[1:]], _unplaced, {})
    keys = sorted({(which, id_) for which, id_ in chain.from_iterable(later)})
    if len(keys) > MAX_ELSEWHERE:
        return [at_once(parts)]
    places = await queries.rows(_PLACES, {"keys": keys, "ids": [id_ for _, id_ in keys]}) if keys else []
    return [period.narrowed(one, places) for period in periods for one in found if period.has(one)]


_PLACES: Final = f"""
    SELECT c.opened_on, c.assistant, c.conversation_id FROM {TABLE}
    WHERE c.conversation_id IN {{ids:Array(String)}}
        AND (c.assistant, c.conversation_id) IN {{keys:Array(Tuple(String, String))}}
"""


@dataclass(frozen=True, slots=True)
class _Period:
    """Whole months, to the end of all time where `end`, the first day not in it, is None; and how they stand."""

    first: date
    end: date | None
    months: tuple[Month, ...]
    facts: tuple[Month, ...]

    def has(self, one: Stretch) -> bool:
        """Whether a stretch is of these months."""
        return self.first <= one.first and (self.end is None or one.first < self.end)

    def stretch(self, parts: Parts) -> Stretch:
        """Give all of its days, for what is searched for and no other filter."""
        last = _LAST if self.end is None else self.end - _DAY
        bound = {name: value for name, value in parts.parameters.items() if name == "only" or name.startswith("q_")}
        whole = Parts(parameters=bound, search=parts.search, days=(self.first, last), said=Said(self.first, self.end))
        return Stretch(self.first, last, self.months, whole, self.facts)

    def narrowed(self, one: Stretch, places: Sequence[tuple[date, str, str]]) -> Stretch:
        """Have a stretch seek in these months only. `places`: days and keys of those that were said elsewhere."""
        said = Said(
            self.first,
            self.end,
            tuple(sorted((which, id_) for day, which, id_ in places if one.first <= day <= one.last)),
        )
        return replace(one, parts=replace(one.parts, said=said), facts=self.facts if one.months else ())


def _periods(those: Standing, found: Sequence[Stretch]) -> list[_Period]:
    """Divide all time from then on by the months that the stretches begin in; no message is older than its row."""
    firsts = sorted({one.first.replace(day=1) for one in found})
    return [
        _Period(
            first,
            end,
            *(
                tuple(month for month in table if first <= month.first and (end is None or month.first < end))
                for table in (those.months, those.facts)
            ),
        )
        for first, end in zip(firsts, [*firsts[1:], None], strict=True)
    ]


def _unplaced(parts: Parts) -> str:
    """Write the query: the keys of what was said in these days that have no row in them."""
    assert parts.search is not None
    assert parts.said is not None
    found = f"FROM events AS e WHERE {parts.search} AND {parts.said.sql}"
    return f"""
        SELECT DISTINCT e.assistant, e.conversation_id {found}
            AND (e.assistant, e.conversation_id) NOT IN (
                SELECT c.assistant, c.conversation_id FROM {TABLE}
                WHERE {parts.dated} AND c.conversation_id IN (SELECT e.conversation_id {found})
            )
        LIMIT {MAX_ELSEWHERE + 1}
    """
