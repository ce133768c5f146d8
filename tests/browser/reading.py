"""What stands on a page, and what the interface says of the same."""

from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import httpx2
from playwright.async_api import Page, expect

from tests.waiting import until

STORED_S = 10


async def ids(page: Page) -> list[str]:
    """Give the ids of the rows of the list, as they stand there."""
    found: list[str] = await page.locator("#rows tbody th bdi").evaluate_all("all => all.map(one => one.title)")
    return found


async def arrived(page: Page, heading: str) -> None:
    """Wait until a page with this heading is there, and its scripts listen to keys."""
    await expect(page.get_by_role("heading", level=1)).to_have_text(heading)
    await page.wait_for_load_state("load")


def state(page: Page) -> dict[str, list[str]]:
    """Give the parameters of the page's address."""
    said: dict[str, list[str]] = {}
    for name, value in parse_qsl(urlsplit(page.url).query, keep_blank_values=True):
        said.setdefault(name, []).append(value)
    return said


async def listed(api: httpx2.AsyncClient, query: str, *, everything: bool = False) -> dict[str, Any]:
    """Give a page of the list, or with `everything` the whole of it."""
    answer = await _json(api, f"/v1/conversations?{query}")
    while everything and (cursor := answer["next"]):
        more = await _json(api, f"/v1/conversations?{query}&cursor={quote(cursor)}")
        answer = {**more, "items": answer["items"] + more["items"]}
    return answer


def ids_of(answer: dict[str, Any]) -> list[str]:
    """Give the ids of a list's rows."""
    return [row["conversation_id"] for row in answer["items"]]


async def facets(api: httpx2.AsyncClient, query: str = "") -> dict[str, Any]:
    """Give the counts beside a list."""
    return await _json(api, f"/v1/facets?{query}")


async def history(api: httpx2.AsyncClient, conversation_id: str) -> dict[str, Any]:
    """Give one conversation of the shop whole."""
    return await _json(api, f"/v1/conversations/shop/{quote(conversation_id, safe='')}")


async def labelled(api: httpx2.AsyncClient, conversation_id: str, label: str) -> dict[str, Any]:
    """Wait until the conversation's row has this label, and give it whole."""

    async def found() -> dict[str, Any] | None:
        there = await history(api, conversation_id)
        return there if there["row"]["label"] == label else None

    whole: dict[str, Any] = await until(found, STORED_S, f"{conversation_id} to be labelled {label!r}")
    return whole


async def _json(api: httpx2.AsyncClient, path: str) -> dict[str, Any]:
    answer = await api.get(path)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found
