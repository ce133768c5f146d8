"""The rates, over closed conversations in which the user said something, under the filters of a page.

Fallback Rate: at least one fallback, of all. Containment Rate: not escalated, of all. Satisfaction Rate: rated 4 or 5,
of the rated. Response Rate: rated, of all. Both numbers of a rate are counted in one set, in one query.
"""

import asyncio
import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from http import HTTPStatus
from itertools import chain
from typing import Any, Final
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field

from api.problems import Problem
from api.queries.asking import Queries
from api.queries.conditions import TABLE, Parts, taken_apart
from api.queries.months import months, rows_of
from api.queries.searches import divided, standing
from api.queries.selection import Selection
from api.queries.tallies import TIME, ChangedError, Grouping, TooManyBucketsError, tallied

DIMENSIONS: Final = ("language", "channel", "topic", "device", "location")
DIMENSION_VALUES: Final = 20
"""So many of the largest values of a dimension are given."""

AT_ONCE: Final = 2_000_000
"""Of more rows each dimension is asked apart: exact medians hold every value, and all at once would go on on disk."""

FEW_ROWS: Final = 250_000
"""Of about so many rows everything is asked at once too: that takes less than adding up what is known of months."""

ATTEMPTS: Final = 4
"""So often are months asked, until they do not change meanwhile; then everything is asked at once."""

MAX_BUCKETS: Final = 10_000
"""So many stretches of time at most: a year has 8,760 hours."""


class BucketSize(StrEnum):
    """How long the stretches of time are; days and weeks, from Monday, are those of the selection's zone."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"


class Rate(BaseModel):
    """`value` is numerator / denominator, null when there is nothing to divide by."""

    model_config = ConfigDict(frozen=True)

    numerator: int
    denominator: int
    value: float | None

    @classmethod
    def of(cls, numerator: int, denominator: int) -> "Rate":
        """Divide, where that is possible."""
        return cls(numerator=numerator, denominator=denominator, value=numerator / denominator if denominator else None)


class Measures(BaseModel):
    """What is measured of a set of conversations; medians are exact, null of nothing."""

    conversations: int = Field(description="closed conversations with a message by the user")
    fallback_rate: Rate = Field(description="with at least one fallback / all")
    containment_rate: Rate = Field(description="not escalated / all")
    satisfaction_rate: Rate = Field(description="rated 4 or 5 / rated")
    response_rate: Rate = Field(description="rated / all")
    positive: int = Field(description="labelled positive")
    negative: int = Field(description="labelled negative")
    median_duration_ms: float | None = Field(description="median of duration_ms")
    median_queries: float | None = Field(description="median number of unique questions")


class Bucket(Measures):
    """One stretch of time; those in which nothing began are there too, between the first and the last."""

    start: datetime = Field(description="its beginning")


class DimensionRow(Measures):
    """One value of a column."""

    value: str = Field(description="the value; '' where the column is empty")


class Statistics(Measures):
    """The whole, over time, and by dimension."""

    bucket: BucketSize = Field(description="how long the stretches of `over_time` are")
    zone: str = Field(description="whose days and weeks they are")
    over_time: list[Bucket] = Field(description="by started_at, in order")
    by: dict[str, list[DimensionRow]] = Field(
        description=f"by {', '.join(DIMENSIONS)}: the {DIMENSION_VALUES} largest values of each, the largest first"
    )


_MEASURABLE: Final = "c.closed AND c.user_messages > 0"
"""Which conversations are measured."""

_MEASURED: Final = """
    count() AS conversations, countIf(c.fallbacks > 0), countIf(NOT c.escalated), countIf(c.rating >= 4),
    countIf(isNotNull(c.rating)), countIf(c.label = 'positive'), countIf(c.label = 'negative'),
    quantileExactInclusive(c.duration_ms), quantileExactInclusive(c.queries)
"""

_STARTS: Final = {
    BucketSize.HOUR: "toUnixTimestamp(toStartOfHour(c.started_at, {zone:String}))",
    BucketSize.DAY: "toInt32(toDate(c.started_at, {zone:String}))",
    BucketSize.WEEK: "toInt32(toMonday(c.started_at, {zone:String}))",
}
"""Seconds of hours; days, since 1970-01-01, of days and weeks: midnight is not the same everywhere, or not there."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


_Row = tuple[Any, ...]
"""`TIME`, a column, or '' for the whole; its value; when a stretch of time begins; the numbers of `_measures`."""


async def statistics(
    queries: Queries, selection: Selection, assistant: str | None, now: datetime, bucket: BucketSize
) -> Statistics:
    """Measure; `selection.state` does not count, for what goes on is in no rate.

    All of it is of one moment, except of more than `AT_ONCE` rows that change all the time, or have very many values in
    a column. Raises Problem 422 when there would be more than `MAX_BUCKETS` stretches of time.
    """
    parts = taken_apart(selection, assistant, now).without("state")
    found = await _by_months(queries, parts, bucket, selection.zone)
    if found is None:
        found = await _at_once(queries, parts, bucket, selection.zone)
    whole = Measures(**_measures((0, 0, 0, 0, 0, 0, 0, None, None)))
    times: dict[int, dict[str, Any]] = {}
    by: dict[str, list[DimensionRow]] = {name: [] for name in DIMENSIONS}
    for kind, value, start, *numbers in found:
        measured = _measures(numbers)
        if kind == TIME:
            times[start] = measured
        elif kind:
            by[kind].append(DimensionRow(value=value, **measured))
        else:
            whole = Measures(**measured)
    for rows in by.values():
        rows.sort(key=lambda row: (-row.conversations, row.value))
    return Statistics(
        **whole.model_dump(),
        bucket=bucket,
        zone=selection.zone,
        over_time=_over_time(times, bucket, selection.zone),
        by=by,
    )


async def _by_months(queries: Queries, parts: Parts, bucket: BucketSize, zone: str) -> list[_Row] | None:
    """Add the months up; None where that does not pay, or they do not stand still. What is found is of one moment."""
    grouping = Grouping(_MEASURABLE, _STARTS[bucket], zone, DIMENSIONS, DIMENSION_VALUES, MAX_BUCKETS)
    now = await standing(queries, parts)
    if rows_of(parts, now.months) < FEW_ROWS:
        return None
    for _ in range(ATTEMPTS):
        those, before = await divided(queries, parts, now), now
        if not any(one.months for one in those):
            return None
        try:
            found = await tallied(queries, those, grouping)
            if found is None:
                return None
        except ChangedError:
            found = None
        except TooManyBucketsError:
            raise _too_many(bucket) from None
        now = await standing(queries, parts)
        if found is not None and now.is_as(before):
            return [
                (kind, "" if kind == TIME else value, value if kind == TIME else 0, *numbers)
                for (kind, value), numbers in found.items()
            ]
    return None


async def _at_once(queries: Queries, parts: Parts, bucket: BucketSize, zone: str) -> list[_Row]:
    """Measure everything in one query; of very many rows each dimension in its own."""
    rows = rows_of(parts, await months(queries))
    passes: list[Sequence[str]] = [DIMENSIONS] if rows <= AT_ONCE else [(), *((name,) for name in DIMENSIONS)]
    answers = await asyncio.gather(
        *(
            queries.rows(_measuring(parts.whole, bucket, names, whole=not place), {**parts.bound, "zone": zone})
            for place, names in enumerate(passes)
        )
    )
    return list(chain.from_iterable(answers))


def _measuring(wanted: str, bucket: BucketSize, dimensions: Sequence[str], *, whole: bool) -> str:
    """Write the query: each value of these dimensions, and the whole and each stretch of time, in one pass."""
    groups = {name: (f"{name}_", f"{name}_") for name in dimensions}
    if whole:
        groups[TIME] = ("start_", "''")
    kind = ", ".join(f"grouping({by}) = 0, '{name}'" for name, (by, _) in groups.items())
    value = ", ".join(f"grouping({by}) = 0, {value}" for by, value in groups.values())
    start = "toInt64(start_)" if whole else "toInt64(0)"
    sets = [f"({by})" for by, _ in groups.values()] + ["()"] * whole
    return f"""
        SELECT * EXCEPT place FROM (
            SELECT *, row_number() OVER (PARTITION BY kind ORDER BY conversations DESC, value, start) AS place FROM (
                SELECT multiIf({kind}, '') AS kind, multiIf({value}, '') AS value, {start} AS start, {_MEASURED}
                FROM (
                    SELECT c.fallbacks, c.escalated, c.rating, c.label, c.duration_ms, c.queries,
                        {_STARTS[bucket]} AS start_, {", ".join(f"c.{name} AS {name}_" for name in DIMENSIONS)}
                    FROM {TABLE} WHERE {_MEASURABLE} AND {wanted}
                ) AS c
                GROUP BY GROUPING SETS ({", ".join(sets)})
            )
        )
        WHERE place <= if(kind = '{TIME}', {MAX_BUCKETS + 1}, {DIMENSION_VALUES})
    """


def _measures(numbers: Iterable[Any]) -> dict[str, Any]:
    count, fallback, contained, satisfied, rated, positive, negative, duration, questions = numbers
    return {
        "conversations": count,
        "fallback_rate": Rate.of(fallback, count),
        "containment_rate": Rate.of(contained, count),
        "satisfaction_rate": Rate.of(satisfied, rated),
        "response_rate": Rate.of(rated, count),
        "positive": positive,
        "negative": negative,
        "median_duration_ms": _known(duration),
        "median_queries": _known(questions),
    }


def _known(median: float | None) -> float | None:
    """ClickHouse calls the median of nothing NaN."""
    return None if median is None or math.isnan(median) else median


def _over_time(times: dict[int, dict[str, Any]], bucket: BucketSize, zone: str) -> list[Bucket]:
    if len(times) > MAX_BUCKETS:
        raise _too_many(bucket)
    starts = sorted({*times, *_steps(min(times), max(times), bucket)}) if times else []
    if len(starts) > MAX_BUCKETS:
        raise _too_many(bucket)
    nothing = _measures((0, 0, 0, 0, 0, 0, 0, None, None))
    beginning = _hour if bucket is BucketSize.HOUR else _midnight
    return [Bucket(start=beginning(one, ZoneInfo(zone)), **times.get(one, nothing)) for one in starts]


def _steps(first: int, last: int, bucket: BucketSize) -> Iterator[int]:
    """Walk from the first stretch to the last; in hours of seconds, else in days."""
    step = {BucketSize.HOUR: 3_600, BucketSize.DAY: 1, BucketSize.WEEK: 7}[bucket]
    if (last - first) // step > MAX_BUCKETS:
        raise _too_many(bucket)
    yield from range(first, last, step)


def _hour(seconds: int, zone: ZoneInfo) -> datetime:
    return (_EPOCH + timedelta(seconds=seconds)).astimezone(zone)


def _midnight(days: int, zone: ZoneInfo) -> datetime:
    return datetime.combine(date(1970, 1, 1) + timedelta(days=days), time(), zone)


def _too_many(bucket: BucketSize) -> Problem:
    return Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        f"There are more than {MAX_BUCKETS:,} {bucket}s between the first and the last conversation. "
        "Choose longer stretches of time or a shorter range.",
        title="The question asks for too much",
    )
