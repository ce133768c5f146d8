"""Review, as a browser without script walks it."""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from sinks.connection import Database
from tests.api.pages.shop import Browser, Element, Shop, opened, read
from tests.builders import AT, HOUR, MINUTE, SECOND, event


@pytest.fixture
async def shop(database: Database) -> AsyncIterator[Shop]:
    async with opened(database) as shop:
        yield shop


def said(number: int, **more: Any) -> list[dict[str, Any]]:
    """A conversation of one question and its answer; those of greater numbers come first in a list."""
    key, at = f"c-{number}", AT + number * MINUTE
    return [
        event("conversation.started", conversation_id=key, at=at, **more),
        event("message.sent", conversation_id=key, at=at, text=f"question {number}"),
        event("message.sent", conversation_id=key, at=at + SECOND, role="assistant", text=f"answer {number}"),
    ]


def several(*numbers: int) -> list[dict[str, Any]]:
    return [one for number in numbers for one in said(number)]


def labelled(number: int, **more: Any) -> dict[str, Any]:
    """A label that somebody gave before."""
    given = {"label": "negative", "by": "ben", "seen_messages": 2}
    return event("label.set", conversation_id=f"c-{number}", at=AT + HOUR, **(given | more))


def here(page: Element) -> str:
    """Which conversation is shown, or what the end says."""
    return page.one("h1").words


def progress(page: Element) -> str:
    """How far it has come."""
    return page.one("p", class_="line").one("span", class_="stand").words


async def decide(browser: Browser, page: Element, *verdicts: str, **fields: str) -> Element:
    """Give these verdicts, one after the other."""
    for verdict in verdicts:
        page = await browser.send(page.one("form", id="label"), verdict, **fields)
    return page


def done(page: Element) -> dict[str, str]:
    """What the end says was done."""
    counts = page.one("dl", class_="counts")
    return dict(zip((one.words for one in counts.all("dt")), (one.words for one in counts.all("dd")), strict=True))


async def test_a_walk_goes_through_the_list_in_its_order_and_labels_go_on(shop: Shop):
    shop.log.add(several(1, 2, 3))
    async with shop.browser() as ana:
        page = await ana.open("/review")
        assert (here(page), progress(page)) == ("c-3", "1 of 3")

        page = await decide(ana, page, "positive", reason="good")
        assert (here(page), progress(page)) == ("c-2", "2 of 3")

        page = await decide(ana, page, "negative", reason="bad", correction="better")
        assert (here(page), progress(page)) == ("c-1", "3 of 3")

        page = await decide(ana, page, "positive")
        assert here(page) == "That was all of them"

    assert done(page) == {"Positive": "2", "Negative": "1", "Still without a label": "0"}
    assert [(one["conversation_id"], one["label"]) for one in shop.log.written] == [
        ("c-3", "positive"),
        ("c-2", "negative"),
        ("c-1", "positive"),
    ]
    assert shop.log.written[1]["correction"] == "better"


async def test_a_walk_keeps_the_filters_and_the_order_of_its_list(shop: Shop):
    shop.log.add([*said(1, topic="returns"), *said(2), *said(3, topic="returns"), *said(4)])
    async with shop.browser() as ana:
        page = await ana.open("/review?topic=returns&sort=started_at")
        assert (here(page), progress(page)) == ("c-1", "1 of 2")
        assert ana.query["topic"] == "returns"
        assert "about returns" in page.one("p", class_="line").words

        page = await decide(ana, page, "positive")
        assert here(page) == "c-3"
        assert ana.query["sort"] == "started_at"


async def test_only_what_nobody_has_judged_or_what_went_on_since_is_walked_unless_asked(shop: Shop):
    shop.log.add([*several(1, 2, 3, 4), labelled(2), labelled(3, seen_messages=1)])
    async with shop.browser() as ana:
        page = await ana.open("/review")
        assert (here(page), progress(page)) == ("c-4", "1 of 3")
        page = await decide(ana, page, "positive")
        assert here(page) == "c-3"
        assert "messages came since" in page.one("aside").words

        page = await ana.open(page.one("p", class_="line").all("a")[0].attributes["href"])
        assert progress(page) == "1 of 4"
        assert page.one("p", class_="line").all("a")[0].words == "Only those without a label"


async def test_a_section_of_labelled_ones_is_walked_whole(shop: Shop):
    shop.log.add([*several(1, 2, 3), labelled(1), labelled(2), labelled(3, label="positive")])
    async with shop.browser() as ana:
        page = await ana.open("/review?section=negative")
        assert (here(page), progress(page)) == ("c-2", "1 of 2")

        page = await decide(ana, page, "positive")
        assert (here(page), progress(page)) == ("c-1", "2 of 2"), "what was labelled on the way stays in the walk"


async def test_skipping_is_counted_and_comes_again_in_the_next_walk(shop: Shop):
    shop.log.add(several(1, 2, 3))
    async with shop.browser() as ana:
        page = await decide(ana, await ana.open("/review"), "skip")
        assert (here(page), progress(page)) == ("c-2", "2 of 3 · 1 skipped")
        page = await decide(ana, page, "positive", "skip")

        assert done(page) == {"Positive": "1", "Negative": "0", "Skipped": "2", "Still without a label": "2"}
        page = await ana.open(page.one("a", class_="primary").attributes["href"])
        assert (here(page), progress(page)) == ("c-3", "1 of 2")


async def test_going_on_and_back_decides_nothing(shop: Shop):
    shop.log.add(several(1, 2, 3))
    async with shop.browser() as ana:
        page = await decide(ana, await ana.open("/review"), "positive")
        assert here(page) == "c-2"
        page = await ana.open(page.one("a", data_key="k").attributes["href"])
        assert (here(page), progress(page)) == ("c-3", "1 of 3")
        assert page.all("a", data_key="k") == []
        assert page.one("button", value="positive").attributes["aria-pressed"] == "true"

        page = await ana.open(page.one("a", data_key="j").attributes["href"])
        page = await ana.open(page.one("a", data_key="j").attributes["href"])
        assert (here(page), progress(page)) == ("c-1", "3 of 3")

    assert len(shop.log.written) == 1


async def test_a_reload_shows_the_same_step(shop: Shop):
    shop.log.add(several(1, 2, 3))
    async with shop.browser() as ana:
        page = await decide(ana, await ana.open("/review"), "positive", "skip")
        address = ana.address
        again = await ana.open(address)

    assert (here(again), progress(again)) == (here(page), progress(page)) == ("c-1", "3 of 3 · 1 skipped")


async def test_clearing_takes_a_label_back_and_goes_on(shop: Shop):
    shop.log.add([*several(1, 2), labelled(2)])
    async with shop.browser() as ana:
        page = await decide(ana, await ana.open("/review?walk=all"), "clear")
        assert here(page) == "c-1"
        page = await decide(ana, page, "skip")

    assert shop.log.written[0]["type"] == "label.cleared"
    assert done(page)["Cleared"] == "1"


async def test_undo_takes_the_last_label_back_and_goes_back_to_it(shop: Shop):
    shop.log.add([*several(1, 2, 3), labelled(2, seen_messages=1, reason="before")])
    async with shop.browser() as ana:
        page = await ana.open("/review")
        assert "disabled" in page.one("form", id="undo").one("button").attributes

        page = await decide(ana, page, "skip", "positive")
        assert here(page) == "c-1"
        page = await ana.send(page.one("form", id="undo"))

        assert (here(page), progress(page)) == ("c-2", "2 of 3 · 1 skipped")
        assert "disabled" in page.one("form", id="undo").one("button").attributes
    undone = shop.log.written[-1]
    assert (undone["label"], undone["reason"], undone["seen_messages"]) == ("negative", "before", 1)


async def test_undo_of_a_skip_goes_back_and_counts_it_no_more(shop: Shop):
    shop.log.add(several(1, 2))
    async with shop.browser() as ana:
        page = await decide(ana, await ana.open("/review"), "skip")
        page = await ana.send(page.one("form", id="undo"))

    assert (here(page), progress(page)) == ("c-2", "1 of 2")
    assert shop.log.written == []


async def test_undo_from_the_end_goes_back_too(shop: Shop):
    shop.log.add(several(1))
    async with shop.browser() as ana:
        page = await decide(ana, await ana.open("/review"), "negative")
        assert here(page) == "That was all of them"
        page = await ana.send(page.one("form", id="undo"))

    assert here(page) == "c-1"
    assert shop.log.written[-1]["type"] == "label.cleared"


async def test_undo_of_a_label_whose_row_is_late_brings_back_what_was_before_it(shop: Shop):
    shop.log.add([*several(1, 2), labelled(2, seen_messages=1)])
    async with shop.browser() as ana:
        page = await ana.open("/review")
        shop.log.late = True
        page = await decide(ana, page, "positive")
        page = await ana.send(page.one("form", id="undo"))

    assert [one["label"] for one in shop.log.written] == ["positive", "negative"]
    assert shop.log.written[0]["at"] < shop.log.written[1]["at"]


async def test_two_at_once_do_not_get_the_same_and_are_told(shop: Shop):
    shop.log.add(several(1, 2, 3))
    async with shop.browser() as ana, shop.browser("ben") as ben:
        mine = await ana.open("/review")
        theirs = await ben.open("/review")
        assert (here(mine), here(theirs)) == ("c-3", "c-2")
        assert "1 conversation passed over" in theirs.one("p", class_="passed").words

        mine = await decide(ana, mine, "positive")
        assert here(mine) == "c-1"
        theirs = await decide(ben, theirs, "positive")
        assert here(theirs) == "That was all of them"
        assert done(theirs) == {
            "Positive": "1",
            "Negative": "0",
            "Still without a label": "1 (1 of them with somebody else now)",
        }


async def test_what_is_skipped_is_free_for_others_and_what_is_labelled_stays_taken_until_its_row_has_it(shop: Shop):
    shop.log.add(several(1, 2))
    shop.log.late = True
    async with shop.browser() as ana, shop.browser("ben") as ben:
        page = await decide(ana, await ana.open("/review"), "positive", "skip")
        assert here(page) == "That was all of them"

        assert here(await ben.open("/review")) == "c-1"


async def test_an_address_of_what_somebody_else_reviews_shows_it_and_says_so(shop: Shop):
    shop.log.add(several(1, 2))
    async with shop.browser() as ana, shop.browser("ben") as ben:
        await ana.open("/review")
        page = await ben.open(ana.address)

    assert here(page) == "c-2"
    assert "Somebody else is reviewing this one now." in page.one("section", class_="history").words


async def test_who_may_only_read_walks_and_takes_nothing(shop: Shop):
    shop.log.add(several(1, 2))
    async with shop.browser("rob") as rob, shop.browser() as ana:
        page = await rob.open("/review")
        assert here(page) == "c-2"
        page = await rob.open(page.one("a", data_key="j").attributes["href"])
        assert here(page) == "c-1"
        assert here(await ana.open("/review")) == "c-2"
        await rob.send(page.one("form", id="label"), "positive", status=403)

    assert shop.log.written == []


async def test_nothing_to_walk_says_so_and_offers_the_rest(shop: Shop):
    shop.log.add([*several(1), labelled(1)])
    async with shop.browser() as ana:
        page = await ana.open("/review")
        assert here(page) == "Nothing is waiting here"

        page = await ana.open(page.one("div", class_="column").all("a")[0].attributes["href"])
        assert (here(page), progress(page)) == ("c-1", "1 of 1")


async def test_the_end_links_to_the_training_export_of_exactly_what_was_labelled(shop: Shop):
    shop.log.add(said(1, topic="returns"))
    async with shop.browser() as ana:
        page = await decide(ana, await ana.open("/review?topic=returns"), "positive")

        links = [one.attributes["href"] for one in page.all("a") if "examples" in one.attributes["href"]]
        asked = [dict(parse_qsl(urlsplit(one).query)) for one in links]
        since = {one.pop("labelled_since") for one in asked}
        assert asked == [
            {"format": style, "topic": "returns", "labelled_by": "ana"} for style in ("openai", "preference", "raw")
        ]
        assert len(since) == 1


async def test_new_conversations_do_not_shift_a_walk(shop: Shop):
    shop.log.add(several(1, 2, 3))
    async with shop.browser() as ana:
        page = await decide(ana, await ana.open("/review"), "positive")
        future = 4_000_000_000_000
        shop.log.add([event("message.sent", conversation_id="c-new", at=future, text="later than the walk")])
        again = await ana.open(ana.address)

    assert progress(again) == progress(page) == "2 of 3"


async def test_a_step_asked_for_ahead_comes_at_once_with_its_address(shop: Shop):
    shop.log.add(several(1, 2))
    async with shop.browser() as ana:
        page = await ana.open("/review")
        link = page.one("a", data_key="j").attributes["href"]
        response = await ana.client.get(link, headers={"Afterword-Ahead": "1"})
        ahead = read(response)

        assert response.status_code == 200
        assert here(ahead) == "c-1"
        there = await ana.open(ahead.one("div", id="step").attributes["data-here"])
        assert (here(there), progress(there)) == (here(ahead), progress(ahead))


async def test_a_lease_is_held_on_to_and_given_back(shop: Shop):
    shop.log.add(several(1, 2))
    named = {"of": ["shop"], "id": ["c-2"]}
    async with shop.browser() as ana, shop.browser("ben") as ben:
        await ana.open("/review")
        assert (await ana.client.post("/review/renew", data=named)).status_code == 204
        assert (await ben.client.post("/review/renew", data=named)).status_code == 409
        assert (await ben.client.post("/review/release", data=named)).status_code == 204
        assert here(await ben.open("/review")) == "c-1", "what somebody else holds is not given back"

        assert (await ana.client.post("/review/release", data=named)).status_code == 204
        assert here(await ben.open("/review")) == "c-2"


async def test_another_assistants_conversations_are_not_walked(shop: Shop):
    shop.log.add(several(1, 2))
    async with shop.browser("hotel") as hotel:
        assert here(await hotel.open("/review")) == "Nothing is waiting here"
        await hotel.open("/review?of=shop&id=c-1", status=404)


@pytest.mark.parametrize(
    "query",
    [
        "walk=sideways",
        "since=yesterday",
        "since=-1",
        "since=99999999999999999999999999",
        "skipped=x",
        "passed=1e9",
        "colour=red",
        "sort=colour",
    ],
)
async def test_a_broken_address_is_refused(shop: Shop, query: str):
    async with shop.browser() as ana:
        await ana.open(f"/review?{query}", status=422)


async def test_a_broken_cursor_is_refused(shop: Shop):
    async with shop.browser() as ana:
        await ana.open("/review?go=nonsense", status=400)
