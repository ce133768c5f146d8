"""One line in the log for each request: who, what, how it ended and how long it took; never a key, a link or a text.

Only the path is logged, encoded so that it stays one word: what stands behind `?` may be what somebody searches for.
"""

import logging
import re
import time
from typing import Any, Final
from urllib.parse import quote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.access.links import PATH as LINK

log = logging.getLogger(__name__)

_KEY: Final = re.compile(r"aw_\w+", re.ASCII)
_LONGEST: Final = 300
_METHODS: Final = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_QUIET: Final = "/static/"


def loggable(path: str) -> str:
    """Give a request's path as it may stand in a log: no secret, no control character, not too long."""
    if path.startswith(LINK):
        return LINK + "***"
    encoded = quote(_KEY.sub("aw_***", path), safe="/*:@~!$&'()+,;=", errors="replace")
    return encoded if len(encoded) <= _LONGEST else encoded[:_LONGEST] + "..."


class RequestsLog:
    """Logs every request when it has been answered."""

    def __init__(self, application: ASGIApp) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        began_at, status = time.perf_counter(), 0

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._application(scope, receive, noting)
        finally:
            _write(scope, status, time.perf_counter() - began_at)


def _write(scope: Scope, status: int, seconds: float) -> None:
    principal: Any = scope.get("state", {}).get("principal")
    log.log(
        logging.DEBUG if scope["path"].startswith(_QUIET) else logging.INFO,
        "%s %s %s %.0f ms %s",
        scope["method"] if scope["method"] in _METHODS else "?",
        loggable(scope["path"]),
        status or "broken off",
        seconds * 1_000,
        quote(principal.id, safe=":@+|") if principal else "nobody",
    )
