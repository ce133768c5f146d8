"""Lists of conversations, and the counts beside them."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import chain
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from api.queries.asking import Queries
from api.queries.conditions import FLAGS, SECTIONS, TABLE, VALUES, Parts, taken_apart
from api.queries.months import Stretch, asked
from api.queries.searches import divided
from api.queries.selection import MAX_VALUES, Section, Selection
from api.queries.sorting import Cursor, Direction, Sort
from schemas.conversation import COLUMNS, ConversationRow
from schemas.facts import Key

_DAY: Final = timedelta(days=1)

FACET_VALUES: Final = 50
"""So many of the most frequent values of a facet are given, beside those that are chosen."""

NEAR_ROWS: Final = 50_000
"""Among about so many rows around the cursor, or before now, a page is sought before more of the table is read."""

NEAR_DAYS: Final = 366
"""So many days are near at most: by the one row of a month to come it would be before all time."""

STRETCH_VALUES: Final = 2_000
"""So many values of a facet are added up over the months; where there are more, the whole is asked at once."""

ROW: Final = ", ".join(f"c.{name} AS {name}" for name in COLUMNS)
"""Every column of `conversations AS c`, for `row_of`."""


class Page(BaseModel):
    """Rows `first` to `first + len(items) - 1` of `total`; `next` and `previous` are cursors, None at the ends."""

    items: list[ConversationRow]
    next: str | None
    previous: str | None
    total: int
    first: int


class FacetValue(BaseModel):
    """One value of a column, and how many conversations choosing it would show."""

    model_config = ConfigDict(frozen=True)

    value: str = Field(description="the value; '' where the column is empty; true or false of a flag")
    count: int = Field(description="how many conversations a list with this value alone in its filter would hold")


class Counts(BaseModel):
    """What stands around a list, all of one query, so that it agrees.

    `sections`: what each tab would show; `total`: what the list holds; `open`: what `state=open` would show; `facets`:
    by filter (assistant, language, topic, subtopic, assigned_to, channel, device, location, rated, claimed, escalated)
    what each of its values would show, the most frequent first. What "would show" means: this filter of the selection
    is left out, and all the others are kept.
    """

    sections: dict[Section, int]
    total: int
    open: int
    facets: dict[str, list[FacetValue]]


class Neighbours(BaseModel):
    """The rows around one in a list; `position` counts from 1, `total` is the list's length."""

    previous: Key | None
    next: Key | None
    position: int
    total: int


async def list_page(
    queries: Queries,
    selection: Selection,
    sort: Sort,
    cursor: str | None,
    limit: int,
    assistant: str | None,
    now: datetime,
) -> Page:
    """Give one page and how long the list is; a broken cursor raises Problem 400."""
    place = None if cursor is None else Cursor.parse(cursor, sort)
    parts = taken_apart(selection, assistant, now)
    those = await divided(queries, parts)
    stretch, total = await asyncio.gather(
        _stretch(queries, parts, those, sort, place, limit), _total(queries, those, "count()")
    )
    return stretch.page(total[0])


async def overview(
    queries: Queries,
    selection: Selection,
    sort: Sort,
    cursor: str | None,
    limit: int,
    assistant: str | None,
    now: datetime,
) -> tuple[Page, Counts]:
    """Give a page and its counts, asked side by side; the page's total is that of the counts."""
    place = None if cursor is None else Cursor.parse(cursor, sort)
    parts = taken_apart(selection, assistant, now)
    those = await divided(queries, parts)
    stretch, counted = await asyncio.gather(
        _stretch(queries, parts, those, sort, place, limit), _counts(queries, parts, those)
    )
    return stretch.page(counted.total), counted


async def counts(queries: Queries, selection: Selection, assistant: str | None, now: datetime) -> Counts:
    """Count sections, total, open and facets in one query, which reads the table once, or what is not known yet."""
    parts = taken_apart(selection, assistant, now)
    return await _counts(queries, parts, await divided(queries, parts))


async def _counts(queries: Queries, parts: Parts, those: Sequence[Stretch]) -> Counts:
    chosen = {f"chosen_{name}": parts.parameters.get(name, []) for name in VALUES}
    if len(those) > 1:
        answers = await asked(queries, those, lambda one: _counting(one, STRETCH_VALUES), chosen)
        if not any(_is_cut(answer) for answer in answers):
            return _counted(parts, chain.from_iterable(answers))
    return _counted(parts, await queries.rows(_counting(parts, FACET_VALUES + MAX_VALUES), {**parts.bound, **chosen}))


def _is_cut(answer: Iterable[tuple[str, str, int, list[int]]]) -> bool:
    """Whether a facet may have more values than were given."""
    return max(Counter(facet for facet, *_ in answer if facet).values(), default=0) >= STRETCH_VALUES


async def neighbours(
    queries: Queries,
    selection: Selection,
    sort: Sort,
    row: ConversationRow,
    assistant: str | None,
    now: datetime,
) -> Neighbours:
    """Give the keys before and behind a row in a list; the row itself need not be in it any more."""
    parts = taken_apart(selection, assistant, now)
    before, after = (Cursor.at(row, sort, direction) for direction in (Direction.BEFORE, Direction.AFTER))
    those = await divided(queries, parts)
    previous, following, (total,), passed = await asyncio.gather(
        _seek(queries, parts, those, sort, before, 1),
        _seek(queries, parts, those, sort, after, 1),
        _total(queries, those, "count()"),
        _passed(queries, those, sort, before),
    )
    return Neighbours(
        previous=_key(previous[0]) if previous else None,
        next=_key(following[0]) if following else None,
        position=passed + 1,
        total=total,
    )


@dataclass(frozen=True, slots=True)
class _Stretch:
    """The rows of a page, in the list's order, and what is known of the list around them.

    `place`: where it was asked for, None at the beginning; `more`: whether rows follow, in the direction it was read.
    """

    sort: Sort
    place: Cursor | None
    rows: list[ConversationRow]
    more: bool

    def page(self, total: int) -> Page:
        """Make the page of it, when the list is so long: with the numbers of its rows, and cursors that carry them.

        The numbers are those of the pages before, so they are brought in line with what the list is now.
        """
        count = len(self.rows)
        backwards = self.place is not None and self.place.direction is Direction.BEFORE
        has_next = self.more or backwards
        has_previous = self.more if backwards else self.place is not None
        if not self.rows:
            previous = replace(self.place, direction=Direction.BEFORE, position=total) if self.place else None
            return Page(items=[], next=None, previous=None if previous is None else str(previous), total=total, first=0)
        first = 1
        if self.place is not None and has_previous:
            first = self.place.position + 1 - (count if backwards else 0)
            first = max(2, min(first, total - count + 1)) if has_next else total - count + 1
        return Page(
            items=self.rows,
            next=str(Cursor.at(self.rows[-1], self.sort, Direction.AFTER, first + count - 1)) if has_next else None,
            previous=str(Cursor.at(self.rows[0], self.sort, Direction.BEFORE, first - 1)) if has_previous else None,
            total=total,
            first=first,
        )


async def _stretch(
    queries: Queries, parts: Parts, those: Sequence[Stretch], sort: Sort, place: Cursor | None, limit: int
) -> _Stretch:
    """Read one row more than asked for, to see whether there are more.

    What is left before a cursor near the beginning makes no page: the first page is given instead.
    """
    found = await _seek(queries, parts, those, sort, place, limit + 1)
    backwards = place is not None and place.direction is Direction.BEFORE
    if backwards and len(found) <= limit:
        place, backwards = None, False
        found = await _seek(queries, parts, those, sort, None, limit + 1)
    rows = await _rows(queries, found[:limit], sort, backwards=backwards)
    return _Stretch(sort, place, rows[::-1] if backwards else rows, len(found) > limit)


_Place = tuple[str, date, str, Any]
"""The sort key of a row (assistant, opened_on, conversation_id), and what the list is sorted by."""


def _key(place: _Place) -> Key:
    return place[0], place[2]


async def _rows(queries: Queries, found: Sequence[_Place], sort: Sort, *, backwards: bool) -> list[ConversationRow]:
    """Read the rows at these places: rows are wide, and FINAL reads what it filters, so they are found by few columns.

    What was erased since is missing; it has left the list.
    """
    rows = list[ConversationRow]()
    if found:
        records = await queries.records(
            f"SELECT {ROW} FROM {TABLE} WHERE (c.assistant, c.opened_on, c.conversation_id) IN "
            f"{{places:Array(Tuple(String, Date, String))}} ORDER BY {sort.order_by(backwards=backwards)}",
            {"places": [place[:3] for place in found]},
        )
        rows = [row_of(record) for record in records]
    return rows


async def _seek(
    queries: Queries, parts: Parts, those: Sequence[Stretch], sort: Sort, place: Cursor | None, limit: int
) -> list[_Place]:
    """Find the rows from the cursor on, the nearest first.

    By time they are sought among the days around the cursor, then stretch by stretch, until there are enough; by
    anything else in all stretches, each of which gives as many as are wanted.
    """
    backwards = place is not None and place.direction is Direction.BEFORE
    order = sort.order_by(backwards=backwards)
    bound: dict[str, object] = {"page": limit}
    side = "1"
    if place is not None:
        side, at = place.condition()
        side, bound = f"({side})", {**bound, **at}

    def write(within: Parts) -> str:
        return (
            f"SELECT c.assistant, c.opened_on, c.conversation_id, {sort.expression} AS compared FROM {TABLE} "
            f"WHERE {within.whole} AND {side} ORDER BY {order} LIMIT {{page:UInt32}}"
        )

    def nearest(found: Iterable[Any]) -> list[_Place]:
        return _ordered([tuple(one) for one in found], sort, backwards=backwards)[:limit]

    if sort.column != "started_at":
        return nearest(chain.from_iterable(await asked(queries, those, write, bound)))
    forth = sort.descending == backwards  # from old to new
    since = None if place is None else sort.day_of(place.value)
    near = _days_near(those, since, forth=forth)
    if near is not None and parts.search is None:
        rest = replace(parts, days=near)
        found = await queries.rows(write(rest), {**rest.bound, **bound})
        if len(found) == limit:
            return nearest(found)
    answer = list[_Place]()
    for one in those if forth else reversed(those):
        if since is None or (one.last >= since if forth else one.first <= since):
            (more,) = await asked(queries, [one], write, bound)
            answer += nearest(more)[: limit - len(answer)]
            if len(answer) == limit:
                break
    return answer


def _ordered(found: list[_Place], sort: Sort, *, backwards: bool) -> list[_Place]:
    """Order as `Sort.order_by` does: texts by their bytes, those without a value last, ties by key."""
    found.sort(key=lambda one: (one[0].encode(), one[2].encode()))
    valued = [one for one in found if one[3] is not None]
    valued.sort(key=lambda one: one[3].encode() if isinstance(one[3], str) else one[3], reverse=sort.descending)
    ordered = valued + [one for one in found if one[3] is None]
    return ordered[::-1] if backwards else ordered


def _days_near(those: Sequence[Stretch], since: date | None, *, forth: bool) -> tuple[date, date] | None:
    """Say among which days to look first, where the order is that of the days: those with about `NEAR_ROWS` rows."""
    if forth and since is None:
        return None
    within = [one for one in those if one.rows and (since is None or one.first <= since)]
    if not within:
        return None
    newest = max(month.newest for month in within[-1].months)
    if since is not None and forth:
        return since, since + _days_with(NEAR_ROWS, within[-1])
    last = newest if since is None else min(since, newest)
    first, wanted = last, float(NEAR_ROWS)
    for one in reversed(within):  # a month that has just begun has few: those before have the rest
        last = min(last, one.last)
        first = max(one.first, last - _days_with(wanted, one))
        wanted -= ((last - one.first).days + 1) * _rows_a_day(one)
        if wanted <= 0:
            break
    return first, those[-1].last if since is None else since  # what began in the future, by its clock, is new too


def _days_with(rows: float, one: Stretch) -> timedelta:
    return min(1 + int(rows / _rows_a_day(one)), NEAR_DAYS) * _DAY


def _rows_a_day(one: Stretch) -> float:
    first, newest = one.months[0].first, max(month.newest for month in one.months)
    return one.rows / ((newest - first).days + 1)


async def _total(queries: Queries, those: Sequence[Stretch], *counted: str) -> list[int]:
    """Count, over all stretches."""
    answers = await asked(
        queries, those, lambda parts: f"SELECT {', '.join(counted)} FROM {TABLE} WHERE {parts.whole}", {}
    )
    return [sum(column) for column in zip(*chain.from_iterable(answers), strict=True)] or [0] * len(counted)


async def _passed(queries: Queries, those: Sequence[Stretch], sort: Sort, before: Cursor) -> int:
    """Count the rows before a place. By time whole stretches lie on one side of it, and are known."""
    side, bound = before.condition()
    if sort.column != "started_at":
        passed, at = list[Stretch](), those
    else:
        day = sort.day_of(before.value)
        passed = [one for one in those if (one.first > day if sort.descending else one.last < day)]
        at = [one for one in those if one.first <= day <= one.last]
    (whole,), answers = await asyncio.gather(
        _total(queries, passed, "count()"),
        asked(queries, at, lambda parts: f"SELECT countIf({side}) FROM {TABLE} WHERE {parts.whole}", bound),
    )
    return whole + sum(int(count) for ((count,),) in answers)


def row_of(record: Mapping[str, Any]) -> ConversationRow:
    """Make the row of a record that has all of `ROW`."""
    return ConversationRow.model_validate(record)


_BITS: Final = {**FLAGS, **{section.value: sql for section, sql in SECTIONS.items()}, "closed": "c.closed"}
"""What is asked of each row, a bit each."""

_PLACES: Final = {name: 1 << place for place, name in enumerate(_BITS)}


def _counting(parts: Parts, most: int) -> str:
    """Write the query: how many rows have each value of each facet, and each pattern of bits.

    Each count is a list: first the rows that meet every filter, then those that fail one filter only, by its place.
    What a facet shows without its own filter is the sum of two of them. Rows that fail more filters are in no count.

    One pass in grouping sets of one column each, which stay dictionary-encoded: 88 ms for 1 M conversations, 80 of
    which is reading them. With the failed filter as a second key it took 146 ms, as arrays joined 320, as a query for
    each facet 366.
    """
    failed = [f"toUInt8(NOT ({sql}))" for sql in parts.apart.values()]
    which = " + ".join(f"{one} * {place}" for place, one in enumerate(failed, 1)) or "0"
    bits = " + ".join(f"toUInt8({sql}) * {_PLACES[name]}" for name, sql in _BITS.items())
    counted = ", ".join(f"countIf(failed = {place})" for place in range(len(failed) + 1))
    places = {name: place for place, name in enumerate(parts.apart, 2)}
    facet = ", ".join(f"grouping({name}_) = 0, '{name}'" for name in VALUES)
    value = ", ".join(f"grouping({name}_) = 0, {name}_" for name in VALUES)
    chosen = ", ".join(f"facet = '{name}', has({{chosen_{name}:Array(String)}}, value)" for name in VALUES)
    shown = "".join(f"facet = '{name}', counted[1] + counted[{places[name]}], " for name in VALUES if name in places)
    return f"""
        SELECT facet, value, bits, counted FROM (
            SELECT *, row_number() OVER (PARTITION BY facet ORDER BY chosen DESC, shown DESC, value) AS place FROM (
                SELECT *, multiIf({chosen}, 0) AS chosen, multiIf({shown}1, counted[1], 0) AS shown
                FROM (
                    SELECT multiIf({facet}, '') AS facet, multiIf({value}, '') AS value, bits, [{counted}] AS counted
                    FROM (
                        SELECT {", ".join(f"c.{name} AS {name}_" for name in VALUES)},
                            toUInt16({bits}) AS bits, toUInt8({which}) AS failed
                        FROM {TABLE} WHERE {parts.base} AND {" + ".join(failed) or "0"} <= 1
                    )
                    GROUP BY GROUPING SETS ({", ".join(f"({name}_)" for name in VALUES)}, (bits))
                )
            )
        )
        WHERE facet = '' OR place <= {most}
    """


def _counted(parts: Parts, found: Iterable[tuple[str, str, int, list[int]]]) -> Counts:
    """Read the answer of `_counting`."""
    places = {name: place for place, name in enumerate(parts.apart, 1)}
    values: dict[str, dict[str, int]] = {name: {} for name in VALUES}
    patterns: list[tuple[int, list[int]]] = []
    for facet, value, bits, counted in found:
        if facet:
            shown = counted[0] + (counted[places[facet]] if facet in places else 0)
            values[facet][value] = values[facet].get(value, 0) + shown
        else:
            patterns.append((bits, counted))

    def without(name: str | None, met: int = 0, of: int = 0) -> int:
        """Count the rows of which the bits `of` are `met`, this filter left out."""
        place = places.get(name) if name else None
        return sum(counted[0] + (counted[place] if place else 0) for bits, counted in patterns if bits & of == met)

    facets = {name: _facet(found_values, parts.parameters.get(name, ())) for name, found_values in values.items()}
    for name in FLAGS:
        bit = _PLACES[name]
        facets[name] = [
            FacetValue(value="true", count=without(name, bit, bit)),
            FacetValue(value="false", count=without(name, 0, bit)),
        ]
    return Counts(
        sections={one: without("section", bit, bit) for one in Section for bit in [_PLACES.get(one.value, 0)]},
        total=without(None),
        open=without("state", 0, _PLACES["closed"]),
        facets=facets,
    )


def _facet(values: Mapping[str, int], chosen: Any) -> list[FacetValue]:
    """Keep the most frequent values and those chosen, even where they show nothing."""
    standing = {**dict.fromkeys(chosen, 0), **values}
    ordered = sorted(standing.items(), key=lambda one: (-one[1], one[0]))
    frequent = [one for one in ordered if one[1]][:FACET_VALUES]
    kept = {value for value, _ in frequent}.union(chosen)
    return [FacetValue(value=value, count=count) for value, count in ordered if value in kept]
