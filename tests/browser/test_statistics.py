"""The rates: that they are those of the interface, and lead to the conversations that they are about."""

from urllib.parse import urlsplit

import httpx2
import pytest
from playwright.async_api import expect

from tests.browser.reading import ids, listed, state
from tests.browser.shop import GROUPS
from tests.browser.visitors import Visitor

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_bar_opens_the_conversations_that_it_counts(manager: Visitor, api: httpx2.AsyncClient) -> None:
    page = await manager.opened("/statistics?topic=counted")
    row = page.locator("table.by tr", has=page.get_by_role("rowheader", name="Spanish"))
    count = int(await row.locator("td .value").first.inner_text())
    assert count == GROUPS["counted"] // 2
    await row.locator("td a").first.click()
    await expect(page.locator("#span")).to_have_text(f"1–{count} of {count}")  # noqa: RUF001
    assert urlsplit(page.url).path == "/learning/all"
    assert state(page) == {"topic": ["counted"], "language": ["es"]}
    assert len(await ids(page)) == count == (await listed(api, "topic=counted&language=es"))["total"]


async def test_a_fallback_rate_opens_as_many_fallbacks_as_it_says(manager: Visitor) -> None:
    page = await manager.opened("/statistics?language=en")
    row = page.locator("table.by tr", has=page.get_by_role("rowheader", name="returns"))
    rate = row.locator("td a").nth(1)
    said = await rate.get_attribute("title")
    assert said is not None
    fallbacks = int(said.split()[0].replace(",", ""))
    await rate.click()
    await expect(page.locator("#tab-fallback")).to_have_text(f"Fallback {fallbacks}")
    await expect(page.locator("#tab-fallback")).to_have_attribute("aria-current", "page")


async def test_the_rates_are_those_of_the_interface(manager: Visitor, api: httpx2.AsyncClient) -> None:
    page = await manager.opened("/statistics?range=month&channel=web")
    measured = (await api.get("/v1/statistics?range=month&channel=web&bucket=day")).json()
    for name in ("fallback_rate", "containment_rate", "satisfaction_rate"):
        rate = measured[name]
        figure = page.locator(f"figure[data-rate={name}]")
        await expect(figure.locator(".sum").first).to_contain_text(f"{rate['numerator']} of {rate['denominator']}")
        await expect(figure.locator("canvas")).to_be_visible()
    series = page.locator("#series tbody tr")
    counted = await series.evaluate_all("all => all.map(one => Number(one.dataset.conversations))")
    assert counted == [one["conversations"] for one in measured["over_time"]]
    assert sum(counted) == measured["conversations"]


async def test_filters_apply_to_the_rates_and_go_along_to_the_list(manager: Visitor) -> None:
    page = await manager.opened("/statistics")
    await page.locator("#values-topic summary").click()
    await page.locator("input[name=topic][value=returns]").check()
    await page.get_by_role("button", name="Apply").click()
    await expect(page.locator(".chip")).to_have_count(1)
    await page.get_by_role("navigation", name="Pages").get_by_role("link", name="Learning").click()
    await expect(page.locator("#rows")).to_be_visible()
    assert state(page) == {"topic": ["returns"]}
