"""Lists of conversations, and the counts beside them."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from api.queries.asking import Queries
from api.queries.conditions import FLAGS, SECTIONS, TABLE, VALUES, Parts, taken_apart
from api.queries.selection import MAX_VALUES, Section, Selection
from api.queries.sorting import Cursor, Direction, Sort
from schemas.conversation import COLUMNS, ConversationRow
from schemas.facts import Key

T = TypeVar("T")

FACET_VALUES: Final = 50
"""So many of the most frequent values of a facet are given, beside those that are chosen."""

NEAR: Final = timedelta(days=7)
"""So far from the cursor, or from now, rows are sought before the whole list is read."""

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
    stretch, total = await asyncio.gather(_stretch(queries, parts, sort, place, limit, now), _total(queries, parts))
    return stretch.page(total)


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
    stretch, counted = await asyncio.gather(
        _stretch(queries, parts, sort, place, limit, now), counts(queries, selection, assistant, now)
    )
    return stretch.page(counted.total), counted


async def counts(queries: Queries, selection: Selection, assistant: str | None, now: datetime) -> Counts:
    """Count sections, total, open and facets in one query, which reads the table once."""
    parts = taken_apart(selection, assistant, now)
    chosen = {f"chosen_{name}": parts.parameters.get(name, []) for name in VALUES}
    found = await queries.rows(_counting(parts), {**parts.parameters, **chosen})
    return _counted(parts, found)


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
    side, bound = before.condition()
    previous, following, ((passed, total),) = await asyncio.gather(
        _seek(_keys(queries), parts, sort, before, 1, now),
        _seek(_keys(queries), parts, sort, after, 1, now),
        queries.rows(
            f"SELECT countIf({side}), count() FROM {TABLE} WHERE {parts.whole}", {**parts.parameters, **bound}
        ),
    )
    return Neighbours(
        previous=previous[0] if previous else None,
        next=following[0] if following else None,
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
    queries: Queries, parts: Parts, sort: Sort, place: Cursor | None, limit: int, now: datetime
) -> _Stretch:
    """Read one row more than asked for, to see whether there are more.

    What is left before a cursor near the beginning makes no page: the first page is given instead.
    """
    rows = await _seek(_rows(queries), parts, sort, place, limit + 1, now)
    backwards = place is not None and place.direction is Direction.BEFORE
    if backwards and len(rows) <= limit:
        place, backwards = None, False
        rows = await _seek(_rows(queries), parts, sort, None, limit + 1, now)
    more = len(rows) > limit
    rows = rows[:limit]
    return _Stretch(sort, place, rows[::-1] if backwards else rows, more)


_Reading = Callable[[str, str, Mapping[str, object]], Awaitable[list[T]]]
"""Reads what a query for keys (assistant, opened_on, conversation_id) finds: the query, its order, what is bound."""


def _keys(queries: Queries) -> _Reading[Key]:
    async def read(keys: str, _order: str, bound: Mapping[str, object]) -> list[Key]:
        return [(assistant, conversation_id) for assistant, _, conversation_id in await queries.rows(keys, bound)]

    return read


def _rows(queries: Queries) -> _Reading[ConversationRow]:
    """Read the keys first, by few columns, then the rows by their keys: rows are wide, and FINAL reads what it filters.

    A page of 1 M conversations took 116 ms of CPU by time and 221 by rating, read at once 485; ClickHouse 26.9 can put
    off the wide columns by itself (132 and 173 ms), older servers cannot.
    """

    async def read(keys: str, order: str, bound: Mapping[str, object]) -> list[ConversationRow]:
        found = await queries.records(
            f"SELECT {ROW} FROM {TABLE} WHERE (c.assistant, c.opened_on, c.conversation_id) IN ({keys}) "
            f"ORDER BY {order}",
            bound,
        )
        return [row_of(record) for record in found]

    return read


async def _seek(
    read: _Reading[T], parts: Parts, sort: Sort, place: Cursor | None, limit: int, now: datetime
) -> list[T]:
    """Read from the cursor on, the nearest first.

    By time they are sought among the days around the cursor, and in the whole list only when those have too few.
    """
    order = sort.order_by(backwards=place is not None and place.direction is Direction.BEFORE)
    wanted, bound = parts.whole, {**parts.parameters, "page": limit}
    if place is not None:
        side, at = place.condition()
        wanted, bound = f"{wanted} AND {side}", {**bound, **at}

    async def sought(within: str, more: Mapping[str, object]) -> list[T]:
        keys = (
            f"SELECT c.assistant, c.opened_on, c.conversation_id FROM {TABLE} WHERE {within} AND {wanted} "
            f"ORDER BY {order} LIMIT {{page:UInt32}}"
        )
        return await read(keys, order, {**bound, **more})

    near = _days_near(sort, place, now)
    if near is not None:
        found = await sought(*near)
        if len(found) == limit:
            return found
    return await sought("1", {})


def _days_near(sort: Sort, place: Cursor | None, now: datetime) -> tuple[str, Mapping[str, object]] | None:
    """Say which days are sought first, where the order is that of the days."""
    if sort.column != "started_at":
        return None
    backwards = place is not None and place.direction is Direction.BEFORE
    if sort.descending == backwards:  # from old to new
        if place is None:
            return None
        first = sort.day_of(place.value)
        return "c.opened_on BETWEEN {near:Date} AND {far:Date}", {"near": first, "far": first + NEAR}
    if place is None:  # what began in the future, by its clock, is new too
        return "c.opened_on >= {far:Date}", {"far": now.astimezone(UTC).date() - NEAR}
    last = sort.day_of(place.value)
    return "c.opened_on BETWEEN {far:Date} AND {near:Date}", {"near": last, "far": last - NEAR}


async def _total(queries: Queries, parts: Parts) -> int:
    ((total,),) = await queries.rows(f"SELECT count() FROM {TABLE} WHERE {parts.whole}", parts.parameters)
    return int(total)


def row_of(record: Mapping[str, Any]) -> ConversationRow:
    """Make the row of a record that has all of `ROW`."""
    return ConversationRow.model_validate(record)


_BITS: Final = {**FLAGS, **{section.value: sql for section, sql in SECTIONS.items()}, "closed": "c.closed"}
"""What is asked of each row, a bit each."""

_PLACES: Final = {name: 1 << place for place, name in enumerate(_BITS)}


def _counting(parts: Parts) -> str:
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
        WHERE facet = '' OR place <= {FACET_VALUES + MAX_VALUES}
    """


def _counted(parts: Parts, found: Iterable[tuple[str, str, int, list[int]]]) -> Counts:
    """Read the answer of `_counting`."""
    places = {name: place for place, name in enumerate(parts.apart, 1)}
    values: dict[str, dict[str, int]] = {name: {} for name in VALUES}
    patterns: list[tuple[int, list[int]]] = []
    for facet, value, bits, counted in found:
        if facet:
            values[facet][value] = counted[0] + (counted[places[facet]] if facet in places else 0)
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
