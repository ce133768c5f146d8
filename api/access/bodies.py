"""The limit on what a request may bring: announced or counted, a body above it is not read."""

from http import HTTPStatus
from typing import Final

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.access.refusals import refusal
from api.problems import Problem

LIMIT: Final = 1 << 20
"""1 MiB, as of a record in Kafka."""

_TOO_LARGE: Final = f"The body is larger than {LIMIT:,} bytes. Send it in several requests."


class BodyLimit:
    """Answers 413 instead of the application when the body is too large."""

    def __init__(self, application: ASGIApp) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        announced = Headers(scope=scope).get("Content-Length", "0")
        if announced.isascii() and announced.isdigit() and int(announced) > LIMIT:
            too_large = Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _TOO_LARGE, headers={"Connection": "close"})
            await refusal(too_large)(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > LIMIT:
                # The one exception that FastAPI lets pass while it reads a body.
                raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _TOO_LARGE, {"Connection": "close"})
            return message

        await self._application(scope, counted, send)
