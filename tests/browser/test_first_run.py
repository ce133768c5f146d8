"""An Afterword in which nothing is yet: what it says to send the first event, and that this works."""

import json
import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from tests.browser.stack import Stack, running
from tests.browser.visitors import visiting

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def empty(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    async with running(tmp_path_factory.mktemp("empty")) as stack:
        yield stack


async def test_the_first_page_says_how_to_send_the_first_event_and_shows_it(empty: Stack, browser: Browser) -> None:
    async with visiting(browser, empty) as visitor:
        await visitor.sign_in()
        page = await visitor.opened("/")
        await expect(page.get_by_role("heading", name="No conversation yet")).to_be_visible()
        assert f"--data {empty.data}" in await page.locator("pre", has_text="keys create").inner_text()
        said = await page.locator("pre", has_text="curl").inner_text()
        address = re.search(r"curl (\S+)", said)
        assert address is not None
        assert address[1] == empty.url + "/v1/events"
        body = re.search(r"-d '(.*)'", said, re.DOTALL)
        assert body is not None
        async with empty.asked(empty.key("events:write")) as api:
            answer = await api.post(address[1], json=json.loads(body[1]))
        assert answer.status_code == 202, answer.text
        await expect(page.locator("#rows")).to_be_visible(timeout=15_000)
        await expect(page.locator("#rows tbody tr")).to_have_count(1)

        await page.goto(empty.url + "/statistics")
        await expect(page.locator("#sentence")).to_be_visible()
