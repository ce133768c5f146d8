"""axe-core over every page: two widths, two themes, no violation of WCAG 2.2 AA."""

import json
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.async_api import Page

from tests.browser.conftest import Visiting
from tests.browser.shop import REOPENED
from tests.browser.visitors import NARROW, WIDE

pytestmark = pytest.mark.asyncio(loop_scope="session")

OPTIONS = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"],
    "resultTypes": ["violations"],
}
PAGES = {
    "a list": "/learning/all?limit=8&topic=returns",
    "a list in which a label is stale and one has a red dot": "/learning/fallback?limit=8&topic=refunds",
    "hostile texts": "/learning/all?topic=hostile&columns=user_name&columns=topic&columns=rating",
    "an empty list": "/learning/negative?client=nobody",
    "a conversation": f"/conversation?of=shop&id={REOPENED}",
    "a review": "/review?section=positive&language=en",
    "the end of a review": "/review?client=nobody",
    "statistics": "/statistics?topic=counted",
    "an error": "/conversation?of=shop&id=there-is-none",
    "a faulty address": "/learning/all?langage=en",
}


@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["on a desk", "on a phone"])
@pytest.mark.parametrize("path", PAGES.values(), ids=PAGES.keys())
async def test_a_page_has_no_barrier(path: str, viewport: dict[str, int], visit: Visiting) -> None:
    async with visit(viewport=viewport) as manager:
        manager.watch.expected += ["status of 404", "status of 422"]
        await manager.sign_in()
        page = await manager.opened(path)
        for scheme in ("light", "dark"):
            await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            assert await violations(page) == [], scheme
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"


@pytest.mark.parametrize("opened", ["#keys", "#you", "#export", "#choose", "#custom", "#values-topic"])
async def test_an_opened_menu_has_no_barrier(opened: str, visit: Visiting) -> None:
    async with visit() as manager:
        await manager.sign_in()
        page = await manager.opened("/learning/all?limit=15&topic=returns")
        await page.locator(f"{opened} > summary").click()
        for scheme in ("light", "dark"):
            await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            assert await violations(page) == [], scheme


async def test_the_sign_in_page_has_no_barrier(visit: Visiting) -> None:
    async with visit() as stranger:
        page = await stranger.opened("/sign-in")
        for scheme in ("light", "dark"):
            await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            assert await violations(page) == [], scheme


async def violations(page: Page) -> list[str]:
    """Run axe, which the page's policy keeps from nothing, since the browser's debugger puts it there."""
    await page.evaluate(f"window.axe || {{}}; {AXE_SCRIPT}; undefined")
    found: dict[str, Any] = await page.evaluate(f"axe.run(document, {json.dumps(OPTIONS)})")
    return [
        f"{one['id']}: {one['help']}: {node['target']}: {node['html'][:200]}: {node.get('failureSummary', '')}"
        for one in found["violations"]
        for node in one["nodes"]
    ]
