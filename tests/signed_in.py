"""A browser before the review application, in this process on any database: signed in, seeing everything."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import httpx2

from api.writing.log import EventLog
from runtime.application import application
from runtime.settings import Settings
from runtime.sign_in import SignIn, sign_in_of
from schemas.rules import Rules
from sinks.connection import Database

_HERE: Final = "http://127.0.0.1"
_SECRET: Final = "a secret of nobody, long enough for anybody"


@asynccontextmanager
async def signed_in(database: Database, folder: Path) -> AsyncIterator[httpx2.AsyncClient]:
    """Open the application and sign in. `folder`: where it may keep things; whoever comes in writes nothing."""
    settings = Settings.load(data=folder, rate_limit=100_000)
    sign_in: SignIn = sign_in_of(settings, _SECRET, _HERE, links=True)
    nobody: EventLog = None  # type: ignore[assignment]
    opened = application(settings, Rules.load(None), database, nobody, sign_in, _HERE, embedded=True)
    async with opened as app, httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=_HERE) as browser:
        assert (await browser.get(sign_in.new_link())).status_code == 303
        yield browser
