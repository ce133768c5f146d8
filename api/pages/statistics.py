"""Statistics: the three rates with their definitions, over time and by dimension."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Final
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from api.access.identify import Visitor
from api.pages import addresses, filters
from api.pages.filters import Link
from api.pages.rendering import render
from api.parts import Given
from api.queries.conditions import in_words
from api.queries.listing import counts
from api.queries.selection import NONE, Range, Section, Selection, State
from api.queries.statistics import BucketSize, DimensionRow, Statistics, statistics

router = APIRouter()

_USUAL: Final = {Range.DAY: BucketSize.HOUR, Range.WEEK: BucketSize.DAY, Range.MONTH: BucketSize.DAY}
_BUCKETS: Final = {BucketSize.HOUR: "Hour", BucketSize.DAY: "Day", BucketSize.WEEK: "Week"}
_HOURLY: Final = frozenset({Range.DAY, Range.WEEK, Range.MONTH})
"""Longer ranges have more hours than a chart has room for."""
_DIMENSIONS: Final = ("language", "channel", "topic", "device", "location")
_SET: Final = "archived conversations in which the user wrote something"


@dataclass(frozen=True, slots=True)
class RateWords:
    """One rate: what it is called, what it means, and of what its two numbers are counts."""

    name: str
    title: str
    meaning: str
    part: str
    whole: str


RATES: Final = (
    RateWords(
        "fallback_rate",
        "Fallback rate",
        f"Of all {_SET}: those with at least one fallback.",
        "with a fallback",
        "conversations",
    ),
    RateWords(
        "containment_rate",
        "Containment rate",
        f"Of all {_SET}: those that did not go to a human agent.",
        "not escalated",
        "conversations",
    ),
    RateWords(
        "satisfaction_rate",
        "Satisfaction rate",
        "Of the rated ones among them: those rated 4 or 5.",
        "rated 4 or 5",
        "rated",
    ),
)
RESPONSE: Final = RateWords(
    "response_rate", "Response rate", "How many of all were rated at all.", "rated", "conversations"
)


class StatisticsRequest(Selection):
    """The state of the page, all of which stands in its address."""

    bucket: BucketSize | None = Field(None, description="of what length the stretches of time are")


@dataclass(frozen=True, slots=True)
class Breakdown:
    """One value of a dimension: its measures, its share of the largest, and where clicks on its cells lead."""

    words: str
    measures: DimensionRow
    share: float
    addresses: dict[str, str]


@router.get("/statistics")
async def page(
    request: Request, asked: Annotated[StatisticsRequest, Query()], parts: Given, reader: Visitor
) -> Response:
    """Show the rates of a selection."""
    now = datetime.now(UTC)
    bucket = asked.bucket or _USUAL.get(asked.range or Range.CUSTOM, BucketSize.WEEK)
    selection = asked.but(state=State.CLOSED)
    measured, counted = await asyncio.gather(
        statistics(parts.queries, selection, reader.assistant, now, bucket),
        counts(parts.queries, selection, reader.assistant, now),
    )
    plain = Selection.from_items(addresses.without(selection, "bucket"))
    return await render(
        request,
        "statistics.html",
        page="statistics",
        now=now,
        state=selection,
        selection=plain,
        switch=filters.assistants(selection, counted.facets, address),
        tabs=[],
        ranges=filters.ranges(selection, address),
        sentence=in_words(plain),
        active=[(one, address(one.rest)) for one in filters.active(selection)],
        reset=address(filters.reset(selection)),
        panel=[one for one in filters.panel(selection, counted.facets) if one.name != "state"],
        rates=[(words, getattr(measured, words.name)) for words in RATES],
        response=(RESPONSE, measured.response_rate),
        measured=measured,
        zone=ZoneInfo(measured.zone),
        buckets=[
            Link(words, address(selection.but(bucket=one)), one is bucket)
            for one, words in _BUCKETS.items()
            if one is not BucketSize.HOUR or selection.range in _HOURLY
        ],
        dimensions=list(_by(measured, plain)),
        listed=addresses.filtered(plain),
    )


def address(state: Selection) -> str:
    """Give the address of the page in this state."""
    query = urlencode(state.items())
    return f"/statistics?{query}" if query else "/statistics"


def _by(measured: Statistics, selection: Selection) -> Iterator[tuple[str, list[Breakdown]]]:
    for name in _DIMENSIONS:
        rows = measured.by.get(name, [])
        largest = max((row.conversations for row in rows), default=1)
        yield filters.VALUES[name], [_breakdown(name, row, largest, selection) for row in rows]


def _breakdown(name: str, row: DimensionRow, largest: int, selection: Selection) -> Breakdown:
    narrowed = selection.but(**{name: (row.value or NONE,)})
    return Breakdown(
        filters.in_words(name, row.value),
        row,
        row.conversations / max(largest, 1),
        {
            "conversations": addresses.filtered(narrowed),
            "fallback_rate": addresses.filtered(narrowed.but(section=Section.FALLBACK)),
            "containment_rate": addresses.filtered(narrowed.but(escalated=False)),
            "satisfaction_rate": addresses.filtered(narrowed.but(rated=True)),
            "response_rate": addresses.filtered(narrowed.but(rated=True)),
        },
    )
