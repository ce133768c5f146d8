"""What a person sees instead of a page: what happened, and what to do."""

from http import HTTPStatus
from typing import Final

from fastapi import Request, Response

from api.pages.rendering import render
from api.problems import Problem

_TITLES: Final = {
    HTTPStatus.NOT_FOUND: "Nothing is here",
    HTTPStatus.FORBIDDEN: "This is not yours to do",
    HTTPStatus.SERVICE_UNAVAILABLE: "Afterword cannot reach what it needs",
    HTTPStatus.INTERNAL_SERVER_ERROR: "Afterword has failed",
    HTTPStatus.TOO_MANY_REQUESTS: "Too many requests",
}
_TO_DO: Final = {
    HTTPStatus.NOT_FOUND: "Check the address. What was erased, or is not yours to see, is not here either.",
    HTTPStatus.BAD_REQUEST: "The list may have changed since this link was made: begin at its first page.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "Correct the address, or begin with the whole list.",
    HTTPStatus.FORBIDDEN: "Ask whoever runs this Afterword for the right, or go back.",
    HTTPStatus.SERVICE_UNAVAILABLE: "Nothing is lost: events are kept until they can be stored. "
    "Load this page again in a moment. If it stays like this, whoever runs Afterword finds the reason at /readyz and "
    "in the log.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "Load the page again. If it stays like this, tell whoever runs Afterword when it "
    "happened; the log says why.",
    HTTPStatus.TOO_MANY_REQUESTS: "Wait a moment, then load the page again.",
}


_UNKNOWN: Final = "Extra inputs are not permitted"
"""What pydantic says of a parameter that there is not."""


async def page(request: Request, problem: Problem) -> Response:
    """Say what went wrong on a page of its own, with the status of the problem."""
    details = problem.details
    return await render(
        request,
        "error.html",
        status=problem.status,
        headers=problem.headers,
        title=_TITLES.get(problem.status, details.title),
        detail=details.detail,
        faults=[(one.where, "is no filter here" if one.what == _UNKNOWN else one.what) for one in details.faults],
        to_do=_TO_DO.get(problem.status, ""),
        code=int(problem.status),
        again=request.method == "GET" and problem.status >= HTTPStatus.TOO_MANY_REQUESTS,
        here=request.url.path + (f"?{request.url.query}" if request.url.query else ""),
    )
