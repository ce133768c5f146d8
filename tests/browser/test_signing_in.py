"""Signing in and out, in a browser: by the link that `afterword up` prints, and with an issuer."""

import pytest
from playwright.async_api import expect

from tests.browser.conftest import Visiting
from tests.browser.stack import Stack
from tests.browser.visitors import Visitor

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_the_printed_link_signs_one_person_in_and_is_used_up(shop: Stack, visit: Visiting) -> None:
    async with visit() as first, visit() as second:
        page = await first.opened("/learning/fallback")
        await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        await page.goto(shop.first_link)
        await expect(page).to_have_url(shop.url + "/learning/all")
        await expect(page.get_by_role("heading", name="Learning")).to_be_visible()

        second.watch.expected.append("status of 403")
        page = await second.context.new_page()
        refused = await page.goto(shop.first_link)
        assert refused is not None
        assert refused.status == 403
        await expect(page.get_by_role("alert")).to_have_text("This link was used already.")
        await page.goto(shop.url + "/learning/all")
        await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


async def test_who_signs_out_sees_nothing_more_not_even_by_going_back(manager: Visitor) -> None:
    page = await manager.opened("/learning/all")
    await page.locator("#you summary").click()
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_text("You are signed out.")).to_be_visible()
    await page.go_back()
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert await page.locator("#rows").count() == 0


async def test_a_session_cannot_be_read_by_scripts(manager: Visitor) -> None:
    page = await manager.opened("/learning/all")
    assert "afterword-" not in await page.evaluate("document.cookie")
    (session,) = [one for one in await manager.context.cookies() if one["name"].startswith("afterword-")]
    assert (session["httpOnly"], session["sameSite"]) == (True, "Lax")


async def test_a_colleague_signs_in_with_the_issuer_and_lands_where_they_wanted_to_go(visit: Visiting) -> None:
    async with visit() as colleague:
        page = await colleague.opened("/learning/all?language=en&sort=-duration_ms")
        await page.get_by_role("link", name="Sign in with your organisation").click()
        await expect(page).to_have_url(colleague.stack.url + "/learning/all?language=en&sort=-duration_ms")
        await expect(page.locator("#you summary")).to_have_text("ana@example.org")
