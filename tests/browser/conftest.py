"""What the browser tests share: one browser, one shop with its managers, and one Afterword in which nothing is yet."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Any, Protocol

import httpx2
import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from tests.api.access.issuer import CLIENT_ID, CLIENT_SECRET, TestIssuer
from tests.api.access.issuer import running as issuing
from tests.browser import chromium as found
from tests.browser.shop import Shop
from tests.browser.stack import ALL_RIGHTS, Stack, running
from tests.browser.visitors import Visitor, visiting


class Visiting(Protocol):
    """Makes visitors of the shop; the options are those of a browser's context."""

    def __call__(self, **options: Any) -> AbstractAsyncContextManager[Visitor]: ...


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(chromium: str) -> AsyncIterator[Browser]:
    """One Chromium for all tests; whoever uses it has a context of their own."""
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=chromium, args=found.arguments())
        yield launched
        await launched.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def issuer() -> AsyncIterator[TestIssuer]:
    """Who says who the second manager is: with links alone everybody is the user of this machine."""
    async with issuing() as issuer:
        yield issuer


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shop(chromium: str, issuer: TestIssuer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """Afterword with a shop in it, up for all tests."""
    folder = tmp_path_factory.mktemp("shop")
    file = folder / "shop.jsonl"
    file.write_bytes(b"\n".join(Shop(datetime.now(UTC)).lines()))
    settings = {
        "AFTERWORD_OIDC_ISSUER": issuer.url,
        "AFTERWORD_OIDC_CLIENT_ID": CLIENT_ID,
        "AFTERWORD_OIDC_CLIENT_SECRET": CLIENT_SECRET,
    }
    async with running(folder, file, settings=settings) as stack:
        yield stack


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def api(shop: Stack) -> AsyncIterator[httpx2.AsyncClient]:
    """The interface of the shop, with a key that may everything."""
    async with shop.asked(shop.key(*ALL_RIGHTS)) as client:
        yield client


@pytest.fixture
def visit(browser: Browser, shop: Stack) -> Visiting:
    """Makes visitors of the shop who are not signed in."""
    return lambda **options: visiting(browser, shop, **options)


@pytest_asyncio.fixture(loop_scope="session")
async def manager(visit: Visiting) -> AsyncIterator[Visitor]:
    """A manager of the shop, signed in."""
    async with visit() as visitor:
        await visitor.sign_in()
        yield visitor


@pytest_asyncio.fixture(loop_scope="session")
async def manager_without_script(visit: Visiting) -> AsyncIterator[Visitor]:
    """A manager whose browser runs no JavaScript."""
    async with visit(java_script_enabled=False) as visitor:
        await visitor.sign_in()
        yield visitor
