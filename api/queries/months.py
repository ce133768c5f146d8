"""Answers about the past, remembered: a month of `conversations` says the same for as long as its parts are the same.

What can be added up (counts) or merged (the first rows of a list) is asked month by month. Each answer is kept under
the question and a hash of the month's parts, names and contents, which any insert, merge or mutation changes. So an
answer is never older than one that reads the table, and nobody has to say what changed: a label on an old conversation
changes the hash of its month. Where a range cuts a month, the day of the cut is asked apart, for ranges that end now
begin at another moment each time, and the days behind it are kept.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from weakref import WeakKeyDictionary

from api.queries.asking import Queries
from api.queries.conditions import Parts

MONTH_ROWS: Final = 400_000
"""Months with fewer rows are asked about together with the next: reading so many takes as long as asking twice."""

KEPT_VALUES: Final = 2_000_000
"""So many rows of answers are kept, those that were asked for last; some 100 bytes each at most."""

_DAY: Final = timedelta(days=1)
_ALWAYS: Final = 16
"""What an answer counts, beside its rows."""

# Content and name: names come again when a table is made anew, contents where two months have the same rows.
_PARTS: Final = """
    SELECT partition, hostName(), max(max_date), sum(cityHash64(name, hash_of_all_files)), sum(rows)
    FROM system.parts WHERE active AND rows > 0 AND database = currentDatabase() AND table = 'conversations'
    GROUP BY partition
"""

Answer = Sequence[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Month:
    """One month of the table, as its parts stand. `host`: where they stand so; replicas may lag behind each other.

    `newest`: its last day that has rows.
    """

    first: date
    host: str
    newest: date
    parts: int
    rows: int

    @property
    def last(self) -> date:
        """Its last day."""
        return (self.first + 31 * _DAY).replace(day=1) - _DAY


@dataclass(frozen=True, slots=True)
class Stretch:
    """Days that are asked about at once; `months`: those that they are of, none where the answer cannot be kept."""

    first: date
    last: date
    months: tuple[Month, ...]
    parts: Parts
    """The selection, within these days."""

    @property
    def rows(self) -> int:
        """How many rows their months have, deleted and former ones too."""
        return sum(month.rows for month in self.months)


@dataclass(slots=True)
class _Kept:
    """Answers by question, those asked for last at the end."""

    answers: "OrderedDict[object, Answer]" = field(default_factory=OrderedDict)
    size: int = 0

    def get(self, question: object) -> Answer | None:
        answer = self.answers.get(question)
        if answer is not None:
            self.answers.move_to_end(question)
        return answer

    def put(self, question: object, answer: Answer) -> None:
        if question in self.answers:
            return
        self.answers[question] = answer
        self.size += len(answer) + _ALWAYS
        while self.size > KEPT_VALUES:
            _, gone = self.answers.popitem(last=False)
            self.size -= len(gone) + _ALWAYS


_kept: WeakKeyDictionary[Queries, _Kept] = WeakKeyDictionary()


async def months(queries: Queries) -> list[Month]:
    """Give the months that have rows, the oldest first."""
    found = await queries.rows(_PARTS)
    return sorted(
        (Month(date(int(month[:4]), int(month[4:]), 1), *rest) for month, *rest in found), key=lambda one: one.first
    )


def stretches(parts: Parts, standing: Sequence[Month]) -> list[Stretch]:
    """Divide the days of a selection, the oldest first; one stretch that cannot be kept where dividing does not pay.

    It does not for a table of few rows, and for a search: what was said may change when no row does.
    """
    start, end = parts.span
    within = [
        month
        for month in standing
        if (start is None or _midnight(month.last + _DAY) > start) and (end is None or _midnight(month.first) < end)
    ]
    if parts.searches or sum(month.rows for month in within) < MONTH_ROWS:
        return [Stretch(date.min, date.max, (), parts)]
    return list(_divided(parts, within, start, end))


def _divided(parts: Parts, within: Sequence[Month], start: datetime | None, end: datetime | None) -> Iterator[Stretch]:
    gathered: list[Month] = []

    def together() -> Iterator[Stretch]:
        if gathered:
            yield _whole(parts, gathered[0].first, gathered[-1].last, gathered)
            gathered.clear()

    for month in within:
        from_, to = _midnight(month.first), _midnight(month.last + _DAY)
        if (start is None or start <= from_) and (end is None or end >= to):
            gathered.append(month)
            if sum(one.rows for one in gathered) >= MONTH_ROWS:
                yield from together()
            continue
        yield from together()
        first, last = month.first, month.last
        if start is not None and start > from_:
            first = start.astimezone(UTC).date()
            yield Stretch(first, first, (), parts.within(first, first, cut=True))
            first += _DAY
        if end is not None and end < to:
            last = end.astimezone(UTC).date() - _DAY
        if first <= last:
            yield _whole(parts, first, last, [month])
        if end is not None and end < to and last + _DAY >= first:
            yield Stretch(last + _DAY, last + _DAY, (), parts.within(last + _DAY, last + _DAY, cut=True))
    yield from together()


def _whole(parts: Parts, first: date, last: date, those: Sequence[Month]) -> Stretch:
    return Stretch(first, last, tuple(those), parts.within(first, last))


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


async def asked(
    queries: Queries,
    those: Sequence[Stretch],
    write: Callable[[Parts], str],
    bound: Mapping[str, object],
) -> list[Answer]:
    """Ask each stretch, unless its answer is kept. `write`: the query for a selection; `bound`: more than is its own.

    The order of the rows of an answer is not kept.
    """
    return await asyncio.gather(*(_asked(queries, one, write(one.parts), bound) for one in those))


async def _asked(queries: Queries, stretch: Stretch, sql: str, bound: Mapping[str, object]) -> Answer:
    parameters = {**stretch.parts.bound, **bound}
    kept = _kept.setdefault(queries, _Kept())
    question = (stretch.months, sql, repr(sorted(parameters.items())))
    answer = kept.get(question) if stretch.months else None
    if answer is None:
        # Who answered, is told even where there is nothing: another replica's answer is not what these parts say.
        ((host, answer),) = await queries.rows(f"SELECT hostName(), groupArray(tuple(*)) FROM ({sql})", parameters)
        if stretch.months and all(month.host == host for month in stretch.months):
            kept.put(question, answer)
    return answer
