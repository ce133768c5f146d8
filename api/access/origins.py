"""Writes from other sites: a browser that is signed in here must not be made to write by a page from elsewhere.

What counts is what browsers say and pages cannot forge: `Sec-Fetch-Site`, else `Origin`. A request with a key is not
asked: a page elsewhere could send one only with leave that is never given (CORS), and its session counts for nothing.
A request with neither key nor session, and without a word of its origin, is no browser's; it is refused for being
nobody's soon enough.
"""

from http import HTTPStatus
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api.access.addresses import origin_of
from api.access.refusals import refusal
from api.problems import Problem

_SAFE: Final = {"GET", "HEAD", "OPTIONS"}
_OURS: Final = {"same-origin", "none"}
_REFUSED: Final = Problem(
    HTTPStatus.FORBIDDEN,
    "Another site sent this, or your browser does not say which one did. Nothing was changed.",
    title="Not from this site",
)


class SameSiteWrites:
    """Answers 403 instead of the application when another site's page sent an unsafe request."""

    def __init__(self, application: ASGIApp, public_url: str) -> None:
        self._application = application
        self._origin = origin_of(public_url)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        if scope["type"] == "http" and scope["method"] not in _SAFE and not self._ours(Headers(scope=scope)):
            await refusal(_REFUSED)(scope, receive, send)
        else:
            await self._application(scope, receive, send)

    def _ours(self, headers: Headers) -> bool:
        if "Authorization" in headers:
            return True
        if (site := headers.get("Sec-Fetch-Site")) is not None:
            return site in _OURS
        if (origin := headers.get("Origin")) is not None:
            host = origin.lower().partition("://")[2]
            return origin.lower() == self._origin or (host != "" and host == headers.get("Host", "").lower())
        return "Cookie" not in headers
