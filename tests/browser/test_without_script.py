"""Everything that a manager needs, in a browser that runs no JavaScript."""

import httpx2
import pytest
from playwright.async_api import Page, expect

from tests.browser.reading import ids, ids_of, labelled, listed, state
from tests.browser.shop import GROUPS
from tests.browser.visitors import Visitor

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture
def manager(manager_without_script: Visitor) -> Visitor:
    return manager_without_script


async def saved(page: Page) -> None:
    """Follow the page's own advice until the label is there."""
    status = page.locator("#status")
    for _ in range(20):
        reload = status.get_by_role("link", name="Reload")
        if not await reload.count():
            break
        await reload.click()
    await expect(status).to_have_text("Saved")


async def test_filtering_sorting_and_paging(manager: Visitor, api: httpx2.AsyncClient) -> None:
    page = await manager.opened("/")
    panel = page.locator("#filters")
    await panel.locator("select[name=escalated]").select_option("true")
    await panel.locator("#values-topic summary").click()
    await panel.locator("input[name=topic][value=returns]").check()
    await panel.get_by_role("button", name="Apply").click()
    assert {name: value for name, value in state(page).items() if value != [""]} == {
        "escalated": ["true"],
        "topic": ["returns"],
    }
    await page.locator("#sort-duration_ms").click()
    query = "escalated=true&topic=returns&sort=-duration_ms&limit=50"
    first = await listed(api, query)
    assert await ids(page) == ids_of(first)
    await page.get_by_role("link", name="Next", exact=True).click()
    await expect(page.locator("#span")).to_contain_text(f"of {first['total']}")
    assert len(await ids(page)) == min(50, first["total"] - 50)
    await page.get_by_role("link", name="Previous", exact=True).click()
    assert await ids(page) == ids_of(first)
    await page.locator(".chip", has_text="returns").click()
    await expect(page.locator(".chip")).to_have_count(1)


async def test_labelling_and_clearing_from_the_conversation(manager: Visitor, api: httpx2.AsyncClient) -> None:
    page = await manager.opened("/learning/all?topic=plain&sort=started_at")
    await page.get_by_role("link", name="plain-00").click()
    await page.locator(".message.assistant").first.get_by_role("link", name="better answer").click()
    await page.get_by_label("Better answer").fill("Two days.")
    await page.get_by_role("button", name="Negative").click()
    await saved(page)
    whole = await labelled(api, "plain-00", "negative")
    assert whole["row"]["correction"] == "Two days."
    assert whole["labels"][0]["message_id"] == whole["messages"][1]["id"]
    await page.get_by_role("button", name="Clear").click()
    await saved(page)
    await labelled(api, "plain-00", "")
    await page.get_by_role("link", name="back to").click()
    assert len(await ids(page)) == GROUPS["plain"]


async def test_labelling_several_from_the_list(manager: Visitor, api: httpx2.AsyncClient) -> None:
    page = await manager.opened("/learning/all?topic=plain&sort=started_at")
    for name in ("plain-04", "plain-05"):
        await page.get_by_label(f"Select {name}").check()
    await page.get_by_role("button", name="Negative").click()
    await expect(page.get_by_role("status").first).to_have_text("2 conversations labelled negative.")
    assert state(page) == {"topic": ["plain"], "sort": ["started_at"]}
    for name in ("plain-04", "plain-05"):
        await labelled(api, name, "negative")


async def test_reviewing(manager: Visitor, api: httpx2.AsyncClient) -> None:
    page = await manager.opened("/review?topic=plain&sort=started_at&client=u-plain-1")
    await expect(page.get_by_role("heading", level=1)).to_have_text("plain-01")
    await page.get_by_role("button", name="Positive").click()
    await labelled(api, "plain-01", "positive")
    page = await manager.opened("/review?topic=plain&sort=started_at&client=u-plain-2")
    await expect(page.get_by_role("heading", level=1)).to_have_text("plain-02")
    await page.get_by_role("button", name="Negative").click()
    await expect(page.get_by_role("heading", name="That was all of them")).to_be_visible()
    await labelled(api, "plain-02", "negative")
    await page.get_by_role("button", name="Undo").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("plain-02")
    await labelled(api, "plain-02", "")
    await page.get_by_role("button", name="Skip").click()
    await expect(page.locator(".done")).to_contain_text("Skipped")


async def test_statistics(manager: Visitor, api: httpx2.AsyncClient) -> None:
    page = await manager.opened("/statistics?topic=counted")
    series = page.locator("#series")
    await expect(series).to_be_visible()
    await page.locator("table.by").get_by_role("link", name="Spanish").click()
    assert await ids(page) == ids_of(await listed(api, "topic=counted&language=es"))


async def test_signing_out(manager: Visitor) -> None:
    page = await manager.opened("/learning/all")
    await page.locator("#you summary").click()
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_text("You are signed out.")).to_be_visible()
