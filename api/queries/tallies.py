"""Measures of groups of rows, added up over stretches of days, exact medians too.

Counts can be added up, medians cannot. So each stretch first tells how many values of each group lie in which cell,
which can: the sums say in which cell the middle of all of them lies. Then it tells the values in that cell, one in a
hundred, among which the middle is found. Both answers are kept (`api.queries.months`), the values by group and cell, so
that only what changed is asked again.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from api.queries.asking import Queries
from api.queries.conditions import TABLE, Parts
from api.queries.months import Answer, Stretch, ask_now, keep, known, packed, said

Group = tuple[str, str | int]
"""The column and its value, `TIME` and the beginning of a stretch of time, or `WHOLE`."""

Numbers = tuple[int, int, int, int, int, int, int, float | None, float | None]
"""How many rows, with a fallback, not escalated, rated 4 or 5, rated, positive, negative; the two medians."""

TIME: Final = "time"
WHOLE: Final[Group] = ("", "")

TOLD_VALUES: Final = 200
"""Of so many values of a column, the largest of a stretch, the cells are told first; of all where those do not do."""

STRETCH_VALUES: Final = 2_000
"""With more values of a column in a stretch, nothing is added up."""

_OVERHEAD: Final = 300
"""Bytes that a name or an array takes beside what is in it."""

_Integers = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True)
class _Column:
    """A column that a median is wanted of. `cell`: in which cell a value lies, in SQL, greater ones never in a lesser.

    `cells`: how many there are; that is also the cell of those that have no value. `plain`: so many of the first cells
    have one value only, their own number.
    """

    name: str
    cell: str
    cells: int
    plain: int


# The leading bits of a floating point number are its logarithm: 64 cells for each doubling, of one second at first and
# of 1 to 2 % from a minute on, up to 49 days; the last cell has all the rest. Twice as many cells took longer than they
# spared (a month of 833,000 rows: 213 ms of CPU instead of 193).
_DURATION: Final = _Column(
    "duration_ms",
    "toUInt16(least(bitShiftRight(reinterpretAsUInt64(toFloat64(ifNull(c.duration_ms, 0)) + 65536), 46) - 66496, 1023)"
    " + isNull(c.duration_ms) * 1024)",
    1024,
    0,
)
_QUERIES: Final = _Column("queries", "toUInt16(least(c.queries, 31))", 32, 31)
_COLUMNS: Final = (_DURATION, _QUERIES)


@dataclass(frozen=True, slots=True)
class Grouping:
    """What the rows are grouped by: columns, and time. `start`: its stretch, in SQL over `c`, with `zone` bound.

    `values`: of so many values of a column, the largest, the medians are wanted.
    """

    wanted: str
    start: str
    zone: str
    dimensions: tuple[str, ...]
    values: int
    buckets: int

    @property
    def keys(self) -> dict[str, str]:
        """What is grouped by, in SQL, by name."""
        return {**{name: f"c.{name}" for name in self.dimensions}, TIME: f"toInt64({self.start})"}


@dataclass(frozen=True, slots=True)
class _Histogram:
    """How many values lie in which cell of which group, by its place in the tally; without the cells that have none."""

    places: _Integers
    cells: _Integers
    counts: _Integers

    @classmethod
    def of(cls, told: Sequence[tuple[Sequence[int], Sequence[int]]]) -> "_Histogram":
        """Pack (cells, counts) of each group."""
        return cls(
            np.repeat(np.arange(len(told), dtype=np.uint32), [len(cells) for cells, _ in told]),
            np.fromiter((one for cells, _ in told for one in cells), np.uint16),
            np.fromiter((one for _, counts in told for one in counts), np.uint32),
        )

    @property
    def nbytes(self) -> int:
        return self.places.nbytes + self.cells.nbytes + self.counts.nbytes


@dataclass(frozen=True, slots=True)
class _Tally:
    """What one stretch says. `counted`: the counts, a row for each group; `told`: whether its cells are told too."""

    groups: tuple[Group, ...]
    counted: _Integers
    told: _Integers
    histograms: tuple[_Histogram, ...]

    @classmethod
    def of(cls, answer: Answer) -> "_Tally":
        """Pack the answer of `_tallying`."""
        return cls(
            tuple((kind, start if kind == TIME else value) for kind, value, start, *_ in answer),
            np.array([counted for _, _, _, counted, *_ in answer], np.int64).reshape(-1, 7),
            np.array([told for *_, told, _ in answer], np.bool_),
            tuple(_Histogram.of([columns[place] for *_, columns in answer]) for place in range(len(_COLUMNS))),
        )

    @property
    def nbytes(self) -> int:
        histograms = sum(one.nbytes for one in self.histograms)
        return histograms + self.counted.nbytes + self.told.nbytes + len(self.groups) * _OVERHEAD

    @property
    def is_cut(self) -> bool:
        """Whether a column has more values than are told."""
        kinds: dict[str, int] = {}
        for kind, _ in self.groups:
            kinds[kind] = kinds.get(kind, 0) + 1
        return any(count > STRETCH_VALUES for kind, count in kinds.items() if kind != TIME)


@dataclass(frozen=True, slots=True)
class _Values:
    """Values of a column in one stretch, by group and cell."""

    cells: Mapping[tuple[Group, int], _Integers] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        return sum(one.nbytes + _OVERHEAD for one in self.cells.values())


class ChangedError(Exception):
    """Two answers about a stretch are not of one moment."""


class TooManyBucketsError(Exception):
    """There are more stretches of time than are wanted."""


async def tallied(queries: Queries, those: Sequence[Stretch], grouping: Grouping) -> dict[Group, Numbers] | None:
    """Measure the whole, each stretch of time and the largest values of each column; None where they are too many.

    Raises ChangedError when rows changed in between and that was seen; who wants to be sure compares the months before
    and after. Raises TooManyBucketsError.
    """
    for most in (TOLD_VALUES, STRETCH_VALUES):
        bound = {"zone": grouping.zone, "told": most}
        tallies = await packed(queries, those, lambda one: _tallying(one, grouping), bound, _Tally.of)
        if any(one.is_cut for one in tallies):
            return None
        sum_ = _Sum(tallies, grouping)
        if sum_.is_told:
            break
    medians = [await sum_.medians(queries, those, place) for place in range(len(_COLUMNS))]
    return {
        group: (*map(int, sum_.counted[place]), *(of[number] for of in medians))  # type: ignore[misc]
        for number, (group, place) in enumerate(zip(sum_.chosen, sum_.places, strict=True))
    }


class _Sum:
    """Tallies added up. `chosen`: the groups of which medians are wanted; `places`: where their counts are."""

    def __init__(self, tallies: Sequence[_Tally], grouping: Grouping) -> None:
        self._grouping = grouping
        self._tallies = tallies
        self._groups: dict[Group, int] = {WHOLE: 0}
        for tally in tallies:
            for group in tally.groups:
                self._groups.setdefault(group, len(self._groups))
        self._at = [np.array([self._groups[group] for group in one.groups], np.intp) for one in tallies]
        self.counted = np.zeros((len(self._groups), 7), np.int64)
        for tally, at in zip(tallies, self._at, strict=True):
            self.counted[at] += tally.counted  # no group is in a tally twice
        times = [group for group in self._groups if group[0] == TIME]
        if len(times) > grouping.buckets:
            raise TooManyBucketsError
        self.counted[0] = self.counted[[self._groups[group] for group in times]].sum(axis=0)
        self.chosen: list[Group] = [WHOLE, *times]
        self._times = slice(1, len(self.chosen))
        for name in grouping.dimensions:
            self.chosen += self._largest(name)
        self.places = [self._groups[group] for group in self.chosen]
        self._number = np.full(len(self._groups), -1)
        self._number[self.places] = range(len(self.places))

    def _largest(self, dimension: str) -> list[Group]:
        count = self.counted[:, 0]
        those = [group for group in self._groups if group[0] == dimension]
        return sorted(those, key=lambda group: (-count[self._groups[group]], group[1]))[: self._grouping.values]

    @property
    def is_told(self) -> bool:
        """Whether the cells of all that is chosen were told."""
        pairs = zip(self._tallies, self._at, strict=True)
        return not any(((self._number[at] >= 0) & ~tally.told).any() for tally, at in pairs)

    async def medians(self, queries: Queries, those: Sequence[Stretch], place: int) -> list[float | None]:
        """Find the median of a column in each of the chosen groups."""
        column = _COLUMNS[place]
        counts = self._dense(place, column)
        ranks = _Ranks(counts)
        wanted = [self._cells(ranks, number, column) for number in range(len(self.chosen))]
        found: dict[tuple[Group, int], list[_Integers]] = {}
        for values in await asyncio.gather(
            *(self._values(queries, stretch, column, at, wanted) for stretch, at in zip(those, self._at, strict=True))
        ):
            for one, some in values.items():
                found.setdefault(one, []).append(some)

        def lying(number: int, cell: int) -> _Integers:
            values = np.concatenate(found.get((self.chosen[number], cell), [np.empty(0, np.uint64)]))
            if len(values) != counts[number, cell]:
                raise ChangedError
            return values

        return [ranks.median(number, column.plain, lying) for number in range(len(self.chosen))]

    def _dense(self, place: int, column: _Column) -> _Integers:
        """Give the counts of each cell, a row for each of the chosen groups."""
        counts = np.zeros((len(self.chosen), column.cells + 1), np.int64)
        for tally, at in zip(self._tallies, self._at, strict=True):
            told = tally.histograms[place]
            rows = self._number[at[told.places]]
            those = rows >= 0
            counts[rows[those], told.cells[those]] += told.counts[those]
        counts[0] = counts[self._times].sum(axis=0)
        return counts[:, : column.cells]

    def _cells(self, ranks: "_Ranks", number: int, column: _Column) -> tuple[list[int], list[int]]:
        """Say which cells of a group are needed, and which it is well to know: one beside them, near its middle.

        A few rows more move the middle on; that must not send us back to every month. Time does not come again.
        """
        needed = ranks.cells(number)
        near = ranks.near(number) if needed and self.chosen[number][0] != TIME else []
        return [one for one in needed if one >= column.plain], [one for one in (*needed, *near) if one >= column.plain]

    async def _values(
        self,
        queries: Queries,
        stretch: Stretch,
        column: _Column,
        at: _Integers,
        wanted: Sequence[tuple[list[int], list[int]]],
    ) -> Mapping[tuple[Group, int], _Integers]:
        """Give the values of a stretch in the cells that are needed, unless they are known."""
        numbers = [0, *(int(one) for one in self._number[at] if one >= 0)] if len(at) else []
        bound = {"zone": self._grouping.zone}
        question = column.name, _valuing(stretch.parts, self._grouping, column, ()), said(stretch, bound)
        kept = known(queries, stretch, question) or _Values()
        groups = {
            self.chosen[number]: wanted[number][1]
            for number in numbers
            if any((self.chosen[number], cell) not in kept.cells for cell in wanted[number][0])
        }
        if groups:
            sought = _sought(groups)
            kinds = list(dict.fromkeys(kind for kind, _ in groups))
            sql = _valuing(stretch.parts, self._grouping, column, kinds)
            host, answer = await ask_now(queries, stretch, sql, {**bound, **sought})
            kept = _Values({**kept.cells, **_read(groups, answer)})
            keep(queries, stretch, question, host, kept)
        asked = ((self.chosen[number], cell) for number in numbers for cell in wanted[number][0])
        return {one: kept.cells[one] for one in asked}


class _Ranks:
    """Where the middle of each group lies. `counts`: of each cell, a row for each group."""

    def __init__(self, counts: _Integers) -> None:
        self._upto = counts.cumsum(axis=1)
        self._count = self._upto[:, -1]
        self._lower, self._upper = (self._count - 1) // 2, self._count // 2
        self._first = (self._upto <= self._lower[:, None]).sum(axis=1)
        self._last = (self._upto <= self._upper[:, None]).sum(axis=1)

    def cells(self, number: int) -> list[int]:
        """Give the cells that the two middle ones lie in, or the one."""
        first, last = int(self._first[number]), int(self._last[number])
        return [] if not self._count[number] else [first] if first == last else [first, last]

    def near(self, number: int) -> list[int]:
        """Give the cell beside that of the middle, when the middle is in the first or the last quarter of its own."""
        cell = int(self._first[number])
        below, upto = self._below(number, cell), int(self._upto[number, cell])
        share = (int(self._lower[number]) - below) / (upto - below)
        beside = cell - 1 if share < 0.25 else cell + 1
        return [beside] if not 0.25 <= share < 0.75 and 0 <= beside < self._upto.shape[1] else []

    def _below(self, number: int, cell: int) -> int:
        return int(self._upto[number, cell - 1]) if cell else 0

    def median(self, number: int, plain: int, lying: Callable[[int, int], _Integers]) -> float | None:
        """Give the middle, of two the mean, as quantileExactInclusive does; None of nothing.

        `lying`: gives the values in a cell of a group; below `plain` cells have one value, their own number.
        """
        cells = self.cells(number)
        if not cells:
            return None
        first, last = cells[0], cells[-1]
        if first != last:
            lower = first if first < plain else int(lying(number, first).max())
            upper = last if last < plain else int(lying(number, last).min())
        elif first < plain:
            lower = upper = first
        else:
            below = self._below(number, first)
            ranks = int(self._lower[number]) - below, int(self._upper[number]) - below
            values = np.partition(lying(number, first), ranks)
            lower, upper = (int(values[rank]) for rank in ranks)
        return float(lower) + 0.5 * float(upper - lower)


def _sought(groups: Mapping[Group, Sequence[int]]) -> dict[str, object]:
    """Bind what values are sought: groups are numbered, from 1 on, and have up to three cells."""
    bound: dict[str, object] = {
        "cells": sorted({cell for cells in groups.values() for cell in cells}),
        **{
            f"cell_{which}": [65535, *(cells[min(which, len(cells) - 1)] for cells in groups.values())]
            for which in range(3)
        },
    }
    for number, (kind, value) in enumerate(groups, 1):
        if (kind, value) == WHOLE:
            bound["number_whole"] = number
        else:
            bound.setdefault(f"values_{kind}", []).append(value)  # type: ignore[attr-defined]
            bound.setdefault(f"numbers_{kind}", []).append(number)  # type: ignore[attr-defined]
    return bound


def _read(groups: Mapping[Group, Sequence[int]], answer: Answer) -> dict[tuple[Group, int], _Integers]:
    """Pack the answer of `_valuing`; cells that have nothing are known to have nothing."""
    numbered = list(groups)
    found = {(group, cell): np.empty(0, np.uint32) for group, cells in groups.items() for cell in cells}
    for number, cell, values in answer:
        found[numbered[number - 1], cell] = np.array(values, np.uint32 if max(values) < 1 << 32 else np.uint64)
    return found


def _tallying(parts: Parts, grouping: Grouping) -> str:
    """Write the query: a row for each group, its counts, and how many values lie in which cell.

    Counts go two in a number, as a sum takes a tenth of what counting with a condition does. Of more groups than are of
    use, which hold an array each, those that come late are left out, and it shows in how many there are.
    """
    keys = grouping.keys
    kind = ", ".join(f"grouping({name}_) = 0, '{name}'" for name in grouping.dimensions)
    value = ", ".join(f"grouping({name}_) = 0, {name}_" for name in grouping.dimensions)
    histograms = "".join(f", countResample(0, {one.cells + 1}, 1)(cell_{one.name}) AS {one.name}_" for one in _COLUMNS)
    sparse = ", ".join(
        f"tuple(arrayFilter((cell, count) -> count > 0, range(length({one.name}_)), {one.name}_), "
        f"arrayFilter(count -> count > 0, {one.name}_))"
        for one in _COLUMNS
    )
    counted = ", ".join(f"bitAnd({pair}, 4294967295), bitShiftRight({pair}, 32)" for pair in ("ab", "cd", "ef"))
    untold = ", ".join(f"if(told, {one.name}_, []) AS {one.name}_" for one in _COLUMNS)
    return f"""
        SELECT kind, value, start, [conversations, {counted}] AS counted, told, tuple({sparse}) AS columns
        FROM (
            SELECT kind, value, start, conversations, ab, cd, ef, told, {untold}
            FROM (
                SELECT *, kind = '{TIME}' OR
                    row_number() OVER (PARTITION BY kind ORDER BY conversations DESC, value) <= {{told:UInt32}} AS told
                FROM (
                    SELECT multiIf({kind}, '{TIME}') AS kind, multiIf({value}, '') AS value, {TIME}_ AS start,
                        count() AS conversations, sum(ab_) AS ab, sum(cd_) AS cd, sum(ef_) AS ef{histograms}
                    FROM (
                        SELECT toUInt64(c.fallbacks > 0) + toUInt64(NOT c.escalated) * 4294967296 AS ab_,
                            toUInt64(ifNull(c.rating >= 4, 0)) + toUInt64(isNotNull(c.rating)) * 4294967296 AS cd_,
                            toUInt64(c.label = 'positive') + toUInt64(c.label = 'negative') * 4294967296 AS ef_,
                            {", ".join(f"{one.cell} AS cell_{one.name}" for one in _COLUMNS)},
                            {", ".join(f"{sql} AS {name}_" for name, sql in keys.items())}
                        FROM {TABLE} WHERE {grouping.wanted} AND {parts.whole}
                    )
                    GROUP BY GROUPING SETS ({", ".join(f"({name}_)" for name in keys)})
                )
            )
        )
        SETTINGS max_rows_to_group_by = {max(STRETCH_VALUES, grouping.buckets) + 1}, group_by_overflow_mode = 'any'
    """


def _valuing(parts: Parts, grouping: Grouping, column: _Column, kinds: Iterable[str]) -> str:
    """Write the query for the values of a column in some cells of groups of these kinds; `_sought` is bound.

    First the rows of which the cell is sought in any group: to find the groups of a row takes longer than to read it.
    """
    types = dict.fromkeys(grouping.dimensions, "String") | {TIME: "Int64"}
    numbers = [
        f"transform({name}_, {{values_{name}:Array({types[name]})}}, {{numbers_{name}:Array(UInt32)}}, toUInt32(0))"
        if name
        else "{number_whole:UInt32}"
        for name in kinds
    ]
    sought = " OR ".join(f"cell = {{cell_{which}:Array(UInt16)}}[number + 1]" for which in range(3))
    return f"""
        SELECT number, cell, groupArray(value)
        FROM (
            SELECT value, cell, arrayJoin([{", ".join(numbers)}]) AS number
            FROM (
                SELECT assumeNotNull(c.{column.name}) AS value, {column.cell} AS cell,
                    {", ".join(f"{sql} AS {name}_" for name, sql in grouping.keys.items())}
                FROM {TABLE} WHERE {grouping.wanted} AND {parts.whole}
            )
            WHERE has({{cells:Array(UInt16)}}, cell)
        )
        WHERE number > 0 AND ({sought})
        GROUP BY number, cell
    """
