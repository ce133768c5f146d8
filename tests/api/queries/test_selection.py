"""What an address may say, and that it says it back."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from urllib.parse import parse_qsl

import pytest
from fastapi import FastAPI, Query
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from api.queries.selection import MAX_VALUES, ListRequest, Range, Section, Selection, State
from api.queries.sorting import SORTS

NOW = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)

_texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30).filter(str.strip)
_items = st.fixed_dictionaries(
    {},
    optional={
        "section": st.sampled_from(list(Section)),
        "state": st.sampled_from(list(State)),
        "range": st.sampled_from([one for one in Range if one is not Range.CUSTOM]),
        "zone": st.sampled_from(["UTC", "Europe/Madrid", "America/Argentina/Buenos_Aires"]),
        "rated": st.sampled_from(["true", "false", "1", "no"]),
        "client": _texts,
        "language": st.lists(_texts, max_size=3),
        "topic": st.lists(_texts, max_size=3),
        "q": _texts,
        "sort": st.sampled_from(SORTS),
        "limit": st.integers(1, 200).map(str),
    },
)


def _pairs(given: Mapping[str, str | list[str]]) -> list[tuple[str, str]]:
    return [
        (name, one) for name, value in given.items() for one in (value if isinstance(value, list) else [str(value)])
    ]


@given(_items)
def test_the_address_of_a_selection_gives_the_same_selection(said: dict[str, Any]) -> None:
    selection = ListRequest.from_items(_pairs(said))
    assert ListRequest.from_items(parse_qsl(selection.query())) == selection
    assert ListRequest.from_items(selection.items()) == selection


def test_what_says_nothing_gives_an_empty_address() -> None:
    blank = [(name, "") for name in ListRequest.parameters()]
    assert ListRequest.from_items(blank) == ListRequest.from_items([])
    assert ListRequest.from_items([*blank, ("section", "all"), ("sort", "-started_at")]).query() == ""


def test_an_address_keeps_its_order_and_repeats_for_several_values() -> None:
    selection = Selection.from_items([("topic", "a&b"), ("language", "en"), ("topic", "c"), ("range", "week")])
    assert selection.query() == "range=week&language=en&topic=a%26b&topic=c"


def test_a_value_that_is_said_twice_counts_once() -> None:
    assert Selection.from_items([("topic", "a"), ("topic", ""), ("topic", "b"), ("topic", "a")]).topic == ("a", "b")


def test_a_change_leaves_the_rest_and_is_checked() -> None:
    request = ListRequest.from_items([("language", "en"), ("sort", "-rating"), ("limit", "7")])
    changed = request.but(section=Section.POSITIVE, language=("de",), cursor="x")
    assert changed.query() == "section=positive&language=de&sort=-rating&cursor=x&limit=7"
    assert changed.selection == Selection.from_items([("section", "positive"), ("language", "de")])
    custom = request.but(range=Range.CUSTOM, from_="2026-11-01")
    assert custom.items()[:2] == [("range", "custom"), ("from", "2026-11-01")]
    with pytest.raises(ValidationError):
        request.but(range=Range.CUSTOM)


@pytest.mark.parametrize(
    ("items", "where", "what"),
    [
        ([("zone", "Mars/Olympus")], ("zone",), "Europe/Madrid"),
        ([("zone", "localtime")], ("zone",), "Europe/Madrid"),
        ([("zone", "../../etc/passwd")], ("zone",), "Europe/Madrid"),
        ([("from", "2026-11-01")], ("from",), "range=custom"),
        ([("range", "week"), ("to", "2026-11-01")], ("to",), "range=custom"),
        ([("range", "custom")], (), "from, to or both"),
        ([("range", "custom"), ("from", "2026-11-02"), ("to", "2026-11-01")], ("to",), "after the beginning"),
        ([("range", "custom"), ("from", "2026-11-01T10:00"), ("to", "2026-11-01T10:00")], ("to",), "after"),
        ([("range", "custom"), ("from", "yesterday")], ("from",), "neither a date nor a time"),
        ([("range", "custom"), ("from", "2026-13-01")], ("from",), "neither a date nor a time"),
        ([("range", "custom"), ("from", "0001-01-01")], ("from",), "1970"),
        ([("range", "custom"), ("to", "9999-12-31")], ("to",), "2100"),
        ([("range", "fortnight")], ("range",), "week"),
        ([("rated", "maybe")], ("rated",), "boolean"),
        ([("colour", "red")], ("colour",), "not permitted"),
        ([("colour", "")], ("colour",), "not permitted"),
        ([("from_", "2026-11-01")], ("from_",), "not permitted"),
        ([("topic", "x" * 1_025)], ("topic", 0), "1024"),
        ([("topic", str(number)) for number in range(MAX_VALUES + 1)], ("topic",), "at most 100"),
        ([("q", "x" * 501)], ("q",), "500"),
        ([("sort", "colour")], ("sort",), "started_at"),
        ([("sort", "--started_at")], ("sort",), "started_at"),
        ([("sort", "attributes")], ("sort",), "started_at"),
        ([("limit", "201")], ("limit",), "200"),
        ([("limit", "0")], ("limit",), "1"),
    ],
    ids=str,
)
def test_what_cannot_be_meant_is_refused_with_its_name_and_what_would_be_right(
    items: list[tuple[str, str]], where: tuple[str, ...], what: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        ListRequest.from_items(items)
    (error,) = refused.value.errors()
    assert error["loc"] == where
    assert what in error["msg"]


@pytest.mark.parametrize(
    ("items", "start", "end"),
    [
        ([("range", "24h")], "2026-11-23T10:00:00Z", None),
        ([("range", "month")], "2026-10-25T10:00:00Z", None),
        ([("from", "2026-11-01")], "2026-11-01T00:00:00Z", None),
        ([("to", "2026-11-01")], None, "2026-11-02T00:00:00Z"),
        ([("to", "2026-11-01T00:00")], None, "2026-11-01T00:00:00Z"),
        ([("from", "2026-11-01"), ("to", "2026-11-01")], "2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z"),
        ([("zone", "Europe/Madrid"), ("from", "2026-10-25")], "2026-10-24T22:00:00Z", None),
        ([("zone", "Europe/Madrid"), ("to", "2026-10-25")], None, "2026-10-25T23:00:00Z"),
        ([("zone", "Asia/Kolkata"), ("from", "2026-11-01T12:00")], "2026-11-01T06:30:00Z", None),
        ([("zone", "Asia/Kolkata"), ("from", "2026-11-01T12:00Z")], "2026-11-01T12:00:00Z", None),
        ([("from", "2026-11-01T12:00+02:00")], "2026-11-01T10:00:00Z", None),
        ([("from", "2026-11-01T12:00 02:00")], "2026-11-01T10:00:00Z", None),
    ],
    ids=str,
)
def test_a_range_begins_and_ends_where_the_zone_says(
    items: list[tuple[str, str]], start: str | None, end: str | None
) -> None:
    custom = [] if items[0][0] == "range" else [("range", "custom")]
    found = Selection.from_items([*custom, *items]).span(NOW)
    assert found == tuple(one and datetime.fromisoformat(one) for one in (start, end))


def test_without_a_range_there_is_no_bound() -> None:
    assert Selection().span(NOW) == (None, None)
    assert Selection(range=Range.YEAR).span(NOW) == (NOW - timedelta(days=365), None)


def test_an_endpoint_reads_an_address_as_a_page_does() -> None:
    app = FastAPI()

    @app.get("/")
    async def read(asked: Annotated[ListRequest, Query()]) -> str:
        return asked.query()

    client = TestClient(app)
    query = "range=custom&from=2026-11-01&to=&client=&rated=&topic=a&topic=&topic=b&escalated=false&zone=UTC&q=+&sort="
    assert client.get(f"/?{query}").json() == "range=custom&from=2026-11-01&escalated=false&topic=a&topic=b"
    refused = client.get("/?colour=red&rated=maybe&from_=2026-11-01")
    assert refused.status_code == 422
    assert [one["loc"] for one in refused.json()["detail"]] == [
        ["query", "rated"],
        ["query", "colour"],
        ["query", "from_"],
    ]
