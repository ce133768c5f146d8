"""A small application behind the real guards, so that what they do is seen without the endpoints of others."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx2
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from api.access import guards
from api.access.identify import Eraser, Judge, Labeller, Reader, Visitor
from api.access.key_format import new_key
from api.access.keys import KeyRing, KeyStore, MemoryKeys
from api.access.principal import Scope
from api.access.refusals import refusal
from api.access.sign_in import SignIn, Ways
from api.options import Options
from api.pages import sign_in
from api.parts import Parts
from api.problems import Problem, unavailable
from schemas.api_keys import ApiKey
from schemas.failures import Unavailable

SECRET = "a secret of the tests, long enough for anybody"
HERE = "http://here.test"
AT = datetime(2026, 11, 2, 9, 12, tzinfo=UTC)


def made(*scopes: Scope, name: str = "a program", assistant: str | None = None) -> tuple[str, ApiKey]:
    """A key and what is stored of it."""
    return new_key(scopes, name=name, assistant=assistant, at=AT)


def application(
    *keys: ApiKey,
    store: KeyStore | None = None,
    ways: Ways | None = None,
    public_url: str = HERE,
    rate_limit: int = 1_000,
) -> FastAPI:
    """An application with an endpoint for some rights, two pages and a bug."""
    nothing: Any = None
    parts = Parts(
        queries=nothing,
        log=nothing,
        keys=KeyRing(store or MemoryKeys(*keys)),
        sign_in=SignIn(SECRET, public_url, ways or Ways(local_name="ana")),
        leases=nothing,
        options=Options(public_url=public_url, version="0", embedded=True, rate_limit=rate_limit),
    )
    app = FastAPI()
    app.state.parts = parts
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(Unavailable, _on_unavailable)
    app.add_exception_handler(Exception, _on_bug)

    @app.get("/v1/read")
    async def read(principal: Reader) -> dict[str, str | None]:
        return {"id": principal.id, "name": principal.name, "assistant": principal.assistant}

    @app.post("/v1/label")
    async def label(request: Request, principal: Labeller) -> int:
        return len(await request.body())

    @app.post("/v1/bodies")
    async def bodies(body: dict[str, str]) -> int:
        return len(body)

    @app.delete("/v1/erase")
    async def erase(principal: Eraser) -> str:
        return principal.id

    @app.get("/page")
    async def page(principal: Visitor) -> Response:
        return Response(principal.name)

    @app.post("/page")
    async def form(principal: Judge) -> Response:
        return Response(principal.name)

    @app.get("/bug")
    async def bug() -> None:
        raise RuntimeError("a bug")

    app.include_router(sign_in.router)
    guards.install(app, parts)
    return app


def session(app: FastAPI) -> dict[str, str]:
    """The cookie of whoever opened a one-time link of an application."""
    ways: SignIn = app.state.parts.sign_in
    response = ways.by_link(ways.new_link().rpartition("/")[2], None)
    name, _, value = response.headers["Set-Cookie"].partition(";")[0].partition("=")
    return {name: value}


def bearer(key: str) -> dict[str, str]:
    """The header that a program comes with."""
    return {"Authorization": f"Bearer {key}"}


@asynccontextmanager
async def asking(
    app: FastAPI, *, client: str = "192.0.2.1", url: str = HERE, cookies: dict[str, str] | None = None
) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of an application, from an address."""
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False, client=(client, 4_711))
    async with httpx2.AsyncClient(transport=transport, base_url=url, cookies=cookies) as asked:
        yield asked
    await app.state.parts.keys.close()


async def _on_problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return refusal(error)


async def _on_unavailable(_: Request, error: Exception) -> Response:
    return refusal(unavailable(str(error)))


async def _on_bug(_: Request, __: Exception) -> Response:
    return JSONResponse({"bug": True}, 500)
