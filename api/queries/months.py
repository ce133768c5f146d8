"""Answers about the past, remembered: a month of `conversations` says the same for as long as its parts are the same.

What can be added up (counts) or merged (the first rows of a list) is asked month by month. Each answer is kept under
the question and a hash of the month's parts, names and contents, which any insert, merge or mutation changes. So an
answer is never older than one that reads the table, and nobody has to say what changed: a label on an old conversation
changes the hash of its month. Where a range cuts a month, the day of the cut is asked apart, for ranges that end now
begin at another moment each time, and the days behind it are kept.
"""

import asyncio
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final, Protocol, TypeVar
from weakref import WeakKeyDictionary

from api.queries.asking import Queries
from api.queries.conditions import Parts

MONTH_ROWS: Final = 400_000
"""Months with fewer rows are asked about together with the next: reading so many takes as long as asking twice."""

KEPT_BYTES: Final = 256 << 20
"""So much of answers is kept, those that were asked for last."""

_DAY: Final = timedelta(days=1)
_ALWAYS: Final = 2_048
"""Bytes that an answer takes beside its rows: the question, mostly."""

_WEIGHED: Final = 64
"""So many rows of an answer are weighed, for all of them."""

# Content and name: names come again when a table is made anew, contents where two months have the same rows.
_PARTS: Final = """
    SELECT partition, hostName(), max(max_date), sum(cityHash64(name, hash_of_all_files)), sum(rows)
    FROM system.parts WHERE active AND rows > 0 AND database = currentDatabase() AND table = {table:String}
    GROUP BY partition
"""

Answer = Sequence[tuple[Any, ...]]


class Packed(Protocol):
    """An answer in another form. `nbytes`: the memory that it takes."""

    @property
    def nbytes(self) -> int:
        """Weigh it."""


P = TypeVar("P", bound=Packed)


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
    def said(self) -> tuple[date, int]:
        """What tells whether it changed, wherever it stands."""
        return self.first, self.parts

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
    facts: tuple[Month, ...] = ()
    """The months of `events` that it depends on as well."""

    @property
    def rows(self) -> int:
        """How many rows their months have, deleted and former ones too."""
        return sum(month.rows for month in self.months)


@dataclass(frozen=True, slots=True)
class _Plain:
    """An answer as it came. `nbytes` is estimated from some of its rows."""

    rows: Answer
    nbytes: int

    @classmethod
    def of(cls, rows: Answer) -> "_Plain":
        some = rows[:: len(rows) // _WEIGHED + 1]
        return cls(rows, sum(map(_weight, some)) * len(rows) // len(some) if some else 0)


def _weight(value: object) -> int:
    inner = sum(map(_weight, value)) if isinstance(value, tuple | list) else 0
    return sys.getsizeof(value) + inner


@dataclass(slots=True)
class _Kept:
    """Answers by question, those asked for last at the end."""

    answers: "OrderedDict[object, tuple[Any, int]]" = field(default_factory=OrderedDict)
    size: int = 0

    def get(self, question: object) -> Any:
        """Give an answer; None where it is not known."""
        found = self.answers.get(question)
        if found is None:
            return None
        self.answers.move_to_end(question)
        return found[0]

    def put(self, question: object, answer: Packed) -> None:
        """Keep an answer, in place of a former one; what was asked for least lately makes room."""
        _, former = self.answers.pop(question, (None, 0))
        weight = answer.nbytes + _ALWAYS
        self.answers[question] = answer, weight
        self.size += weight - former
        while self.size > KEPT_BYTES:
            _, (_, gone) = self.answers.popitem(last=False)
            self.size -= gone


_kept: WeakKeyDictionary[Queries, _Kept] = WeakKeyDictionary()


async def months(queries: Queries, table: str = "conversations") -> list[Month]:
    """Give the months that have rows, the oldest first."""
    found = await queries.rows(_PARTS, {"table": table})
    return sorted(
        (Month(date(int(month[:4]), int(month[4:]), 1), *rest) for month, *rest in found), key=lambda one: one.first
    )


def months_of(parts: Parts, standing: Sequence[Month]) -> list[Month]:
    """Give the months that a selection can have rows of."""
    start, end = parts.span
    return [
        month
        for month in standing
        if (start is None or _midnight(month.last + _DAY) > start) and (end is None or _midnight(month.first) < end)
    ]


def rows_of(parts: Parts, those: Sequence[Month]) -> int:
    """Say about how many rows a selection has by its days, deleted and former ones too."""
    start, end = (None if at is None else at.astimezone(UTC).date() for at in parts.span)
    rows = 0
    for month in months_of(parts, those):
        last = month.newest if end is None else min(month.newest, end)
        first = month.first if start is None else max(month.first, start)
        rows += month.rows * max(0, (last - first).days + 1) // ((month.newest - month.first).days + 1)
    return rows


def stretches(parts: Parts, standing: Sequence[Month]) -> list[Stretch]:
    """Divide the days of a selection, the oldest first; one stretch that cannot be kept where dividing does not pay.

    It does not for a table of few rows.
    """
    those = months_of(parts, standing)
    if sum(month.rows for month in those) < MONTH_ROWS:
        return [at_once(parts)]
    return list(_divided(parts, those, *parts.span))


def at_once(parts: Parts) -> Stretch:
    """Leave the days of a selection together."""
    return Stretch(date.min, date.max, (), parts)


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
    return [one.rows for one in await packed(queries, those, write, bound, _Plain.of)]


async def packed(
    queries: Queries,
    those: Sequence[Stretch],
    write: Callable[[Parts], str],
    bound: Mapping[str, object],
    pack: Callable[[Answer], P],
) -> list[P]:
    """Ask as `asked` does, and keep what `pack` makes of the answers; one query is always packed in the same way."""

    async def ask(stretch: Stretch) -> P:
        sql = write(stretch.parts)
        question = sql, said(stretch, bound)
        found: P | None = known(queries, stretch, question)
        if found is None:
            host, answer = await ask_now(queries, stretch, sql, bound)
            found = pack(answer)
            keep(queries, stretch, question, host, found)
        return found

    return await asyncio.gather(*map(ask, those))


async def ask_now(queries: Queries, stretch: Stretch, sql: str, bound: Mapping[str, object]) -> tuple[str, Answer]:
    """Ask one stretch. Who answered, is told even where there is nothing, for `keep`."""
    ((host, answer),) = await queries.rows(
        f"SELECT hostName(), groupArray(tuple(*)) FROM ({sql})", {**stretch.parts.bound, **bound}
    )
    return host, answer


def known(queries: Queries, stretch: Stretch, question: object) -> Any:
    """Give what was kept of a stretch as it stands; None where nothing was."""
    kept = _kept.get(queries)
    return None if kept is None or not stretch.months else kept.get((stretch.months, stretch.facts, question))


def keep(queries: Queries, stretch: Stretch, question: object, host: str, answer: Packed) -> None:
    """Keep an answer, if it can be: another replica's answer is not what these parts say."""
    if stretch.months and all(month.host == host for month in (*stretch.months, *stretch.facts)):
        _kept.setdefault(queries, _Kept()).put((stretch.months, stretch.facts, question), answer)


def said(stretch: Stretch, bound: Mapping[str, object]) -> str:
    """Write what is bound, to be part of a question."""
    return repr(sorted({**stretch.parts.bound, **bound}.items()))
