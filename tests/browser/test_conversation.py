"""One conversation, as a manager judges it: read it, label it, correct a message, undo, erase."""

import time

import httpx2
import pytest
from playwright.async_api import expect

from tests.browser.reading import arrived, history, ids, labelled, listed
from tests.browser.shop import COMMENT, REOPENED, STRANGE_ID
from tests.browser.visitors import Visitor
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

SAVED_S = 3.0


async def test_a_negative_label_with_a_correction_is_saved_within_three_seconds_and_undone(
    manager: Visitor, api: httpx2.AsyncClient
) -> None:
    page = await manager.opened("/learning/all?topic=correcting")
    await page.get_by_role("link", name="correcting-01").click()
    answer = "The answer about correcting number 1."
    message = page.locator(".message.assistant", has_text=answer)
    await message.get_by_role("link", name="better answer").click()
    await expect(page.locator("#about blockquote")).to_have_text(answer)
    await page.get_by_label("Better answer").fill("It takes two days, and we pay for the way back.")
    await page.locator("#label").get_by_label("Reason").fill("wrong policy")
    status = page.locator("#status")
    began = time.monotonic()
    await page.get_by_role("button", name="Negative").click()
    await expect(status).to_have_text("Saving…")
    await expect(status).to_contain_text("Saved", timeout=SAVED_S * 1_000)
    assert time.monotonic() - began < SAVED_S
    await expect(page.get_by_role("button", name="Negative")).to_have_attribute("aria-pressed", "true")

    whole = await history(api, "correcting-01")
    row, (label, *_) = whole["row"], whole["labels"]
    assert (row["label"], row["label_reason"], row["label_stale"]) == ("negative", "wrong policy", False)
    assert row["correction"] == "It takes two days, and we pay for the way back."
    about = next(one for one in whole["messages"] if one["text"] == answer)
    assert (label["message_id"], label["seen_messages"], label["current"]) == (about["id"], 4, True)
    assert label["by"] == await page.locator("#you summary").inner_text()
    labels = page.locator("#labels")
    await expect(labels.locator("li").first).to_contain_text("negative by you")
    await expect(labels.locator("del")).not_to_have_count(0)
    await expect(labels.locator("ins")).not_to_have_count(0)

    await page.get_by_role("button", name="Undo").click()
    await expect(status).to_have_text("Saving…")
    await expect(status).to_contain_text("Saved", timeout=SAVED_S * 1_000)
    whole = await history(api, "correcting-01")
    assert (whole["row"]["label"], whole["row"]["correction"]) == ("", "")
    assert [one["label"] for one in whole["labels"]] == ["", "negative"]
    await expect(labels.locator("li").first).to_contain_text("cleared")


async def test_an_undo_brings_back_the_label_that_was_before(manager: Visitor, api: httpx2.AsyncClient) -> None:
    page = await manager.opened("/conversation?of=shop&id=correcting-02&topic=correcting")
    status = page.locator("#status")
    for key, label in (("p", "positive"), ("n", "negative"), ("u", "positive")):
        await page.keyboard.press(key)
        await labelled(api, "correcting-02", label)
        await expect(status).to_contain_text("Saved")
        await expect(page.locator(f"#label button[value={label}]")).to_have_attribute("aria-pressed", "true")
    await page.keyboard.press("c")
    await labelled(api, "correcting-02", "")
    await expect(page.locator("#label button[value=clear]")).to_be_disabled()


async def test_letters_are_text_while_somebody_types(manager: Visitor, api: httpx2.AsyncClient) -> None:
    page = await manager.opened("/conversation?of=shop&id=correcting-00")
    await page.keyboard.press("e")
    await expect(page.locator("#label").get_by_label("Reason")).to_be_focused()
    await page.keyboard.type("nope, clear up")
    await expect(page.locator("#label").get_by_label("Reason")).to_have_value("nope, clear up")
    assert (await history(api, "correcting-00"))["labels"] == []
    await page.keyboard.press("Escape")
    await page.keyboard.press("?")
    await expect(page.locator("#keys")).to_have_attribute("open", "")


async def test_what_happened_stands_in_the_flow(manager: Visitor) -> None:
    page = await manager.opened(f"/conversation?of=shop&id={REOPENED}")
    flow = page.locator("#dialogue")
    for words in (
        "fallback · low confidence 0.21",
        "of silence",
        "reopened",
        "handed over to returns desk",
        "assigned to agent 7",
        "rated 2 of 5",
        COMMENT,
    ):
        await expect(flow).to_contain_text(words)
    await expect(flow).to_contain_text("closed at")
    folded = flow.locator("details.rest")
    await expect(folded).to_have_count(1)
    await expect(folded.get_by_text("My orders")).to_be_hidden()
    await folded.locator("summary").click()
    await expect(folded.get_by_text("My orders")).to_be_visible()
    facts = page.locator("#facts")
    await expect(facts).to_contain_text("Ines R.")
    await expect(facts).to_contain_text("1182")


async def test_times_are_the_readers_with_utc_beside(manager: Visitor, api: httpx2.AsyncClient) -> None:
    whole = await history(api, REOPENED)
    page = await manager.opened(f"/conversation?of=shop&id={REOPENED}")
    first = page.locator("#dialogue .message time").first
    title = await first.get_attribute("title")
    assert title is not None
    assert whole["messages"][0]["at"][11:19] in title
    assert "UTC" in title
    theirs = await page.evaluate(
        "at => new Intl.DateTimeFormat('en-GB', {hour: '2-digit', minute: '2-digit', timeZone: 'Europe/Madrid'})"
        ".format(new Date(at))",
        whole["messages"][0]["at"],
    )
    await expect(first).to_have_text(theirs)


async def test_a_conversation_with_any_id_is_opened_labelled_and_walked_past(
    manager: Visitor, api: httpx2.AsyncClient
) -> None:
    page = await manager.opened("/learning/all?topic=hostile&sort=started_at")
    around = await ids(page)
    await page.locator("#rows tbody th", has_text="&of=other").locator("a").click()
    await arrived(page, STRANGE_ID)
    await page.keyboard.press("p")
    await labelled(api, STRANGE_ID, "positive")
    await expect(page.locator("#status")).to_contain_text("Saved")
    await page.keyboard.press("k")
    before = around[around.index(STRANGE_ID) - 1]
    await arrived(page, before)


async def test_an_erasure_needs_the_id_and_leaves_nothing(manager: Visitor, api: httpx2.AsyncClient) -> None:
    manager.watch.expected.append("status of 404")
    page = await manager.opened("/learning/all?topic=erasing")
    await page.get_by_role("link", name="erasing-00").click()
    await page.get_by_text("Erase this conversation").click()
    await page.get_by_label("Its id, to be sure").fill("erasing-01")
    await page.get_by_role("button", name="Erase for good").click()
    await expect(page.get_by_role("alert")).to_contain_text("Nothing was erased")
    assert (await listed(api, "topic=erasing"))["total"] == 2
    await page.get_by_label("Its id, to be sure").fill("erasing-00")
    await page.get_by_label("Reason (kept)").fill("asked by the user")
    await page.get_by_role("button", name="Erase for good").click()

    async def gone() -> bool:
        return (await api.get("/v1/conversations/shop/erasing-00")).status_code == 404

    await until(gone, 10, "the conversation to be erased")
    await page.reload()
    await expect(page.get_by_role("heading", name="The conversation was erased")).to_be_visible()
    await page.get_by_role("link", name="Back to the list").click()
    assert await ids(page) == ["erasing-01"]
    answer = await page.goto(f"{manager.stack.url}/conversation?of=shop&id=erasing-00")
    assert answer is not None
    assert answer.status == 404


async def test_a_label_that_cannot_be_sent_says_so_and_is_sent_again(manager: Visitor, api: httpx2.AsyncClient) -> None:
    manager.watch.expected.append("ERR_FAILED")
    page = await manager.opened("/conversation?of=shop&id=failing-00")
    await page.route("**/v1/labels", lambda route: route.abort(), times=1)
    await page.get_by_role("button", name="Positive").click()
    status = page.locator("#status")
    await expect(status).to_contain_text("Not saved")
    assert (await history(api, "failing-00"))["labels"] == []
    await status.get_by_role("button", name="Try again").click()
    await expect(status).to_contain_text("Saved")
    await labelled(api, "failing-00", "positive")


async def test_a_label_that_does_not_arrive_is_called_late_after_ten_seconds(
    manager: Visitor, api: httpx2.AsyncClient
) -> None:
    page = await manager.opened("/conversation?of=shop&id=failing-01")
    taken = {"labels": [{"event_id": "never-arrives", "status": "accepted"}]}
    await page.route("**/v1/labels", lambda route: route.fulfill(status=202, json=taken), times=1)
    await page.get_by_role("button", name="Positive").click()
    status = page.locator("#status")
    await expect(status).to_have_text("Saving…")
    await expect(status).to_contain_text("not in the conversation's row after 10 s", timeout=20_000)
    await expect(status.get_by_role("button", name="Look again")).to_be_visible()
