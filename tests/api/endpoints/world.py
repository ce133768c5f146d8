"""Endpoints that read, behind the real guards and on the real database, and those who ask."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Final

import httpx2
from fastapi import APIRouter, FastAPI, Request, Response

from api.access.principal import Scope
from api.access.refusals import refusal
from api.problems import Problem
from runtime.server import HttpServer
from schemas.failures import TooMuch
from tests.api.access.world import application, bearer, made

READER: Final = made(Scope.READ)
SHOP_ONLY: Final = made(Scope.READ, assistant="shop")
NO_READER: Final = made(Scope.LABELS_WRITE)


@asynccontextmanager
async def reading(queries: Any, *routers: APIRouter) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of a server of these endpoints, over a real connection; it may read everything."""
    app = application(*(stored for _, stored in (READER, SHOP_ONLY, NO_READER)))
    app.state.parts = replace(app.state.parts, queries=queries)
    for router in routers:
        app.include_router(router)
    app.add_exception_handler(TooMuch, _on_too_much)
    async with asked_over_http(app) as client:
        yield client
    await app.state.parts.keys.close()


@asynccontextmanager
async def asked_over_http(app: FastAPI) -> AsyncIterator[httpx2.AsyncClient]:
    """Serve an application on a free port, and ask it as READER."""
    server = HttpServer(app, host="127.0.0.1", port=0)
    await server.start()
    async with httpx2.AsyncClient(base_url=server.address, headers=bearer(READER[0]), timeout=60) as client:
        yield client
    await server.stop()


async def _on_too_much(_: Request, error: Exception) -> Response:
    return refusal(Problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)))
