"""Conversation, as a browser without script sees it."""

import json
from collections.abc import AsyncIterator

import pytest

from api.pages.words import NOTHING
from sinks.connection import Database
from tests.api.pages.shop import Element, Shop, opened
from tests.builders import AT, HOUR, MINUTE, SECOND, event

ADDRESS = "/conversation?of=shop&id=c-1"
HOSTILE = "<script>alert('x')</script></textarea>{{ 7*7 }}\u202e\"&amp;"


@pytest.fixture
async def shop(database: Database) -> AsyncIterator[Shop]:
    async with opened(database) as shop:
        yield shop


def refund() -> list[dict[str, object]]:
    """A conversation with a fallback, a reopening, a hand-over, a rating and an end."""
    late = AT + 5 * HOUR + 2 * MINUTE
    return [
        event(
            "conversation.started",
            user={"id": "u-811", "name": "Marta"},
            channel="web",
            language="en",
            location="Madrid",
            topic="returns",
            attributes={"plan": "gold"},
        ),
        event("message.sent", id="m-1", at=AT + SECOND, text="Where is my refund?"),
        event("message.sent", id="m-2", at=AT + 2 * SECOND, role="assistant", text="I am not sure.", confidence=0.21),
        event("message.sent", id="m-3", at=late, text="hello? my refund"),
        event("conversation.escalated", at=late + MINUTE, to="agent 7", reason="asked twice"),
        event("message.sent", id="m-4", at=late + 2 * MINUTE, role="agent", text="It was sent on Friday."),
        event("conversation.rated", at=late + 3 * MINUTE, rating=2, comment="took two tries"),
        event("conversation.ended", at=late + 4 * MINUTE, reason="agent closed"),
    ]


def others(*numbers: int) -> list[dict[str, object]]:
    """Conversations of one message each, a minute apart."""
    return [
        one
        for number in numbers
        for one in (
            event("message.sent", conversation_id=f"c-{number}", at=AT + number * MINUTE, text=f"question {number}"),
            event(
                "message.sent",
                conversation_id=f"c-{number}",
                id=f"answer-{number}",
                at=AT + number * MINUTE + SECOND,
                role="assistant",
                text=f"answer {number}",
            ),
        )
    ]


def flow(page: Element) -> list[str]:
    """What the dialogue says, line by line."""
    (dialogue,) = page.all("ol", id="dialogue")
    return [line.words for line in dialogue.all("li")]


def facts(page: Element) -> dict[str, str]:
    """What stands beside it."""
    section = page.one("section", id="facts")
    return dict(zip((one.words for one in section.all("dt")), (one.words for one in section.all("dd")), strict=True))


async def test_a_conversation_reads_from_its_first_message_to_its_end(shop: Shop):
    shop.log.add(refund())
    async with shop.browser() as ana:
        page = await ana.open(ADDRESS)

    said = flow(page)
    assert said[0] == "Mon 9 Nov 2026"
    assert said[1] == "09:12 User Where is my refund?"
    assert "fallback · low confidence 0.21 < 0.30" in said[2]
    assert "5 h 1 min of silence · closed at 13:12 · reopened" in said[3]
    assert "hello? my refund" in said[4]
    assert "handed over to agent 7 · asked twice" in said[5]
    assert "Agent It was sent on Friday." in said[6]
    assert "rated 2 of 5 took two tries" in said[7]
    assert "ended by the assistant's runtime · agent closed · closed" in said[8]


async def test_a_minute_stands_once_for_those_who_see_and_always_for_those_who_hear(shop: Shop):
    shop.log.add(refund())
    async with shop.browser() as ana:
        page = await ana.open(ADDRESS)

    first, second = page.all("span", class_="at")[:2]
    assert "again" not in first.attributes["class"]
    assert "again" in second.attributes["class"]
    assert second.words == "09:12"


async def test_the_panel_has_every_attribute_and_every_column_of_the_row(shop: Shop):
    shop.log.add(refund())
    async with shop.browser() as ana:
        page = await ana.open(ADDRESS)

    beside = facts(page)
    assert beside["User"] == "Marta"
    assert beside["plan"] == "gold"
    assert beside["Sessions"] == "2"
    assert beside["Rules"] == "revision 1"
    assert beside["conversation_id"] == "c-1"
    assert beside["feedback"] == "took two tries"
    assert beside["label"] == NOTHING


async def test_what_users_write_is_text_and_nothing_else(shop: Shop):
    key = f"../{HOSTILE}"
    shop.log.add(
        [
            event("conversation.started", conversation_id=key, user={"id": HOSTILE, "name": HOSTILE}, topic=HOSTILE),
            event("message.sent", conversation_id=key, at=AT + 1, text=HOSTILE, intent={"name": HOSTILE}),
            event("message.sent", conversation_id=key, at=AT + 2, role="assistant", text=HOSTILE, id=HOSTILE),
            event("conversation.escalated", conversation_id=key, at=AT + 3, to=HOSTILE, reason=HOSTILE),
            event("conversation.rated", conversation_id=key, at=AT + 4, comment=HOSTILE),
            event("label.set", conversation_id=key, at=AT + 5, by=HOSTILE, reason=HOSTILE, correction=HOSTILE),
        ]
    )
    async with shop.browser("eve") as eve:
        response = await eve.client.get("/conversation", params={"of": "shop", "id": key})
        page = await eve.open(str(response.url))
        about = await eve.open(page.one("a", class_="better").attributes["href"])

    assert response.status_code == 200
    assert "<script>alert" not in response.text
    assert "49" not in page.one("li", class_="user").text
    assert page.one("h1").text == key
    assert all("onclick" not in one.attributes and "style" not in one.attributes for one in page.inside)
    assert page.one("form", id="label").fields()["correction"].strip() == HOSTILE
    assert about.one("blockquote").text == HOSTILE
    assert about.one("form", id="label").fields()["message_id"] == HOSTILE


async def test_a_long_message_is_folded_without_script(shop: Shop):
    text = "\n".join(f"line {number}" for number in range(40))
    shop.log.add([event("message.sent", role="assistant", text=text)])
    async with shop.browser() as ana:
        page = await ana.open(ADDRESS)

    folded = page.one("details", class_="rest")
    assert folded.one("summary").words == "28 more lines"
    assert "line 12" in folded.text
    assert "line 11" not in folded.text.replace("line 110", "")


async def test_the_neighbours_are_those_of_the_list_it_was_opened_from(shop: Shop):
    shop.log.add(others(1, 2, 3, 4))
    shop.log.add(
        [event("conversation.updated", conversation_id=f"c-{n}", at=AT + HOUR, topic="returns") for n in (1, 3)]
    )
    async with shop.browser() as ana:
        page = await ana.open("/conversation?of=shop&id=c-3&topic=returns&sort=started_at")

        assert page.one("a", data_key="b").words.endswith("back to 2 results")
        assert "id=c-1" in page.one("a", data_key="k").attributes["href"]
        assert "topic=returns&sort=started_at" in page.one("a", data_key="k").attributes["href"]
        assert page.all("a", data_key="j") == []
        assert "2 of 2" in page.one("span", class_="turns").words

        back = page.one("a", data_key="b").attributes["href"]
        assert back == "/learning/all?topic=returns&sort=started_at"


async def test_labelling_leads_back_to_the_page_which_says_that_it_is_saved(shop: Shop):
    shop.log.add(others(1))
    async with shop.browser() as ana:
        page = await ana.open(f"{ADDRESS}&topic=%28none%29")
        page = await ana.send(page.one("form", id="label"), "negative", reason="wrong", correction="Tomorrow.")

        assert ana.query["topic"] == "(none)"
        assert page.one(id="status").words == "Saved"
        assert page.one("button", value="negative").attributes["aria-pressed"] == "true"
        assert "by you" in page.one("section", id="labels").one("li").words
        (written,) = shop.log.written
        assert written["by"] == "ana"
        assert written["seen_messages"] == 2
        assert written["correction"] == "Tomorrow."
        assert "message_id" not in written


async def test_until_the_row_has_the_label_the_page_says_so(shop: Shop):
    shop.log.add(others(1))
    shop.log.late = True
    async with shop.browser() as ana:
        page = await ana.open(ADDRESS)
        page = await ana.send(page.one("form", id="label"), "positive")

        assert page.one(id="status").words == "Saving… Reload to see whether it has arrived."
        assert page.one(id="status").attributes["data-saving"] == shop.log.written[0]["id"]

        shop.log.settle()
        page = await ana.open(page.one(id="status").one("a").attributes["href"])

        assert page.one(id="status").words == "Saved"
        assert page.one(id="status").attributes["data-saving"] == ""


async def test_a_label_that_the_log_does_not_take_is_an_error_that_says_so(shop: Shop):
    shop.log.add(others(1))
    shop.log.takes = False
    async with shop.browser() as ana:
        page = await ana.open(ADDRESS)
        page = await ana.send(page.one("form", id="label"), "positive", status=503)

    assert "The label was not taken." in page.one("main").words


async def test_a_form_that_is_sent_twice_labels_once(shop: Shop):
    shop.log.add(others(1))
    async with shop.browser() as ana:
        page = await ana.open(ADDRESS)
        form = page.one("form", id="label")
        await ana.send(form, "positive")
        page = await ana.send(form, "positive")

    assert len(page.one("section", id="labels").all("li")) == 1


async def test_a_correction_is_about_the_message_it_was_started_from(shop: Shop):
    shop.log.add(others(1))
    async with shop.browser() as ana:
        page = await ana.open(ADDRESS)
        page = await ana.open(page.one("a", class_="better").attributes["href"])

        form = page.one("form", id="label")
        assert form.one("blockquote").words == "answer 1"
        assert "chosen" in page.one("li", class_="assistant").attributes["class"]

        page = await ana.send(form, "negative", correction="a better answer 1")

    assert shop.log.written[0]["message_id"] == "answer-1"
    newest = page.one("section", id="labels").one("li")
    assert [one.text for one in newest.all("ins")] == ["a better "]
    assert newest.all("del") == []


async def test_a_correction_can_be_about_the_whole_conversation_again(shop: Shop):
    shop.log.add([*others(1), event("label.set", at=AT + HOUR, correction="x", message_id="answer-1", by="ana")])
    async with shop.browser() as ana:
        page = await ana.open(ADDRESS)
        assert page.one("form", id="label").fields()["message_id"] == "answer-1"

        page = await ana.open(page.one("a", id="whole").attributes["href"])

    assert page.one("form", id="label").fields()["message_id"] == ""
    assert "hidden" in page.one("div", id="about").attributes


async def test_a_second_correction_is_shown_against_the_one_it_replaced(shop: Shop):
    shop.log.add(
        [
            *others(1),
            event("label.set", at=AT + HOUR, label="negative", by="ana", correction="It comes on Monday."),
            event("label.set", at=AT + 2 * HOUR, label="negative", by="ben", correction="It comes on Friday."),
        ]
    )
    async with shop.browser() as ana:
        page = await ana.open(ADDRESS)

    newest, oldest = page.one("section", id="labels").all("li")
    assert [one.text for one in newest.all("del")] == ["Monday"]
    assert [one.text for one in newest.all("ins")] == ["Friday"]
    assert [one.text for one in oldest.all("ins")] == ["It comes on Monday."]
    assert "past" in oldest.attributes["class"]


async def test_undo_brings_the_label_back_that_was_before(shop: Shop):
    shop.log.add(
        [
            *others(1),
            event(
                "label.set", at=AT + HOUR, label="positive", by="ben", reason="fine", correction="c", seen_messages=2
            ),
            event("label.set", at=AT + 2 * HOUR, label="negative", by="ana", reason="slip"),
        ]
    )
    async with shop.browser() as ana:
        page = await ana.open(ADDRESS)
        assert "back to positive by ben" in page.one("form", id="undo").words
        page = await ana.send(page.one("form", id="undo"))

    (written,) = shop.log.written
    assert (written["type"], written["label"], written["by"]) == ("label.set", "positive", "ana")
    assert (written["reason"], written["correction"], written["seen_messages"]) == ("fine", "c", 2)
    assert page.one("button", value="positive").attributes["aria-pressed"] == "true"


async def test_undo_of_the_first_label_clears_it(shop: Shop):
    shop.log.add([*others(1), event("label.set", at=AT + HOUR, label="negative", by="ana")])
    async with shop.browser() as ana:
        page = await ana.open(ADDRESS)
        page = await ana.send(page.one("form", id="undo"))

    assert shop.log.written[0]["type"] == "label.cleared"
    assert page.one("button", value="clear").attributes.get("disabled") == ""


async def test_a_stale_label_says_how_many_messages_came_since(shop: Shop):
    shop.log.add([*others(1), event("label.set", at=AT + HOUR, label="negative", by="ana", seen_messages=1)])
    async with shop.browser() as ana:
        page = await ana.open(ADDRESS)

    assert "1 message since: the label may not fit any more." in page.one("section", id="labels").words


async def test_who_may_only_read_cannot_label(shop: Shop):
    shop.log.add([*others(1), event("label.set", at=AT + HOUR, label="negative", by="ana")])
    async with shop.browser("rob") as rob:
        page = await rob.open(ADDRESS)
        assert [one for one in page.all("button", name="verdict") if "disabled" not in one.attributes] == []
        assert page.all("form", id="undo") == []
        assert page.all("a", class_="better") == []
        await rob.send(page.one("form", id="label"), "positive", status=403)

    assert shop.log.written == []


async def test_the_conversation_of_another_assistant_is_not_there(shop: Shop):
    shop.log.add(others(1))
    async with shop.browser("hotel") as hotel, shop.browser() as ana:
        await hotel.open(ADDRESS, status=404)
        form = (await ana.open(ADDRESS)).one("form", id="label")
        await hotel.send(form, "positive", status=403)

    assert shop.log.written == []


@pytest.mark.parametrize(
    ("address", "status"),
    [
        pytest.param("/conversation", 422, id="names none"),
        pytest.param("/conversation?of=shop&id=nobody", 404, id="names one that is not there"),
        pytest.param("/conversation?of=shop&id=c-1&colour=red", 422, id="has a filter that there is not"),
        pytest.param("/conversation?of=shop&id=c-1&sort=colour", 422, id="has an order that there is not"),
    ],
)
async def test_an_address_that_leads_nowhere_says_why(shop: Shop, address: str, status: int):
    shop.log.add(others(1))
    async with shop.browser() as ana:
        await ana.open(address, status=status)


async def test_erasing_takes_the_right_and_the_id_typed(shop: Shop):
    shop.log.add(refund())
    async with shop.browser() as ana, shop.browser("eve") as eve:
        assert (await ana.open(ADDRESS)).all("details", id="erase") == []

        page = await eve.open(ADDRESS)
        form = page.one("details", id="erase").one("form")
        page = await eve.send(form, confirm="c-2")
        assert "Nothing was erased." in page.one("details", id="erase").words
        assert "open" in page.one("details", id="erase").attributes
        assert shop.log.written == []

        await ana.send(form, confirm="c-1", status=403)
        assert shop.log.written == []

        page = await eve.send(form, confirm="c-1", reason="asked for it")
        (written,) = shop.log.written
        assert (written["type"], written["by"], written["reason"]) == ("conversation.erased", "eve", "asked for it")
        assert page.one("h1").words == "The conversation was erased"
        await eve.open(ADDRESS, status=404)


async def test_an_erasure_that_is_not_carried_out_yet_says_so(shop: Shop):
    shop.log.add(refund())
    shop.log.late = True
    async with shop.browser("eve") as eve:
        page = await eve.open(ADDRESS)
        page = await eve.send(page.one("details", id="erase").one("form"), confirm="c-1")

    assert page.one("h1").words == "The erasure is under way"


async def test_what_the_script_needs_to_undo_is_data_not_markup(shop: Shop):
    shop.log.add([*others(1), event("label.set", at=AT + HOUR, by="ana", reason=HOSTILE)])
    async with shop.browser() as ana:
        page = await ana.open("/review?walk=all")

    before = json.loads(page.one("form", id="label").attributes["data-before"])
    assert before == {"label": "positive", "reason": HOSTILE, "correction": "", "message_id": ""}
