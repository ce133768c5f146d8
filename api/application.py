"""The application: every router, the guards before them, and what an error looks like."""

import logging
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware

from api.access import guards
from api.access.requests_log import loggable
from api.endpoints import conversations, erasure, events, examples, exports, facets, labels, statistics, stream
from api.pages import conversation as conversation_page
from api.pages import errors, learning, review, sign_in
from api.pages import statistics as statistics_page
from api.pages.files import Files
from api.parts import Parts
from api.problems import MEDIA_TYPE, Fault, Problem, unavailable
from schemas.failures import TooMuch, Unavailable

log = logging.getLogger(__name__)

STATIC: Final = Path(__file__).parent / "pages" / "static"
OPENAPI: Final = "/v1/openapi.json"
_API: Final = "/v1/"
_WORTH_PACKING: Final = 1_024
_PACKING: Final = 5
"""zlib's level: a page of 110 kB goes as 12 kB."""

_ENDPOINTS: Final = (events, labels, erasure, exports, conversations, statistics, facets, examples, stream)
_PAGES: Final = (learning, conversation_page, review, statistics_page, sign_in)


def build(parts: Parts) -> FastAPI:
    """Put the application together."""
    app = described(parts.options.version)
    app.state.parts = parts
    for page in _PAGES:
        app.include_router(page.router, include_in_schema=False)
    app.mount("/static", Files(directory=STATIC), name="static")
    for kind, answer in _ANSWERS.items():
        app.add_exception_handler(kind, answer)
    app.add_middleware(GZipMiddleware, minimum_size=_WORTH_PACKING, compresslevel=_PACKING)
    guards.install(app, parts)
    return app


def described(version: str) -> FastAPI:
    """Give the HTTP interface alone, without anything that could answer: what its OpenAPI document is made of."""
    app = FastAPI(
        title="Afterword",
        version=version,
        summary="Conversations of an assistant, for those who emit, review and analyse them.",
        openapi_url=OPENAPI,
        docs_url=None,  # their pages load scripts from elsewhere
        redoc_url=None,
    )
    for endpoint in _ENDPOINTS:
        app.include_router(endpoint.router)
    return app


async def _answer(request: Request, problem: Problem) -> Response:
    """Say what went wrong: to a program as a problem document, to a person as a page."""
    if request.url.path.startswith(_API):
        return JSONResponse(
            problem.details.model_dump(exclude_defaults=False),
            int(problem.status),
            {"Cache-Control": "no-store", **problem.headers},
            media_type=MEDIA_TYPE,
        )
    return await errors.page(request, problem)


async def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return await _answer(request, error)


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError | ValidationError)
    faults = [Fault(where=_place(one["loc"]), what=str(one["msg"])) for one in error.errors()]
    detail = "; ".join(f"{fault.where}: {fault.what}" if fault.where else fault.what for fault in faults[:3])
    return await _answer(
        request,
        Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, title="The request cannot be understood", faults=faults),
    )


def _place(location: tuple[Any, ...]) -> str:
    """`("query", "from")` is the parameter `from`; `("body", "events", 3, "at")` is `events.3.at`."""
    return ".".join(str(one) for one in location[1:] or location)


async def _on_unavailable(request: Request, error: Exception) -> Response:
    log.warning("answered 503: %s", error)
    return await _answer(request, unavailable(f"{error}. Try again in a moment."))


async def _on_too_much(request: Request, error: Exception) -> Response:
    return await _answer(
        request, Problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error), title="The question asks for too much")
    )


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    detail = {
        HTTPStatus.NOT_FOUND: "There is nothing at this address.",
        HTTPStatus.METHOD_NOT_ALLOWED: "This address does not do that.",
    }.get(status, str(error.detail))
    return await _answer(request, Problem(status, detail, headers=error.headers))


async def _on_bug(request: Request, error: Exception) -> Response:
    log.error("a bug, at %s %s", request.method, loggable(request.url.path), exc_info=error)
    return await _answer(
        request,
        Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "This is a fault of Afterword's, and is in its log."),
    )


_ANSWERS: Final = {
    Problem: _on_problem,
    RequestValidationError: _on_invalid,
    ValidationError: _on_invalid,
    Unavailable: _on_unavailable,
    TooMuch: _on_too_much,
    HTTPException: _on_http,
    Exception: _on_bug,
}
