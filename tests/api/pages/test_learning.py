"""Learning as a browser without script gets it: what is listed, where links lead, and what forms do."""

import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest

from api.pages import learning, words
from api.pages.words import NOTHING
from sinks.connection import Database
from tests.api.pages.shop import Browser, Element, Shop, opened
from tests.builders import DAY, HOUR, MINUTE, SECOND, event

NOON = 1_794_225_600_000
"""2026-11-09T12:00:00Z."""
HOSTILE = "<img src=x onerror=alert(1)>\u202e'\""
COLUMNS = (
    "ID Label Start End Duration Queries Messages Rating User User ID Escalated Assigned "
    "Language Location Channel Device"
)


@pytest.fixture
async def shop(database: Database) -> AsyncIterator[Shop]:
    async with opened(database) as shop:
        shop.app.include_router(learning.router)
        yield shop


@pytest.fixture
async def ana(shop: Shop) -> AsyncIterator[Browser]:
    async with shop.browser() as browser:
        yield browser


def talk(name: str, *more: dict, at: int = NOON, **about) -> list[dict]:
    """A conversation of two messages and whatever else."""
    of = {"assistant": about.pop("assistant", "shop"), "conversation_id": name}
    return [
        event("conversation.started", **of, at=at, **about),
        event("message.sent", **of, at=at + SECOND, text="where is my parcel?"),
        event("message.sent", **of, at=at + 184 * SECOND, role="assistant", text="on its way"),
        *({"at": at + 200 * SECOND, **one, **of} for one in more),
    ]


def said(kind: str, **fields) -> dict:
    return {name: value for name, value in event(kind, **fields).items() if name not in {"at", "conversation_id"}} | (
        {"at": fields["at"]} if "at" in fields else {}
    )


def rows(page: Element) -> list[Element]:
    found = page.all("table", class_="rows")
    return found[0].one("tbody").all("tr") if found else []


def ids(page: Element) -> list[str]:
    return [row.one("th").words for row in rows(page)]


def cell(row: Element, name: str) -> Element:
    (found,) = [one for one in row.inside if one.tag in {"td", "th"} and f"c-{name}" in one.attributes["class"].split()]
    return found


def query(element: Element) -> dict[str, list[str]]:
    return parse_qs(urlsplit(element.attributes["href"]).query)


async def test_the_list_has_the_columns_of_the_mission_in_their_order(shop, ana):
    shop.log.add(talk("c-1"))
    page = await ana.open("/")
    assert urlsplit(ana.address).path == "/learning/all"
    head = page.one("table", class_="rows").one("thead")
    assert " ".join(one.words for one in head.all("th") if "tick" not in one.attributes["class"]) == COLUMNS


async def test_a_row_says_what_is_known_of_a_conversation(shop, ana):
    shop.log.add(
        talk(
            "c-1",
            said("conversation.rated", rating=2, comment="took <two> tries"),
            said("conversation.assigned", assigned_to="agent 7", team="returns"),
            said("conversation.escalated"),
            user={"id": "u-811", "name": "Ana"},
            language="en",
            channel="web",
            device="mobile",
            location="Madrid",
        )
    )
    (row,) = rows(await ana.open("/learning/all"))
    start = words.moment(datetime.fromtimestamp(NOON / 1_000, UTC), datetime.now(UTC))
    told = {
        "label": NOTHING,
        "started_at": start,
        "ended_at": "12:03",
        "duration_ms": "3 min 4 s",
        "queries": "1",
        "messages": "2",
        "rating": "2",
        "user_name": "Ana",
        "user_id": "u-811",
        "escalated": "yes",
        "assigned_to": "agent 7 (returns)",
        "language": "en",
        "location": "Madrid",
        "channel": "web",
        "device": "mobile",
    }
    assert {name: cell(row, name).words for name in told} == told
    dot = cell(row, "rating").one("span", role="img")
    assert dot.attributes["aria-label"] == dot.attributes["title"] == "took <two> tries"
    assert cell(row, "started_at").one("time").attributes["title"] == "2026-11-09 12:00:00 UTC"
    link = row.one("th").one("a")
    assert link.attributes["href"] == "/conversation?of=shop&id=c-1"


async def test_a_rating_that_was_not_given_is_no_zero(shop, ana):
    shop.log.add(talk("c-1"))
    (row,) = rows(await ana.open("/learning/all"))
    assert cell(row, "rating").words == NOTHING


async def test_hostile_texts_stay_texts(shop, ana):
    shop.log.add(
        talk(
            HOSTILE,
            said("conversation.rated", rating=1, comment=HOSTILE),
            user={"id": HOSTILE, "name": HOSTILE + "x" * 900},
            topic=HOSTILE,
            channel=HOSTILE,
        )
    )
    page = await ana.open(f"/learning/all?columns=topic&columns=user_name&columns=rating&topic={HOSTILE}")
    assert not page.all("img")
    (row,) = rows(page)
    assert row.one("th").one("bdi").text == HOSTILE
    assert cell(row, "user_name").one("bdi").attributes["title"].endswith("x" * 900)
    assert cell(row, "rating").one("span", role="img").attributes["title"] == HOSTILE


async def test_a_stale_label_says_how_many_messages_came_since(shop, ana):
    of = {"assistant": "shop", "conversation_id": "c-1"}
    shop.log.add(
        [
            *talk("c-1"),
            event("label.set", **of, at=NOON + HOUR, label="negative", seen_messages=1),
            *talk("c-2", said("label.set", label="positive", seen_messages=2, at=NOON + HOUR)),
        ]
    )
    page = await ana.open("/learning/all?sort=conversation_id")
    stale, fresh = (cell(row, "label") for row in rows(page))
    assert stale.words == "Negative 1 message since"
    assert stale.one("span", class_="stale").attributes["class"] == "tag negative stale"
    assert fresh.words == "Positive"


async def test_a_stale_label_of_somebody_who_did_not_say_what_they_saw_is_marked_too(shop, ana):
    of = {"assistant": "shop", "conversation_id": "c-1"}
    later = [event("message.sent", **of, at=NOON + 2 * HOUR, text="and my refund?")]
    shop.log.add([*talk("c-1", said("label.set", label="positive", at=NOON + HOUR)), *later])
    (row,) = rows(await ana.open("/learning/all"))
    assert cell(row, "label").words == "Positive newer messages"


async def test_a_fallback_names_its_main_cause_in_words(shop, ana):
    shop.log.add([*talk("c-1", said("message.fallback", reason="no_knowledge")), *talk("c-2")])
    page = await ana.open("/learning/fallback")
    assert ids(page) == ["c-1"]
    assert cell(rows(page)[0], "fallbacks").words == "no knowledge passage"


async def test_tabs_count_what_they_show_under_the_filters(shop, ana):
    shop.log.add(
        [
            *talk("c-1", said("label.set", label="positive"), language="en"),
            *talk("c-2", said("message.fallback"), language="en"),
            *talk("c-3", said("label.set", label="negative"), language="de"),
        ]
    )
    page = await ana.open("/learning/all?language=en")
    tabs = page.one("nav", class_="tabs").all("a")
    assert [tab.words for tab in tabs] == ["All 2", "Positive 1", "Negative 0", "Fallback 1"]
    assert tabs[3].attributes["href"] == "/learning/fallback?language=en"
    assert [tab.words for tab in tabs if tab.attributes.get("aria-current") == "page"] == ["All 2"]
    assert ids(await ana.open(tabs[3].attributes["href"])) == ["c-2"]


async def test_the_filters_of_the_mission_come_first_in_its_order(shop, ana):
    about = {"channel": "web", "device": "mobile", "location": "Madrid", "topic": "returns", "subtopic": "refund"}
    shop.log.add(talk("c-1", said("conversation.assigned", assigned_to="agent 7"), language="en", **about))
    page = await ana.open("/learning/all")
    form = page.one("details", id="filters").one("form")
    named = list(dict.fromkeys(one.attributes["name"] for one in form.inside if "name" in one.attributes))
    assert named == [
        "rated", "claimed", "client", "assigned_to", "language", "topic", "subtopic",
        "escalated", "channel", "device", "location", "state",
    ]  # fmt: skip
    assert [button.words for button in form.all("button") if "type" not in button.attributes] == ["Apply"]
    assert form.one("a", id="reset").attributes["href"] == "/learning/all"


async def test_a_filter_counts_what_a_click_on_it_would_show(shop, ana):
    shop.log.add(
        [
            *talk("c-1", said("conversation.rated", rating=5), language="en", topic="returns"),
            *talk("c-2", language="en", topic="returns"),
            *talk("c-3", language="de", topic="returns"),
            *talk("c-4", topic="invoice", language="fr"),
        ]
    )
    page = await ana.open("/learning/all?topic=returns")
    languages = page.one("details", id="values-language").all("label")
    assert [label.words for label in languages] == ["English2", "German1"]
    topics = page.one("details", id="values-topic")
    assert [label.words for label in topics.all("label")] == ["returns3", "invoice1"]
    assert [one.attributes["value"] for one in topics.all("input", checked="")] == ["returns"]
    assert [option.words for option in page.one("select", name="rated").all("option")] == ["Any", "Yes · 1", "No · 2"]


async def test_the_form_of_the_filters_keeps_the_rest_of_the_address(shop, ana):
    shop.log.add(talk("c-1", language="en"))
    page = await ana.open("/learning/all?range=year&sort=-messages&q=parcel&columns=label&language=en")
    form = page.one("details", id="filters").one("form")
    hidden = [(one.attributes["name"], one.attributes["value"]) for one in form.all("input", type="hidden")]
    assert sorted(hidden) == [("columns", "label"), ("q", "parcel"), ("range", "year"), ("sort", "-messages")]
    assert form.attributes["action"] == "/learning/all"


async def test_blank_fields_of_the_form_say_nothing(shop, ana):
    shop.log.add([*talk("c-1"), *talk("c-2", language="en")])
    assert len(ids(await ana.open("/learning/all?rated=&claimed=&client=&state=&escalated=&q="))) == 2


async def test_each_active_filter_is_a_chip_that_takes_it_away(shop, ana):
    shop.log.add(talk("c-1", said("conversation.rated", rating=5), language="en", topic="returns"))
    page = await ana.open("/learning/all?language=en&topic=returns&topic=(none)&rated=true&range=year&sort=rating")
    chips = page.all("a", class_="chip")
    assert [chip.one("span", class_="clip").words for chip in chips] == [
        "Rated",
        "Language English",
        "Topic returns",
        "Topic none",
    ]
    assert all(chip.words.endswith(", remove") for chip in chips)
    assert query(chips[2]) == {
        "language": ["en"],
        "topic": ["(none)"],
        "rated": ["true"],
        "range": ["year"],
        "sort": ["rating"],
    }
    assert page.one("p", id="sentence").words == (
        "English conversations about returns or no topic, rated, in the last year."
    )
    reset = page.one("a", id="reset")
    assert query(reset) == {"range": ["year"], "sort": ["rating"]}


async def test_a_range_keeps_the_filters_and_the_custom_one_shows_its_days(shop, ana):
    shop.log.add(talk("c-1", language="en"))
    page = await ana.open("/learning/all?language=en&range=custom&from=2026-11-09&to=2026-11-09&zone=Europe/Madrid")
    assert ids(page) == ["c-1"]
    links = page.one("nav", class_="ranges").all("a")
    assert [one.words for one in links] == ["Last 24 hours", "Last week", "Last month", "Last year", "All time"]
    assert query(links[1]) == {"language": ["en"], "range": ["week"], "zone": ["Europe/Madrid"]}
    form = page.one("details", id="custom").one("form")
    assert form.fields() == {
        "language": "en",
        "range": "custom",
        "from": "2026-11-09",
        "to": "2026-11-09",
        "zone": "Europe/Madrid",
    }


async def test_a_header_sorts_and_then_the_other_way(shop, ana):
    shop.log.add([*talk("c-a", at=NOON), *talk("c-b", at=NOON + HOUR), *talk("c-c", at=NOON - HOUR)])
    page = await ana.open("/learning/all")
    assert ids(page) == ["c-b", "c-a", "c-c"]
    assert page.one("th", aria_sort="descending").words == "Start"
    page = await ana.open(page.one("a", id="sort-started_at").attributes["href"])
    assert ids(page) == ["c-c", "c-a", "c-b"]
    assert page.one("th", aria_sort="ascending").words == "Start"
    page = await ana.open(page.one("a", id="sort-conversation_id").attributes["href"])
    assert ids(page) == ["c-a", "c-b", "c-c"]


async def test_pages_follow_each_other_and_lead_back(shop, ana):
    for number in range(5):
        shop.log.add(talk(f"c-{number}", at=NOON + number * MINUTE))
    page = await ana.open("/learning/all?limit=2&sort=conversation_id")
    assert (ids(page), page.one("span", id="span").words) == (["c-0", "c-1"], "1–2 of 5")  # noqa: RUF001
    assert not page.all("a", id="previous")
    page = await ana.open(page.one("a", id="next").attributes["href"])
    assert (ids(page), page.one("span", id="span").words) == (["c-2", "c-3"], "3–4 of 5")  # noqa: RUF001
    page = await ana.open(page.one("a", id="next").attributes["href"])
    assert (ids(page), page.one("span", id="span").words) == (["c-4"], "5–5 of 5")  # noqa: RUF001
    assert not page.all("a", id="next")
    page = await ana.open(page.one("a", id="previous").attributes["href"])
    assert ids(page) == ["c-2", "c-3"]


async def test_columns_stand_in_the_address(shop, ana):
    shop.log.add(talk("c-1", topic="returns"))
    page = await ana.open("/learning/all?columns=topic&columns=rating")
    head = page.one("table", class_="rows").one("thead")
    assert [one.words for one in head.all("th") if "tick" not in one.attributes["class"]] == ["ID", "Rating", "Topic"]
    ticked = [one.attributes["value"] for one in page.all("input", form="columns", checked="")]
    assert ticked == ["rating", "topic"]
    assert query(page.one("a", id="tab-negative"))["columns"] == ["topic", "rating"]
    assert "columns" not in page.one("a", hx_boost="false", class_="button").attributes["href"]


async def test_every_export_is_of_this_list(shop, ana):
    shop.log.add(talk("c-1", said("label.set", label="positive"), language="en"))
    page = await ana.open("/learning/positive?language=en&sort=-messages&columns=rating")
    files = {one.words: one.attributes for one in page.one("details", id="export").all("a")}
    assert list(files) == [
        "CSV",
        "JSON lines",
        "Parquet",
        "Chat fine-tuning",
        "Preference pairs",
        "Raw messages",
    ]
    assert files["CSV"]["href"] == "/v1/conversations.csv?section=positive&language=en&sort=-messages"
    assert files["Preference pairs"]["href"] == "/v1/examples.jsonl?format=preference&section=positive&language=en"
    assert all("download" in one for one in files.values())


async def test_chosen_rows_are_labelled_at_once_and_the_list_says_so(shop, ana):
    shop.log.add([*talk("c-1"), *talk(HOSTILE), *talk("c-3")])
    page = await ana.open("/learning/all?sort=conversation_id&q=parcel")
    form = page.one("form", id="list")
    ticks = [one.attributes["value"] for one in form.all("input", name="of")]
    assert json.loads(ticks[1]) == ["shop", "c-1", 2]
    sent = {"back": form.fields()["back"], "once": form.fields()["once"], "of": ticks[:2], "label": "negative"}
    answer = await ana.client.post("/learning/label", data=sent)
    assert answer.status_code == 303
    assert answer.headers["Location"] == "/learning/all?q=parcel&sort=conversation_id"
    page = await ana.open(answer.headers["Location"])
    assert page.one("p", class_="notice").words == "2 conversations labelled negative."
    assert [cell(row, "label").words for row in rows(page)] == ["Negative", "Negative", NOTHING]
    assert [one["seen_messages"] for one in shop.log.written] == [2, 2]
    assert {one["by"] for one in shop.log.written} == {"ana"}
    assert not (await ana.open("/learning/all")).all("p", class_="notice")


async def test_a_second_click_is_the_same_decision(shop, ana):
    shop.log.add(talk("c-1"))
    form = (await ana.open("/learning/all")).one("form", id="list")
    sent = {**form.fields(), "label": "positive"}
    for _ in range(2):
        assert (await ana.client.post("/learning/label", data=sent)).status_code == 303
    assert len({one["id"] for one in shop.log.written}) == 1


async def test_a_label_is_taken_back_in_bulk(shop, ana):
    shop.log.add(talk("c-1", said("label.set", label="positive")))
    form = (await ana.open("/learning/positive")).one("form", id="list")
    answer = await ana.client.post("/learning/label", data={**form.fields(), "label": "clear"})
    page = await ana.open(answer.headers["Location"])
    assert ids(page) == []
    assert page.one("p", class_="notice").words == "1 conversation without a label now."


async def test_labels_that_were_not_taken_are_told(shop, ana):
    shop.log.add(talk("c-1"))
    form = (await ana.open("/learning/all")).one("form", id="list")
    shop.log.takes = False
    answer = await ana.client.post("/learning/label", data={**form.fields(), "label": "positive"})
    page = await ana.open(answer.headers["Location"])
    assert page.one("p", class_="notice").words == (
        "0 conversations labelled positive. 1 conversation could not be labelled: try these again."
    )
    assert "bad" in page.one("p", class_="notice").attributes["class"]


@pytest.mark.parametrize(
    ("of", "says"),
    [
        pytest.param([], "No conversation was selected", id="no row"),
        pytest.param(["c-1"], "cannot be read", id="no JSON"),
        pytest.param(['["shop"]'], "cannot be read", id="too short"),
        pytest.param(['["shop", "c-1", -1]'], "cannot be read", id="a count below nothing"),
    ],
)
async def test_a_form_that_makes_no_sense_labels_nothing(shop, ana, of, says):
    answer = await ana.client.post("/learning/label", data={"of": of, "once": "1", "label": "positive"})
    assert answer.status_code == 422
    assert says in answer.text
    assert not shop.log.written


async def test_the_way_back_leads_nowhere_else(shop, ana):
    shop.log.add(talk("c-1"))
    form = (await ana.open("/learning/all")).one("form", id="list")
    sent = {**form.fields(), "label": "positive", "back": "https://elsewhere.test/"}
    assert (await ana.client.post("/learning/label", data=sent)).headers["Location"] == "/"


async def test_who_may_not_label_sees_no_boxes_and_is_refused(shop):
    shop.log.add(talk("c-1"))
    async with shop.browser("rob") as rob:
        page = await rob.open("/learning/all")
        assert ids(page) == ["c-1"]
        assert not page.all("input", name="of")
        sent = {"of": '["shop", "c-1", 2]', "once": "1", "label": "positive"}
        assert (await rob.client.post("/learning/label", data=sent)).status_code == 403
    assert not shop.log.written


async def test_who_sees_one_assistant_sees_no_other(shop):
    shop.log.add([*talk("c-1"), *talk("c-2", assistant="hotel")])
    async with shop.browser("hotel") as hotel:
        page = await hotel.open("/learning/all")
        assert ids(page) == ["c-2"]
        assert page.one("a", id="tab-all").words == "All 1"
        assert not page.all("details", id="switch")
        assert "c-1" not in page.text
        assert ids(await hotel.open("/learning/all?assistant=shop")) == []


async def test_assistants_can_be_switched_and_are_told_apart(shop, ana):
    shop.log.add([*talk("c-1"), *talk("c-2", assistant="hotel"), *talk("c-3", assistant="hotel")])
    page = await ana.open("/learning/all?sort=conversation_id")
    assert [cell(row, "assistant").words for row in rows(page)] == ["shop", "hotel", "hotel"]
    links = page.one("details", id="switch").all("a")
    assert [one.words for one in links] == ["All assistants", "hotel2", "shop1"]
    page = await ana.open(links[1].attributes["href"])
    assert ids(page) == ["c-2", "c-3"]


async def test_the_search_keeps_the_list_it_searches(shop, ana):
    shop.log.add(talk("c-1", language="en"))
    page = await ana.open("/learning/all?language=en&q=parcel&sort=rating&columns=rating")
    (form,) = [one for one in page.all("form") if one.all("input", id="q")]
    assert form.attributes["action"] == "/learning/all"
    assert form.fields() == {"language": "en", "sort": "rating", "columns": "rating", "q": "parcel"}


async def test_an_empty_list_says_which_filter_empties_it(shop, ana):
    shop.log.add([*talk("c-1", language="en", topic="returns"), *talk("c-2", language="en", topic="returns")])
    page = await ana.open("/learning/all?language=de&topic=returns")
    offers = page.one("div", class_="nothing").all("li")
    assert [one.words for one in offers] == ["Drop “Language: German” shows 2 conversations"]
    assert offers[0].one("a").attributes["href"] == "/learning/all?topic=returns"


async def test_an_empty_section_or_range_is_offered_to_be_dropped(shop, ana):
    shop.log.add(talk("c-1", at=NOON - 400 * DAY))
    page = await ana.open("/learning/all?range=week")
    assert [one.words for one in page.one("div", class_="nothing").all("li")] == [
        "Drop “the time range” shows 1 conversation"
    ]
    page = await ana.open("/learning/positive")
    assert [one.words for one in page.one("div", class_="nothing").all("li")] == [
        "Drop “the section Positive” shows 1 conversation"
    ]


async def test_two_filters_that_empty_a_list_together_are_reset(shop, ana):
    shop.log.add(talk("c-1", language="en", topic="returns"))
    page = await ana.open("/learning/all?language=de&topic=invoice")
    nothing = page.one("div", class_="nothing")
    assert "several together" in nothing.words
    assert nothing.one("a").attributes["href"] == "/learning/all"


async def test_the_first_run_shows_how_to_send_the_first_event(ana):
    page = await ana.open("/")
    (command,) = [one for one in page.all("pre") if one.text.startswith("curl")]
    assert command.text.startswith("curl http://here.test/v1/events ")
    body = json.loads(re.search(r"-d '(\[.*\])'", command.text, re.DOTALL)[1])
    assert [one["type"] for one in body] == [
        "message.sent",
        "message.sent",
        "conversation.rated",
        "conversation.ended",
    ]
    assert "afterword keys create --scope events:write" in page.text


async def test_a_filter_over_nothing_at_all_is_no_first_run(ana):
    assert not (await ana.open("/learning/all?language=en")).all("pre")


@pytest.mark.parametrize(
    "address",
    ["/learning/all?colour=red", "/learning/all?sort=colour", "/learning/all?rated=perhaps", "/learning/other"],
)
async def test_an_address_that_makes_no_sense_is_told_what_is_wrong(ana, address):
    page = await ana.open(address, status=422)
    assert page.one("main").all("a", href="/learning/all")
