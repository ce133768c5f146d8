"""What writes need, small: a log that a test looks into, a ClickHouse that knows what it is told, keys of all kinds."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import httpx2
from fastapi import FastAPI, Request, Response

from api.access import guards
from api.access.keys import KeyRing, MemoryKeys
from api.access.principal import Principal, Scope
from api.access.refusals import refusal
from api.access.sign_in import SignIn, Ways
from api.endpoints import erasure, events, labels
from api.options import Options
from api.parts import Parts
from api.problems import Problem
from api.writing.log import Outgoing
from schemas.facts import Key
from schemas.failures import Unavailable
from tests.api.access.world import HERE, SECRET, made

EVERYTHING: Final = Principal("key:all", "the office", frozenset(Scope))
SHOP_ONLY: Final = Principal("key:shop", "shop's own", frozenset(Scope), "shop")


@dataclass
class RecordingLog:
    """A log in memory. `takes` says of each event whether it is acknowledged; `arrives`, when it is not, whether it is
    there all the same, as it may be.
    """

    records: list[Outgoing] = field(default_factory=list)
    takes: Callable[[Outgoing], bool] = lambda _: True
    arrives: bool = False

    async def append(self, events: Sequence[Outgoing]) -> list[bool]:
        """See EventLog."""
        taken = [self.takes(one) for one in events]
        self.records += [one for one, there in zip(events, taken, strict=True) if there or self.arrives]
        return taken

    @property
    def values(self) -> list[bytes]:
        """What is in it."""
        return [one.value for one in self.records]


@dataclass
class Known:
    """What ClickHouse answers to those who write. `labelled`: the rows; `facts`: the latest `at` of each conversation.

    `erased`: the cuts of erasures that are stored, by id. With `error` it raises that.
    """

    labelled: dict[Key, int | None] = field(default_factory=dict)
    facts: dict[Key, int] = field(default_factory=dict)
    erased: dict[str, int] = field(default_factory=dict)
    error: Exception | None = None

    async def rows(self, sql: str, parameters: Mapping[str, object] | None = None) -> list[tuple[Any, ...]]:
        """See Queries."""
        if self.error:
            raise self.error
        given: dict[str, Any] = dict(parameters or {})
        if "labelled_at" in sql:
            asked = given["keys"]
            return [(*key, self.labelled[key]) for key in asked if key in self.labelled]
        name = given["event"]
        return [(name in self.erased, self.erased.get(name, 0), self.facts.get((given["assistant"], given["id"]), 0))]


DOWN: Final = Unavailable("ClickHouse does not answer")


def parts(log: Any = None, queries: Any = None, *, default_assistant: str | None = None, keys: Any = None) -> Parts:
    """Parts of which only those count that a write needs."""
    nothing: Any = None
    options = Options(HERE, "0", embedded=False, default_assistant=default_assistant, rate_limit=1_000_000)
    return Parts(
        queries=queries if queries is not None else Known(),
        log=log if log is not None else RecordingLog(),
        keys=keys,
        sign_in=SignIn(SECRET, HERE, Ways(local_name="ana")),
        leases=nothing,
        options=options,
    )


@dataclass
class Served:
    """The writing endpoints behind the real guards. `client` comes with a key that may everything."""

    client: httpx2.AsyncClient
    log: RecordingLog
    known: Known

    async def post(self, path: str, body: Any, **headers: str) -> httpx2.Response:
        """Send JSON."""
        return await self.client.post(path, json=body, headers={n.replace("_", "-"): v for n, v in headers.items()})


@asynccontextmanager
async def served(
    *scopes: Scope, assistant: str | None = None, default_assistant: str | None = None, name: str = "the office"
) -> AsyncIterator[Served]:
    """Serve to a key with these rights, all when none is named."""
    text, key = made(*(scopes or Scope), name=name, assistant=assistant)
    log, known, ring = RecordingLog(), Known(), KeyRing(MemoryKeys(key))
    app = FastAPI()
    app.state.parts = parts(log, known, default_assistant=default_assistant, keys=ring)
    for endpoint in (events, labels, erasure):
        app.include_router(endpoint.router)
    app.add_exception_handler(Problem, _on_problem)
    guards.install(app, app.state.parts)
    transport = httpx2.ASGITransport(app)
    bearer = {"Authorization": f"Bearer {text}"}
    async with httpx2.AsyncClient(transport=transport, base_url=HERE, headers=bearer) as client:
        yield Served(client, log, known)
    await ring.close()


async def _on_problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return refusal(error)
