"""A person before the review application of a laboratory, signed in: sees its pages and takes its exports."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO

import httpx2
import pyarrow.parquet as pq

from sinks.connection import Database
from tests.faults.laboratory import Laboratory
from tests.signed_in import signed_in


class Visitor:
    """Somebody with a browser who may see everything."""

    def __init__(self, browser: httpx2.AsyncClient) -> None:
        self._browser = browser

    async def page(self, assistant: str, conversation_id: str) -> tuple[int, str]:
        """Open the page of a conversation; gives status and HTML."""
        answer = await self._browser.get("/conversation", params={"of": assistant, "id": conversation_id})
        return answer.status_code, answer.text

    async def told(self, assistant: str, conversation_id: str) -> tuple[int, str]:
        """Ask for a conversation as JSON; gives status and text."""
        answer = await self._browser.get(f"/v1/conversations/{assistant}/{conversation_id}")
        return answer.status_code, answer.text

    async def exports(self) -> dict[str, str]:
        """Take every export, of everything; gives its text by its kind."""
        found = {}
        for kind in ("conversations.csv", "conversations.jsonl", "examples.jsonl"):
            found[kind] = (await self._all(kind)).decode()
        table = pq.read_table(BytesIO(await self._all("conversations.parquet")))
        found["conversations.parquet"] = str(table.to_pylist())
        return found

    async def _all(self, kind: str) -> bytes:
        answer = await self._browser.get(f"/v1/{kind}", params={"state": "all"}, timeout=120)
        assert answer.status_code == 200, answer.text
        return answer.content


@asynccontextmanager
async def visiting(laboratory: Laboratory) -> AsyncIterator[Visitor]:
    """Open the review application, in this process, on the ClickHouse of a laboratory."""
    database = Database.parse(laboratory.clickhouse.url)
    async with signed_in(database, laboratory.directory / "visitor") as browser:
        yield Visitor(browser)
