"""People with a browser: each in a context of their own, and watched, so that nothing goes wrong unseen."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, Request, Response, WebError, expect

from tests.browser.stack import Stack

HERE = "127.0.0.1"
WIDE = {"width": 1440, "height": 900}
NARROW = {"width": 375, "height": 812}
PATIENCE_MS = 15_000
expect.set_options(timeout=PATIENCE_MS)

LOCALE: dict[str, Any] = {"locale": "en-GB", "timezone_id": "Europe/Madrid", "reduced_motion": "reduce"}


class Watch:
    """Everything that went wrong in a context: errors in the console, of the policy too, and answers of 500 and more.

    A test that makes something go wrong on purpose says so in `expected`: what the console will say contains it.
    """

    def __init__(self, context: BrowserContext) -> None:
        self.expected: list[str] = []
        self.asked: list[str] = []
        self._faults: list[str] = []
        context.on("console", self._said)
        context.on("weberror", self._thrown)
        context.on("request", self._requested)
        context.on("response", self._answered)

    def faults(self) -> list[str]:
        """Give what went wrong and was not expected."""
        return [fault for fault in self._faults if not any(words in fault for words in self.expected)]

    def elsewhere(self) -> list[str]:
        """Give what was asked of anybody but this machine."""
        return [url for url in self.asked if urlsplit(url).scheme != "data" and urlsplit(url).hostname != HERE]

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self._faults.append(f"{message.type} at {message.location.get('url')}: {message.text}")

    def _thrown(self, error: WebError) -> None:
        self._faults.append(f"thrown on {error.page.url if error.page else '?'}: {error.error}")

    def _requested(self, request: Request) -> None:
        self.asked.append(request.url)

    def _answered(self, response: Response) -> None:
        if response.status >= 500:
            self._faults.append(f"{response.status} for {response.request.method} {response.url}")


class Visitor:
    """Somebody with a browser of their own."""

    def __init__(self, stack: Stack, context: BrowserContext, watch: Watch) -> None:
        self.stack = stack
        self.context = context
        self.watch = watch

    async def sign_in(self) -> None:
        """Sign in with a link, without a page: that signing in works is for its own test to show."""
        answer = await self.context.request.get(self.stack.link(), max_redirects=0)
        assert answer.status == 303, await answer.text()

    async def sign_in_with_the_issuer(self) -> None:
        """Sign in as somebody whom the issuer knows."""
        page = await self.context.new_page()
        await page.goto(self.stack.url + "/sign-in")
        await page.get_by_role("link", name="Sign in with your organisation").click()
        await page.wait_for_url(self.stack.url + "/learning/**")
        await page.close()

    async def opened(self, path: str) -> Page:
        """Give a new page at a path."""
        page = await self.context.new_page()
        await page.goto(self.stack.url + path)
        return page


@asynccontextmanager
async def visiting(browser: Browser, stack: Stack, **options: Any) -> AsyncIterator[Visitor]:
    """Give somebody who is not signed in; in the end nothing may have gone wrong in front of them."""
    given = {"viewport": WIDE, "accept_downloads": True, **LOCALE, **options}
    context = await browser.new_context(**given)
    context.set_default_timeout(PATIENCE_MS)
    watch = Watch(context)
    try:
        yield Visitor(stack, context, watch)
    finally:
        await context.close()
    assert watch.faults() == [], stack.child.words()
    assert watch.elsewhere() == []
