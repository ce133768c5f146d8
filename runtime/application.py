"""The review application of a process: put together on a database and a log, open for as long as a context lasts."""

import shlex
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI

from api.access.keys import KeyRing
from api.access.sign_in import SignIn
from api.application import build
from api.options import Options
from api.parts import Parts
from api.queries.changes import changes_of
from api.queries.leases import ReviewLeases
from api.writing.log import EventLog
from runtime.settings import Settings
from schemas.rules import Rules
from sinks.clickhouse_keys import ClickHouseKeys
from sinks.clickhouse_queries import ClickHouseQueries
from sinks.connection import Database


@asynccontextmanager
async def application(
    settings: Settings,
    rules: Rules,
    database: Database,
    log: EventLog,
    sign_in: SignIn,
    public_url: str,
    *,
    default_assistant: str | None = None,
    embedded: bool = False,
) -> AsyncIterator[FastAPI]:
    """Open it. `log` and `sign_in` are the caller's; nothing is asked of the database before the first request."""
    queries, stored_keys = ClickHouseQueries(database), ClickHouseKeys(database)
    keys = KeyRing(stored_keys)
    options = Options(
        public_url=public_url,
        version=version("afterword"),
        embedded=embedded,
        default_assistant=settings.default_assistant or default_assistant,
        rate_limit=settings.rate_limit,
        rules=rules,
        keys_at=f"--data {shlex.quote(str(settings.data))}" if embedded and "data" in settings.model_fields_set else "",
    )
    try:
        yield build(Parts(queries, log, keys, sign_in, ReviewLeases(queries), options))
    finally:
        changes_of(queries).close()  # else those who listen would hold the process up
        await keys.close()
        stored_keys.close()
        queries.close()
