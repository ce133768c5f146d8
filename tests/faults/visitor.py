"""A person before the review application of a laboratory, signed in: sees its pages and takes its exports."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO
from typing import Final

import httpx2
import pyarrow.parquet as pq

from api.writing.log import EventLog
from runtime.application import application
from runtime.settings import Settings
from runtime.sign_in import sign_in_of
from schemas.rules import Rules
from sinks.connection import Database
from tests.faults.laboratory import Laboratory

_HERE: Final = "http://localhost"
_SECRET: Final = "a secret of the laboratory, long enough for anybody"


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
    settings = Settings.load(data=laboratory.directory / "visitor", rate_limit=100_000)
    sign_in = sign_in_of(settings, _SECRET, _HERE, links=True)
    nobody: EventLog = None  # type: ignore[assignment]  # a visitor writes nothing
    database = Database.parse(laboratory.clickhouse.url)
    opened = application(settings, Rules.load(None), database, nobody, sign_in, _HERE, embedded=True)
    async with opened as app:
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url=_HERE) as browser:
            assert (await browser.get(sign_in.new_link())).status_code == 303
            yield Visitor(browser)
