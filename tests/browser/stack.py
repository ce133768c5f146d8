"""A real `afterword up` for the tests: a process of its own, its links and keys, and a client of its interface."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx2

from runtime.broker import free_port
from runtime.folder import Folder
from runtime.sign_in import fresh_link
from tests.e2e.children import Child
from tests.runtime.commands import afterword
from tests.waiting import until

START_S = 120
LINK = re.compile(r"^Open  (\S+)$", re.MULTILINE)
_OPEN = "/v1/conversations?state=open&sort=closes_at&limit=1"
ALL_RIGHTS = ("read", "labels:write", "events:write", "erase")


class Stack:
    """A running stack. `first_link`: the one that it printed, which signs in once."""

    def __init__(self, data: Path, child: Child, url: str) -> None:
        self.data = data
        self.child = child
        self.url = url
        self.first_link = ""

    def link(self) -> str:
        """Give a new link that signs in once, as `afterword link` does."""
        return fresh_link(Folder(self.data))

    def key(self, *scopes: str, assistant: str | None = None) -> str:
        """Make a key."""
        given = [word for scope in scopes for word in ("--scope", scope)]
        only = ["--assistant", assistant] if assistant else []
        made = afterword("keys", "create", "--data", str(self.data), *given, *only, "--name", "the tests")
        assert made.status == 0, made.err
        return made.out.strip()

    async def settled(self) -> None:
        """Wait until what is due is closed, so that lists and counts stay as they are."""

        async def nothing_due() -> bool:
            async with httpx2.AsyncClient(base_url=self.url, trust_env=False) as client:
                await client.get(self.link())
                row, *_ = (await client.get(_OPEN)).json()["items"] or [None]
                return row is None or datetime.fromisoformat(row["closes_at"]) > datetime.now(UTC)

        await until(nothing_due, START_S, "what is due to be closed")

    @asynccontextmanager
    async def asked(self, key: str) -> AsyncIterator[httpx2.AsyncClient]:
        """Give a client of its interface."""
        headers = {"Authorization": f"Bearer {key}"}
        async with httpx2.AsyncClient(base_url=self.url, headers=headers, timeout=30, trust_env=False) as client:
            yield client


@asynccontextmanager
async def running(folder: Path, *load: Path, settings: Mapping[str, str] | None = None) -> AsyncIterator[Stack]:
    """Start `afterword up` in `folder`, load files into it, and stop it in the end; `settings`: of its environment."""
    data, port = folder / "data", free_port()
    url = f"http://127.0.0.1:{port}"
    files = [word for file in load for word in ("--load", str(file))]
    child = Child(
        "afterword up",
        folder / "up.log",
        "runtime.cli",
        *("up", "--data", str(data), "--port", str(port), *files),
        settings={"AFTERWORD_PUBLIC_URL": url, **(settings or {})},
    )
    stack = Stack(data, child, url)
    try:
        stack.first_link = await until(lambda: _link(child), START_S, "the stack to be up")
        if load:
            await stack.settled()
        yield stack
        assert child.status is None, child.words()
    finally:
        await child.stop()


def _link(child: Child) -> str:
    assert child.status is None, child.words()
    found = LINK.search(child.words())
    return found[1] if found else ""
