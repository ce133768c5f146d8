"""On 100,000 conversations every list, count, facet and rate is what looking at every row gives."""

import random
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from api.queries import listing, months
from api.queries import statistics as rates
from api.queries.listing import Counts, Page, counts, list_page, neighbours, overview
from api.queries.selection import Selection, State
from api.queries.sorting import SORTS, Sort
from api.queries.statistics import DIMENSIONS, BucketSize, Measures, statistics
from schemas.conversation import ConversationRow
from sinks.clickhouse_queries import ClickHouseQueries
from sinks.connection import Database
from tests.api.conftest import emptied
from tests.api.queries.brute import Brute, Items, by_bucket, by_value, measures
from tests.api.queries.generated import AGENTS, CHANNELS, DEVICES, LANGUAGES, NOW, PLACES, TOPICS, store

COUNT = 100_000
QUESTIONS = ("parcel", "Parcel LATE", "größe", "возврат where", "退款", "it's", "4711 o'clock", "nowhere", "返品 x")
VALUES = {
    "assistant": ("shop", "bank", "none such"),
    "language": LANGUAGES,
    "topic": TOPICS,
    "subtopic": ("returns 0", "returns 1", "(none)", "it's 2"),
    "assigned_to": (*AGENTS, "(none)"),
    "channel": CHANNELS,
    "device": DEVICES,
    "location": PLACES,
}


@pytest.fixture(scope="module", autouse=True)
def _month_by_month() -> Iterator[None]:
    """Divide these few as if they were many."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(months, "MONTH_ROWS", 15_000)
        patched.setattr(listing, "NEAR_ROWS", 500)
        yield


@pytest.fixture(scope="module")
def brute(chdb: Database) -> Brute:
    """The rows that are stored."""
    emptied(chdb)
    return Brute(store(chdb, COUNT))


def _combination(made: random.Random) -> tuple[Items, str, str | None, int]:
    """Make up section, range, filters, sort, whose eyes, and the length of a page."""
    items: Items = []
    if made.random() < 0.5:
        items.append(("section", made.choice(("positive", "negative", "fallback"))))
    if made.random() < 0.3:
        items.append(("state", made.choice(("open", "all"))))
    items += _range(made)
    for name in ("rated", "claimed", "escalated"):
        if made.random() < 0.2:
            items.append((name, made.choice(("true", "false"))))
    if made.random() < 0.1:
        items.append(("client", made.choice(("u-7", "u-311", "(none)", "nobody"))))
    if made.random() < 0.15:
        items.append(("q", made.choice(QUESTIONS)))
    for name, values in VALUES.items():
        if made.random() < 0.15:
            chosen = {made.choice(values) or "(none)" for _ in range(made.choice((1, 1, 3)))}
            items += [(name, value) for value in sorted(chosen)]
    return (
        items,
        made.choice((*SORTS, *("started_at", "-started_at") * 15)),
        made.choice((None, None, "shop")),
        made.choice((1, 7, 20, 100)),
    )


def _range(made: random.Random) -> Items:
    match made.randrange(6):
        case 0 | 1:
            return []
        case 2 | 3 | 4:
            return [("range", made.choice(("24h", "week", "month", "year")))]
    start = NOW.date() - timedelta(days=made.randrange(1, 90))
    items = [("range", "custom"), ("zone", made.choice(("UTC", "Europe/Madrid", "Asia/Kolkata", "America/St_Johns")))]
    kept = made.randrange(3)
    if kept != 0:
        items.append(("from", str(start)))
    if kept != 1:
        items.append(("to", made.choice((str(start), f"{start + timedelta(days=3)}T13:30"))))
    return items


def _plain(row: ConversationRow) -> dict[str, Any]:
    """Bring a row to the form in which it was made up."""
    plain = row.model_dump()
    for name, value in plain.items():
        if isinstance(value, datetime):
            plain[name] = (value - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
        elif isinstance(value, date):
            plain[name] = (value - date(1970, 1, 1)).days
    plain["attributes"] = row.attributes or None
    plain["fallback_causes"] = [tuple(one.model_dump().values()) for one in row.fallback_causes] or None
    return plain


def _counted(found: Counts) -> dict[str, Any]:
    return {
        "sections": {section.value: count for section, count in found.sections.items()},
        "total": found.total,
        "open": found.open,
        "facets": {name: [(one.value, one.count) for one in values] for name, values in found.facets.items()},
    }


async def _walk(
    queries: ClickHouseQueries, selection: Selection, sort: str, only: str | None, limit: int, most: int
) -> AsyncIterator[Page]:
    """Walk forth, and from the last page back again; a single page back is enough of a long walk."""
    cursor: str | None = None
    pages: list[Page] = []
    while len(pages) < most:
        page = await list_page(queries, selection, Sort.parse(sort), cursor, limit, only, NOW)
        pages.append(page)
        yield page
        if page.next is None:
            break
        cursor = page.next
    back = pages[-1]
    for before in reversed(pages[:-1] if len(pages) <= 3 else pages[-2:-1]):
        assert back.previous is not None
        back = await list_page(queries, selection, Sort.parse(sort), back.previous, limit, only, NOW)
        assert back == before
    assert len(pages) > 3 or back.previous is None


@pytest.mark.parametrize("seed", range(200))
async def test_a_list_its_counts_and_its_facets_are_what_looking_at_every_row_gives(
    queries: ClickHouseQueries, brute: Brute, seed: int
) -> None:
    items, sort, only, limit = _combination(random.Random(seed))
    selection = Selection.from_items(items)
    expected = brute.listed(items, only, sort)
    assert _counted(await counts(queries, selection, only, NOW)) == brute.counts(items, only)
    walked: list[ConversationRow] = []
    most = 3 if len(expected) > 4 * limit else 1_000
    async for page in _walk(queries, selection, sort, only, limit, most):
        assert page.total == len(expected)
        assert page.first == (len(walked) + 1 if expected else 0)
        walked += page.items
    assert [_plain(row) for row in walked] == expected[: len(walked)]
    assert len(walked) == min(len(expected), most * limit)
    if walked and seed % 3 == 0:
        place = random.Random(seed).randrange(len(walked))
        around = await neighbours(queries, selection, Sort.parse(sort), walked[place], only, NOW)
        keys = [(row["assistant"], row["conversation_id"]) for row in expected]
        assert around.previous == (keys[place - 1] if place else None)
        assert around.next == (keys[place + 1] if place + 1 < len(keys) else None)
        assert (around.position, around.total) == (place + 1, len(keys))


async def test_a_walk_through_everything_meets_every_row_once(queries: ClickHouseQueries, brute: Brute) -> None:
    items: Items = [("state", "all"), ("language", "en"), ("channel", "app")]
    expected = brute.listed(items, None, "-rating")
    assert len(expected) > 3_000
    selection, cursor, met = Selection.from_items(items), None, []
    while True:
        page = await list_page(queries, selection, Sort.parse("-rating"), cursor, 200, None, NOW)
        met += [(row.assistant, row.conversation_id) for row in page.items]
        if page.next is None:
            break
        cursor = page.next
    assert met == [(row["assistant"], row["conversation_id"]) for row in expected]


@pytest.mark.parametrize("few", [pytest.param(0, id="added up"), pytest.param(1 << 40, id="at once")])
@pytest.mark.parametrize("bucket", BucketSize)
@pytest.mark.parametrize("seed", range(4))
async def test_rates_are_what_looking_at_every_row_gives(
    queries: ClickHouseQueries,
    brute: Brute,
    monkeypatch: pytest.MonkeyPatch,
    seed: int,
    bucket: BucketSize,
    few: int,
) -> None:
    monkeypatch.setattr(rates, "FEW_ROWS", few)
    made = random.Random(f"{seed} {bucket}")
    items, _, only, _ = _combination(made) if seed else ([], None, None, None)
    items = [one for one in items if one[0] not in ("state", "zone")]
    zone = made.choice(("UTC", "Europe/Madrid", "Asia/Kolkata", "America/St_Johns"))
    given = Selection.from_items([*items, ("zone", zone)])
    found = await statistics(queries, given.but(state=State.OPEN), only, NOW, bucket)
    rows = [row for row in brute.listed([*items, ("zone", zone)], only, "started_at") if row["user_messages"] > 0]
    assert _measured(found) == measures(rows)
    assert (found.zone, found.bucket) == (zone, bucket)
    over_time = by_bucket(rows, bucket.value, ZoneInfo(zone))
    told = {one.start.astimezone(UTC): _measured(one) for one in found.over_time}
    assert list(told) == sorted(told)
    assert {start: one for start, one in told.items() if one["conversations"]} == over_time
    if rows:
        gap = {"hour": timedelta(hours=1), "day": timedelta(hours=25), "week": timedelta(days=7, hours=1)}[bucket.value]
        assert all(after - before <= gap for before, after in pairwise(told))
    for name in DIMENSIONS:
        assert [(one.value, _measured(one)) for one in found.by[name]] == by_value(rows, name)[:20]


def _measured(found: Measures) -> dict[str, Any]:
    whole = found.model_dump(include=set(Measures.model_fields))
    return {
        name: (value["numerator"], value["denominator"], value["value"]) if isinstance(value, dict) else value
        for name, value in whole.items()
    }


async def test_a_page_beside_its_counts_is_the_same_page(queries: ClickHouseQueries, brute: Brute) -> None:
    selection = Selection.from_items([("range", "week"), ("rated", "true")])
    page, counted = await overview(queries, selection, Sort.parse("-started_at"), None, 50, "shop", NOW)
    assert page == await list_page(queries, selection, Sort.parse("-started_at"), None, 50, "shop", NOW)
    assert counted == await counts(queries, selection, "shop", NOW)
    assert page.total == counted.total == len(brute.listed([("range", "week"), ("rated", "true")], "shop", "messages"))
