"""Statistics as a browser without script gets it: the rates, their tables, and where clicks lead."""

import time
from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlsplit

import pytest

from api.pages import learning, statistics
from api.pages.words import NOTHING
from sinks.connection import Database
from tests.api.pages.shop import Browser, Element, Shop, opened
from tests.api.pages.test_learning import HOSTILE, NOON, ids, said, talk
from tests.builders import DAY, HOUR, SECOND


@pytest.fixture
async def shop(database: Database) -> AsyncIterator[Shop]:
    async with opened(database) as shop:
        shop.app.include_router(learning.router)
        shop.app.include_router(statistics.router)
        yield shop


@pytest.fixture
async def ana(shop: Shop) -> AsyncIterator[Browser]:
    async with shop.browser() as browser:
        yield browser


@pytest.fixture
def measured(shop: Shop) -> None:
    """Four conversations in English, of which three rated, and one in German; on two days with one between."""
    shop.log.add(
        [
            *talk("c-1", said("message.fallback"), said("conversation.rated", rating=1), language="en"),
            *talk("c-2", said("conversation.escalated"), said("conversation.rated", rating=5), language="en"),
            *talk("c-3", said("conversation.rated", rating=4), language="en", at=NOON + 2 * DAY),
            *talk("c-4", language="en"),
            *talk("c-5", language="de"),
        ]
    )


def figures(page: Element) -> dict[str, Element]:
    return {one.attributes["data-rate"]: one for one in page.all("figure")}


def by(page: Element, value: str) -> Element:
    """The row of one value."""
    (row,) = [
        row
        for row in page.one("table", class_="by").all("tr")
        if row.all("th", scope="row") and row.one("th").words == value
    ]
    return row


@pytest.mark.usefixtures("measured")
async def test_each_rate_stands_with_its_two_numbers_and_what_it_means(ana):
    page = await ana.open("/statistics")
    said_of = {name: [one.words for one in figure.all("p", class_="sum")] for name, figure in figures(page).items()}
    assert said_of["fallback_rate"][0] == "20.0 % 1 of 5"
    assert said_of["containment_rate"][0] == "80.0 % 4 of 5"
    assert said_of["satisfaction_rate"] == ["66.7 % 2 of 3", "60.0 % response rate, 3 of 5"]
    for figure in figures(page).values():
        assert figure.one("p", class_="meaning").words.endswith(".")
    title = figures(page)["satisfaction_rate"].one("p", class_="beside")
    assert "response rate" in title.words


@pytest.mark.usefixtures("measured")
async def test_what_is_drawn_stands_in_a_table_too(ana):
    page = await ana.open("/statistics?bucket=day")
    table = page.one("table", id="series")
    assert [one.words for one in table.one("thead").all("th")] == [
        "Beginning",
        "Conversations",
        "Fallback rate",
        "Containment rate",
        "Satisfaction rate",
        "Response rate",
    ]
    rows = [[one.words for one in row.all() if one.tag in {"th", "td"}] for row in table.one("tbody").all("tr")]
    assert rows == [
        ["2026-11-09", "4", "25.0 %", "75.0 %", "50.0 %", "50.0 %"],
        ["2026-11-10", "0", NOTHING, NOTHING, NOTHING, NOTHING],
        ["2026-11-11", "1", "0.0 %", "100.0 %", "100.0 %", "100.0 %"],
    ]
    cell = table.one("tbody").all("td", data_rate="satisfaction_rate")[0]
    assert (cell.attributes["data-part"], cell.attributes["data-of"]) == ("1", "2")


@pytest.mark.usefixtures("measured")
async def test_a_click_opens_what_the_bar_counts(ana):
    page = await ana.open("/statistics")
    english = by(page, "English")
    links = [one.attributes["href"] for one in english.all("a")]
    assert links == [
        "/learning/all?language=en",
        "/learning/all?language=en",
        "/learning/fallback?language=en",
        "/learning/all?escalated=false&language=en",
        "/learning/all?rated=true&language=en",
        "/learning/all?rated=true&language=en",
    ]
    assert [len(ids(await ana.open(link))) for link in links[1:]] == [4, 1, 3, 3, 3]


@pytest.mark.usefixtures("measured")
async def test_dimensions_are_sorted_by_how_many_there_are_and_empty_values_have_a_word(ana):
    page = await ana.open("/statistics")
    named = [one.words for one in page.one("table", class_="by").all("th", scope="row")]
    assert named == ["English", "German", "none", "none", "none", "none"]
    nowhere = page.one("table", class_="by").all("th", scope="row")[2].one("a")
    assert parse_qs(urlsplit(nowhere.attributes["href"]).query) == {"channel": ["(none)"]}


@pytest.mark.usefixtures("measured")
async def test_a_bar_is_as_long_as_its_number(ana):
    page = await ana.open("/statistics")
    conversations, fallback, *_ = by(page, "German").all("svg")
    assert [one.attributes["width"] for one in conversations.all("rect")] == ["100", "25.0"]
    assert [one.attributes["width"] for one in fallback.all("rect")] == ["100", "0.0"]
    satisfaction = by(page, "German").all("svg")[3]
    assert len(satisfaction.all("rect")) == 1


@pytest.mark.usefixtures("measured")
async def test_it_has_the_filters_and_ranges_of_learning(ana):
    page = await ana.open("/statistics?language=en&bucket=day&range=custom&from=2026-11-09&to=2026-11-09")
    assert page.one("p", id="sentence").words.startswith("English conversations")
    assert figures(page)["fallback_rate"].all("p", class_="sum")[0].words == "33.3 % 1 of 3"
    form = page.one("details", id="filters").one("form")
    assert form.attributes["action"] == "/statistics"
    assert not form.all("select", name="state")
    week = page.all("nav", class_="ranges")[0].all("a")[1]
    assert parse_qs(urlsplit(week.attributes["href"]).query) == {
        "language": ["en"],
        "bucket": ["day"],
        "range": ["week"],
    }
    learning_link = page.one("nav", class_="nav").all("a")[0].attributes["href"]
    assert parse_qs(urlsplit(learning_link).query) == {
        "language": ["en"],
        "range": ["custom"],
        "from": ["2026-11-09"],
        "to": ["2026-11-09"],
    }


@pytest.mark.usefixtures("measured")
@pytest.mark.parametrize(
    ("range_", "bucket", "offered"),
    [
        ("24h", "Hour", ["Hour", "Day", "Week"]),
        ("month", "Day", ["Hour", "Day", "Week"]),
        ("year", "Week", ["Day", "Week"]),
        ("", "Week", ["Day", "Week"]),
    ],
)
async def test_the_steps_in_time_fit_the_range(shop, ana, range_, bucket, offered):
    shop.log.add(talk("c-now", at=int(time.time() * SECOND) - HOUR))
    page = await ana.open(f"/statistics?range={range_}")
    steps = page.all("nav", class_="ranges")[1].all("a")
    assert [one.words for one in steps] == offered
    assert [one.words for one in steps if "aria-current" in one.attributes] == [bucket]


async def test_nothing_to_measure_is_said(ana):
    page = await ana.open("/statistics")
    assert page.one("div", class_="nothing").one("h2").words == "Nothing to measure"
    assert not page.all("figure")


async def test_who_sees_one_assistant_measures_no_other(shop):
    shop.log.add([*talk("c-1"), *talk("c-2", assistant="hotel"), *talk("c-3", assistant="hotel")])
    async with shop.browser("hotel") as hotel:
        page = await hotel.open("/statistics")
        assert figures(page)["containment_rate"].all("p", class_="sum")[0].words == "100.0 % 2 of 2"


async def test_hostile_values_stay_texts(shop, ana):
    shop.log.add(talk("c-1", topic=HOSTILE, channel=HOSTILE))
    page = await ana.open("/statistics")
    assert not page.all("img")
    assert [one.text for one in page.one("table", class_="by").all("bdi")].count(HOSTILE) == 2
